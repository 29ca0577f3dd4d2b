/* Every right is found whatever the order of the lines, and a file that lacks one is refused, not guessed. */

#include "launcher/audit/process_status.h"

#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A thread may call itself anything (prctl(2)), but the kernel escapes newlines in Name. */
static const char whole[] = "Name:\tSeccomp:\t0\n"
			    "State:\tS (sleeping)\n"
			    "PPid:\t17\n"
			    "TracerPid:\t3\n"
			    "Uid:\t1000\t1001\t1002\t1003\n"
			    "NSpid:\t500\t40\t7\n"
			    "Threads:\t9\n"
			    "CapInh:\t0000000000000001\n"
			    "CapPrm:\t0000000000000002\n"
			    "CapEff:\t0000000000000004\n"
			    "CapBnd:\t000001ffffffffff\n"
			    "CapAmb:\t0000000000000008\n"
			    "NoNewPrivs:\t1\n"
			    "Seccomp:\t2\n"
			    "Seccomp_filters:\t3\n";

static void
test_every_field(void **state)
{
	struct process_status status;

	(void)state;
	assert_int_equal(process_status_parse(whole, &status), 0);
	assert_int_equal(status.parent, 17);
	assert_int_equal(status.tracer, 3);
	assert_int_equal(status.innermost_pid, 7);
	assert_int_equal(status.threads, 9);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(status.uid[i], 1000 + i);
	assert_int_equal(status.capability[SET_INHERITABLE], 1);
	assert_int_equal(status.capability[SET_PERMITTED], 2);
	assert_int_equal(status.capability[SET_EFFECTIVE], 4);
	assert_true(status.capability[SET_BOUNDING] == 0x1ffffffffff);
	assert_int_equal(status.capability[SET_AMBIENT], 8);
	assert_int_equal(status.no_new_privs, 1);
	assert_int_equal(status.seccomp, 2);
	assert_int_equal(status.seccomp_filters, 3);
}

static void
test_missing_fields(void **state)
{
	static const char *const needed[] = {"PPid",   "TracerPid",  "Uid",       "Threads",
					     "CapInh", "CapPrm",     "CapEff",    "CapBnd",
					     "CapAmb", "NoNewPrivs", "\nSeccomp:"};
	struct process_status status;
	char text[sizeof(whole)];

	(void)state;
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		memcpy(text, whole, sizeof(whole));
		strstr(text, needed[i])[1] = '?';
		assert_int_equal(process_status_parse(text, &status), -EBADMSG);
	}
	memcpy(text, whole, sizeof(whole));
	*strstr(text, "Seccomp_filters") = '?';
	assert_int_equal(process_status_parse(text, &status), 0);
	assert_int_equal(status.seccomp_filters, -1);
	assert_int_equal(process_status_parse("", &status), -EBADMSG);
}

static void
test_ourselves(void **state)
{
	struct process_status status;

	(void)state;
	assert_int_equal(process_status_read(getpid(), &status), 0);
	assert_int_equal(status.parent, getppid());
	assert_int_equal(status.uid[0], getuid());
	assert_int_equal(process_status_read(INT32_MAX, &status), -ENOENT);
}

static void
test_names(void **state)
{
	(void)state;
	assert_string_equal(capability_names(0).text, "none");
	assert_string_equal(capability_names(UINT64_C(1) << CAP_PERFMON).text, "cap_perfmon");
	assert_string_equal(capability_names(UINT64_C(1) << CAP_SYS_ADMIN | 1).text,
			    "cap_chown,cap_sys_admin");
	assert_string_equal(capability_names(UINT64_MAX).text, "all");
	assert_string_equal(capability_names(0x3ffffffff).text, "34 capabilities (00000003ffffffff)");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_missing_fields),
		cmocka_unit_test(test_ourselves),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
