/* perf.data files: opened or refused with a reason; records in the order of their times, each inside the
 * file's bytes; the same every time. */

#include "tests/fuzz/fuzz.h"

#include "ipc/protocol.h"
#include "worker/replay/layout.h"
#include "worker/replay/recording.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static uint64_t
mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001b3u;
}

static uint64_t
mix_bytes(uint64_t hash, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		hash = mix(hash, ((const uint8_t *)bytes)[i]);
	return hash;
}

static uint64_t
check_sample(const struct sample_record *sample, uint64_t hash)
{
	uint64_t word;

	CHECK(sample->chain_count <= LAYOUT_CHAIN_MAX);
	hash = mix_bytes(hash, sample->chain, sample->chain_count * sizeof(*sample->chain));
	CHECK(!sample->has_registers || sample->stack.bytes);
	CHECK(sample->stack.size <= UINT16_MAX);
	if (sample->stack.size > 0)
		hash = mix_bytes(hash, sample->stack.bytes, sample->stack.size);
	CHECK(!stack_view_u64(&sample->stack, sample->stack.sp + sample->stack.size, &word));
	return mix(mix(hash, sample->time_ns), sample->period_ns);
}

static uint64_t
check_sideband(const struct sideband_record *sideband, uint64_t hash)
{
	if (sideband->type == PERF_RECORD_MMAP2) {
		const struct mmap_record *map = &sideband->mmap;

		CHECK(map->length > 0 && map->start + map->length > map->start);
		CHECK(map->build_id_size <= MAX_BUILD_ID && strlen(map->path) < MAX_PATH_BYTES);
		hash = mix_bytes(hash, map->path, strlen(map->path));
		hash = mix_bytes(hash, map->build_id, map->build_id_size);
	} else if (sideband->type == PERF_RECORD_COMM) {
		CHECK(memchr(sideband->comm.name, 0, sizeof(sideband->comm.name)));
	}
	return mix(hash, sideband->type);
}

/* A number for all that was read. */
static uint64_t
read_recording(int fd, size_t size)
{
	struct recording *recording = NULL;
	struct recorded record;
	const char *reason = NULL;
	uint64_t hash = 1, count = 0, last_ns = 0, first, last;
	int result = recording_open(fd, &recording, &reason);

	if (result < 0) {
		CHECK(result == -EBADMSG && reason && reason[0]);
		return mix_bytes(0, reason, strlen(reason));
	}
	recording_times(recording, &first, &last);
	CHECK(first <= last);
	hash = mix(mix(hash, recording_is_cut(recording)), recording_period_ns(recording));
	while ((memset(&record, 0, sizeof(record)), result = recording_next(recording, &record)) != 0) {
		CHECK(++count <= size / sizeof(struct perf_event_header));
		hash = mix(hash, (uint64_t)result);
		if (result < 0) {
			CHECK(result == -EBADMSG);
		} else if (record.kind == RECORDED_SAMPLE) {
			CHECK(record.sample.time_ns >= last_ns || record.sample.time_ns == 0);
			last_ns = record.sample.time_ns;
			hash = check_sample(&record.sample, hash);
		} else if (record.kind == RECORDED_SIDEBAND) {
			hash = check_sideband(&record.sideband, hash);
		}
	}
	recording_free(recording);
	return hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int fd = memfd_create("perf.data", MFD_CLOEXEC);

	CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
	CHECK(read_recording(fd, size) == read_recording(fd, size));
	close(fd);
	return 0;
}
