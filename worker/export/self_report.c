/* Nothing here may cost a profile: whatever fails, the profile is delivered. */

#include "worker/export/self_report.h"

#include "ipc/fd.h"
#include "worker/base/memory_file.h"
#include "worker/export/self_comments.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

static int
write_both(const uint8_t *pprof, size_t pprof_size, const uint8_t *comments, size_t comments_size)
{
	OWNED_FD fd = memfd_create("ddprof-profile", MFD_CLOEXEC);
	int result = fd < 0 ? -errno : memory_file_write(fd, pprof, pprof_size);

	if (result == 0)
		result = memory_file_write(fd, comments, comments_size);
	return result < 0 ? result : take_fd(&fd);
}

int
self_report_add(int profile, const struct profile_message *head, struct queue_report *queue,
		const struct network *network)
{
	static struct self_metrics metrics;
	static uint8_t comments[SELF_COMMENTS_MAX];
	size_t comments_size, size;
	uint8_t *pprof;
	int result = memory_file_read(profile, &pprof, &size);

	if (result < 0)
		return result;
	self_metrics_make(head, queue, size, &metrics);
	if (network)
		queue->statsd_failures += network->report(network->context, &metrics);
	result = self_comments_make(pprof, size, &metrics, comments, &comments_size);
	if (result == 0)
		result = write_both(pprof, size, comments, comments_size);
	free(pprof);
	return result;
}
