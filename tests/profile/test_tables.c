/* The tables under the profile: every record once, compared in full, within the budget. */
#include "worker/profile/arena.h"
#include "worker/profile/record_table.h"
#include "worker/profile/string_table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct record {
	uint64_t key;
	int value;
};

/* So many that dozens of pairs share a hash. */
static void
test_records(void **state)
{
	enum { RECORDS = 600000 };
	struct record_table table = RECORD_TABLE(struct record, sizeof(uint64_t));
	struct budget budget = {.limit = SIZE_MAX};
	uint32_t number;

	(void)state;
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < RECORDS; i++) {
			struct record record = {.key = i * 4096ull, .value = pass ? -1 : (int)i};

			assert_int_equal(record_table_put(&table, &budget, &record, &number), 0);
			assert_int_equal(number, i);
			assert_int_equal(((struct record *)record_table_at(&table, i))->value, i);
		}
	assert_int_equal(table.count, RECORDS);
	assert_int_equal(record_table_find(&table, &(uint64_t){4095}), HASH_INDEX_NONE);
	assert_int_equal(record_table_find(&table, &(uint64_t){8192}), 2);
	record_table_clear(&table, &budget);
	assert_int_equal(budget.used, 0);
}

static bool
never(const void *owner, uint32_t entry, const void *key, size_t key_size)
{
	(void)owner, (void)entry, (void)key, (void)key_size;
	return false;
}

static bool
is_entry(const void *owner, uint32_t entry, const void *key, size_t key_size)
{
	(void)owner, (void)key_size;
	return entry == *(const uint32_t *)key;
}

/* Equal hashes are candidates, not answers. */
static void
test_collisions(void **state)
{
	struct budget budget = {.limit = SIZE_MAX};
	struct hash_index index = {0};

	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(hash_index_add(&index, &budget, 7, i), 0);
	assert_int_equal(hash_index_find(&index, 7, never, NULL, NULL, 0), HASH_INDEX_NONE);
	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(hash_index_find(&index, 7, is_entry, NULL, &i, sizeof(i)), i);
	hash_index_destroy(&index, &budget);
}

static void
test_strings(void **state)
{
	struct string_table table = {0};
	struct budget budget = {.limit = SIZE_MAX};
	char name[32];
	uint32_t number;

	(void)state;
	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 1; i < 20000; i++) {
			snprintf(name, sizeof(name), "name %u", i);
			assert_int_equal(string_table_put(&table, &budget, name, &number), 0);
			assert_int_equal(number, i); /* 0 is "" */
		}
	assert_int_equal(string_table_put(&table, &budget, NULL, &number), 0);
	assert_int_equal(number, 0);
	assert_string_equal(string_table_at(&table, 0), "");
	assert_string_equal(string_table_at(&table, 777), "name 777");
	string_table_clear(&table, &budget);
	assert_int_equal(budget.used, 0);
}

/* Whatever the limit: never more than it, and what was in the table stays. */
static void
test_budget(void **state)
{
	(void)state;
	for (size_t limit = 0; limit < 20000; limit += 97) {
		struct string_table table = {0};
		struct budget budget = {.limit = limit};
		char name[16];
		uint32_t number, count = 0;
		int error = 0;

		for (uint32_t i = 1; !error; i++) {
			snprintf(name, sizeof(name), "%u", i);
			error = string_table_put(&table, &budget, name, &number);
			assert_true(budget.used <= limit);
			count += !error;
		}
		assert_int_equal(error, -ENOSPC);
		for (uint32_t i = 1; i <= count; i++) {
			snprintf(name, sizeof(name), "%u", i);
			assert_int_equal(string_table_put(&table, &budget, name, &number), 0);
			assert_int_equal(number, i);
		}
		string_table_clear(&table, &budget);
		assert_int_equal(budget.used, 0);
	}
}

static void
test_arena(void **state)
{
	struct arena arena = {.limit = 3 << 20};
	size_t got = 0;

	(void)state;
	for (size_t size = 1; size < 400000; size = size * 3 / 2 + 1) {
		unsigned char *block = arena_allocate(&arena, size);

		assert_non_null(block);
		assert_int_equal((uintptr_t)block % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(block[i], 0);
		memset(block, 0xff, size);
	}
	assert_false(arena.exhausted);
	while (arena_allocate(&arena, 1000))
		assert_true((got += 1000) <= arena.limit);
	assert_true(arena.exhausted);
	assert_null(arena_allocate_array(&arena, SIZE_MAX / 2, 3));
	assert_null(arena_allocate(&arena, SIZE_MAX));
	arena_destroy(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records), cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_strings), cmocka_unit_test(test_budget),
		cmocka_unit_test(test_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
