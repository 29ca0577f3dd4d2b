/* The symbolizer always gets exactly one answer, in time, whoever dies; what came late is there the next
 * time. The test is both roles: it holds the other ends of their channels. */

#include "worker/supervisor/fetch.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "worker/base/seal.h"
#include "worker/supervisor/fetched_files.h"
#include "worker/supervisor/role_process.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define ID "0123456789abcdef"

static struct fetch fetch;
static struct role_process symbolizer, exporter;
static int symbolizer_end, exporter_end;
static struct message message;
static size_t descriptors_before;

static int
start(void **state)
{
	int broker[2], control[2];

	(void)state;
	descriptors_before = count_descriptors();
	assert_int_equal(channel_pair(broker), 0);
	assert_int_equal(channel_pair(control), 0);
	symbolizer = (struct role_process){.control = -1, .broker = broker[0]};
	exporter = (struct role_process){.control = control[0], .broker = -1, .is_ready = true};
	symbolizer_end = broker[1];
	exporter_end = control[1];
	fetch = (struct fetch){.files = fetched_files_new()};
	fetch_next_profile(&fetch);
	return fetch.files ? 0 : -1;
}

static int
finish(void **state)
{
	(void)state;
	fetched_files_free(fetch.files);
	close_fd(&symbolizer.broker);
	close_fd(&exporter.control);
	close_fd(&symbolizer_end);
	close_fd(&exporter_end);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

static void
expect_asked(const char *build_id)
{
	assert_int_equal(channel_receive(exporter_end, &message, 0), 0);
	const struct fetch_message *asked = message_expect(&message, MESSAGE_FETCH, sizeof(*asked), 0);
	assert_non_null(asked);
	assert_string_equal(asked->build_id, build_id);
}

static void
expect_nothing_asked(void)
{
	assert_int_equal(channel_receive(exporter_end, &message, 0), -ETIMEDOUT);
}

/* error 0: exactly one descriptor. */
static void
expect_answer(int error)
{
	assert_int_equal(channel_receive(symbolizer_end, &message, 0), 0);
	const struct opened *opened = message_expect(&message, MESSAGE_OPENED, sizeof(*opened), error == 0);
	assert_non_null(opened);
	assert_int_equal(opened->error, error);
	message_discard(&message);
	assert_int_equal(channel_receive(symbolizer_end, &message, 0), -ETIMEDOUT);
}

static bool
exporter_says(const char *build_id, int error, bool is_sealed, int64_t now_ms)
{
	struct fetched_message fetched = {.error = error};
	OWNED_FD fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	strcpy(fetched.build_id, build_id);
	if (is_sealed)
		assert_int_equal(memfd_seal(fd), 0);
	assert_int_equal(
		channel_send(exporter_end, MESSAGE_FETCHED, &fetched, sizeof(fetched), &fd, error == 0), 0);
	assert_int_equal(channel_receive(exporter.control, &message, 0), 0);
	bool is_taken = fetch_take(&fetch, &message, &symbolizer, now_ms);
	message_discard(&message);
	return is_taken;
}

static void
test_found(void **state)
{
	(void)state;
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 0), -EINPROGRESS);
	expect_asked(ID);
	assert_true(exporter_says(ID, 0, true, 10));
	expect_answer(0);
	assert_true(fetch_debug_file(&fetch, ID, &exporter, 20) >= 0); /* kept */
	expect_nothing_asked();
}

static void
test_missing(void **state)
{
	(void)state;
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 0), -EINPROGRESS);
	assert_true(exporter_says(ID, ENOENT, false, 10));
	expect_answer(-ENOENT);
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, FETCHED_MISSING_MS - 1), -ENOENT);
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, FETCHED_MISSING_MS + 10), -EINPROGRESS);
}

/* A server that does not answer is no reason to remember that there are no names. */
static void
test_failure_is_not_for_ever(void **state)
{
	(void)state;
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 0), -EINPROGRESS);
	assert_true(exporter_says(ID, EIO, false, 10));
	expect_answer(-EAGAIN);
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 20), -ENOENT);
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 10 + FETCHED_FAILED_MS), -EINPROGRESS);
}

static void
test_patience_ends(void **state)
{
	(void)state;
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 1000), -EINPROGRESS);
	assert_int_equal(fetch_advance(&fetch, &exporter, &symbolizer, 1001), 1000 + FETCH_PATIENCE_MS);
	assert_int_equal(fetch_advance(&fetch, &exporter, &symbolizer, 1000 + FETCH_PATIENCE_MS), 0);
	expect_answer(-EAGAIN);
	/* the rest of this profile waits for nothing, and there is one request at a time */
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 6001), -EAGAIN);
	assert_int_equal(fetch_debug_file(&fetch, ID "00", &exporter, 6001), -EAGAIN);
	expect_asked(ID);
	expect_nothing_asked();
	assert_true(exporter_says(ID, 0, true, 7000)); /* late: nobody is waiting */
	assert_int_equal(channel_receive(symbolizer_end, &message, 0), -ETIMEDOUT);
	fetch_next_profile(&fetch);
	assert_true(fetch_debug_file(&fetch, ID, &exporter, 8000) >= 0);
}

static void
test_symbolizer_dies(void **state)
{
	(void)state;
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 0), -EINPROGRESS);
	fetch_symbolizer_died(&fetch);
	assert_true(exporter_says(ID, 0, true, 10)); /* kept, but said to nobody */
	assert_int_equal(channel_receive(symbolizer_end, &message, 0), -ETIMEDOUT);
	assert_true(fetch_debug_file(&fetch, ID, &exporter, 20) >= 0);
}

static void
test_exporter_dies(void **state)
{
	(void)state;
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 0), -EINPROGRESS);
	expect_asked(ID);
	fetch_exporter_died(&fetch, &symbolizer);
	expect_answer(-EAGAIN);
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 10),
			 -EINPROGRESS); /* its successor is asked */
	expect_asked(ID);
}

static void
test_exporter_that_is_not_there_yet(void **state)
{
	(void)state;
	exporter.is_ready = false;
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 0), -EINPROGRESS);
	expect_nothing_asked();
	fetch_exporter_died(&fetch, &symbolizer); /* one that was never asked */
	assert_int_equal(fetch_advance(&fetch, &exporter, &symbolizer, 10), FETCH_PATIENCE_MS);
	exporter.is_ready = true;
	fetch_advance(&fetch, &exporter, &symbolizer, 20);
	expect_asked(ID);
	fetch_advance(&fetch, &exporter, &symbolizer, 30);
	expect_nothing_asked();
}

static void
test_lies(void **state)
{
	(void)state;
	assert_false(exporter_says(ID, ENOENT, false, 0)); /* nobody asked */
	assert_int_equal(fetch_debug_file(&fetch, ID, &exporter, 0), -EINPROGRESS);
	assert_false(exporter_says(ID "00", ENOENT, false, 0)); /* for that */
	assert_false(exporter_says(ID, 0, false, 0));           /* it could change under its reader */
	assert_false(exporter_says(ID, -5, false, 0));
	assert_int_equal(channel_receive(symbolizer_end, &message, 0), -ETIMEDOUT);
}

static void
test_not_wanted(void **state)
{
	struct fetch none = {0};

	(void)state;
	assert_int_equal(fetch_debug_file(&none, ID, &exporter, 0), -ENOENT);
	expect_nothing_asked();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_found, start, finish),
		cmocka_unit_test_setup_teardown(test_missing, start, finish),
		cmocka_unit_test_setup_teardown(test_failure_is_not_for_ever, start, finish),
		cmocka_unit_test_setup_teardown(test_patience_ends, start, finish),
		cmocka_unit_test_setup_teardown(test_symbolizer_dies, start, finish),
		cmocka_unit_test_setup_teardown(test_exporter_dies, start, finish),
		cmocka_unit_test_setup_teardown(test_exporter_that_is_not_there_yet, start, finish),
		cmocka_unit_test_setup_teardown(test_lies, start, finish),
		cmocka_unit_test_setup_teardown(test_not_wanted, start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
