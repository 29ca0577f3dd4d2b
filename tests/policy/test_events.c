/* No event of ours can see the kernel, start by itself, or say more than registers, stack and time. */

#include "policy/events.h"

#include "policy/levels.h"
#include "policy/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define ALLOWED_SAMPLE_TYPE                                                                \
	(PERF_SAMPLE_TID | PERF_SAMPLE_TIME | PERF_SAMPLE_PERIOD | PERF_SAMPLE_CALLCHAIN | \
	 PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER)

static void
test_forced_bits(void **state)
{
	(void)state;
	for (unsigned id = 0; id < EVENT_COUNT; id++) {
		const struct event_policy *policy = event_policy(id);

		assert_non_null(policy);
		const struct perf_event_attr *attr = &policy->attributes;
		assert_true(policy->name && policy->name[0] && policy->reason && policy->reason[0]);
		assert_int_equal(attr->size, sizeof(*attr));
		/* only user code, of the tree that is started under us */
		assert_true(attr->exclude_kernel && attr->exclude_hv && attr->exclude_guest);
		assert_true(attr->exclude_callchain_kernel);
		assert_true(attr->disabled && attr->enable_on_exec && attr->inherit);
		/* one clock, on all records */
		assert_true(attr->use_clockid && attr->sample_id_all);
		assert_int_equal(attr->clockid, CLOCK_MONOTONIC);
		/* what hostile or costly things perf can be asked for */
		assert_false(attr->sigtrap || attr->remove_on_exec || attr->inherit_thread || attr->pinned ||
			     attr->exclusive);
		assert_false(attr->text_poke || attr->ksymbol || attr->bpf_event || attr->namespaces ||
			     attr->cgroup || attr->context_switch || attr->aux_output);
		assert_false(attr->mmap_data || attr->inherit_stat || attr->write_backward);
		assert_int_equal(attr->sample_regs_intr, 0);
		assert_int_equal(attr->branch_sample_type, 0);
		assert_int_equal(attr->aux_watermark, 0);
		assert_int_equal(attr->bp_type, 0);
		assert_int_equal(attr->config1, 0);
		assert_int_equal(attr->config2, 0);
		assert_int_equal(attr->sample_type & ~(uint64_t)ALLOWED_SAMPLE_TYPE, 0);
		assert_int_equal(attr->read_format & ~(uint64_t)PERF_FORMAT_LOST, 0);
		assert_int_equal(attr->type,
				 PERF_TYPE_SOFTWARE); /* no tracepoint, breakpoint, probe, raw counter */
		/* the request chooses these, within policy/limits.h */
		assert_int_equal(attr->sample_freq, 0);
		assert_int_equal(attr->sample_stack_user, 0);
	}
}

static void
test_sideband_tells_what_is_mapped(void **state)
{
	const struct perf_event_attr *attr = &event_policy(EVENT_SIDEBAND)->attributes;

	(void)state;
	assert_int_equal(attr->config, PERF_COUNT_SW_DUMMY);
	assert_true(attr->mmap && attr->mmap2 && attr->build_id && attr->comm && attr->comm_exec &&
		    attr->task);
	assert_int_equal(attr->sample_type, PERF_SAMPLE_TID | PERF_SAMPLE_TIME); /* = the records' trailer */
}

static void
test_samples_are_of_cpu_time(void **state)
{
	const struct perf_event_attr *attr = &event_policy(EVENT_SCPU)->attributes;

	(void)state;
	assert_int_equal(attr->config, PERF_COUNT_SW_TASK_CLOCK);
	assert_true(attr->freq);
	assert_int_equal(attr->sample_type, ALLOWED_SAMPLE_TYPE);
	assert_true(attr->exclude_callchain_user); /* but at one level */
	assert_int_equal(attr->sample_regs_user, SAMPLE_REGISTERS_MASK);
	assert_int_equal(__builtin_popcountll(SAMPLE_REGISTERS_MASK), SAMPLE_REGISTERS_COUNT);
	/* the sideband is another event's business: twice the records would be half the ring */
	assert_false(attr->mmap || attr->mmap2 || attr->comm || attr->task);
}

/* A level changes two attributes of a sample event: nothing else, and what it copies is within the limits. */
static void
test_levels(void **state)
{
	(void)state;
	for (int i = 0; i < LEVEL_COUNT; i++) {
		enum sampling_level level = (enum sampling_level)i;
		struct perf_event_attr attr = event_policy(EVENT_SCPU)->attributes;
		const struct level_policy *policy = level_policy(level);

		assert_non_null(policy);
		assert_true(policy->name[0] && policy->reason[0]);
		assert_in_range(policy->stack_bytes, STACK_MIN_BYTES, STACK_MAX_BYTES);
		assert_int_equal(policy->stack_bytes % 8, 0);
		assert_true(i == 0 ||
			    policy->stack_bytes > level_policy((enum sampling_level)(i - 1))->stack_bytes);
		level_apply(level, 0, &attr);
		assert_int_equal(attr.sample_stack_user, policy->stack_bytes);
		assert_int_equal(attr.exclude_callchain_user, level != LEVEL_CHAIN);
		level_apply(level, 4096, &attr);
		assert_int_equal(attr.sample_stack_user, 4096);
		attr.sample_stack_user = 0;
		attr.exclude_callchain_user = 1;
		assert_memory_equal(&attr, &event_policy(EVENT_SCPU)->attributes, sizeof(attr));
	}
	assert_null(level_policy(LEVEL_COUNT));
	assert_null(level_policy((enum sampling_level) - 1));
}

/* The policy may add the kernel's time to samples, and to some callers the addresses of its code: nothing
 * else. */
static void
test_include_kernel(void **state)
{
	struct perf_event_attr attr = event_policy(EVENT_SCPU)->attributes;

	(void)state;
	event_include_kernel(KERNEL_FRAMES_NAMED, &attr);
	assert_false(attr.exclude_kernel || attr.exclude_callchain_kernel);
	event_include_kernel(KERNEL_FRAMES_ENTRY, &attr);
	assert_false(attr.exclude_kernel);
	assert_true(attr.exclude_callchain_kernel);
	assert_int_equal(attr.sample_type & (PERF_SAMPLE_IP | PERF_SAMPLE_REGS_INTR), 0);
	event_include_kernel(KERNEL_FRAMES_NONE, &attr);
	assert_memory_equal(&attr, &event_policy(EVENT_SCPU)->attributes, sizeof(attr));
}

static void
test_sets_of_levels(void **state)
{
	const uint32_t chain = LEVEL_BIT(LEVEL_CHAIN), small = LEVEL_BIT(LEVEL_SMALL),
		       normal = LEVEL_BIT(LEVEL_NORMAL), large = LEVEL_BIT(LEVEL_LARGE);

	(void)state;
	assert_int_equal(LEVELS_ALL, chain | small | normal | large);
	assert_int_equal(level_first(LEVELS_ALL), LEVEL_NORMAL);
	assert_int_equal(level_first(chain | small | large), LEVEL_SMALL);
	assert_int_equal(level_first(chain | large), LEVEL_CHAIN);
	assert_int_equal(level_first(large), LEVEL_LARGE);
	assert_int_equal(levels_within(LEVELS_ALL, 0, STACK_MAX_BYTES), LEVELS_ALL);
	assert_int_equal(levels_within(LEVELS_ALL, 0, STACK_MAX_BYTES - 8), chain | small | normal);
	assert_int_equal(levels_within(LEVELS_ALL, 0, 32768), chain | small | normal);
	assert_int_equal(levels_within(LEVELS_ALL, 0, 32760), chain | small);
	assert_int_equal(levels_within(LEVELS_ALL, 0, 1024), chain);
	assert_int_equal(levels_within(small | normal, 0, 1024), 0);
	/* what is copied instead counts, not what the levels would copy */
	assert_int_equal(levels_within(normal, 4096, 4096), normal);
	assert_int_equal(levels_within(normal, 4096, 4088), 0);
	assert_int_equal(levels_within(chain, 65528, 65520), 0);
}

static void
test_no_other_events(void **state)
{
	(void)state;
	assert_null(event_policy(EVENT_COUNT));
	assert_null(event_policy((enum event_id) - 1));
	assert_null(event_policy((enum event_id)INT32_MAX));
}

static void
test_limits_make_sense(void **state)
{
	(void)state;
	assert_true(FREQUENCY_DEFAULT_HZ >= 1 && FREQUENCY_DEFAULT_HZ <= FREQUENCY_MAX_HZ);
	assert_true(STACK_MIN_BYTES <= STACK_DEFAULT_BYTES && STACK_DEFAULT_BYTES <= STACK_MAX_BYTES);
	assert_int_equal(STACK_MAX_BYTES % 8, 0);
	assert_true(STACK_MAX_BYTES < UINT16_MAX); /* the kernel refuses more */
	assert_int_equal(SIDEBAND_RING_BYTES & (SIDEBAND_RING_BYTES - 1), 0);
	assert_int_equal(SAMPLE_RING_MIN_BYTES & (SAMPLE_RING_MIN_BYTES - 1), 0);
	/* the largest sample must fit twice, or each one would push the one before it out */
	assert_true(SAMPLE_RING_MIN_BYTES >= UINT16_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forced_bits),
		cmocka_unit_test(test_sideband_tells_what_is_mapped),
		cmocka_unit_test(test_samples_are_of_cpu_time),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_include_kernel),
		cmocka_unit_test(test_sets_of_levels),
		cmocka_unit_test(test_no_other_events),
		cmocka_unit_test(test_limits_make_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
