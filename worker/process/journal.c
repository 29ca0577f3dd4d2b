/* An append-only file of raw perf records; each carries its own length. */

#include "worker/process/journal.h"

#include "ipc/fd.h"
#include "worker/perf/record.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <unistd.h>

/* Rewritten when it has grown to twice what was true at its start, but not for trifles. */
#define COMPACT_MIN_BYTES (4u << 20)

/* Walks the whole records; *ret_end is where the last one ends. A torn last record is not an error. */
static int
scan(int fd, void (*handle)(void *context, const uint8_t *record, size_t size), void *context, off_t *ret_end)
{
	static _Alignas(8) uint8_t window[16 * SIDEBAND_MAX_BYTES];
	size_t filled = 0;
	off_t position = 0;

	for (;;) {
		ssize_t got = pread(fd, window + filled, sizeof(window) - filled, position);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			*ret_end = position - (off_t)filled;
			return got < 0 ? -errno : 0;
		}
		position += got;
		filled += (size_t)got;

		size_t at = 0;
		struct perf_event_header header;
		while (filled - at >= sizeof(header)) {
			memcpy(&header, window + at, sizeof(header));
			if (header.size < sizeof(header) || header.size > SIDEBAND_MAX_BYTES)
				return -EBADMSG;
			if (header.size > filled - at)
				break;
			if (handle)
				handle(context, window + at, header.size);
			at += header.size;
		}
		memmove(window, window + at, filled - at);
		filled -= at;
	}
}

int
journal_open(int fd, struct journal *ret)
{
	off_t end;
	int result = scan(fd, NULL, NULL, &end);

	if (result < 0)
		return result;
	/* what its last writer could not finish goes: the next record begins where the last whole one ends */
	if (ftruncate(fd, end) < 0 || lseek(fd, end, SEEK_SET) < 0)
		return -errno;
	*ret = (struct journal){.fd = fd, .bytes = (uint64_t)end};
	ret->compact_at = 2 * ret->bytes > COMPACT_MIN_BYTES ? 2 * ret->bytes : COMPACT_MIN_BYTES;
	return 0;
}

void
journal_close(struct journal *journal)
{
	close_fd(&journal->fd);
}

bool
journal_wants_compaction(const struct journal *journal)
{
	return journal->bytes >= journal->compact_at;
}

int
journal_append(struct journal *journal, const uint8_t *record, size_t size)
{
	if (journal->is_full || journal->bytes + size > JOURNAL_MAX_BYTES) {
		journal->is_full = true;
		return -ENOSPC;
	}
	/* a memfd write is not interrupted half-way except by lack of memory */
	ssize_t written = write(journal->fd, record, size);
	if (written != (ssize_t)size) {
		journal->is_full = true; /* what follows a torn record could not be found again */
		return written < 0 ? -errno : -ENOSPC;
	}
	journal->bytes += size;
	return 0;
}

int
journal_replay(int fd, void (*handle)(void *context, const uint8_t *record, size_t size), void *context)
{
	off_t end;

	return scan(fd, handle, context, &end);
}
