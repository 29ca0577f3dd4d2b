/* Sums: recursion, inlining, several profiles, types, and numbers as people read them. */
#include "worker/report/account.h"
#include "worker/report/quantity.h"
#include "worker/report/table.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef Perftools__Profiles__Profile Profile;

/* A profile by hand. Strings: 0 "", then the list; function and location i are string i and i again;
 * location 9 has lines 2 (inlined) and 1. */
static const char *const strings[] = {
	"", "main", "work", "leaf", "cpu-time", "nanoseconds", "cpu-samples", "count", "alloc", "bytes"};

struct builder {
	Profile profile;
	Perftools__Profiles__ValueType types[2], *type_list[2];
	Perftools__Profiles__Function functions[3], *function_list[3];
	Perftools__Profiles__Line lines[5], *line_list[5];
	Perftools__Profiles__Location locations[5], *location_list[5];
	Perftools__Profiles__Sample samples[8], *sample_list[8];
	int64_t values[8][2];
	uint64_t stacks[8][8];
};

static void
builder_start(struct builder *b)
{
	memset(b, 0, sizeof(*b));
	perftools__profiles__profile__init(&b->profile);
	b->profile.string_table = (char **)strings;
	b->profile.n_string_table = sizeof(strings) / sizeof(strings[0]);
	for (int i = 0; i < 2; i++) {
		perftools__profiles__value_type__init(&b->types[i]);
		b->types[i].type = 4 + 2 * i;
		b->types[i].unit = 5 + 2 * i;
		b->type_list[i] = &b->types[i];
	}
	b->profile.n_sample_type = 2;
	b->profile.sample_type = b->type_list;
	for (int i = 0; i < 3; i++) {
		perftools__profiles__function__init(&b->functions[i]);
		b->functions[i].id = (uint64_t)(100 + i); /* ids are only names */
		b->functions[i].name = 1 + i;
		b->function_list[i] = &b->functions[i];
	}
	b->profile.n_function = 3;
	b->profile.function = b->function_list;
	for (int i = 0; i < 5; i++) {
		perftools__profiles__line__init(&b->lines[i]);
		b->lines[i].function_id = (uint64_t)(100 + (i < 3 ? i : i == 3 ? 1 : 0));
		b->line_list[i] = &b->lines[i];
		perftools__profiles__location__init(&b->locations[i]);
		b->locations[i].id = (uint64_t)(1 + i);
		b->location_list[i] = &b->locations[i];
	}
	/* 1 main, 2 work, 3 leaf, 4 work inlined into main, 5 nothing known */
	for (int i = 0; i < 4; i++) {
		b->locations[i].line = &b->line_list[i];
		b->locations[i].n_line = i == 3 ? 2 : 1;
	}
	b->locations[4].address = 0xabc;
	b->profile.n_location = 5;
	b->profile.location = b->location_list;
	b->profile.sample = b->sample_list;
}

/* `stack`: location ids as digits, leaf first. */
static void
builder_add(struct builder *b, const char *stack, int64_t value)
{
	size_t n = b->profile.n_sample++;
	Perftools__Profiles__Sample *sample = &b->samples[n];

	perftools__profiles__sample__init(sample);
	for (; *stack; stack++)
		b->stacks[n][sample->n_location_id++] = (uint64_t)(*stack - '0');
	sample->location_id = b->stacks[n];
	b->values[n][0] = value;
	b->values[n][1] = 1;
	sample->value = b->values[n];
	sample->n_value = 2;
	b->sample_list[n] = sample;
}

static void
check_function(const struct account *account, const char *name, int64_t flat, int64_t cumulative)
{
	for (uint32_t i = 0; i < account->functions.count; i++) {
		const struct account_function *function = record_table_at(&account->functions, i);

		if (strcmp(account_name(account, function), name) != 0)
			continue;
		assert_int_equal(function->flat, flat);
		assert_int_equal(function->cumulative, cumulative);
		return;
	}
	fail_msg("no function %s", name);
}

static void
test_sums(void **state)
{
	struct builder b;
	struct account account;

	(void)state;
	builder_start(&b);
	builder_add(&b, "321", 10);    /* leaf < work < main */
	builder_add(&b, "21", 5);      /* work < main */
	builder_add(&b, "22221", 100); /* recursion: work once */
	builder_add(&b, "34", 1000);   /* leaf < (work inlined into main) */
	builder_add(&b, "4", 10000);   /* the inlined one is the leaf */
	builder_add(&b, "51", 7);      /* no name */
	builder_add(&b, "", 3);        /* no stack */
	builder_add(&b, "91", 1);      /* a location that does not exist */
	account_init(&account);
	assert_int_equal(account_add(&account, &b.profile, NULL), 0);
	assert_string_equal(account.type, "cpu-time");
	assert_int_equal(account.total, 11126);
	assert_int_equal(account.sample_count, 8);
	check_function(&account, "leaf", 1010, 1010);
	check_function(&account, "work", 10105, 11115);
	check_function(&account, "main", 0, 11123);
	check_function(&account, "0xabc", 7, 7);

	/* and once more: everything doubles */
	assert_int_equal(account_add(&account, &b.profile, NULL), 0);
	assert_int_equal(account.total, 22252);
	check_function(&account, "work", 20210, 22230);
	account_destroy(&account);
}

static void
test_order(void **state)
{
	struct builder b;
	struct account account;
	const struct account_function *list;

	(void)state;
	builder_start(&b);
	builder_add(&b, "321", 10);
	builder_add(&b, "2", 4);
	builder_add(&b, "5", -50); /* what a difference of profiles holds */
	account_init(&account);
	assert_int_equal(account_add(&account, &b.profile, NULL), 0);
	assert_int_equal(account_sort(&account, BY_FLAT, &list), 4);
	assert_string_equal(account_name(&account, &list[0]), "0xabc");
	assert_string_equal(account_name(&account, &list[1]), "leaf");
	assert_string_equal(account_name(&account, &list[2]), "work");
	free((void *)list);
	assert_int_equal(account_sort(&account, BY_CUMULATIVE, &list), 4);
	assert_string_equal(account_name(&account, &list[1]), "work");
	assert_string_equal(account_name(&account, &list[2]), "leaf"); /* more flat than main */
	assert_string_equal(account_name(&account, &list[3]), "main");
	free((void *)list);
	account_destroy(&account);
}

static void
test_types(void **state)
{
	struct builder b;
	struct account account;

	(void)state;
	builder_start(&b);
	builder_add(&b, "1", 10);
	b.profile.default_sample_type = 6; /* CPU time comes before what the profile recommends */
	account_init(&account);
	assert_int_equal(account_add(&account, &b.profile, NULL), 0);
	assert_string_equal(account.type, "cpu-time");
	account_destroy(&account);
	b.profile.default_sample_type = 0;
	account_init(&account);
	assert_int_equal(account_add(&account, &b.profile, "nonsense"), -ENOENT);
	assert_int_equal(account_add(&account, &b.profile, "cpu-samples"), 0);
	assert_int_equal(account.total, 1);
	assert_string_equal(account.unit, "count");
	account_destroy(&account);

	/* neither cpu-time nor a default: the first; then with a default: that */
	b.types[0].type = 8;
	b.types[0].unit = 9;
	account_init(&account);
	assert_int_equal(account_add(&account, &b.profile, NULL), 0);
	assert_string_equal(account.type, "alloc");
	b.types[0].unit = 5; /* the same type in another unit cannot be added */
	assert_int_equal(account_add(&account, &b.profile, NULL), -EINVAL);
	account_destroy(&account);
	b.profile.default_sample_type = 6;
	account_init(&account);
	assert_int_equal(account_add(&account, &b.profile, NULL), 0);
	assert_string_equal(account.type, "cpu-samples");
	account_destroy(&account);
}

static const struct {
	int64_t value;
	const char *unit, *text;
} quantities[] = {
	{0, "nanoseconds", "0"},
	{1, "nanoseconds", "1ns"},
	{999, "nanoseconds", "999ns"},
	{1500, "nanoseconds", "1.50\xc2\xb5s"},
	{20202020, "nanoseconds", "20.2ms"},
	{999700000, "nanoseconds", "1.00s"},
	{1234567890, "nanoseconds", "1.23s"},
	{123456789012, "nanoseconds", "123s"},
	{-20202020, "nanoseconds", "-20.2ms"},
	{INT64_MAX, "nanoseconds", "9223372037s"},
	{12, "milliseconds", "12.0ms"},
	{1023, "bytes", "1023B"},
	{1536, "bytes", "1.50KiB"},
	{1572864, "bytes", "1.50MiB"},
	{5000000000, "bytes", "4.66GiB"},
	{1234567, "count", "1234567"},
	{1234567, "", "1234567"},
	{INT64_MIN, "bytes", "-8388608TiB"},
};

static void
test_quantities(void **state)
{
	char text[QUANTITY_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(quantities) / sizeof(quantities[0]); i++) {
		quantity_format(text, quantities[i].value, quantities[i].unit);
		assert_string_equal(text, quantities[i].text);
	}
	quantity_percent(text, 0, 0);
	assert_string_equal(text, "0%");
	quantity_percent(text, 1, 3);
	assert_string_equal(text, "33.3%");
	quantity_percent(text, 2, 100);
	assert_string_equal(text, "2.00%");
	quantity_percent(text, 100, 100);
	assert_string_equal(text, "100%");
	quantity_percent(text, -1, 3);
	assert_string_equal(text, "-33.3%");
}

static const struct {
	const char *text;
	size_t width;
	const char *cut;
} cuts[] = {
	{"short", 10, "short"},
	{"exactly_10", 10, "exactly_10"},
	{"one_too_big", 10,
	 "one_t\xe2\x80\xa6"
	 "_big"},
	{"abc", 2, "a\xe2\x80\xa6"},
	{"abc", 1, "\xe2\x80\xa6"},
	{"abc", 0, "\xe2\x80\xa6"},
	{"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 5,
	 "\xc3\xa9\xc3\xa9\xe2\x80\xa6\xc3\xa9\xc3\xa9"},
	{"\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", 3, "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"},
	{"", 3, ""},
};

static void
test_cuts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		char *text = malloc(strlen(cuts[i].text) + 4); /* no more than promised */

		table_cut_middle(text, cuts[i].text, cuts[i].width);
		assert_string_equal(text, cuts[i].cut);
		free(text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sums),       cmocka_unit_test(test_order), cmocka_unit_test(test_types),
		cmocka_unit_test(test_quantities), cmocka_unit_test(test_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
