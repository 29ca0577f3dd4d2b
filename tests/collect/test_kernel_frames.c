/* What a sample in the kernel adds to a profile: its functions' addresses, as the symbolizer is to have them,
 * and the frame that says where the kernel begins. */

#include "worker/collect/collector.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "worker/profile/decode.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define CODE 0xffffffff81000000ull
#define OFFSET (0x1234500000000000ull - CODE)

static int
open_nothing(void *context, const struct open_mapping *request, uint32_t *ret_candidate)
{
	(void)context;
	(void)request;
	(void)ret_candidate;
	return -ENOENT;
}

/* The addresses of the one sample's first frames in the space of the kernel; how many they are. */
static size_t
addresses_of(uint64_t offset, const struct sample_record *sample, uint64_t ret[static 8], size_t *ret_frames)
{
	static const struct profile_header header = {.period_ns = 1};
	struct arena arena = {.limit = 1 << 24};
	Perftools__Profiles__Profile *profile;
	struct collector collector;
	struct stat status;
	size_t count = 0;
	OWNED_FD fd = file_with("");

	assert_int_equal(collector_init(&collector, open_nothing, NULL, 1 << 24), 0);
	collector.kernel_offset = offset;
	collector_add_samples(&collector, sample, 1);
	assert_int_equal(collector_write(&collector, &header, fd), 0);
	collector_destroy(&collector);
	assert_int_equal(fstat(fd, &status), 0);
	uint8_t *bytes = malloc((size_t)status.st_size);
	assert_int_equal(pread(fd, bytes, (size_t)status.st_size, 0), status.st_size);
	assert_int_equal(pprof_decode(bytes, (size_t)status.st_size, &arena, &profile), 0);
	assert_int_equal(profile->n_sample, 1);
	*ret_frames = profile->sample[0]->n_location_id;
	for (size_t i = 0; i < profile->n_mapping; i++)
		assert_string_equal(pprof_string(profile, profile->mapping[i]->filename), "[jit:0]");
	for (size_t i = 0; i < *ret_frames; i++)
		for (size_t n = 0; n < profile->n_location; n++)
			if (profile->location[n]->id == profile->sample[0]->location_id[i] &&
			    profile->location[n]->mapping_id)
				ret[count++] = profile->location[n]->address;
	arena_destroy(&arena);
	free(bytes);
	return count;
}

static void
test_frames(void **state)
{
	static struct sample_record sample = {.pid = 7,
					      .tid = 7,
					      .period_ns = 5,
					      .in_kernel = true,
					      .kernel_chain_count = 3,
					      .kernel_chain = {CODE + 0x100, CODE + 0x200, CODE + 0x300}};
	uint64_t addresses[8];
	size_t frames, without;

	(void)state;
	assert_int_equal(addresses_of(OFFSET, &sample, addresses, &frames), 3);
	assert_int_equal(addresses[0], CODE + OFFSET + 0x100);
	assert_int_equal(addresses[1], CODE + OFFSET + 0x1ff); /* the call, not what comes after it */
	assert_int_equal(addresses[2], CODE + OFFSET + 0x2ff);
	/* nobody can name them */
	assert_int_equal(addresses_of(0, &sample, addresses, &without), 0);
	assert_int_equal(without, frames - 3);
	/* no place that the offset is for */
	assert_int_equal(addresses_of(1, &sample, addresses, &frames), 0);
	assert_int_equal(frames, without);
	sample.in_kernel = false;
	assert_int_equal(addresses_of(OFFSET, &sample, addresses, &frames), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_frames)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
