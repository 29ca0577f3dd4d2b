/* Container ids as runtimes write them into /proc/PID/cgroup, and what only looks like one. */

#include "worker/supervisor/container_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define HEX32 "0123456789abcdef0123456789abcdef"
#define HEX64 "cafe1023456789abcdef0123456789abcdef0123456789abcdef0123456789ab"
#define TASK "34dc0b5e626f2c5c4c5170e34b10e765-1234567890"
#define UUID "6f265890-5165-7fab-6b52-18d1abcdef01"

static void
test_table(void **state)
{
	static const struct {
		const char *what, *text, *id;
	} cases[] = {
		{"docker, cgroup v1",
		 "13:name=systemd:/docker/" HEX64 "\n12:pids:/docker/" HEX64
		 "\n0::/system.slice/containerd.service\n",
		 HEX64},
		{"docker, cgroup v2, host's namespace", "0::/system.slice/docker-" HEX64 ".scope\n", HEX64},
		{"cgroup v2, own namespace", "0::/\n", "none"},
		{"kubernetes, cgroupfs",
		 "11:perf_event:/kubepods/besteffort/pod2d3da189-6407-48e3-9ab6-78188d75e609/" HEX64 "\n",
		 HEX64},
		{"kubernetes, systemd, containerd",
		 "0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod2d3da189_6407.slice/"
		 "cri-containerd-" HEX64 ".scope\n",
		 HEX64},
		{"kubernetes, cri-o", "1:cpu:/kubepods.slice/kubepods-pod1.slice/crio-" HEX64 ".scope\n",
		 HEX64},
		{"ecs", "9:perf_event:/ecs/haissam-ecs-classic/5a0d5ceddf6c44c1928d367a815d890f/" HEX64 "\n",
		 HEX64},
		{"fargate",
		 "11:hugetlb:/ecs/55091c13-b8cf-4801-b527-f4601742204d/432624d2150b349fe35ba397284dea78\n"
		 "10:pids:/ecs/34dc0b5e626f2c5c4c5170e34b10e765/" TASK "\n",
		 TASK},
		{"garden", "1:name=systemd:/system.slice/garden.service/garden/" UUID "\n", UUID},
		{"podman",
		 "0::/machine.slice/libpod-" HEX64 ".scope/container\n0::/machine.slice/libpod-" HEX64
		 ".scope\n",
		 HEX64},
		{"the second line", "2:cpu:/\n1:pids:/docker/" HEX64 "\n", HEX64},
		{"no newline at the end", "1:pids:/docker/" HEX64, HEX64},
		{"upper case",
		 "1:pids:/docker/CAFE1023456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789AB\n",
		 "CAFE1023456789ABCDEF0123456789ABCDEF0123456789ABCDEF0123456789AB"},

		{"nothing", "", "none"},
		{"a login", "0::/user.slice/user-1000.slice/session-2.scope\n", "none"},
		{"a service", "0::/system.slice/cron.service\n", "none"},
		{"65 hex digits", "1:pids:/docker/" HEX64 "c\n", "none"},
		{"63 hex digits",
		 "1:pids:/docker/cafe1023456789abcdef0123456789abcdef0123456789abcdef0123456789a\n", "none"},
		{"inside a word", "1:pids:/docker/x" HEX64 "\n", "none"},
		{"32 hex digits alone", "1:pids:/ecs/" HEX32 "\n", "none"},
		{"32 hex digits and no number", "1:pids:/ecs/" HEX32 "-\n", "none"},
		{"32 hex digits and a word", "1:pids:/ecs/" HEX32 "-12ab\n", "none"},
		{"not in the last element", "1:pids:/docker/" HEX64 "/init.scope\n", "none"},
		{"uuid cut short", "1:pids:/garden/6f265890-5165-7fab-6b52-18d1abcdef0\n", "none"},
		{"no line at all", "\n\n\n", "none"},
		{"no path", "::", "none"},
		{"cut in the middle of an id", "1:pids:/docker/cafe10234567", "none"},
		{"an id across a line",
		 "1:pids:/docker/cafe1023456789abcdef0123456789abcdef\n"
		 "0123456789abcdef0123456789ab\n",
		 "none"},
	};
	char id[128];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(id, 'z', sizeof(id));
		container_id_parse(cases[i].text, id, sizeof(id));
		if (strcmp(id, cases[i].id) != 0)
			fail_msg("%s: %s", cases[i].what, id);
	}
}

/* An ECS number may have any length; the buffer does not. */
static void
test_capacity(void **state)
{
	char text[400] = "1:pids:/ecs/" HEX32 "-", id[16];

	(void)state;
	memset(text + strlen(text), '7', 300);
	container_id_parse(text, id, sizeof(id));
	assert_string_equal(id, "0123456789abcde");
	container_id_parse("", id, 3);
	assert_string_equal(id, "no");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_capacity)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
