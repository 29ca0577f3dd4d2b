/* Each rule of the choice, by what a session's samples show and where that leads. */

#include "worker/collect/sampling_choice.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CHAIN LEVEL_BIT(LEVEL_CHAIN)
#define SMALL LEVEL_BIT(LEVEL_SMALL)
#define NORMAL LEVEL_BIT(LEVEL_NORMAL)
#define LARGE LEVEL_BIT(LEVEL_LARGE)

static const struct sample_evidence shallow = {.end = END_ROOT, .stack_used = 2000};
static const struct sample_evidence middling = {.end = END_ROOT, .stack_used = 20000};
static const struct sample_evidence deep = {.end = END_ROOT, .stack_used = 40000};
static const struct sample_evidence cut = {.end = END_COPY_SHORT, .stack_used = 7000};
static const struct sample_evidence failed = {.end = END_BAD_CFI, .stack_used = 100};
static const struct sample_evidence agrees = {.end = END_ROOT, .stack_used = 20000, .chain = CHAIN_AGREES};
static const struct sample_evidence differs = {.end = END_ROOT, .stack_used = 20000, .chain = CHAIN_DIFFERS};

/* As sampled at the level in use. */
static void
add(struct sampling_choice *choice, struct sample_evidence evidence)
{
	evidence.stack_bytes = level_policy(sampling_choice_level(choice))->stack_bytes;
	sampling_choice_add(choice, &evidence);
}

static void
add_many(struct sampling_choice *choice, uint32_t samples, const struct sample_evidence *common,
	 const struct sample_evidence *rare, uint32_t every)
{
	for (uint32_t i = 1; i <= samples; i++)
		add(choice, every && i % every == 0 ? *rare : *common);
}

static void
test_rules(void **state)
{
	static const struct {
		const char *rule;
		enum unwind_method method;
		uint32_t available;
		enum sampling_level first;
		uint32_t samples;
		const struct sample_evidence *common, *rare;
		uint32_t every;
		enum sampling_level expected;
	} rows[] = {
#define ALL (CHAIN | SMALL | NORMAL | LARGE)
		{"too few", UNWIND_AUTO, ALL, LEVEL_NORMAL, 199, &shallow, &cut, 2, LEVEL_NORMAL},
		{"shallow: half will do", UNWIND_AUTO, ALL, LEVEL_NORMAL, 200, &shallow, NULL, 0,
		 LEVEL_SMALL},
		{"1 in 100 needs it all", UNWIND_AUTO, ALL, LEVEL_NORMAL, 5000, &shallow, &middling, 100,
		 LEVEL_NORMAL},
		{"no more than 1 in 100 is cut", UNWIND_AUTO, ALL, LEVEL_SMALL, 5000, &shallow, &cut, 100,
		 LEVEL_SMALL},
		{"1 in 50 is cut", UNWIND_AUTO, ALL, LEVEL_SMALL, 200, &shallow, &cut, 50, LEVEL_NORMAL},
		{"1 in 50 is cut, next missing", UNWIND_AUTO, SMALL | LARGE, LEVEL_SMALL, 200, &shallow, &cut,
		 50, LEVEL_LARGE},
		{"1 in 50 is cut, nothing larger", UNWIND_AUTO, SMALL | NORMAL, LEVEL_NORMAL, 5000, &middling,
		 &cut, 50, LEVEL_NORMAL},
		{"failures are no reason to copy more", UNWIND_AUTO, ALL, LEVEL_SMALL, 5000, &shallow,
		 &failed, 2, LEVEL_SMALL},
		{"deep stacks keep the large copy", UNWIND_AUTO, ALL, LEVEL_LARGE, 5000, &deep, NULL, 0,
		 LEVEL_LARGE},
		{"no deep ones: the normal one", UNWIND_AUTO, ALL, LEVEL_LARGE, 200, &middling, NULL, 0,
		 LEVEL_NORMAL},
		{"the chain is as good", UNWIND_AUTO, ALL, LEVEL_NORMAL, 200, &agrees, NULL, 0, LEVEL_CHAIN},
		{"1 in 2000 differs", UNWIND_AUTO, ALL, LEVEL_NORMAL, 3000, &agrees, &differs, 2000,
		 LEVEL_CHAIN},
		{"1 in 200 differs", UNWIND_AUTO, ALL, LEVEL_NORMAL, 20000, &agrees, &differs, 200,
		 LEVEL_NORMAL},
		{"too few comparisons", UNWIND_AUTO, ALL, LEVEL_NORMAL, 300, &middling, &agrees, 2,
		 LEVEL_NORMAL},
		{"agrees, but not to be had", UNWIND_AUTO, SMALL | NORMAL, LEVEL_NORMAL, 5000, &agrees, NULL,
		 0, LEVEL_NORMAL},
		{"agrees, but CFI was asked for", UNWIND_DWARF, ALL, LEVEL_NORMAL, 5000, &agrees, NULL, 0,
		 LEVEL_NORMAL},
		{"CFI follows sizes", UNWIND_DWARF, ALL, LEVEL_NORMAL, 5000, &shallow, NULL, 0, LEVEL_SMALL},
		{"a small copy is as cheap", UNWIND_AUTO, CHAIN | SMALL, LEVEL_SMALL, 5000, &agrees, NULL, 0,
		 LEVEL_SMALL},
		{"the chain was asked for", UNWIND_FP, CHAIN, LEVEL_CHAIN, 5000, &failed, NULL, 0,
		 LEVEL_CHAIN},
		{"the chain, but not at first", UNWIND_FP, ALL, LEVEL_NORMAL, 5000, &failed, NULL, 0,
		 LEVEL_CHAIN},
		{"chosen before a restart", UNWIND_AUTO, ALL, LEVEL_CHAIN, 5000, &shallow, NULL, 0,
		 LEVEL_CHAIN},
		{"no longer right after it", UNWIND_AUTO, ALL, LEVEL_CHAIN, 201, &cut, NULL, 0, LEVEL_NORMAL},
		{"one size was asked for", UNWIND_DWARF, NORMAL, LEVEL_NORMAL, 5000, &shallow, &cut, 2,
		 LEVEL_NORMAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sampling_choice choice;

		sampling_choice_init(&choice, rows[i].method, rows[i].available, rows[i].first);
		add_many(&choice, rows[i].samples, rows[i].common, rows[i].rare, rows[i].every);
		if (sampling_choice_level(&choice) != rows[i].expected)
			fail_msg("%s: level %d", rows[i].rule, sampling_choice_level(&choice));
	}
}

static struct sampling_choice
at_chain_level(void)
{
	struct sampling_choice choice;

	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_LARGE);
	add_many(&choice, 200, &deep, NULL, 0);
	while (sampling_choice_level(&choice) == LEVEL_LARGE) {
		struct sample_evidence agreeing = deep;

		agreeing.chain = CHAIN_AGREES;
		add(&choice, agreeing);
	}
	assert_int_equal(sampling_choice_level(&choice), LEVEL_CHAIN);
	return choice;
}

/* A chain that no longer reaches roots is given up for the copy that was used before. */
static void
test_chain_is_given_up(void **state)
{
	static const struct {
		const struct sample_evidence *rare;
		uint32_t every;
		enum sampling_level expected;
	} rows[] = {
		{NULL, 0, LEVEL_CHAIN},
		{&cut, 101, LEVEL_CHAIN},
		{&cut, 50, LEVEL_LARGE},
		{&failed, 50, LEVEL_LARGE},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sampling_choice choice = at_chain_level();

		for (uint32_t n = 1; n <= 3000 && sampling_choice_level(&choice) == LEVEL_CHAIN; n++)
			add(&choice, rows[i].every && n % rows[i].every == 0 ? *rows[i].rare : shallow);
		if (sampling_choice_level(&choice) != rows[i].expected)
			fail_msg("row %zu: level %d", i, sampling_choice_level(&choice));
	}
}

/* What CFI could not unwind either is no reason to give up the chain. */
static void
test_chain_need_not_be_better(void **state)
{
	struct sampling_choice choice;
	struct sample_evidence agreeing = deep;

	(void)state;
	agreeing.chain = CHAIN_AGREES;
	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_LARGE);
	while (sampling_choice_level(&choice) == LEVEL_LARGE)
		add_many(&choice, 1, choice.samples % 20 ? &agreeing : &failed, NULL, 0);
	assert_int_equal(sampling_choice_level(&choice), LEVEL_CHAIN);
	add_many(&choice, 5000, &shallow, &failed, 20);
	assert_int_equal(sampling_choice_level(&choice), LEVEL_CHAIN);
	for (uint32_t i = 0; i < 5000 && sampling_choice_level(&choice) == LEVEL_CHAIN; i++)
		add(&choice, i % 15 ? shallow : failed);
	assert_int_equal(sampling_choice_level(&choice), LEVEL_LARGE);
}

/* Samples that were in the ring when the level changed say nothing about the new one. */
static void
test_old_samples(void **state)
{
	struct sampling_choice choice;
	struct sample_evidence old = cut, large = middling;

	(void)state;
	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_NORMAL);
	old.stack_bytes = 8192;
	for (uint32_t i = 0; i < 1000; i++)
		sampling_choice_add(&choice, &old);
	assert_int_equal(sampling_choice_level(&choice), LEVEL_NORMAL);
	assert_int_equal(choice.samples, 0);
	large.stack_bytes = 65304; /* what a record of LEVEL_LARGE really has room for */
	sampling_choice_add(&choice, &large);
	assert_int_equal(choice.samples, 0);
	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_LARGE);
	sampling_choice_add(&choice, &large);
	assert_int_equal(choice.samples, 1);
}

/* A program that changes its mind as often as it can. */
static void
test_no_flapping(void **state)
{
	struct sampling_choice choice;
	enum sampling_level before = LEVEL_NORMAL;
	uint32_t moves = 0;

	(void)state;
	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_NORMAL);
	for (uint32_t i = 0; i < 2000000; i++) {
		enum sampling_level level = sampling_choice_level(&choice);

		moves += level != before;
		before = level;
		add(&choice, level == LEVEL_SMALL ? cut : shallow);
	}
	assert_true(moves >= 4);
	assert_true(moves <= 12);
	assert_int_equal(before, LEVEL_NORMAL);
}

/* Stacks that no copy is large enough for do not keep the largest: they are cut in the normal one as well. */
static void
test_hopeless_cuts(void **state)
{
	struct sampling_choice choice;
	uint32_t at_large = 0;

	(void)state;
	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_NORMAL);
	for (uint32_t i = 0; i < 100000; i++) {
		at_large += sampling_choice_level(&choice) == LEVEL_LARGE;
		add(&choice, i % 20 == 0 ? cut : middling);
	}
	assert_true(at_large > 0);
	assert_true(at_large < 50000);
}

/* One stack that differs is outweighed by a thousand that agree, and they are asked for. */
static void
test_one_that_differs(void **state)
{
	struct sampling_choice choice;
	uint32_t samples = 0;

	(void)state;
	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_NORMAL);
	for (; sampling_choice_level(&choice) == LEVEL_NORMAL && samples < 2000; samples++)
		if (!sampling_choice_asks_chain(&choice))
			add(&choice, middling);
		else
			add(&choice, samples == 100 ? differs : agrees);
	assert_int_equal(sampling_choice_level(&choice), LEVEL_CHAIN);
	assert_int_equal(samples, 1050);
}

static void
test_comparisons_become_rare(void **state)
{
	struct sampling_choice choice;
	uint32_t asked = 0;

	(void)state;
	sampling_choice_init(&choice, UNWIND_AUTO, CHAIN | SMALL | NORMAL | LARGE, LEVEL_NORMAL);
	for (uint32_t i = 0; i < 50; i++) { /* the dynamic linker's */
		assert_false(sampling_choice_asks_chain(&choice));
		add(&choice, middling);
	}
	for (uint32_t i = 0; i < 200; i++) {
		assert_true(sampling_choice_asks_chain(&choice));
		add(&choice, differs);
	}
	for (uint32_t i = 0; i < 6400; i++) {
		asked += sampling_choice_asks_chain(&choice);
		add(&choice, sampling_choice_asks_chain(&choice) ? differs : middling);
	}
	assert_int_equal(asked, 100);
	sampling_choice_init(&choice, UNWIND_DWARF, CHAIN | SMALL | NORMAL | LARGE, LEVEL_NORMAL);
	assert_false(sampling_choice_asks_chain(&choice));
	sampling_choice_init(&choice, UNWIND_AUTO, SMALL | NORMAL | LARGE, LEVEL_NORMAL);
	assert_false(sampling_choice_asks_chain(&choice));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_chain_is_given_up),
		cmocka_unit_test(test_chain_need_not_be_better),
		cmocka_unit_test(test_old_samples),
		cmocka_unit_test(test_no_flapping),
		cmocka_unit_test(test_hopeless_cuts),
		cmocka_unit_test(test_one_that_differs),
		cmocka_unit_test(test_comparisons_become_rare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
