/* The parent of all roles: starts and restarts them, answers their file requests, moves finished profiles
 * along, and ends when the target's events do. It parses nothing but fixed-size messages and the kernel's
 * lines on a process. */

#include "worker/roles.h"

#include "ipc/failure.h"
#include "ipc/fd.h"
#include "ipc/summary.h"
#include "policy/levels.h"
#include "worker/base/harden.h"
#include "worker/base/seal.h"
#include "worker/supervisor/installation.h"
#include "worker/supervisor/jit_files.h"
#include "worker/supervisor/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>

#define FINISH_TIMEOUT_MS 10000
#define DELIVER_TIMEOUT_MS 60000
#define READY_TIMEOUT_MS 4000
/* Symbolizer and exporter have nothing to do before the first profile: they do not compete with the
 * target's own start for a CPU. */
#define LATE_START_MS 1000
#define EXPORT_RETRY_MS 100
#define LOOK_AGAIN_MS 10
/* What a target leaves running is often about to end too: one last profile is better than two. */
#define STRAGGLERS_MS 200

static int64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t
realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void
answer_launcher(struct session *session, int failure, int error)
{
	struct answer answer = {.failure = (uint32_t)failure, .error = error};

	if (channel_send(session->launch, MESSAGE_ANSWER, &answer, sizeof(answer), NULL, 0) < 0)
		session->phase = PHASE_OVER; /* the launcher gave up waiting: the target runs unprofiled */
}

/* ---- roles ---- */

static enum self_role
self_role_of(const struct role_process *role)
{
	return role->role == ROLE_UNWINDER     ? SELF_UNWINDER
	       : role->role == ROLE_SYMBOLIZER ? SELF_SYMBOLIZER
					       : SELF_EXPORTER;
}

/* The tags of Datadog's profilers in their order; what the caller did not give is left out. */
static void
format_tags(const struct worker_config *config, char *ret, size_t capacity)
{
	const struct {
		const char *key, *value;
	} parts[] = {{"service:", config->service},
		     {"env:", config->environment},
		     {"version:", config->version},
		     {"", config->tags}};
	size_t used = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (parts[i].value[0] && used < capacity)
			used += (size_t)snprintf(ret + used, capacity - used, "%s%s%s", used ? "," : "",
						 parts[i].key, parts[i].value);
}

static int
send_start(struct session *session)
{
	struct start_message start = {
		.period_ns = session->config.period_ns,
		.target_pid = session->config.target_pid,
		.discard = session->unwinder.deaths > 1, /* once may be chance; twice, a sample kills it */
		.restarts = session->restarts,
		.has_symbolizer = !session->config.disable_symbolization,
		.unwind = session->config.unwind,
		.level = session->level,
		.kernel_frames = session->kernel_frames,
		.kernel_offset = session->kernel_offset,
		.start_ns = session->period_start_ns,
		.sequence = session->next_sequence,
		.kernel_count_ns = session->kernel_count_ns,
		.kernel_lost = session->kernel_lost,
	};

	memcpy(start.container_id, session->container_id, sizeof(start.container_id));
	format_tags(&session->config, start.tags, sizeof(start.tags));
	int result = channel_send(session->unwinder.control, MESSAGE_START, &start, sizeof(start),
				  &session->journal, 1);
	return result < 0 ? result : ring_set_send(session->unwinder.control, &session->ring_set);
}

static int
send_exporter_start(struct session *session)
{
	const int fds[] = {session->config_fd, session->delivery_fd};
	struct exporter_start start = {0};

	memcpy(start.container_id, session->container_id, sizeof(start.container_id));
	memcpy(start.left_out, session->left_out, sizeof(start.left_out));
	return channel_send(session->exporter.control, MESSAGE_START, &start, sizeof(start), fds, 2);
}

static int
start_role(struct session *session, struct role_process *role)
{
	int result = role_process_start(role, session->folders, now_ms());

	if (result < 0)
		return result;
	self_measure_started(&session->measure, self_role_of(role), role->pid);
	role->deadline_ms = now_ms() + READY_TIMEOUT_MS;
	if (role->role == ROLE_EXPORTER) { /* looks into its spool first */
		role->deadline_ms = now_ms() + EXPORTER_TIMEOUT_MS;
		return send_exporter_start(session);
	}
	return role->role == ROLE_UNWINDER ? send_start(session) : 0;
}

/* A role that cannot even be forked counts as one that died: same backoff, same limit. */
static void
start_due_roles(struct session *session)
{
	struct role_process *roles[] = {&session->unwinder, &session->symbolizer, &session->exporter};
	int64_t now = now_ms();

	for (size_t i = 0; i < 3; i++) {
		struct role_process *role = roles[i];
		bool is_wanted =
			role->role == ROLE_UNWINDER
				? session->phase <= PHASE_FINISHING
				: session->phase != PHASE_STARTING; /* the launch never waits for them */

		if (role->pid > 0 || role->is_given_up || !is_wanted || now < role->next_start_ms)
			continue;
		if (start_role(session, role) < 0 && role->pid == 0)
			role_process_buried(role, now);
	}
}

static int64_t
grace_ms(const struct session *session)
{
	return (int64_t)session->config.export_grace_s * 1000;
}

static void
begin_delivery(struct session *session)
{
	session->phase = PHASE_DELIVERING;
	session->deadline_ms = now_ms() + DELIVER_TIMEOUT_MS + grace_ms(session);
	session->exporter.deaths = 0; /* no time to wait its turn */
	session->exporter.next_start_ms = 0;
}

/* Something is about to be exported: who handles it starts now, unless it died and is waiting its turn. */
static void
expect_profile(struct session *session)
{
	if (session->symbolizer.deaths == 0)
		session->symbolizer.next_start_ms = 0;
	if (session->exporter.deaths == 0)
		session->exporter.next_start_ms = 0;
}

static void
send_finish(struct session *session)
{
	if (session->unwinder.is_ready)
		(void)channel_send(session->unwinder.control, MESSAGE_FINISH, NULL, 0, NULL, 0);
}

static void
begin_finish(struct session *session)
{
	if (session->phase != PHASE_RUNNING)
		return;
	session->phase = PHASE_FINISHING;
	expect_profile(session);
	session->deadline_ms = now_ms() + FINISH_TIMEOUT_MS;
	if (session->unwinder.is_given_up)
		begin_delivery(session);
	else
		send_finish(session);
}

static void
describe_end(int status, char *ret, size_t capacity)
{
	if (WIFSIGNALED(status))
		snprintf(ret, capacity, "killed by signal %d (%s)%s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)),
			 WTERMSIG(status) == SIGSYS
				 ? ": a system call its sandbox forbids, see the kernel log"
				 : "");
	else
		snprintf(ret, capacity, "exit status %d", WEXITSTATUS(status));
}

/* Whoever dies of one profile twice would die of it for ever. */
static void
blame_profile(struct session *session)
{
	uint64_t profile = session->working_on;

	session->working_on = 0;
	if (profile == 0)
		return;
	if (profile != session->suspect) {
		session->suspect = profile;
		return;
	}
	session->left_out[session->left_out_count++ % LEFT_OUT_MAX] = profile;
	log_line(&session->log, LOG_LEVEL_ERROR,
		 "the exporter ended twice while it handled the same profile: that one is left out");
}

/* It may have nothing to do with us (a full machine) and last: it is told twice, tried for ever. */
static void
exporter_died(struct session *session, const char *how)
{
	struct role_process *exporter = &session->exporter;

	blame_profile(session);
	if (exporter->deaths == 1)
		log_line(&session->log, LOG_LEVEL_WARN, "the exporter ended (%s); starting it again", how);
	else if (exporter->deaths == ROLE_MAX_DEATHS)
		log_line(&session->log, LOG_LEVEL_ERROR,
			 "the exporter keeps ending (%s); it is started again every 30 s at most, finished "
			 "profiles wait",
			 how);
}

static void
role_died(struct session *session, struct role_process *role, int status)
{
	char how[160];

	describe_end(status, how, sizeof(how));
	pipeline_role_died(session->pipeline, role->role);
	if (role->role == ROLE_SYMBOLIZER)
		fetch_symbolizer_died(&session->fetch);
	if (role->role == ROLE_EXPORTER) {
		session->deliveries.status.taken = 0;
		fetch_exporter_died(&session->fetch, &session->symbolizer);
	}
	if (role->role == ROLE_EXPORTER && role->is_ready && status == 0) {
		role_process_left(role, now_ms());
		return;
	}
	role_process_buried(role, now_ms());
	if (role->role == ROLE_EXPORTER) {
		exporter_died(session, how);
		return;
	}
	log_line(&session->log, LOG_LEVEL_WARN, "the %s ended (%s); %s", role_process_name(role), how,
		 role->is_given_up ? "going on without it" : "starting it again");
	if (role->role != ROLE_UNWINDER)
		return;
	session->restarts++;
	if (session->phase == PHASE_STARTING) {
		answer_launcher(session, FAILURE_WORKER_DIED, 0);
		session->phase = PHASE_OVER;
	} else if (role->is_given_up) {
		session->unwinder_stopped = true;
		if (session->phase == PHASE_FINISHING || session->phase == PHASE_RUNNING)
			begin_delivery(session);
	}
}

static void
kill_overdue_roles(struct session *session)
{
	struct role_process *roles[] = {&session->unwinder, &session->symbolizer, &session->exporter};
	int64_t now = now_ms();

	for (size_t i = 0; i < 3; i++) {
		if (roles[i]->deadline_ms == 0 || now < roles[i]->deadline_ms || roles[i]->pid == 0)
			continue;
		log_line(&session->log, LOG_LEVEL_WARN, "the %s does not answer; ending it",
			 role_process_name(roles[i]));
		roles[i]->deadline_ms = 0;
		role_process_kill(roles[i]);
		if (session->phase == PHASE_STARTING) {
			answer_launcher(session, FAILURE_NO_ANSWER, 0);
			session->phase = PHASE_OVER;
		}
	}
}

/* ---- messages ---- */

/* Only a warning: who installs under his own account owns the files, and can always read them. */
static void
warn_about_installation(const struct session *session)
{
	const char *program = getuid() == 0 ? NULL : installation_find_readable();

	if (program)
		log_line(
			&session->log, LOG_LEVEL_WARN,
			"%s can be read by this user, so that any of his processes can look into it while it "
			"starts; to mend that: chmod 0711 %s",
			program, program);
}

static bool
take_ready(struct session *session, struct role_process *role, struct message *message)
{
	if (!message_expect(message, MESSAGE_READY, 0, 0))
		return false;
	role->is_ready = true;
	role->deadline_ms = 0;
	if (role->role != ROLE_UNWINDER)
		return true;
	if (session->phase == PHASE_STARTING) {
		session->phase = PHASE_RUNNING;
		session->next_export_ms = now_ms() + (int64_t)session->config.upload_period_s * 1000;
		session->symbolizer.next_start_ms = session->exporter.next_start_ms =
			now_ms() + LATE_START_MS;
		answer_launcher(session, FAILURE_NONE, 0);
		warn_about_installation(session); /* nobody waits for us any more */
	} else if (session->phase == PHASE_FINISHING) {
		send_finish(session); /* its predecessor died before it could finish */
	}
	return true;
}

static bool
names_are_terminated(const struct profile_message *head)
{
	for (size_t i = 0; i < ENDING_MODULES; i++)
		if (!IS_TERMINATED(head->module[i].name))
			return false;
	return true;
}

static bool
take_profile(struct session *session, struct role_process *role, struct message *message)
{
	const struct profile_message *head = message_expect(message, MESSAGE_PROFILE, sizeof(*head), 1);
	static struct profile_message completed;

	if (!head)
		return false;
	OWNED_FD profile = message_take_fd(message, 0);
	if (memfd_check_sealed(profile) < 0 || !names_are_terminated(head))
		return false;
	role->deadline_ms = 0;
	session->restarts = 0;
	session->next_sequence = head->sequence + 1;
	session->period_start_ns = head->end_ns;
	session->kernel_count_ns = head->kernel_count_ns;
	session->kernel_lost = head->kernel_lost;
	completed = *head;
	completed.inlined_functions = session->config.inlined_functions;
	completed.self = (struct self_report){0};
	completed.accepted = 0;
	if (pipeline_add(session->pipeline, &completed, take_fd(&profile)))
		deliveries_dropped(&session->deliveries, &session->log);
	if (head->is_last)
		begin_delivery(session);
	return true;
}

static bool
take_journal(struct session *session, struct role_process *role, struct message *message)
{
	(void)role;
	if (!message_expect(message, MESSAGE_JOURNAL, 0, 1))
		return false;
	close_fd(&session->journal);
	session->journal = message_take_fd(message, 0);
	return true;
}

static void
describe_level(uint32_t number, char *ret, size_t capacity)
{
	snprintf(ret, capacity, "%s%u KB", number == LEVEL_CHAIN ? "frame pointers and " : "",
		 (level_policy((enum sampling_level)number)->stack_bytes + 512) / 1024);
}

/* Kept for the unwinder's successor. */
static bool
take_level(struct session *session, struct role_process *role, struct message *message)
{
	const struct level_message *body = message_expect(message, MESSAGE_LEVEL, sizeof(*body), 0);
	char now[48], before[48];

	(void)role;
	if (!body || body->level >= LEVEL_COUNT || body->before >= LEVEL_COUNT ||
	    body->level == session->level)
		return false;
	describe_level(body->level, now, sizeof(now));
	describe_level(body->before, before, sizeof(before));
	log_line(&session->log, LOG_LEVEL_INFORMATIONAL, "sampling: %s of stack (was %s)", now, before);
	session->level = body->level;
	return true;
}

static bool
take_symbolised(struct session *session, struct role_process *role, struct message *message)
{
	if (!message_expect(message, MESSAGE_PROFILE, 0, 1))
		return false;
	OWNED_FD profile = message_take_fd(message, 0);
	fetch_next_profile(&session->fetch);
	return memfd_check_sealed(profile) == 0 &&
	       pipeline_symbolised(session->pipeline, role, take_fd(&profile)) == 0;
}

/* ---- what the exporter says ---- */

static bool
take_accepted(struct session *session, struct role_process *role, struct message *message)
{
	const struct accepted_message *accepted =
		message_expect(message, MESSAGE_ACCEPTED, sizeof(*accepted), 0);

	(void)role;
	if (!accepted || !deliveries_accepted(&session->deliveries, accepted))
		return false;
	if (accepted->is_own)
		(void)pipeline_accepted(session->pipeline, accepted->sequence, accepted->destination);
	return true;
}

static bool
take_settled(struct session *session, struct role_process *role, struct message *message)
{
	const struct profile_reference *settled =
		message_expect(message, MESSAGE_SETTLED, sizeof(*settled), 0);

	(void)role;
	if (settled)
		(void)pipeline_settled(session->pipeline, settled->sequence);
	return settled != NULL;
}

static bool
take_destination(struct session *session, struct role_process *role, struct message *message)
{
	const struct destination_message *destination =
		message_expect(message, MESSAGE_DESTINATION, sizeof(*destination), 0);

	(void)role;
	return destination && deliveries_destination(&session->deliveries, &session->log,
						     session->config.spool, destination, now_ms());
}

static bool
take_spool(struct session *session, struct role_process *role, struct message *message)
{
	const struct spool_message *spool = message_expect(message, MESSAGE_SPOOL, sizeof(*spool), 0);

	(void)role;
	return spool && deliveries_spool(&session->deliveries, &session->log, session->config.spool, spool);
}

static bool
take_working(struct session *session, struct role_process *role, struct message *message)
{
	const struct working_message *working = message_expect(message, MESSAGE_WORKING, sizeof(*working), 0);

	if (!working)
		return false;
	session->working_on = working->profile;
	if (role->deadline_ms > 0) /* it is slow, and alive: name servers that do not answer, say */
		role->deadline_ms = now_ms() + EXPORTER_TIMEOUT_MS;
	if (working->profile && role->deadline_ms == 0)
		role->deadline_ms = now_ms() + EXPORTER_TIMEOUT_MS;
	else if (!working->profile &&
		 pipeline_is_acknowledged(session->pipeline, session->deliveries.status.taken))
		role->deadline_ms = 0;
	return true;
}

static bool
take_status(struct session *session, struct role_process *role, struct message *message)
{
	const struct status_message *status = message_expect(message, MESSAGE_STATUS, sizeof(*status), 0);

	if (!status)
		return false;
	session->deliveries.status = *status;
	if (pipeline_is_acknowledged(session->pipeline, status->taken))
		role->deadline_ms = 0;
	return true;
}

static bool
take_fetched(struct session *session, struct role_process *role, struct message *message)
{
	(void)role;
	return fetch_take(&session->fetch, message, &session->symbolizer, now_ms());
}

/* All that a role may say. Anything else, or not in its layout, and the role is ended. */
static const struct {
	enum role role;
	enum message_kind kind;
	bool (*take)(struct session *session, struct role_process *role, struct message *message);
} answers[] = {
	{ROLE_UNWINDER, MESSAGE_READY, take_ready},
	{ROLE_UNWINDER, MESSAGE_PROFILE, take_profile},
	{ROLE_UNWINDER, MESSAGE_JOURNAL, take_journal},
	{ROLE_UNWINDER, MESSAGE_LEVEL, take_level},
	{ROLE_SYMBOLIZER, MESSAGE_READY, take_ready},
	{ROLE_SYMBOLIZER, MESSAGE_PROFILE, take_symbolised},
	{ROLE_EXPORTER, MESSAGE_READY, take_ready},
	{ROLE_EXPORTER, MESSAGE_ACCEPTED, take_accepted},
	{ROLE_EXPORTER, MESSAGE_SETTLED, take_settled},
	{ROLE_EXPORTER, MESSAGE_DESTINATION, take_destination},
	{ROLE_EXPORTER, MESSAGE_SPOOL, take_spool},
	{ROLE_EXPORTER, MESSAGE_WORKING, take_working},
	{ROLE_EXPORTER, MESSAGE_STATUS, take_status},
	{ROLE_EXPORTER, MESSAGE_FETCHED, take_fetched},
};

/* Whether there was a message. */
static bool
handle_control(struct session *session, struct role_process *role)
{
	static struct message message;
	int result = channel_receive(role->control, &message, 0);

	if (result == -ETIMEDOUT)
		return false;
	if (result < 0) { /* closed: SIGCHLD will tell how it ended; malformed: it is not ours any more */
		role_process_kill(role);
		close_fd(&role->control);
		return false;
	}
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		if (answers[i].role == role->role && (uint32_t)answers[i].kind == message.kind &&
		    answers[i].take(session, role, &message))
			return true;
	message_discard(&message);
	role_process_kill(role);
	return true;
}

static struct role_process *
role_of_pid(struct session *session, pid_t pid)
{
	struct role_process *roles[] = {&session->unwinder, &session->symbolizer, &session->exporter};

	for (size_t i = 0; i < 3; i++)
		if (roles[i]->pid == pid)
			return roles[i];
	return NULL;
}

/* What it still said holds: a profile that is accepted must not be sent again. */
static void
hear_last_words(struct session *session, struct role_process *role)
{
	while (session->phase != PHASE_STARTING && role->control >= 0 && handle_control(session, role))
		continue;
}

static void
reap_roles(struct session *session)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		struct role_process *role = role_of_pid(session, pid);

		if (role)
			self_measure_ended(&session->measure, self_role_of(role), &usage);
		if (!role || session->phase == PHASE_OVER)
			continue;
		role->pid = 0; /* may be somebody else's from now on */
		hear_last_words(session, role);
		role_died(session, role, status);
	}
}

/* True when that was the question; *ret_held is the answer. */
static bool
hold_for_unwinder(struct session *session, const struct message *message, struct held *ret_held)
{
	struct jit_files *files = broker_jit_files(session->broker);
	const struct hold_jit_map *map = (const void *)message->body;

	if (message->kind == MESSAGE_HOLD_JIT_MAP && message->size == sizeof(*map))
		ret_held->error = jit_files_hold_map(files, map->pid);
	else if (message->kind == MESSAGE_HOLD_JIT_DUMP && message->size == sizeof(struct open_mapping))
		ret_held->error = jit_files_hold_dump(files, (const void *)message->body);
	else
		return false;
	return true;
}

/* A debug file that is nowhere here. Only build ids that the kernel told us of what was mapped leave this
 * host: those that the symbolizer found in a file could be anything. As broker_open_debug(), or -EINPROGRESS:
 * it is answered later. */
static int
fetch_instead(struct session *session, const struct open_debug *request, uint32_t *ret_candidate)
{
	if (request->way != DEBUG_BY_BUILD_ID || request->first_candidate != DEBUG_CANDIDATE_FETCHED ||
	    strcmp(request->name, request->module.build_id) != 0 ||
	    !broker_has_mapped(session->broker, &request->module))
		return -ENOENT;
	*ret_candidate = DEBUG_CANDIDATE_FETCHED;
	return fetch_debug_file(&session->fetch, request->name, &session->exporter, now_ms());
}

static int
open_jit(const struct session *session, const struct open_jit *request, uint64_t *ret_kernel_offset)
{
	if (request->pid != JIT_PID_OF_KERNEL)
		return jit_files_open(broker_jit_files(session->broker), request);
	if (session->kernel_offset == 0 || request->file != JIT_PERF_MAP)
		return -ENOENT;
	*ret_kernel_offset = session->kernel_offset;
	return session->kallsyms;
}

static void
handle_broker(struct session *session, struct role_process *role)
{
	static struct message message;
	struct opened answer = {0};
	struct held held;
	OWNED_FD own = -1;
	int fd = -EBADMSG;

	if (channel_receive(role->broker, &message, 0) < 0) {
		close_fd(&role->broker);
		return;
	}
	if (role->role == ROLE_UNWINDER && hold_for_unwinder(session, &message, &held)) {
		message_discard(&message);
		if (channel_try_send(role->broker, MESSAGE_HELD, &held, sizeof(held), NULL, 0) < 0)
			role_process_kill(role);
		return;
	}
	if (message.kind == MESSAGE_OPEN_MAPPING && message.size == sizeof(struct open_mapping) &&
	    role->role == ROLE_UNWINDER)
		fd = broker_open_mapping(session->broker, (const void *)message.body, &answer.candidate);
	else if (message.kind == MESSAGE_OPEN_KNOWN && message.size == sizeof(struct open_known))
		fd = broker_open_known(session->broker, (const void *)message.body);
	else if (message.kind == MESSAGE_OPEN_DEBUG && message.size == sizeof(struct open_debug) &&
		 role->role == ROLE_SYMBOLIZER)
		fd = own = broker_open_debug(session->broker, (const void *)message.body, &answer.candidate);
	else if (message.kind == MESSAGE_OPEN_JIT && message.size == sizeof(struct open_jit) &&
		 role->role == ROLE_SYMBOLIZER)
		fd = open_jit(session, (const void *)message.body, &answer.kernel_offset);
	if (message.kind == MESSAGE_OPEN_DEBUG && fd == -ENOENT)
		fd = fetch_instead(session, (const void *)message.body, &answer.candidate);
	message_discard(&message);
	if (fd == -EINPROGRESS)
		return;

	answer.error = fd < 0 ? fd : 0;
	/* a role that asks and does not read must not hold up the others */
	if (channel_try_send(role->broker, MESSAGE_OPENED, &answer, sizeof(answer), &fd, fd >= 0) < 0)
		role_process_kill(role);
}

/* EOF: the target was executed. CANCEL: it could not be, and a profile of nothing helps nobody. */
static void
handle_launcher(struct session *session)
{
	static struct message message;
	int result = channel_receive(session->launch, &message, 0);

	if (result == 0 && message_expect(&message, MESSAGE_CANCEL, 0, 0)) {
		session->phase = PHASE_OVER;
		if (session->wait >= 0) /* the launcher said why; a summary would only confuse */
			(void)channel_send(session->wait, MESSAGE_CANCEL, NULL, 0, NULL, 0);
	}
	close_fd(&session->launch);
	if (session->phase == PHASE_STARTING)
		session->phase = PHASE_OVER; /* the launcher is gone before we were ready */
}

/* ---- the end ---- */

/* True once no task of the target's tree is left. Every event watches the same tasks, so one that has not
 * hung up speaks for all (an offlined CPU's hang up early). */
static bool
have_events_ended(struct session *session)
{
	while (session->watched_ring < session->ring_set.ring_count) {
		struct pollfd event = {.fd = session->ring_set.fd[session->watched_ring]};

		int ready = poll(&event, 1, 0);

		/* an error: our limit of open files was lowered to none, and nothing can be watched to its
		 * end */
		if (ready == 0 || (ready > 0 && !(event.revents & (POLLHUP | POLLERR))))
			return false;
		session->watched_ring++;
	}
	return true;
}

static void
send_summary(struct session *session)
{
	static struct summary_message summary;

	summary = (struct summary_message){.unwinder_stopped = session->unwinder_stopped};
	pipeline_summarise(session->pipeline, &summary);
	deliveries_summarise(&session->deliveries, session->config.spool, &summary);
	summary.dropped += pipeline_count(session->pipeline); /* if this is the end */
	self_measure_session(&session->measure, &summary.self);
	if (session->wait >= 0 &&
	    channel_send(session->wait, MESSAGE_SUMMARY, &summary, sizeof(summary), NULL, 0) == 0) {
		close_fd(&session->wait);
		return;
	}
	summary_log(&session->log, &summary, session->config.output, session->config.spool);
}

/* The waiting parent's own target ended. What it left running is profiled on, but nobody waits for that. */
static void
handle_waiting_parent(struct session *session)
{
	static struct message message;
	int result = channel_receive(session->wait, &message, 0);

	if (result < 0) {
		close_fd(&session->wait); /* it was killed; the target goes on, and so do we */
		return;
	}
	if (!message_expect(&message, MESSAGE_TARGET_ENDED, 0, 0) || have_events_ended(session))
		return;
	session->parent_waits_for_export = true;
	session->awaited_sequence = session->next_sequence;
	if (session->next_export_ms > now_ms() + STRAGGLERS_MS)
		session->next_export_ms = now_ms() + STRAGGLERS_MS;
}

static void
stop_sampling(struct session *session)
{
	for (uint32_t i = 0; i < session->ring_set.count; i++)
		(void)ioctl(session->ring_set.fd[i], PERF_EVENT_IOC_DISABLE, 0);
}

static void
handle_signals(struct session *session)
{
	struct signalfd_siginfo info;

	while (read(session->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo != SIGTERM)
			continue;
		stop_sampling(session);
		begin_finish(session);
	}
	reap_roles(session);
}

static void
request_export(struct session *session)
{
	int64_t now = now_ms();

	if (session->phase != PHASE_RUNNING || now < session->next_export_ms)
		return;
	expect_profile(session);
	if (!session->unwinder
		     .is_ready) { /* being restarted: its successor's profile covers this period too */
		session->next_export_ms = now + EXPORT_RETRY_MS;
		return;
	}
	session->next_export_ms = now + (int64_t)session->config.upload_period_s * 1000;
	if (channel_send(session->unwinder.control, MESSAGE_EXPORT, NULL, 0, NULL, 0) == 0)
		session->unwinder.deadline_ms = now + FINISH_TIMEOUT_MS;
}

static void
end_session(struct session *session)
{
	send_summary(session);
	session->phase = PHASE_OVER;
}

/* The exporter knows of everything, and has tried everything once. */
static bool
is_everything_tried(const struct session *session)
{
	return session->exporter.is_ready && pipeline_is_handed_over(session->pipeline) &&
	       pipeline_is_acknowledged(session->pipeline, session->deliveries.status.taken);
}

/* The grace begins when the last profile is as it is to be sent. It ends early when all is delivered, or what
 * is not has no hope; files are written however long it takes. */
static void
advance_delivery(struct session *session)
{
	if (session->phase != PHASE_DELIVERING)
		return;
	if (session->grace_ends_ms == 0 && pipeline_is_symbolised(session->pipeline)) {
		session->grace_ends_ms = now_ms() + grace_ms(session);
		pipeline_hurry(session->pipeline, session->grace_ends_ms);
	}
	if (session->grace_ends_ms == 0)
		return;
	bool is_time_up = now_ms() >= session->grace_ends_ms || !session->deliveries.status.has_hope;
	if ((is_everything_tried(session) && is_time_up) || session->exporter.deaths >= ROLE_MAX_DEATHS)
		end_session(session);
}

/* A waiting parent whose target left others running hears of the profile that has its target's end. */
static void
advance_waiting_parent(struct session *session)
{
	if (!session->parent_waits_for_export || session->next_sequence <= session->awaited_sequence)
		return;
	if (session->awaited_until_ms == 0 && pipeline_is_handed_over(session->pipeline))
		session->awaited_until_ms = now_ms() + grace_ms(session);
	bool is_time_up = session->awaited_until_ms && now_ms() >= session->awaited_until_ms;
	if (!pipeline_is_empty(session->pipeline) && !is_time_up)
		return;
	session->parent_waits_for_export = false;
	send_summary(session);
}

/* Time is up for a phase that waits for a role: go on with what there is. */
static void
enforce_deadline(struct session *session)
{
	if (session->phase < PHASE_FINISHING || session->phase > PHASE_DELIVERING ||
	    now_ms() < session->deadline_ms)
		return;
	if (session->phase == PHASE_DELIVERING) {
		end_session(session);
		return;
	}
	session->unwinder_stopped = true;
	role_process_kill(&session->unwinder);
	begin_delivery(session);
}

/* ---- the loop ---- */

static int64_t
earliest(int64_t a, int64_t b)
{
	return b > 0 && b < a ? b : a;
}

static int
time_until_next(const struct session *session)
{
	const struct role_process *roles[] = {&session->unwinder, &session->symbolizer, &session->exporter};
	int64_t now = now_ms(), next = now + 60000;

	if (session->phase == PHASE_RUNNING)
		next = earliest(next, session->next_export_ms);
	if (session->phase >= PHASE_FINISHING)
		next = earliest(next, session->deadline_ms);
	if (session->grace_ends_ms > now)
		next = earliest(next, session->grace_ends_ms);
	if (session->awaited_until_ms > now)
		next = earliest(next, session->awaited_until_ms);
	if (session->fetch_check_ms > now)
		next = earliest(next, session->fetch_check_ms);
	for (size_t i = 0; i < 3; i++) {
		next = earliest(next, roles[i]->deadline_ms);
		if (roles[i]->pid == 0 && !roles[i]->is_given_up)
			next = earliest(next, roles[i]->next_start_ms);
	}
	return next > now ? (int)(next - now) : 0;
}

static void
advance(struct session *session)
{
	kill_overdue_roles(session);
	start_due_roles(session);
	if (session->phase == PHASE_RUNNING && session->launch < 0 && have_events_ended(session))
		begin_finish(session);
	request_export(session);
	session->fetch_check_ms =
		fetch_advance(&session->fetch, &session->exporter, &session->symbolizer, now_ms());
	advance_delivery(session);
	pipeline_advance(session->pipeline, &session->symbolizer, &session->exporter, now_ms());
	enforce_deadline(session);
	advance_waiting_parent(session);
}

/* One descriptor, which may be polled where all of them may not. An error is for its handler to find. */
static bool
has_something(int fd)
{
	struct pollfd watched = {.fd = fd, .events = POLLIN};

	return fd >= 0 && poll(&watched, 1, 0) != 0;
}

/* EINVAL: somebody lowered our limit of open files below the number that is to be watched. What may be there
 * is looked at without waiting, so that the session ends as it should. */
static void
look_everywhere(struct session *session)
{
	struct role_process *roles[] = {&session->unwinder, &session->symbolizer, &session->exporter};

	(void)poll(NULL, 0, LOOK_AGAIN_MS);
	if (has_something(session->launch))
		handle_launcher(session);
	if (has_something(session->wait))
		handle_waiting_parent(session);
	for (size_t i = 0; i < 3; i++) {
		if (has_something(roles[i]->broker))
			handle_broker(session, roles[i]);
		if (roles[i]->control >= 0)
			(void)handle_control(session, roles[i]);
	}
	handle_signals(session);
}

static void
wait_and_handle(struct session *session)
{
	enum {
		SIGNALS,
		LAUNCHER,
		PARENT,
		TARGET,
		UNWINDER,
		SYMBOLIZER,
		EXPORTER,
		UNWINDER_FILES,
		SYMBOLIZER_FILES,
		COUNT
	};
	bool is_target_watched =
		session->phase == PHASE_RUNNING && session->watched_ring < session->ring_set.ring_count;
	struct pollfd watched[COUNT] = {
		[SIGNALS] = {session->signals, POLLIN},
		[LAUNCHER] = {session->launch, POLLIN},
		[PARENT] = {session->wait, POLLIN},
		[TARGET] = {is_target_watched ? session->ring_set.fd[session->watched_ring] : -1, 0},
		[UNWINDER] = {session->unwinder.control, POLLIN},
		[SYMBOLIZER] = {session->symbolizer.control, POLLIN},
		[EXPORTER] = {session->exporter.control, POLLIN},
		[UNWINDER_FILES] = {session->unwinder.broker, POLLIN},
		[SYMBOLIZER_FILES] = {session->symbolizer.broker, POLLIN},
	};

	if (poll(watched, COUNT, time_until_next(session)) < 0) {
		look_everywhere(session);
		return;
	}
	if (watched[LAUNCHER].revents)
		handle_launcher(session);
	if (watched[PARENT].revents)
		handle_waiting_parent(session);
	if (watched[UNWINDER_FILES].revents)
		handle_broker(session, &session->unwinder);
	if (watched[SYMBOLIZER_FILES].revents)
		handle_broker(session, &session->symbolizer);
	if (watched[UNWINDER].revents)
		(void)handle_control(session, &session->unwinder);
	if (watched[SYMBOLIZER].revents)
		(void)handle_control(session, &session->symbolizer);
	if (watched[EXPORTER].revents)
		(void)handle_control(session, &session->exporter);
	if (watched[SIGNALS].revents) /* last: it may close what the others were about to read */
		handle_signals(session);
}

static void
init_roles(struct session *session)
{
	const int64_t later = INT64_MAX; /* until the unwinder is ready */

	session->unwinder = (struct role_process){.role = ROLE_UNWINDER, .control = -1, .broker = -1};
	session->symbolizer = (struct role_process){
		.role = ROLE_SYMBOLIZER, .control = -1, .broker = -1, .next_start_ms = later};
	session->exporter = (struct role_process){
		.role = ROLE_EXPORTER, .control = -1, .broker = -1, .next_start_ms = later};
}

/* The unwinder's exec overlaps with the opener's work, and its mapping of the rings with ours: the target
 * waits for all of this. */
static int
start(struct session *session, int *ret_error)
{
	*ret_error = -harden_confine(ROLE_SUPERVISOR, NULL);
	if (*ret_error)
		return FAILURE_SANDBOX;
	init_roles(session);
	*ret_error = -role_process_start(&session->unwinder, /* folders= */ NULL, now_ms());
	if (*ret_error)
		return FAILURE_SETUP;

	int failure = session_receive(session, ret_error);
	if (failure != FAILURE_NONE)
		return failure;
	session->symbolizer.is_given_up = session->config.disable_symbolization; /* before it ever started */
	session->exporter.has_network = session->config.has_network;
	self_measure_started(&session->measure, SELF_UNWINDER, session->unwinder.pid);
	session->period_start_ns = realtime_ns();
	session->level = LEVEL_COUNT;
	session->unwinder.deadline_ms = now_ms() + READY_TIMEOUT_MS;
	(void)send_start(session); /* if it died already, SIGCHLD says so */
	return session_take_over(session, ret_error);
}

int
supervisor_main(void)
{
	static struct session session;
	int error;
	int failure = start(&session, &error);

	if (failure != FAILURE_NONE) {
		session.launch = FD_LAUNCH;
		answer_launcher(&session, failure, error);
		return -error;
	}
	while (session.phase != PHASE_OVER) {
		advance(&session);
		if (session.phase != PHASE_OVER)
			wait_and_handle(&session);
	}
	session_close(&session); /* closing the control channels ends the roles */
	return 0;
}
