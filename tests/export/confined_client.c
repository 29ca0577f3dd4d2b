/* The exporter's HTTP client in the exporter's sandbox, without the rest of the exporter: warms up, confines
 * itself, and then does what its standard input says, line by line with tabs between words.
 *
 *     confined_client [--OPTION VALUE]... [URL]...
 *
 *     post NAME URL SOCKET SIZE TIMEOUT_MS [HEADER]...   starts a request; SOCKET "-": none
 *     wait TIMEOUT_MS     until all are answered: "NAME status retry_after_ms sent_bytes words" each, then
 * "." outdated            "0" or "1" try WHAT            something that is forbidden: the error, if it is
 * still alive */

#include "worker/export/http.h"

#include "ipc/protocol.h"
#include "worker/base/harden.h"
#include "worker/base/memory_file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NAMES_MAX 16
#define HEADERS_MAX 8

struct request {
	char line[4096];
	const char *name, *headers[HEADERS_MAX + 1];
	struct http_request http;
};

static struct {
	struct http_settings settings;
	const char *urls[NAMES_MAX + 1], *sockets[NAMES_MAX + 1];
	size_t url_count, socket_count;
	bool is_open; /* no sandbox */
} options;

static struct http_client *client;
static unsigned running;

/* Not _exit(), nor _Noreturn: AddressSanitizer calls sigaltstack(2) before such a function, and checks for
 * leaks at the end of main(). */
static void
leave(int status)
{
	fflush(stdout);
	syscall(SYS_exit_group, status);
}

static void
stop(const char *what)
{
	printf("error %s\n", what);
	leave(1);
}

/* ---- options ---- */

static const char *
read_file(const char *path, size_t *ret_size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes = NULL;

	if (fd < 0 || memory_file_read(fd, &bytes, ret_size) < 0)
		stop(path);
	close(fd);
	return (const char *)bytes;
}

static void
take_option(const char *name, const char *value)
{
	struct http_settings *settings = &options.settings;

	if (strcmp(name, "--ca") == 0)
		settings->ca = read_file(value, &settings->ca_size);
	else if (strcmp(name, "--certificate") == 0)
		settings->certificate = read_file(value, &settings->certificate_size);
	else if (strcmp(name, "--key") == 0)
		settings->key = read_file(value, &settings->key_size);
	else if (strcmp(name, "--proxy-http") == 0)
		settings->proxy_http = value;
	else if (strcmp(name, "--proxy-https") == 0)
		settings->proxy_https = value;
	else if (strcmp(name, "--no-proxy") == 0)
		settings->no_proxy = value;
	else if (strcmp(name, "--socket") == 0)
		options.sockets[options.socket_count++] = value;
	else if (strcmp(name, "--sandbox") == 0)
		options.is_open = strcmp(value, "none") == 0;
	else
		stop(name);
}

static void
take_options(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (options.url_count == NAMES_MAX || options.socket_count == NAMES_MAX)
			stop("too many");
		else if (strncmp(argv[i], "--", 2) != 0)
			options.urls[options.url_count++] = argv[i];
		else if (i + 1 < argc) {
			take_option(argv[i], argv[i + 1]);
			i++;
		}
	options.settings.urls = options.urls;
	options.settings.unix_sockets = options.sockets;
}

/* Under the filters of those who start a role. */
static void
start_as_a_role(void)
{
	if (!options.is_open && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
				 filter_install(ROLE_OPENER) < 0 || filter_install(ROLE_SUPERVISOR) < 0))
		stop("filters");
}

static int
confine(void)
{
	static char report[] = SANDBOX_REPORT_BLANK;
	const struct landlock_exceptions exceptions = http_client_exceptions(client);

	if (options.is_open)
		return 0;
	int result = harden_process(report);
	if (result == 0)
		result = harden_role_start();
	return result < 0 ? result : harden_confine(ROLE_UPLOADER, &exceptions);
}

/* ---- requests ---- */

static char *
next_word(char **rest)
{
	static char none[1];
	char *word = strsep(rest, "\t");

	return word ? word : none;
}

/* The same bytes for the same size, so that the test can check them. */
static void *
body_of(size_t size)
{
	uint8_t *body = malloc(size + 1);

	for (size_t i = 0; i < size; i++)
		body[i] = (uint8_t)(i * 7 + i / 251);
	return body;
}

static void
post(const char *line)
{
	struct request *request = calloc(1, sizeof(*request));
	char *rest = request->line;
	size_t headers = 0;

	snprintf(request->line, sizeof(request->line), "%s", line);
	request->name = next_word(&rest);
	request->http.url = next_word(&rest);
	request->http.unix_socket = next_word(&rest);
	if (strcmp(request->http.unix_socket, "-") == 0)
		request->http.unix_socket = NULL;
	request->http.body_size = strtoul(next_word(&rest), NULL, 10);
	request->http.body = body_of(request->http.body_size);
	request->http.timeout_ms = (unsigned)strtoul(next_word(&rest), NULL, 10);
	while (rest && headers < HEADERS_MAX)
		request->headers[headers++] = next_word(&rest);
	request->http.headers = request->headers;
	if (http_client_start(client, &request->http, request) < 0)
		stop("start");
	running++;
}

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void
take_answers(void)
{
	struct http_answer answer;

	while (http_client_take(client, &answer)) {
		struct request *request = answer.context;

		printf("%s\t%d\t%lld\t%llu\t%s\n", request->name, answer.status,
		       (long long)answer.retry_after_ms, (unsigned long long)answer.sent_bytes, answer.words);
		free((void *)(uintptr_t)request->http.body);
		free(request);
		running--;
	}
}

static void
wait_for_all(int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;

	take_answers();
	while (running && now_ms() < end) {
		(void)http_client_wait(client, -1, (int)(end - now_ms()));
		take_answers();
	}
	printf(".\n");
}

/* ---- what is forbidden ---- */

static int
result_of(long result)
{
	return result < 0 ? errno : 0;
}

static int
connect_to(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	return result_of(connect(fd, (const struct sockaddr *)&address, sizeof(address)));
}

static int
try(char *line)
{
	const char *what = next_word(&line), *value = next_word(&line);
	char *const arguments[] = {(char[]){"true"}, NULL}, *const nothing[] = {NULL};

	if (strcmp(what, "connect") == 0)
		return connect_to(value);
	if (strcmp(what, "read") == 0)
		return result_of(open(value, O_RDONLY | O_CLOEXEC));
	if (strcmp(what, "write") == 0)
		return result_of(open(value, O_WRONLY | O_CLOEXEC));
	if (strcmp(what, "packet-socket") == 0)
		return result_of(socket(AF_PACKET, SOCK_RAW, 0));
	if (strcmp(what, "raw-socket") == 0)
		return result_of(socket(AF_INET, SOCK_RAW, IPPROTO_TCP));
	if (strcmp(what, "sctp-socket") == 0)
		return result_of(socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP));
	if (strcmp(what, "netlink-socket") == 0)
		return result_of(socket(AF_NETLINK, SOCK_RAW, 0));
	if (strcmp(what, "execve") == 0)
		return result_of(execve("/bin/true", arguments, nothing));
	if (strcmp(what, "fork") == 0)
		return result_of(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
	if (strcmp(what, "bind") == 0)
		return result_of(bind(0, NULL, 0));
	if (strcmp(what, "listen") == 0)
		return result_of(listen(0, 1));
	if (strcmp(what, "code") == 0)
		return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
				       MAP_FAILED
			       ? errno
			       : 0;
	return ENOSYS;
}

static void
obey(char *line)
{
	char *rest = line;
	const char *command = next_word(&rest);

	if (strcmp(command, "post") == 0)
		post(rest);
	else if (strcmp(command, "wait") == 0)
		wait_for_all(atoi(rest));
	else if (strcmp(command, "outdated") == 0)
		printf("%d\n", http_client_is_outdated(client));
	else if (strcmp(command, "try") == 0)
		printf("%d\n", try(rest));
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	static char line[4096];
	char problem[200];

	take_options(argc, argv);
	start_as_a_role();
	int result = http_client_new(&options.settings, &client, problem, sizeof(problem));
	if (result == -EINVAL)
		stop(problem);
	if (result == 0)
		result = confine();
	if (result < 0)
		stop(strerror(-result));
	printf("ready\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		obey(line);
	}
	http_client_free(client);
	leave(0);
}
