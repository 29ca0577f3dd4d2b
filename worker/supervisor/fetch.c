/* One file at a time, for there is one symbolizer and it waits. */

#include "worker/supervisor/fetch.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/seal.h"
#include "worker/supervisor/fetched_files.h"
#include "worker/supervisor/role_process.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void
answer_symbolizer(struct fetch *fetch, struct role_process *symbolizer, int fd)
{
	struct opened answer = {.error = fd < 0 ? fd : 0, .candidate = DEBUG_CANDIDATE_FETCHED};

	if (!fetch->is_awaited)
		return;
	fetch->is_awaited = false;
	if (symbolizer->broker >= 0 &&
	    channel_try_send(symbolizer->broker, MESSAGE_OPENED, &answer, sizeof(answer), &fd, fd >= 0) < 0)
		role_process_kill(symbolizer);
}

static void
ask_exporter(struct fetch *fetch, struct role_process *exporter)
{
	struct fetch_message request = {0};

	if (!exporter->is_ready || fetch->is_asked)
		return;
	strcpy(request.build_id, fetch->build_id);
	fetch->is_asked =
		channel_try_send(exporter->control, MESSAGE_FETCH, &request, sizeof(request), NULL, 0) == 0;
}

int
fetch_debug_file(struct fetch *fetch, const char *build_id, struct role_process *exporter, int64_t now_ms)
{
	if (!fetch->files || strlen(build_id) >= sizeof(fetch->build_id))
		return -ENOENT;
	int fd = fetched_files_find(fetch->files, build_id, now_ms);
	if (fd != -EAGAIN)
		return fd;
	if (fetch->build_id[0] && strcmp(fetch->build_id, build_id) != 0)
		return -EAGAIN; /* another one takes its time */
	if (!fetch->build_id[0]) {
		strcpy(fetch->build_id, build_id);
		fetch->is_asked = false;
		ask_exporter(fetch, exporter);
	}
	if (fetch->patience_ms <= 0)
		return -EAGAIN;
	fetch->is_awaited = true;
	fetch->asked_ms = now_ms;
	return -EINPROGRESS;
}

static void
spend_patience(struct fetch *fetch, int64_t now_ms)
{
	if (fetch->is_awaited)
		fetch->patience_ms -= now_ms - fetch->asked_ms;
}

/* Of a memfd, which has a size. */
static uint64_t
size_of(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 ? (uint64_t)status.st_size : FETCHED_BYTES_MAX;
}

static void
keep(struct fetch *fetch, const struct fetched_message *body, int fd, int64_t now_ms)
{
	bool is_certain = body->error == ENOENT || body->error == EFBIG;

	if (fd >= 0)
		fetched_files_put(fetch->files, fetch->build_id, fd, size_of(fd));
	else
		fetched_files_put_missing(fetch->files, fetch->build_id,
					  now_ms + (is_certain ? FETCHED_MISSING_MS : FETCHED_FAILED_MS));
}

bool
fetch_take(struct fetch *fetch, struct message *message, struct role_process *symbolizer, int64_t now_ms)
{
	const struct fetched_message *body =
		message_expect(message, MESSAGE_FETCHED, sizeof(*body), message->fd_count);

	if (!body || message->fd_count > 1 || (body->error == 0) != (message->fd_count == 1) ||
	    body->error < 0 || !IS_TERMINATED(body->build_id) || !fetch->is_asked ||
	    strcmp(body->build_id, fetch->build_id) != 0)
		return false;
	OWNED_FD fd = message->fd_count ? message_take_fd(message, 0) : -1;
	if (fd >= 0 && memfd_check_sealed(fd) < 0)
		return false;
	spend_patience(fetch, now_ms);
	/* "not now" must not be remembered as "not at all" */
	answer_symbolizer(fetch, symbolizer, fd >= 0 ? fd : body->error == ENOENT ? -ENOENT : -EAGAIN);
	keep(fetch, body, take_fd(&fd), now_ms);
	fetch->build_id[0] = '\0';
	fetch->is_asked = false;
	return true;
}

int64_t
fetch_advance(struct fetch *fetch, struct role_process *exporter, struct role_process *symbolizer,
	      int64_t now_ms)
{
	int64_t until_ms = fetch->asked_ms + fetch->patience_ms;

	if (fetch->build_id[0])
		ask_exporter(fetch, exporter);
	if (!fetch->is_awaited)
		return 0;
	if (now_ms < until_ms)
		return until_ms;
	fetch->patience_ms = 0;
	answer_symbolizer(fetch, symbolizer, -EAGAIN);
	return 0;
}

void
fetch_symbolizer_died(struct fetch *fetch)
{
	fetch->is_awaited = false;
}

void
fetch_exporter_died(struct fetch *fetch, struct role_process *symbolizer)
{
	if (!fetch->is_asked)
		return;
	fetch->build_id[0] = '\0';
	fetch->is_asked = false;
	answer_symbolizer(fetch, symbolizer, -EAGAIN);
}

void
fetch_next_profile(struct fetch *fetch)
{
	fetch->patience_ms = FETCH_PATIENCE_MS;
}
