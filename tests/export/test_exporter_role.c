/* ddprof-exporter and ddprof-uploader as the supervisor starts them: the real programs, confined, with the
 * test at the other end. */

#include "ipc/channel.h"
#include "ipc/delivery.h"
#include "ipc/fd.h"
#include "tests/support/clock.h"
#include "tests/support/folder.h"
#include "worker/base/seal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#define LAUNCH "01234567-89ab-4cde-8f01-23456789abcd"

static const struct worker_config config = {.service = "my/service", .target_pid = 42};
static struct delivery_config delivery;
static struct exporter_start exporter_start;
static struct test_folder folder, spool;
static bool has_spool, has_network;
static struct message message;
static int control = -1, server = -1;
static pid_t exporter;

/* ---- the process ---- */

static _Noreturn void
become_exporter(int end)
{
	char name[] = "ddprof-exporter", argument[] = "exporter";
	char report[] = SANDBOX_REPORT_BLANK;
	char environment[] = "ASAN_OPTIONS=detect_leaks=0"; /* at exit; the filter would kill it */
	char *const argv[] = {name, argument, report, NULL}, *const envp[] = {environment, NULL};
	int null = open("/dev/null", O_RDWR);
	const int given[] = {fcntl(end, F_DUPFD, 100), fcntl(folder.fd, F_DUPFD, 100),
			     fcntl(has_spool ? spool.fd : null, F_DUPFD, 100), fcntl(null, F_DUPFD, 100)};

	for (int i = 0; i < 4; i++)
		if (place_fd(given[i], FD_CONTROL + i) < 0)
			_exit(127);
	close_range(FD_PREFIX + 1, ~0u, 0);
	execve(has_network ? UPLOADER : EXPORTER, argv, envp);
	_exit(127);
}

static void
start_exporter(void)
{
	int ends[2];

	assert_int_equal(channel_pair(ends), 0);
	exporter = fork();
	if (exporter == 0)
		become_exporter(ends[1]);
	control = ends[0];
	close(ends[1]);
}

static int
start(void **state)
{
	(void)state;
	test_folder_make(&folder);
	test_folder_make(&spool);
	has_spool = false;
	delivery = (struct delivery_config){
		.count = 1,
		.destination = {{.kind = DESTINATION_FOLDER, .name = "a folder"}},
		.runtime_id = LAUNCH,
		.spool_max_bytes = 1 << 20,
		.spool_max_age_s = 10000000000, /* test profiles are as old as time */
	};
	exporter_start = (struct exporter_start){.container_id = "none"};
	start_exporter();
	return 0;
}

static void
end_exporter(void)
{
	kill(exporter, SIGKILL);
	assert_int_equal(waitpid(exporter, NULL, 0), exporter);
	exporter = 0;
}

static int
start_uploader(void **state)
{
	has_network = true;
	return start(state);
}

static int
finish(void **state)
{
	(void)state;
	if (exporter > 0)
		end_exporter(); /* or it removes what is in the spool while we do */
	close_fd(&control);
	close_fd(&server);
	has_network = false;
	test_folder_remove(&folder);
	test_folder_remove(&spool);
	return 0;
}

static void
expect_exit(int wanted)
{
	int status;

	assert_int_equal(waitpid(exporter, &status, 0), exporter);
	exporter = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted)
		fail_msg("the exporter ended with wait status %#x", (unsigned)status);
}

/* As if it had been killed, and the supervisor started another. */
static void
kill_exporter(void)
{
	end_exporter();
	close_fd(&control);
	start_exporter();
}

/* ---- its messages ---- */

static int
sealed_file(const void *bytes, size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(write(fd, bytes, size), size);
	assert_int_equal(memfd_seal(fd), 0);
	return fd;
}

/* What it says of its work, or of a destination that does what it should. */
static bool
is_chatter(void)
{
	const struct destination_message *destination = (const void *)message.body;

	return message.kind == MESSAGE_WORKING || message.kind == MESSAGE_STATUS ||
	       message.kind == MESSAGE_SPOOL ||
	       (message.kind == MESSAGE_DESTINATION &&
		(destination->state == DESTINATION_ACCEPTS ||
		 (destination->state == DESTINATION_FAILS && destination->failures < 2)));
}

/* The next message of a kind, chatter aside. */
static const void *
expect(enum message_kind kind, size_t size)
{
	do
		assert_int_equal(channel_receive(control, &message, 10000), 0);
	while (message.kind != (uint32_t)kind && is_chatter());
	const void *body = message_expect(&message, kind, size, 0);
	if (!body)
		fail_msg("message %u instead of %u", message.kind, kind);
	return body;
}

/* STATUS once everything we told it is handled. */
static const struct status_message *
expect_status(uint64_t taken)
{
	const struct status_message *status;

	do
		status = expect(MESSAGE_STATUS, sizeof(*status));
	while (status->taken < taken);
	assert_int_equal(status->taken, taken);
	return status;
}

/* ... and when nothing that waits may be accepted any more. */
static void
expect_no_hope(uint64_t taken)
{
	const struct status_message *status;

	do
		status = expect_status(taken);
	while (status->has_hope);
}

static void
expect_none_waiting(uint64_t taken)
{
	const struct status_message *status;

	do
		status = expect_status(taken);
	while (status->waiting > 0);
}

static void
expect_destination(unsigned destination, enum destination_state state, const char *words)
{
	const struct destination_message *body;

	do
		body = expect(MESSAGE_DESTINATION, sizeof(*body));
	while (body->state == DESTINATION_FAILS && body->failures < 2);
	assert_int_equal(body->destination, destination);
	if (body->state != state || (words && !strstr(body->words, words)))
		fail_msg("state %u (%s) instead of %u (%s)", body->state, body->words, state, words);
	assert_string_equal(body->name, delivery.destination[destination].name);
}

static void
send_start(void)
{
	OWNED_FD config_fd = sealed_file(&config, sizeof(config));
	OWNED_FD delivery_fd = sealed_file(&delivery, sizeof(delivery));
	const int fds[] = {config_fd, delivery_fd};

	assert_int_equal(
		channel_send(control, MESSAGE_START, &exporter_start, sizeof(exporter_start), fds, 2), 0);
}

static void
introduce(void)
{
	send_start();
	for (unsigned i = 0; i < delivery.count; i++)
		expect_destination(i, DESTINATION_UNTRIED, NULL);
	(void)expect(MESSAGE_READY, 0);
}

static void
send_profile_to(uint64_t sequence, uint32_t accepted)
{
	struct profile_message head = {.sequence = sequence, .end_ns = 1000000000, .accepted = accepted};
	/* a pprof with nothing but a string table (field 6): "" and one that varies */
	const uint8_t pprof[] = {6 << 3 | 2, 0, 6 << 3 | 2, 1, (uint8_t)('a' + sequence % 26)};
	OWNED_FD fd = sealed_file(pprof, sizeof(pprof));

	assert_int_equal(channel_send(control, MESSAGE_PROFILE, &head, sizeof(head), &fd, 1), 0);
}

static void
send_profile(uint64_t sequence)
{
	send_profile_to(sequence, 0);
}

static void
send_finish(uint32_t grace_ms)
{
	struct exporter_finish body = {grace_ms};

	assert_int_equal(channel_send(control, MESSAGE_FINISH, &body, sizeof(body), NULL, 0), 0);
}

static void
expect_accepted(uint64_t sequence, unsigned destination, const char *name)
{
	const struct accepted_message *body = expect(MESSAGE_ACCEPTED, sizeof(*body));

	assert_int_equal(body->sequence, sequence);
	assert_int_equal(body->destination, destination);
	assert_true(body->is_own);
	assert_string_equal(body->name, name);
}

static void
expect_settled(uint64_t sequence)
{
	const struct profile_reference *body = expect(MESSAGE_SETTLED, sizeof(*body));

	assert_int_equal(body->sequence, sequence);
}

static void
expect_nothing_more(void)
{
	while (channel_receive(control, &message, 300) == 0)
		if (!is_chatter())
			fail_msg("message %u", message.kind);
}

/* ---- a server ---- */

static unsigned
listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);

	server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(server, 16), 0);
	assert_int_equal(getsockname(server, (struct sockaddr *)&address, &length), 0);
	return ntohs(address.sin_port);
}

static void
add_server(const char *name)
{
	struct delivery_destination *destination = &delivery.destination[delivery.count++];

	*destination = (struct delivery_destination){.kind = DESTINATION_DATADOG, .timeout_ms = 5000};
	snprintf(destination->name, sizeof(destination->name), "%s", name);
	snprintf(destination->url, sizeof(destination->url), "http://127.0.0.1:%u/profiling/v1/input",
		 listen_somewhere());
	snprintf(destination->headers, sizeof(destination->headers), "DD-API-KEY: secret\n");
}

/* Reads one whole request. Its number (profile_seq of its event.json), or -1 without a request. */
static long
read_request(int connection)
{
	static char request[1 << 16];
	size_t size = 0, wanted = sizeof(request) - 1;

	while (size < wanted) {
		ssize_t got = recv(connection, request + size, wanted - size, 0);

		if (got <= 0)
			return -1;
		size += (size_t)got;
		request[size] = 0;
		const char *end = strstr(request, "\r\n\r\n"),
			   *length = strcasestr(request, "Content-Length:");
		if (end && length && length < end)
			wanted = (size_t)(end + 4 - request) + strtoul(length + 15, NULL, 10);
		assert_true(wanted < sizeof(request));
	}
	const char *number = memmem(request, size, "profile_seq:", 12);
	return number ? strtol(number + 12, NULL, 10) : -2;
}

static void
answer(uint64_t sequence, const char *status_and_headers, const char *words)
{
	struct pollfd wait = {.fd = server, .events = POLLIN};
	char text[512];

	assert_int_equal(poll(&wait, 1, 10000), 1);
	OWNED_FD connection = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(read_request(connection), sequence);
	int length = snprintf(text, sizeof(text),
			      "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s",
			      status_and_headers, strlen(words), words);
	assert_int_equal(send(connection, text, (size_t)length, MSG_NOSIGNAL), length);
}

static void
expect_no_request(void)
{
	struct pollfd wait = {.fd = server, .events = POLLIN};

	assert_int_equal(poll(&wait, 1, 300), 0);
}

/* ---- files ---- */

static const char *
file_name(uint64_t sequence)
{
	static char name[64];

	snprintf(name, sizeof(name), "my_service-42-19700101T000001Z-%u.pprof", (unsigned)sequence);
	return name;
}

static void
test_two_profiles(void **state)
{
	char list[4096];

	(void)state;
	introduce();
	send_profile(7);
	send_profile(8);
	for (uint64_t i = 7; i <= 8; i++) {
		expect_accepted(i, 0, file_name(i));
		expect_settled(i);
	}
	expect_no_hope(2);
	assert_string_equal(test_folder_list(&folder, list), "my_service-42-19700101T000001Z-7.pprof\n"
							     "my_service-42-19700101T000001Z-8.pprof\n");
	close_fd(&control);
	expect_exit(0);
}

/* A profile that cannot be written costs itself: the next one can be. */
static void
test_write_error(void **state)
{
	char list[4096];

	(void)state;
	introduce();
	test_folder_put(&folder, "my_service-42-19700101T000001Z-7.pprof/in-the-way", "");
	send_profile(7);
	/* Landlock lets it replace no folder, which looks like a folder that is closed to us */
	const struct destination_message *body = NULL;
	send_finish(1000);
	do
		body = expect(MESSAGE_DESTINATION, sizeof(*body));
	while (body->state == DESTINATION_FAILS);
	assert_true(body->state == DESTINATION_REFUSES_PROFILE || body->state == DESTINATION_REFUSES);
	assert_true(strstr(body->words, "Is a directory") || strstr(body->words, "Permission denied"));
	expect_no_hope(2);
	assert_string_equal(test_folder_list(&folder, list), "my_service-42-19700101T000001Z-7.pprof\n");
	close_fd(&control);
	expect_exit(0);
}

/* ---- uploads ---- */

static void
test_upload(void **state)
{
	(void)state;
	add_server("a server");
	introduce();
	send_profile(0);
	expect_accepted(0, 0, file_name(0));
	answer(0, "202 Accepted", "");
	expect_accepted(0, 1, "");
	expect_settled(0);
	send_profile_to(1, 1); /* the folder has it, says the supervisor */
	answer(1, "200 OK", "");
	expect_accepted(1, 1, "");
	expect_settled(1);
	expect_nothing_more();
	close_fd(&control);
	expect_exit(0);
}

static void
use_server_only(void)
{
	delivery.count = 0;
	add_server("a server");
}

/* One that is down is told when it stays so, asked again, and gets what waited in order. */
static void
test_outage(void **state)
{
	(void)state;
	use_server_only();
	introduce();
	send_profile(3);
	send_profile(4);
	assert_true(expect_status(2)->has_hope);
	answer(3, "503 Service Unavailable", "no\033");
	answer(3, "503 Service Unavailable", "not yet");
	expect_destination(0, DESTINATION_FAILS, "503 Service Unavailable: not yet");
	answer(3, "503 Service Unavailable", "not yet");
	answer(3, "200 OK", "");
	answer(4, "200 OK", "");
	expect_accepted(3, 0, "");
	expect_destination(0, DESTINATION_ACCEPTS, "");
	expect_settled(3);
	expect_accepted(4, 0, "");
	expect_settled(4);
}

/* The server's wish counts for longer than our patience. */
static void
test_retry_after(void **state)
{
	(void)state;
	use_server_only();
	introduce();
	send_profile(1);
	int64_t start_ms = clock_now_ms(); /* before it can know */
	answer(1, "429 Too Many Requests\r\nRetry-After: 2", "slower");
	send_finish(60000); /* in a hurry, even */
	answer(1, "200 OK", "");
	assert_true(clock_now_ms() - start_ms >= 2000);
	expect_accepted(1, 0, "");
}

/* It takes none of ours: said once, all kept, nobody is asked again soon. */
static void
test_refusal(void **state)
{
	(void)state;
	use_server_only();
	introduce();
	send_profile(1);
	answer(1, "403 Forbidden", "no such key");
	expect_destination(0, DESTINATION_REFUSES, "403 Forbidden: no such key");
	send_profile(2);
	assert_true(expect_status(2)->has_hope); /* as long as there is time */
	expect_no_request();
	send_finish(10000); /* the last chance is taken */
	answer(1, "403 Forbidden", "no such key");
	expect_no_hope(3);
	expect_nothing_more();
}

/* It does not take one of them: that one is set aside. */
static void
test_refused_profile(void **state)
{
	(void)state;
	use_server_only();
	introduce();
	send_profile(1);
	answer(1, "400 Bad Request", "what is this");
	expect_destination(0, DESTINATION_REFUSES_PROFILE, "400 Bad Request: what is this");
	send_profile(2);
	answer(2, "200 OK", "");
	expect_accepted(2, 0, "");
	expect_settled(2);
	expect_no_hope(2);
	expect_no_request();
}

/* A destination that is down holds up no other. */
static void
test_independence(void **state)
{
	(void)state;
	add_server("a server");
	close_fd(&server); /* nobody listens there */
	introduce();
	for (uint64_t i = 0; i < 3; i++) {
		send_profile(i);
		expect_accepted(i, 0, file_name(i));
	}
	expect_destination(1, DESTINATION_FAILS, "");
}

/* What the supervisor dropped is not sent. */
static void
test_drop(void **state)
{
	struct profile_reference first = {1};

	(void)state;
	use_server_only();
	introduce();
	send_profile(1);
	send_profile(2);
	answer(1, "503 Service Unavailable", "");
	assert_int_equal(channel_send(control, MESSAGE_DROP, &first, sizeof(first), NULL, 0), 0);
	answer(2, "200 OK", "");
	expect_accepted(2, 0, "");
	expect_settled(2);
	expect_none_waiting(3);
}

static void
test_left_out(void **state)
{
	const struct working_message *working;

	(void)state;
	use_server_only();
	introduce();
	send_profile(1);
	answer(1, "503 Service Unavailable", "");
	working = expect(MESSAGE_WORKING, sizeof(*working));
	assert_int_not_equal(working->profile, 0);
	exporter_start.left_out[3] = working->profile;
	kill_exporter();
	introduce();
	send_profile(1);
	send_profile(2);
	answer(2, "200 OK", "");
	expect_accepted(2, 0, "");
	expect_settled(2);
	expect_no_request();
}

/* ---- the spool ---- */

static void
use_spool(void)
{
	has_spool = true;
	kill_exporter();
}

static unsigned
count_files(void)
{
	char list[4096];
	unsigned count = 0;

	for (const char *at = test_folder_list(&spool, list); *at; at++)
		count += *at == '\n';
	return count;
}

/* On disk it needs nobody: a killed exporter's successor, told nothing, sends it, once and in order. */
static void
test_spool(void **state)
{
	(void)state;
	use_spool();
	use_server_only();
	introduce();
	for (uint64_t i = 1; i <= 3; i++) {
		send_profile(i);
		if (i == 1)
			answer(1, "503 Service Unavailable", "");
		expect_settled(i);
	}
	assert_int_equal(count_files(), 3);
	assert_int_equal(expect_status(3)->spool_own, 3);
	kill_exporter();
	send_start();
	for (uint64_t i = 1; i <= 3; i++)
		expect_settled(i); /* its predecessor may not have said so */
	for (uint64_t i = 1; i <= 3; i++) {
		answer(i, "200 OK", "");
	}
	expect_destination(0, DESTINATION_UNTRIED, NULL);
	(void)expect(MESSAGE_READY, 0);
	for (uint64_t i = 1; i <= 3; i++)
		expect_accepted(i, 0, "");
	expect_none_waiting(0);
	assert_int_equal(count_files(), 0);
	kill_exporter();
	introduce();
	expect_no_request();
}

/* Which of several destinations has it is on disk too. */
static void
test_spool_marks(void **state)
{
	(void)state;
	use_spool();
	add_server("a server");
	introduce();
	send_profile(1);
	expect_settled(1);
	expect_accepted(1, 0, file_name(1));
	answer(1, "503 Service Unavailable", "");
	assert_int_equal(count_files(), 2);
	kill_exporter();
	send_start();
	expect_settled(1);
	answer(1, "200 OK", "");
	expect_destination(0, DESTINATION_UNTRIED, NULL);
	expect_destination(1, DESTINATION_UNTRIED, NULL);
	(void)expect(MESSAGE_READY, 0);
	expect_accepted(1, 1, ""); /* and not the folder again */
	expect_none_waiting(0);
	assert_int_equal(count_files(), 0);
}

/* A later launch of the service sends what an earlier one could not, before its own. */
static void
test_spool_of_an_earlier_run(void **state)
{
	const struct accepted_message *accepted;

	(void)state;
	use_spool();
	use_server_only();
	introduce();
	send_profile(5);
	answer(5, "503 Service Unavailable", "");
	expect_settled(5);
	kill_exporter();
	memset(delivery.runtime_id, 'f', 8);
	send_start();
	expect_destination(0, DESTINATION_UNTRIED, NULL);
	(void)expect(MESSAGE_READY, 0);
	send_profile(6);
	expect_settled(6);
	answer(5, "200 OK", "");
	answer(6, "200 OK", "");
	accepted = expect(MESSAGE_ACCEPTED, sizeof(*accepted));
	assert_int_equal(accepted->sequence, 5);
	assert_false(accepted->is_own);
	expect_accepted(6, 0, "");
}

/* The supervisor sends again what its exporter had no time to call settled: it is there already. */
static void
test_spool_knows_what_it_has(void **state)
{
	(void)state;
	use_spool();
	use_server_only();
	introduce();
	send_profile(1);
	answer(1, "503 Service Unavailable", "");
	expect_settled(1);
	send_profile(1);
	expect_settled(1);
	assert_int_equal(count_files(), 1);
	answer(1, "200 OK", "");
	expect_accepted(1, 0, "");
	expect_no_request();
}

/* A spool that cannot be written to leaves profiles where they are, and is tried again. */
static void
test_full_spool(void **state)
{
	const struct spool_message *body;
	struct rlimit before, tiny;

	(void)state;
	getrlimit(RLIMIT_FSIZE, &before);
	tiny = before;
	tiny.rlim_cur = 100;
	use_spool();
	use_server_only();
	assert_int_equal(prlimit(exporter, RLIMIT_FSIZE, &tiny, NULL), 0);
	introduce();
	send_profile(1);
	body = expect(MESSAGE_SPOOL, sizeof(*body));
	assert_int_equal(body->event, SPOOL_EVENT_FAILS);
	assert_int_equal(body->error, EFBIG);
	answer(1, "503 Service Unavailable", "");
	assert_int_equal(expect_status(1)->spool_own, 0);
	assert_int_equal(count_files(), 0);
	assert_int_equal(prlimit(exporter, RLIMIT_FSIZE, &before, NULL), 0);
	expect_settled(1); /* as soon as it can be */
	assert_int_equal(count_files(), 1);
	answer(1, "200 OK", "");
	expect_accepted(1, 0, "");
}

/* ---- misuse ---- */

static void
expect_end(void)
{
	int result;

	do
		result = channel_receive(control, &message, 5000);
	while (result == 0 && is_chatter());
	assert_int_equal(result, -EPIPE);
}

static void
test_broken_messages(void **state)
{
	static const struct profile_message head;

	introduce();
	assert_int_equal(channel_send(control, MESSAGE_PROFILE, &head, sizeof(head), NULL, 0), 0);
	expect_end();
	expect_exit(1);
	finish(state);
	start(state);
	assert_int_equal(channel_send(control, MESSAGE_START, &head, 8, NULL, 0), 0);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
}

/* Bytes that somebody can still change are not looked at. */
static void
test_unsealed_files(void **state)
{
	static const struct profile_message head;
	char list[4096];
	OWNED_FD file = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	OWNED_FD sealed = sealed_file(&delivery, sizeof(delivery));
	const int fds[] = {file, sealed}, swapped[] = {sealed_file(&config, sizeof(config)), file};

	assert_int_equal(write(file, &config, sizeof(config)), sizeof(config));
	assert_int_equal(
		channel_send(control, MESSAGE_START, &exporter_start, sizeof(exporter_start), fds, 2), 0);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
	finish(state);
	start(state);
	assert_int_equal(
		channel_send(control, MESSAGE_START, &exporter_start, sizeof(exporter_start), swapped, 2), 0);
	close(swapped[0]);
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
	finish(state);
	start(state);
	introduce();
	assert_int_equal(fcntl(file, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK), 0); /* and not F_SEAL_WRITE */
	assert_int_equal(channel_send(control, MESSAGE_PROFILE, &head, sizeof(head), &file, 1), 0);
	expect_end();
	expect_exit(1);
	assert_string_equal(test_folder_list(&folder, list), "");
}

/* What it says of itself is where an auditor reads it, as long as before. */
static void
test_report(void **state)
{
	char path[64], line[256] = "";
	static const char names[] = "ddprof-exporter\0exporter";

	(void)state;
	introduce();
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)exporter);
	OWNED_FD file = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(file, line, sizeof(line)), sizeof(names) + SANDBOX_REPORT_BYTES + 1);
	assert_memory_equal(line, names, sizeof(names));
	const char *report = line + sizeof(names);
	assert_int_equal(strlen(report), SANDBOX_REPORT_BYTES);
	assert_int_equal(strncmp(report, "landlock=", 9), 0);
	assert_non_null(strstr(report, " mdwe="));
	assert_non_null(strstr(report, " keyring=caller ")); /* nobody gave it another */
}

/* Not even tried: it has no code for it. */
static void
test_network_without_the_uploader(void **state)
{
	(void)state;
	add_server("a server");
	send_start();
	assert_int_equal(channel_receive(control, &message, 5000), -EPIPE);
	expect_exit(1);
}

#define ROLE_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)
#define UPLOADER_TEST(test) cmocka_unit_test_setup_teardown(test, start_uploader, finish)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROLE_TEST(test_two_profiles),
		ROLE_TEST(test_write_error),
		UPLOADER_TEST(test_upload),
		UPLOADER_TEST(test_outage),
		UPLOADER_TEST(test_retry_after),
		UPLOADER_TEST(test_refusal),
		UPLOADER_TEST(test_refused_profile),
		UPLOADER_TEST(test_independence),
		UPLOADER_TEST(test_drop),
		UPLOADER_TEST(test_left_out),
		UPLOADER_TEST(test_spool),
		UPLOADER_TEST(test_spool_marks),
		UPLOADER_TEST(test_spool_of_an_earlier_run),
		UPLOADER_TEST(test_spool_knows_what_it_has),
		UPLOADER_TEST(test_full_spool),
		ROLE_TEST(test_broken_messages),
		ROLE_TEST(test_unsealed_files),
		ROLE_TEST(test_report),
		ROLE_TEST(test_network_without_the_uploader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
