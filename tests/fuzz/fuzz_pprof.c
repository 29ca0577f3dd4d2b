/* Profiles read and symbolised: a message is refused, or its symbolised form is a message again, with the
 * same samples, and the same every time. */

#include "tests/fuzz/fuzz.h"

#include "worker/profile/decode.h"
#include "worker/profile/jit_mapping.h"
#include "worker/symbolize/symbolize.h"

#include <errno.h>
#include <string.h>

#define LIMIT (4u << 20)

static int
open_nothing(void *context, const char *path, const char *build_id)
{
	size_t *asked = context;

	use_bytes(path, strlen(path));
	use_bytes(build_id, strlen(build_id));
	++*asked;
	return -ENOENT;
}

static int
open_no_jit(void *context, uint32_t pid, enum jit_file file)
{
	size_t *asked = context;

	*asked += pid + file;
	return -ENOENT;
}

static void
check_strings(const Perftools__Profiles__Profile *profile)
{
	for (int64_t i = -1; i <= (int64_t)profile->n_string_table; i++) {
		const char *text = pprof_string(profile, i);

		use_bytes(text, strlen(text));
		CHECK((i >= 0 && i < (int64_t)profile->n_string_table) || text[0] == '\0');
		const char *base = pprof_basename(text);
		CHECK(base >= text && base <= text + strlen(text));
	}
}

static bool
has_location(const Perftools__Profiles__Profile *profile, uint64_t id)
{
	for (size_t i = 0; i < profile->n_location; i++)
		if (profile->location[i]->id == id)
			return true;
	return false;
}

/* The samples of a symbolised profile are those that went in; locations in code without a file may be fewer.
 */
static void
check_symbolised(const Perftools__Profiles__Profile *before, const uint8_t *bytes, size_t size)
{
	struct arena arena = {.limit = 16 * LIMIT};
	Perftools__Profiles__Profile *profile = NULL;
	int result = pprof_decode(bytes, size, &arena, &profile);

	CHECK(result == 0);
	CHECK(profile->n_sample == before->n_sample && profile->n_location <= before->n_location);
	for (size_t i = 0; i < before->n_sample; i++) {
		const Perftools__Profiles__Sample *one = before->sample[i], *other = profile->sample[i];

		CHECK(one->n_value == other->n_value && one->n_location_id == other->n_location_id);
		for (size_t at = 0; at < one->n_location_id; at++)
			CHECK(has_location(profile, other->location_id[at]) ||
			      !has_location(before, one->location_id[at]));
		CHECK(!one->n_value ||
		      memcmp(one->value, other->value, one->n_value * sizeof(*one->value)) == 0);
	}
	for (size_t i = 0; i < profile->n_mapping; i++) {
		uint32_t pid;

		CHECK(!jit_mapping_parse(pprof_string(profile, profile->mapping[i]->filename), &pid));
	}
	arena_destroy(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct arena arena = {.limit = LIMIT};
	Perftools__Profiles__Profile *profile = NULL;
	uint8_t *one = NULL, *other = NULL;
	size_t one_size = 0, other_size = 0, asked = 0, asked_again = 0;

	int decoded = pprof_decode(bytes, size, &arena, &profile);
	CHECK(decoded == 0 || decoded == -EBADMSG || decoded == -ENOMEM);
	CHECK(arena.used <= LIMIT);
	if (decoded == 0)
		check_strings(profile);
	static const struct symbolize_options inlined = {.inlined_functions = true};
	const struct file_finder finder = {
		.open_module = open_nothing, .open_jit = open_no_jit, .context = &asked};
	const struct file_finder finder_again = {
		.open_module = open_nothing, .open_jit = open_no_jit, .context = &asked_again};
	int result = symbolize_profile(bytes, size, &finder, &inlined, &one, &one_size);
	CHECK(result == 0 || result == -EBADMSG || result == -ENOMEM);
	CHECK(symbolize_profile(bytes, size, &finder_again, &inlined, &other, &other_size) == result);
	CHECK(asked == asked_again && one_size == other_size);
	CHECK(decoded != -EBADMSG || result != 0);
	if (result == 0) {
		CHECK(memcmp(one, other, one_size) == 0);
		if (decoded == 0)
			check_symbolised(profile, one, one_size);
	}
	free(one);
	free(other);
	arena_destroy(&arena);
	return 0;
}
