/* The way of every sample of ours, with a file where the rings are. */

#include "worker/replay/replay.h"

#include "ipc/fd.h"
#include "worker/base/memory_file.h"
#include "worker/collect/collector.h"
#include "worker/collect/comments.h"
#include "worker/symbolize/symbolize.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PROFILE_MEMORY_MAX (512u << 20) /* hours of a whole machine */

static void
take(struct collector *collector, const struct recorded *record, struct replay_result *ret)
{
	switch (record->kind) {
	case RECORDED_SAMPLE:
		collector_add_samples(collector, &record->sample, 1);
		return;
	case RECORDED_SIDEBAND:
		if (record->sideband.type == PERF_RECORD_LOST)
			collector->ledger.lost += record->sideband.lost.count;
		else /* over a limit: its code shows as unknown */
			(void)processes_apply(collector->processes, &record->sideband);
		return;
	case RECORDED_OTHER_SAMPLE:
		ret->other_samples++;
		return;
	case RECORDED_NOTHING:
		return;
	}
}

static int
take_all(struct recording *recording, struct collector *collector, struct replay_result *ret)
{
	static struct recorded record;

	for (;;) {
		int result = recording_next(recording, &record);

		if (result == 1)
			take(collector, &record, ret);
		else if (result == -EBADMSG)
			collector->ledger.malformed++;
		else
			return result;
	}
}

static int
write_unnamed(struct collector *collector, const struct recording *recording, int64_t end_ns)
{
	static struct profile_comments comments;
	struct module_endings modules[ENDING_MODULES] = {0};
	uint64_t first_ns, last_ns;
	OWNED_FD fd = memfd_create("ddprof-replay", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	recording_times(recording, &first_ns, &last_ns);
	file_endings_worst(&collector->endings, collector->files, modules, ENDING_MODULES);
	profile_comments_format(&collector->ledger, "", modules, collector->files, &comments);
	struct profile_header header = {
		.duration_ns = (int64_t)(last_ns - first_ns),
		.time_ns = end_ns - (int64_t)(last_ns - first_ns),
		.period_ns = (int64_t)recording_period_ns(recording),
		.comments = comments.lines,
	};
	int result = collector_write(collector, &header, fd);
	return result < 0 ? result : take_fd(&fd);
}

static int
symbolise(int unnamed, struct replay_files *files)
{
	const struct symbolize_options options = {.inlined_functions = true};
	const struct file_finder finder = {.open_module = replay_files_open_module,
					   .open_debug = replay_files_open_debug,
					   .context = files};
	uint8_t *in = NULL, *out = NULL;
	size_t in_size, out_size;
	int result = memory_file_read(unnamed, &in, &in_size);
	OWNED_FD fd = memfd_create("ddprof-replay", MFD_CLOEXEC);

	if (result == 0 && fd < 0)
		result = -errno;
	if (result == 0)
		result = symbolize_profile(in, in_size, &finder, &options, &out, &out_size);
	if (result == 0)
		result = memory_file_write(fd, out, out_size);
	free(in);
	free(out);
	return result < 0 ? result : take_fd(&fd);
}

int
replay_recording(struct recording *recording, struct replay_files *files, int64_t end_ns,
		 struct replay_result *ret, int *ret_profile)
{
	struct collector collector;
	int result = collector_init(&collector, replay_files_open, files, PROFILE_MEMORY_MAX);

	if (result < 0)
		return result;
	*ret = (struct replay_result){.counts_time = recording_period_ns(recording) > 0,
				      .is_cut = recording_is_cut(recording)};
	result = take_all(recording, &collector, ret);
	ret->ledger = collector.ledger;
	OWNED_FD unnamed = result < 0 ? result : write_unnamed(&collector, recording, end_ns);
	collector_destroy(&collector); /* closes the files, which symbolising opens one by one */
	if (unnamed < 0)
		return unnamed;
	result = symbolise(unnamed, files);
	if (result < 0)
		return result;
	*ret_profile = result;
	return 0;
}
