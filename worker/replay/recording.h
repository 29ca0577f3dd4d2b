#pragma once
/* A perf.data file, read in bounds: its events, and its records in the order of their times, each decoded by
 * the layout its event asked for. Nothing in the file is believed before it is checked, and a file that
 * shrinks meanwhile is a read error. Both of perf's layouts are read, the one with a table of events in front
 * and the one made for pipes.
 *
 * Source: linux/tools/perf/Documentation/perf.data-file-format.txt and perf_event_open(2). */

#include "worker/perf/record.h"

enum recorded_kind {
	RECORDED_SAMPLE,       /* of the event that is counted */
	RECORDED_SIDEBAND,     /* type LOST included */
	RECORDED_OTHER_SAMPLE, /* of an event that is not: the same moments are counted already */
	RECORDED_NOTHING,      /* to us: a mapping of the kernel's */
};

struct recorded {
	enum recorded_kind kind;
	struct sample_record sample;
	struct sideband_record sideband;
};

struct recording;

/* `fd` is borrowed and must be seekable. 0; or -errno, and then *ret_reason says in words why this file
 * cannot be replayed ("is compressed; ..."), a string constant. */
int recording_open(int fd, struct recording **ret, const char **ret_reason);
void recording_free(struct recording *recording);

/* Nanoseconds of CPU time one sample stands for when it does not say so itself; 0: the event does not count
 * time. */
uint64_t recording_period_ns(const struct recording *recording);

/* The first and the last sample's time. */
void recording_times(const struct recording *recording, uint64_t *ret_first_ns, uint64_t *ret_last_ns);

/* Records that have no place in the order because their size cannot be; everything behind is lost. */
bool recording_is_cut(const struct recording *recording);

/* The records in order. 1 and a record, valid until the next call; 0 at the end; -EBADMSG for one that is not
 * what it says, which costs only itself; or pread's error. */
int recording_next(struct recording *recording, struct recorded *ret);
