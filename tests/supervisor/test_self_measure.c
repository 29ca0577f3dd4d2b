/* Children with a known need for CPU time, and a /proc that says what the test wants. */

#include "worker/supervisor/self_measure.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define MS 1000000ull

static struct test_folder folder;
static struct self_measure measure;

static int
start(void **state)
{
	(void)state;
	test_folder_make(&folder);
	self_measure_init(&measure, folder.fd, 123456);
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	test_folder_remove(&folder);
	return 0;
}

static uint64_t
clock_now(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
burn(uint64_t ns)
{
	for (uint64_t end = clock_now(CLOCK_PROCESS_CPUTIME_ID) + ns;
	     clock_now(CLOCK_PROCESS_CPUTIME_ID) < end;)
		;
}

/* Uses that much CPU time, says so, and waits to be killed; not dumpable, as our roles are. */
static pid_t
start_burner(uint64_t ns)
{
	int ends[2];
	char byte;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_DUMPABLE, 0);
		burn(ns);
		(void)!write(ends[1], "x", 1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(ends[0], &byte, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return pid;
}

static void
bury(enum self_role role, pid_t pid)
{
	struct rusage usage;
	int status;

	kill(pid, SIGKILL);
	assert_int_equal(wait4(pid, &status, 0, &usage), pid);
	self_measure_ended(&measure, role, &usage);
}

static void
put_status(pid_t pid, const char *text)
{
	char name[32];

	snprintf(name, sizeof(name), "%d", (int)pid);
	(void)mkdirat(folder.fd, name, 0700); /* or it is there */
	snprintf(name, sizeof(name), "%d/status", (int)pid);
	OWNED_FD fd = openat(folder.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void
expect_ms(uint64_t ns, uint64_t wanted_ms)
{
	if (ns < wanted_ms * MS || ns > (wanted_ms + 15) * MS)
		fail_msg("%llu ns instead of %llu ms", (unsigned long long)ns, (unsigned long long)wanted_ms);
}

static void
test_running(void **state)
{
	struct self_report report;
	pid_t pid = start_burner(40 * MS);

	(void)state;
	self_measure_started(&measure, SELF_UNWINDER, pid);
	self_measure_period(&measure, &report);
	expect_ms(report.role[SELF_UNWINDER].cpu_ns, 40);
	assert_int_equal(report.role[SELF_UNWINDER].restarts, 0);
	assert_int_equal(report.role[SELF_SYMBOLIZER].cpu_ns, 0);
	assert_int_equal(report.role[SELF_EXPORTER].cpu_ns, 0);
	assert_int_equal(report.ring_bytes, 123456);
	assert_true(report.wall_ns > 40 * MS && report.wall_ns < 60000 * MS);

	/* it pauses: the next period is empty, but for us */
	burn(30 * MS);
	self_measure_period(&measure, &report);
	assert_true(report.role[SELF_UNWINDER].cpu_ns < 5 * MS);
	expect_ms(report.role[SELF_SUPERVISOR].cpu_ns, 30);
	bury(SELF_UNWINDER, pid);
}

/* What a role used until it died, also between two looks, is neither lost nor counted twice. */
static void
test_deaths(void **state)
{
	struct self_report report, session;
	uint64_t sum = 0;

	(void)state;
	pid_t pid = start_burner(40 * MS);
	self_measure_started(&measure, SELF_SYMBOLIZER, pid);
	self_measure_period(&measure, &report);
	expect_ms(report.role[SELF_SYMBOLIZER].cpu_ns, 40);
	sum += report.role[SELF_SYMBOLIZER].cpu_ns;
	bury(SELF_SYMBOLIZER, pid);
	self_measure_period(&measure, &report); /* its time is known already */
	assert_true(report.role[SELF_SYMBOLIZER].cpu_ns < 5 * MS);
	sum += report.role[SELF_SYMBOLIZER].cpu_ns;

	for (int i = 0; i < 2; i++) { /* never seen alive */
		pid = start_burner(25 * MS);
		self_measure_started(&measure, SELF_SYMBOLIZER, pid);
		bury(SELF_SYMBOLIZER, pid);
	}
	pid = start_burner(25 * MS);
	self_measure_started(&measure, SELF_SYMBOLIZER, pid);
	self_measure_session(&measure, &session);
	self_measure_period(&measure, &report);
	expect_ms(report.role[SELF_SYMBOLIZER].cpu_ns, 75);
	assert_int_equal(report.role[SELF_SYMBOLIZER].restarts, 3);
	sum += report.role[SELF_SYMBOLIZER].cpu_ns;
	expect_ms(session.role[SELF_SYMBOLIZER].cpu_ns, 115);
	assert_in_range(session.role[SELF_SYMBOLIZER].cpu_ns, sum - 2 * MS, sum + 2 * MS);
	bury(SELF_SYMBOLIZER, pid);
}

static void
test_session_leaves_the_period(void **state)
{
	struct self_report session, report;
	pid_t pid = start_burner(20 * MS);

	(void)state;
	self_measure_started(&measure, SELF_EXPORTER, pid);
	self_measure_session(&measure, &session);
	self_measure_session(&measure, &session);
	self_measure_period(&measure, &report);
	expect_ms(report.role[SELF_EXPORTER].cpu_ns, 20);
	assert_true(report.wall_ns >= session.wall_ns);
	self_measure_period(&measure, &report);
	self_measure_session(&measure, &session);
	assert_true(report.wall_ns < session.wall_ns);
	expect_ms(session.role[SELF_EXPORTER].cpu_ns, 20);
	bury(SELF_EXPORTER, pid);
}

static void
test_memory(void **state)
{
	struct self_report report;
	pid_t pid = start_burner(0);
	size_t before = count_descriptors();

	(void)state;
	self_measure_started(&measure, SELF_UNWINDER, pid);
	put_status(pid, "Name:\tddprof-worker\nGroups:\t0 \nVmPeak:\t   9999 kB\nVmHWM:\t    3000 kB\n"
			"VmRSS:\t    1000 kB\nRssAnon:\t     400 kB\nRssFile:\t     600 kB\n");
	self_measure_period(&measure, &report);
	assert_int_equal(report.role[SELF_UNWINDER].rss, 1000 * 1024);
	assert_int_equal(report.role[SELF_UNWINDER].anonymous, 400 * 1024);
	assert_int_equal(report.role[SELF_UNWINDER].peak_rss, 3000 * 1024);

	/* its successor is smaller; the highest stays */
	bury(SELF_UNWINDER, pid);
	self_measure_period(&measure, &report);
	assert_int_equal(report.role[SELF_UNWINDER].rss, 0);
	assert_int_equal(report.role[SELF_UNWINDER].anonymous, 0);
	assert_true(report.role[SELF_UNWINDER].peak_rss >= 3000 * 1024);
	assert_int_equal(count_descriptors(), before);
}

/* hidepid, or a /proc that is not what we think. */
static void
test_unreadable_memory(void **state)
{
	static const char *const texts[] = {
		"",         "\n",         "VmRSS:\t 5 kB\n" /* the first line is a name */,
		"\nVmRSS:", "\nVmRSS: x", "Name:\tVmHWM: 7 kB\n",
	};
	struct self_report report;
	pid_t pid = start_burner(10 * MS);
	char *large = malloc(1 << 20);

	(void)state;
	self_measure_started(&measure, SELF_UNWINDER, pid);
	self_measure_period(&measure, &report);
	expect_ms(report.role[SELF_UNWINDER].cpu_ns, 10); /* that much is known without /proc */
	assert_int_equal(report.role[SELF_UNWINDER].rss, 0);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		put_status(pid, texts[i]);
		self_measure_period(&measure, &report);
		assert_int_equal(report.role[SELF_UNWINDER].rss, 0);
		assert_int_equal(report.role[SELF_UNWINDER].anonymous, 0);
		assert_int_equal(report.role[SELF_UNWINDER].peak_rss, 0);
	}
	assert_non_null(large);
	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = '\0';
	put_status(pid, large);
	self_measure_period(&measure, &report);
	assert_int_equal(report.role[SELF_UNWINDER].rss, 0);
	free(large);
	bury(SELF_UNWINDER, pid);
}

/* The kernel's own words, about a process that is not dumpable. */
static void
test_real_proc(void **state)
{
	struct self_report report;
	OWNED_FD proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t pid = start_burner(0);

	(void)state;
	self_measure_init(&measure, proc, 0);
	self_measure_started(&measure, SELF_EXPORTER, pid);
	self_measure_period(&measure, &report);
	for (int role = SELF_SUPERVISOR; role < SELF_ROLES; role += SELF_EXPORTER) {
		const struct self_role_report *one = &report.role[role];

		assert_in_range(one->rss, 64 * 1024, 1ull << 34);
		assert_in_range(one->anonymous, 4 * 1024, one->rss);
		assert_true(one->peak_rss >= one->rss / 2); /* on recent kernels both are approximations */
	}
	bury(SELF_EXPORTER, pid);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_running, start, finish),
		cmocka_unit_test_setup_teardown(test_deaths, start, finish),
		cmocka_unit_test_setup_teardown(test_session_leaves_the_period, start, finish),
		cmocka_unit_test_setup_teardown(test_memory, start, finish),
		cmocka_unit_test_setup_teardown(test_unreadable_memory, start, finish),
		cmocka_unit_test_setup_teardown(test_real_proc, start, finish),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
