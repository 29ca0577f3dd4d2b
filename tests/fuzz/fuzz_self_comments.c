/* Comments behind a profile that came from another process: it is refused, or is a message with them that has
 * everything it had. */

#include "tests/fuzz/fuzz.h"

#include "worker/export/self_comments.h"
#include "worker/profile/decode.h"

#include <errno.h>
#include <string.h>

#define LIMIT (4u << 20)

static const struct self_metrics metrics = {
	.count = 3,
	.metric = {{"one", INT64_MIN, true}, {"not.said", 2, false}, {"three", 3, true}},
};

static void
check_last_comments(const Perftools__Profiles__Profile *profile)
{
	static const char *const wanted[] = {"ddprof.one=-9223372036854775808", "ddprof.three=3"};

	for (size_t i = 0; i < 2; i++) {
		int64_t number = profile->comment[profile->n_comment - 2 + i];

		CHECK(strcmp(pprof_string(profile, number), wanted[i]) == 0);
	}
}

static void
check_decoded(const uint8_t *both, size_t both_size, size_t size)
{
	struct arena arena = {.limit = LIMIT}, arena_with = {.limit = 2 * LIMIT};
	Perftools__Profiles__Profile *profile, *with;

	if (pprof_decode(both, size, &arena, &profile) == 0) {
		CHECK(pprof_decode(both, both_size, &arena_with, &with) == 0);
		CHECK(with->n_comment == profile->n_comment + 2);
		CHECK(with->n_string_table == profile->n_string_table + 2);
		CHECK(with->n_sample == profile->n_sample && with->n_location == profile->n_location);
		check_last_comments(with);
	}
	arena_destroy(&arena);
	arena_destroy(&arena_with);
}

/* Nobody else reads it either. */
static void
check_refused(const uint8_t *bytes, size_t size)
{
	struct arena arena = {.limit = LIMIT};
	Perftools__Profiles__Profile *profile;

	CHECK(pprof_decode(bytes, size, &arena, &profile) != 0);
	arena_destroy(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static uint8_t comments[SELF_COMMENTS_MAX];
	size_t comments_size = 0;
	int result = self_comments_make(bytes, size, &metrics, comments, &comments_size);

	CHECK(result == 0 || result == -EBADMSG);
	if (result < 0) {
		check_refused(bytes, size);
		return 0;
	}
	CHECK(comments_size > 0 && comments_size <= SELF_COMMENTS_MAX);
	uint8_t *both = malloc(size + comments_size);
	CHECK(both);
	memcpy(both, bytes, size);
	memcpy(both + size, comments, comments_size);
	check_decoded(both, size + comments_size, size);
	free(both);
	return 0;
}
