#pragma once
/* Decodes one record by its event's attributes: any combination of sample_type that perf_event_open(2) knows.
 */

#include "worker/perf/record.h"

/* Where to find what must be known before the event is: -1 when it is not there. Offsets of samples count
 * from the record's start, those of other records back from its end. */
struct layout_offsets {
	int sample_id, sample_time;
	int trailer_id, trailer_time;
	uint16_t trailer_bytes; /* of what sample_id_all appends to all other records */
};

void layout_offsets(const struct perf_event_attr *attributes, struct layout_offsets *ret);

#define LAYOUT_CHAIN_MAX 512 /* UNWIND_MAX_FRAMES: what is beyond would not be shown */

/* `bytes` is one whole record, header first, and stays valid as long as *ret. `chain` is filled with the user
 * part of the kernel's call chain. 0 or -EBADMSG. */
int layout_decode_sample(const struct perf_event_attr *attributes, const uint8_t *bytes, size_t size,
			 uint64_t chain[static LAYOUT_CHAIN_MAX], struct sample_record *ret);

/* The same for mappings, names, forks and exits; the older MMAP comes out as MMAP2 without an identity.
 * -ENOENT: a mapping of the kernel's own. */
int layout_decode_sideband(const uint8_t *bytes, size_t size, uint16_t trailer_bytes,
			   struct sideband_record *ret);
