/* Says which rights it has, in lines "name value", and then uses 0.4 s of CPU time so that a profile shows
 * whether it was watched. */

#include "burn.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CPU_NS 400000000u

static void
report_status(void)
{
	static const char *const wanted[] = {
		"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:"};
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		char *value = strchr(line, '\t');

		for (size_t i = 0; value && i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
				printf("%.*s %s", (int)strlen(wanted[i]) - 1, line, value + 1);
	}
	if (file)
		fclose(file);
}

/* 0, or why the kernel does not let us count our own time. */
static int
try_perf_event_open(void)
{
	struct perf_event_attr attributes = {.type = PERF_TYPE_SOFTWARE,
					     .size = sizeof(attributes),
					     .config = PERF_COUNT_SW_TASK_CLOCK,
					     .exclude_kernel = 1,
					     .exclude_hv = 1,
					     .disabled = 1};
	long fd = syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

static int
try_bpf(void)
{
	union bpf_attr attributes = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
	long fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof(attributes));

	if (fd < 0)
		return errno;
	close((int)fd);
	return 0;
}

__attribute__((noipa)) static uint64_t
burn_with_rights(void)
{
	return burn_thread_cpu(CPU_NS);
}

int
main(void)
{
	report_status();
	printf("dumpable %d\nsecure %lu\nperf_event_open %d\nbpf %d\n", prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
	       getauxval(AT_SECURE), try_perf_event_open(), try_bpf());
	fflush(stdout);
	volatile uint64_t sink = burn_with_rights();

	(void)sink;
	return 7;
}
