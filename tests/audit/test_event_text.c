/* Nothing an event sets hides from the auditor. */

#include "launcher/audit/event_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
test_our_events_are_told_whole(void **state)
{
	(void)state;
	for (int id = 0; id < EVENT_COUNT; id++)
		assert_true(event_text_is_complete(&event_policy(id)->attributes));
}

#define CHECK_NOTICED(change)                                                             \
	do {                                                                              \
		struct perf_event_attr attributes = event_policy(EVENT_SCPU)->attributes; \
                                                                                          \
		change;                                                                   \
		assert_false(event_text_is_complete(&attributes));                        \
	} while (0)

static void
test_anything_more_is_noticed(void **state)
{
	(void)state;
	CHECK_NOTICED(attributes.sigtrap = 1);
	CHECK_NOTICED(attributes.text_poke = 1);
	CHECK_NOTICED(attributes.precise_ip = 1);
	CHECK_NOTICED(attributes.sample_type |= PERF_SAMPLE_REGS_INTR);
	CHECK_NOTICED(attributes.read_format |= PERF_FORMAT_GROUP);
	CHECK_NOTICED(attributes.config = PERF_COUNT_SW_CPU_CLOCK);
	CHECK_NOTICED(attributes.type = PERF_TYPE_RAW);
	CHECK_NOTICED(attributes.bp_addr = 1);
	CHECK_NOTICED(attributes.clockid = 0);
	CHECK_NOTICED(attributes.sample_regs_intr = 1);
}

static void
test_text(void **state)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	(void)state;
	event_text_print(event_policy(EVENT_SCPU), to);
	fclose(to);
	assert_non_null(strstr(text, "event sCPU: "));
	assert_non_null(strstr(text, "exclude_kernel "));
	assert_non_null(strstr(text, "TASK_CLOCK"));
	assert_null(strstr(text, "mmap2")); /* only sideband has it */
	assert_null(strstr(text, "and more"));
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_our_events_are_told_whole),
		cmocka_unit_test(test_anything_more_is_noticed),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
