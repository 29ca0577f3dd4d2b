/* Two generations of half the size: what is asked for is copied to the young one; when that is full, the old
 * one is dropped and they change places. So nothing is ever searched for what to drop, and hot entries stay.
 */
#include "worker/symbolize/name_cache.h"

#include "worker/profile/record_table.h"
#include "worker/profile/string_table.h"

#include <stdlib.h>

#define FRAMES_MAX 64 /* of one address: inline_chain.h cuts there */

struct kept_address {
	uint64_t address;
	uint32_t path, build_id; /* key until here: in the generation's strings */
	uint32_t first, count;   /* in its frames */
	unsigned knowledge;
};

struct kept_frame {
	uint32_t function, file, line;
};

struct generation {
	struct budget budget;
	struct string_table strings;
	struct record_table addresses;
	struct kept_frame *frames;
	uint32_t frame_count, frame_capacity;
};

struct name_cache {
	struct generation young, old;
	struct source_frame answer[FRAMES_MAX];
};

static void
start_generation(struct generation *generation, size_t limit)
{
	*generation = (struct generation){
		.budget.limit = limit,
		.addresses = RECORD_TABLE(struct kept_address, offsetof(struct kept_address, first)),
	};
}

static void
end_generation(struct generation *generation)
{
	string_table_clear(&generation->strings, &generation->budget);
	record_table_clear(&generation->addresses, &generation->budget);
	free(generation->frames);
}

struct name_cache *
name_cache_new(size_t limit)
{
	struct name_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	start_generation(&cache->young, limit / 2);
	start_generation(&cache->old, limit / 2);
	return cache;
}

void
name_cache_free(struct name_cache *cache)
{
	if (!cache)
		return;
	end_generation(&cache->young);
	end_generation(&cache->old);
	free(cache);
}

static int
make_key(struct generation *generation, const char *path, const char *build_id, uint64_t address,
	 struct kept_address *ret)
{
	int error;

	*ret = (struct kept_address){.address = address};
	error = string_table_put(&generation->strings, &generation->budget, path, &ret->path);
	return error ? error
		     : string_table_put(&generation->strings, &generation->budget, build_id, &ret->build_id);
}

static int
put_frame(struct generation *generation, const struct source_frame *frame)
{
	struct kept_frame kept = {.line = frame->line};
	int error =
		string_table_put(&generation->strings, &generation->budget, frame->function, &kept.function);

	if (!error)
		error = string_table_put(&generation->strings, &generation->budget, frame->file, &kept.file);
	if (!error && generation->frame_count == generation->frame_capacity) {
		uint32_t capacity = generation->frame_capacity ? generation->frame_capacity * 2 : 256;
		void *frames = generation->frames;

		error = budget_resize(&generation->budget, &frames, generation->frame_capacity * sizeof(kept),
				      capacity * sizeof(kept));
		generation->frames = frames;
		generation->frame_capacity = error ? generation->frame_capacity : capacity;
	}
	if (!error)
		generation->frames[generation->frame_count++] = kept;
	return error;
}

static int
put(struct generation *generation, const char *path, const char *build_id, uint64_t address,
    const struct cached_names *names)
{
	struct kept_address kept;
	uint32_t unused;
	int error = make_key(generation, path, build_id, address, &kept);

	kept.first = generation->frame_count;
	kept.count = (uint32_t)names->count;
	kept.knowledge = names->knowledge;
	for (size_t i = 0; i < names->count && !error; i++)
		error = put_frame(generation, &names->frames[i]);
	return error ? error : record_table_put(&generation->addresses, &generation->budget, &kept, &unused);
}

void
name_cache_put(struct name_cache *cache, const char *path, const char *build_id, uint64_t address,
	       const struct cached_names *names)
{
	size_t limit = cache->young.budget.limit;

	if (names->count > FRAMES_MAX || put(&cache->young, path, build_id, address, names) == 0)
		return;
	end_generation(&cache->old);
	cache->old = cache->young;
	start_generation(&cache->young, limit);
	(void)put(&cache->young, path, build_id, address, names); /* or it is found out again */
}

static bool
find(struct name_cache *cache, struct generation *generation, const char *path, const char *build_id,
     uint64_t address, struct cached_names *ret)
{
	const struct kept_address *kept;
	struct kept_address key;
	uint32_t number = HASH_INDEX_NONE;

	if (generation->addresses.count > 0 && make_key(generation, path, build_id, address, &key) == 0)
		number = record_table_find(&generation->addresses, &key);
	if (number == HASH_INDEX_NONE)
		return false;
	kept = record_table_at(&generation->addresses, number);
	for (uint32_t i = 0; i < kept->count; i++) {
		const struct kept_frame *frame = &generation->frames[kept->first + i];

		cache->answer[i] = (struct source_frame){
			.function = string_table_at(&generation->strings, frame->function),
			.file = string_table_at(&generation->strings, frame->file),
			.line = frame->line,
		};
	}
	*ret = (struct cached_names){
		.frames = cache->answer, .count = kept->count, .knowledge = kept->knowledge};
	return true;
}

bool
name_cache_find(struct name_cache *cache, const char *path, const char *build_id, uint64_t address,
		struct cached_names *ret)
{
	if (find(cache, &cache->young, path, build_id, address, ret))
		return true;
	if (!find(cache, &cache->old, path, build_id, address, ret))
		return false;
	/* Not name_cache_put(): a full young generation would end the old one, and with it the answer. */
	(void)put(&cache->young, path, build_id, address, ret);
	return true;
}
