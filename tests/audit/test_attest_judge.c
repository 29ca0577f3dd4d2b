/* A process as it should be passes; with any single promise broken, exactly that line fails. */

#include "launcher/audit/attest_judge.h"

#include "policy/levels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct attested good = {
	.role = ROLE_UNWINDER,
	.status = {.uid = {1000, 1000, 1000, 1000},
		   .capability = {[SET_BOUNDING] = 0x1ffffffffff},
		   .no_new_privs = 1,
		   .seccomp = 2,
		   .seccomp_filters = 3,
		   .threads = 1},
	.is_dumpable = KNOWN_NO,
	.has_core_limit_zero = KNOWN_YES,
	.is_our_executable = KNOWN_YES,
	.executable = "ddprof-worker",
	.self_report = "landlock=7 mdwe=on keyring=own",
	.kernel_has_landlock = true,
	.kernel_has_mdwe = true,
	.descriptors_visible = true,
	.descriptors = {[DESCRIPTOR_NULL] = 3, [DESCRIPTOR_SOCKET] = 2, [DESCRIPTOR_EVENT] = 8},
	.cpus = 4,
};

/* The names of what failed, with spaces between. */
static void
check(const struct attested *process, const char *failed)
{
	struct findings findings = {0};
	char names[256] = "";

	attest_judge(process, &findings);
	for (size_t i = 0; i < findings.count; i++) {
		if (findings.at[i].verdict != FINDING_FAIL)
			continue;
		strcat(names, names[0] ? "; " : "");
		strcat(names, findings.at[i].name);
	}
	assert_string_equal(names, failed);
}

#define CHECK(change, failed)             \
	do {                              \
		struct attested p = good; \
                                          \
		change;                   \
		check(&p, failed);        \
	} while (0)

static void
test_what_holds(void **state)
{
	(void)state;
	CHECK((void)p, "");
	CHECK(p.status.capability[SET_BOUNDING] = 0, "");
	CHECK(p.status.seccomp_filters = -1, "");   /* Linux before 5.9 */
	CHECK(p.is_dumpable = KNOWN_NOT, "");       /* root's */
	CHECK(p.is_our_executable = KNOWN_NOT, ""); /* an ordinary user looks */
	CHECK(p.descriptors_visible = false, "");
	CHECK((p.role = ROLE_SUPERVISOR, p.status.seccomp_filters = 2), "");
	CHECK((p.role = ROLE_SUPERVISOR, p.self_report = "landlock=none mdwe=on keyring=own"), "");
	CHECK((p.kernel_has_landlock = p.kernel_has_mdwe = false,
	       p.self_report = "landlock=none mdwe=none keyring=own"),
	      "");
}

static void
test_every_promise(void **state)
{
	(void)state;
	CHECK(p.status.capability[SET_INHERITABLE] = 1, "inheritable set");
	CHECK(p.status.capability[SET_PERMITTED] = 1, "permitted set");
	CHECK(p.status.capability[SET_EFFECTIVE] = 1, "effective set");
	CHECK(p.status.capability[SET_AMBIENT] = 1, "ambient set");
	CHECK(p.status.no_new_privs = 0, "bounding set; no_new_privs");
	CHECK((p.status.no_new_privs = 0, p.status.capability[SET_BOUNDING] = 0), "no_new_privs");
	CHECK(p.status.seccomp = 0, "seccomp");
	CHECK(p.status.seccomp = 1, "seccomp");
	CHECK(p.status.seccomp_filters = 2, "seccomp"); /* between exec and its own filter */
	CHECK((p.role = ROLE_SUPERVISOR, p.status.seccomp_filters = 1), "seccomp");
	CHECK(p.is_dumpable = KNOWN_YES, "dumpable");
	CHECK(p.has_core_limit_zero = KNOWN_NO, "core limit");
	CHECK(p.has_core_limit_zero = KNOWN_NOT, "core limit");
	CHECK(p.status.threads = 2, "threads");
	CHECK(p.status.tracer = 1, "traced");
	CHECK(p.is_our_executable = KNOWN_NO, "executable");
	CHECK(p.self_report = "", "self-reported");
	CHECK(p.self_report = "landlock=none mdwe=on keyring=own", "self-reported");
	CHECK(p.self_report = "landlock=7 mdwe=none keyring=own", "self-reported");
	CHECK(p.self_report = "landlock=7 mdwe=on keyring=caller", "self-reported");
}

static void
test_descriptors(void **state)
{
	(void)state;
	CHECK(p.descriptors[DESCRIPTOR_EVENT] = 4 * (1 + LEVEL_COUNT) + 1, "descriptors");
	CHECK(p.descriptors[DESCRIPTOR_OTHER] = 1, "descriptors");
	CHECK(p.descriptors[DESCRIPTOR_FOLDER] = 1, "descriptors");
	CHECK((p.role = ROLE_SUPERVISOR, p.descriptors[DESCRIPTOR_MEMFD] = 69), "descriptors");
	CHECK((p.role = ROLE_UPLOADER, p.descriptors[DESCRIPTOR_EVENT] = 0,
	       p.descriptors[DESCRIPTOR_FILE] = 66),
	      "descriptors");
	CHECK(p.descriptors[DESCRIPTOR_LOG] = 1, "descriptors");
	CHECK((p.role = ROLE_SYMBOLIZER, p.descriptors[DESCRIPTOR_EVENT] = 1), "descriptors");
	CHECK((p.role = ROLE_UPLOADER, p.descriptors[DESCRIPTOR_EVENT] = 1), "descriptors");
	CHECK((p.role = ROLE_EXPORTER, p.descriptors[DESCRIPTOR_EVENT] = 0,
	       p.descriptors[DESCRIPTOR_SOCKET] = 2),
	      "descriptors");
	CHECK((p.role = ROLE_UPLOADER, p.descriptors[DESCRIPTOR_EVENT] = 0,
	       p.descriptors[DESCRIPTOR_SOCKET] = 21),
	      "descriptors");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_holds),
		cmocka_unit_test(test_every_promise),
		cmocka_unit_test(test_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
