/* The attribute on disk is decoded byte for byte, and what the opener will hold follows capabilities(7). */

#include "launcher/audit/file_capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BIT(capability) (UINT64_C(1) << (capability))
#define PERFMON BIT(CAP_PERFMON)
#define ADMIN BIT(CAP_SYS_ADMIN)
#define ALL UINT64_MAX

static void
check_decoded(const void *bytes, size_t size, const char *expected)
{
	struct file_capability capability;

	assert_int_equal(file_capability_decode(bytes, size, &capability), 0);
	assert_string_equal(file_capability_text(&capability).text, expected);
}

/* As `setcap` writes them, seen with getfattr -e hex. */
static void
test_decode(void **state)
{
	static const uint8_t admin_p[] = {0, 0, 0, 2, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t admin_ep[] = {1, 0, 0, 2, 0, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	static const uint8_t perfmon_eip[] = {1, 0, 0,    2, 0, 0, 0,    0, 0, 0,
					      0, 0, 0x40, 0, 0, 0, 0x40, 0, 0, 0};
	static const uint8_t of_namespace[] = {0, 0, 0, 3, 0, 0, 0x20, 0, 0,    0,    0, 0,
					       0, 0, 0, 0, 0, 0, 0,    0, 0xa0, 0x86, 1, 0};
	struct file_capability capability;

	(void)state;
	check_decoded(admin_p, sizeof(admin_p), "cap_sys_admin=p");
	check_decoded(admin_ep, sizeof(admin_ep), "cap_sys_admin=ep");
	check_decoded(perfmon_eip, sizeof(perfmon_eip), "cap_perfmon=eip");
	assert_int_equal(file_capability_decode(of_namespace, sizeof(of_namespace), &capability), 0);
	assert_int_equal(capability.root_uid, 100000);
}

static void
test_decode_refuses(void **state)
{
	static const uint8_t old[12] = {0, 0, 0, 1}, future[20] = {0, 0, 0, 4}, third[20] = {0, 0, 0, 3};
	static const uint8_t large[64] = {0, 0, 0, 3};
	struct file_capability capability;

	(void)state;
	assert_int_equal(file_capability_decode(old, sizeof(old), &capability), -EBADMSG);
	assert_int_equal(file_capability_decode(future, sizeof(future), &capability), -EBADMSG);
	assert_int_equal(file_capability_decode(third, sizeof(third), &capability), -EBADMSG);
	assert_int_equal(file_capability_decode(large, sizeof(large), &capability), -EBADMSG);
	assert_int_equal(file_capability_decode("", 0, &capability), -EBADMSG);
}

/* Each as one line of the manual page; `fails`: execve(2) answers EPERM. */
static void
test_what_the_opener_gets(void **state)
{
	static const struct {
		const char *what;
		struct opener_origin origin;
		uint64_t gets;
		bool fails;
	} cases[] = {
		{"nothing anywhere", {.bounding = ALL}, 0, false},
		{"=p",
		 {.bounding = ALL, .has_file_capability = true, .file = {.permitted = ADMIN}},
		 ADMIN,
		 false},
		{"=p outside the bounding set",
		 {.bounding = PERFMON, .has_file_capability = true, .file = {.permitted = ADMIN}},
		 0,
		 false},
		{"=ep outside the bounding set",
		 {.bounding = PERFMON,
		  .has_file_capability = true,
		  .file = {.permitted = ADMIN, .effective = true}},
		 0,
		 true},
		{"=ep inside",
		 {.bounding = ALL,
		  .has_file_capability = true,
		  .file = {.permitted = ADMIN, .effective = true}},
		 ADMIN,
		 false},
		{"=i and inheritable",
		 {.bounding = 0,
		  .inheritable = PERFMON,
		  .has_file_capability = true,
		  .file = {.inheritable = PERFMON}},
		 PERFMON,
		 false},
		{"=p, no_new_privs",
		 {.bounding = ALL,
		  .no_new_privs = true,
		  .has_file_capability = true,
		  .file = {.permitted = ADMIN}},
		 0,
		 false},
		{"=p, nosuid",
		 {.bounding = ALL,
		  .is_nosuid = true,
		  .has_file_capability = true,
		  .file = {.permitted = ADMIN}},
		 0,
		 false},
		{"=p in a container's namespace",
		 {.bounding = ALL,
		  .is_foreign_namespace = true,
		  .has_file_capability = true,
		  .file = {.permitted = ADMIN}},
		 0,
		 false},
		{"ambient", {.bounding = ALL, .permitted = ADMIN, .ambient = ADMIN}, ADMIN, false},
		{"ambient, no_new_privs",
		 {.bounding = ALL, .permitted = ADMIN, .ambient = ADMIN, .no_new_privs = true},
		 ADMIN,
		 false},
		{"a file capability clears the ambient set",
		 {.bounding = ALL,
		  .ambient = ADMIN,
		  .has_file_capability = true,
		  .file = {.permitted = PERFMON}},
		 PERFMON,
		 false},
		{"set-uid root", {.bounding = ALL, .is_set_uid_root = true}, ALL, false},
		{"set-uid root, nosuid",
		 {.bounding = ALL, .is_set_uid_root = true, .is_nosuid = true},
		 0,
		 false},
		{"root", {.bounding = ADMIN, .permitted = ADMIN, .is_root = true}, ADMIN, false},
		{"root, no_new_privs, that gave something up",
		 {.bounding = ALL, .permitted = PERFMON, .is_root = true, .no_new_privs = true},
		 PERFMON,
		 false},
		{"root in a container's namespace",
		 {.bounding = ALL, .is_root = true, .is_foreign_namespace = true},
		 0,
		 false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t gets = opener_capabilities(&cases[i].origin);

		if (gets != cases[i].gets || opener_exec_fails(&cases[i].origin) != cases[i].fails)
			fail_msg("%s: gets %llx", cases[i].what, (unsigned long long)gets);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode),
		cmocka_unit_test(test_decode_refuses),
		cmocka_unit_test(test_what_the_opener_gets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
