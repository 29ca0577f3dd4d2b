/* The closing lines, word for word. */

#include "ipc/summary.h"

#include "ipc/delivery.h"
#include "ipc/fd.h"
#include "tests/support/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define AGENT "the Datadog agent at localhost:8126"
#define FOLDER(...) .destinations = 1, .destination = {{.kind = DESTINATION_FOLDER, .name = "f", __VA_ARGS__}}
#define UPLOAD(...) \
	.destinations = 1, .destination = {{.kind = DESTINATION_DATADOG, .name = AGENT, __VA_ARGS__}}

struct summary_case {
	struct summary_message summary;
	const char *output, *spool, *lines;
};

static void
check(const struct summary_case *cases, size_t count)
{
	char written[4096];

	for (size_t i = 0; i < count; i++) {
		OWNED_FD fd = file_with("");
		struct log log = {.fd = fd, .threshold = LOG_LEVEL_DEBUG};

		summary_log(&log, &cases[i].summary, cases[i].output, cases[i].spool);
		ssize_t got = pread(fd, written, sizeof(written) - 1, 0);
		assert_true(got >= 0);
		written[got] = 0;
		assert_string_equal(written, cases[i].lines);
	}
}

static void
test_cost(void **state)
{
	static const struct summary_case cases[] = {
		{{.ledger = {.samples = 99,
			     .ending = {99},
			     .kernel_count_ns = 1000000000,
			     .stack_bytes = 99 * 8192},
		  .self = {.wall_ns = 2000000000,
			   .ring_bytes = 1000000,
			   .role = {{.cpu_ns = 1000000, .peak_rss = 1000000},
				    {.cpu_ns = 5200000, .peak_rss = 2500000}}},
		  .profiles = 1,
		  FOLDER(.delivered = 1),
		  .last_name = "a"},
		 "o",
		 "",
		 "ddprof-launch: stacks ended: root:99\n"
		 "ddprof-launch: 99 samples, 0 lost, 100.0% of stacks reached the root; profiler used 6.2 ms "
		 "of CPU (0.31%) and 4.5 MB, target slowed by about 0.17%; profile: o/a\n"},
		{{.self = {.wall_ns = 3600000000000ull, .role = {[3] = {.cpu_ns = 61000000000ull}}},
		  .profiles = 1,
		  FOLDER(.delivered = 1),
		  .last_name = "a"},
		 "o",
		 "",
		 "ddprof-launch: no samples (less CPU time than one sampling period); profiler used 61 s of "
		 "CPU (1.69%) and 0.0 MB; profile: o/a\n"},
		{{.self = {.wall_ns = 1, .role = {[3] = {.cpu_ns = UINT64_MAX, .peak_rss = UINT64_MAX}}},
		  .ledger =
			  {.samples = UINT64_MAX, .lost = UINT64_MAX, .kernel_count_ns = 1, .ending = {0, 1}},
		  .unwinder_stopped = 1,
		  .profiles = 1,
		  FOLDER(.delivered = 1),
		  .last_name = "a"},
		 "o",
		 "",
		 "ddprof-launch: stacks ended: copy_short:1\n"
		 "ddprof-launch: 18446744073709551615 samples, 18446744073709551615 lost, 0.0% of stacks "
		 "reached the root, ended early (the unwinder kept failing); profiler used 18446744074 s of "
		 "CPU (1844674407370955161600.00%) and 18446744073709.6 MB, target slowed by about "
		 "1844674407370955.25%; profile: o/a\n"},
	};

	(void)state;
	check(cases, sizeof(cases) / sizeof(cases[0]));
}

static void
test_files(void **state)
{
	static const struct summary_case cases[] = {
		{{.ledger = {.in_kernel_ns = 1990000000, .unsampled_ns = 20000000},
		  .profiles = 1,
		  FOLDER(.delivered = 1),
		  .last_name = "k.pprof"},
		 "/",
		 "",
		 "ddprof-launch: no samples (2.01 s of CPU time in the kernel or in tasks shorter than one "
		 "sampling period); profile: /k.pprof\n"},
		{{.ledger = {.samples = 200, .lost = 3, .ending = {150}},
		  .profiles = 1,
		  FOLDER(.delivered = 1),
		  .last_name = "a.pprof"},
		 "/tmp/out",
		 "",
		 "ddprof-launch: stacks ended: root:150\n"
		 "ddprof-launch: 200 samples, 3 lost, 75.0% of stacks reached the root; profile: "
		 "/tmp/out/a.pprof\n"},
		{{.ledger = {.samples = 3, .ending = {3}},
		  .profiles = 2,
		  FOLDER(.delivered = 2),
		  .last_name = "b.pprof"},
		 "out/",
		 "",
		 "ddprof-launch: stacks ended: root:3\n"
		 "ddprof-launch: 3 samples, 0 lost, 100.0% of stacks reached the root; 2 profiles in out/, "
		 "the last: b.pprof\n"},
		{{.profiles = 1, FOLDER(.delivered = 1), .last_name = "c.pprof"},
		 "/",
		 "",
		 "ddprof-launch: no samples (less CPU time than one sampling period); profile: /c.pprof\n"},
		{{.ledger = {.lost = 5}, .profiles = 1, FOLDER(.delivered = 1), .last_name = "l"},
		 "o",
		 "",
		 "ddprof-launch: 0 samples, 5 lost, 100.0% of stacks reached the root; profile: o/l\n"},
		{{.ledger = {.samples = 8, .ending = {7}},
		  .profiles = 1,
		  FOLDER(.delivered = 1),
		  .unwinder_stopped = 1,
		  .last_name = "d"},
		 "o",
		 "",
		 "ddprof-launch: stacks ended: root:7\n"
		 "ddprof-launch: 8 samples, 0 lost, 87.5% of stacks reached the root, ended early (the "
		 "unwinder kept failing); profile: o/d\n"},
		{{.ledger = {.samples = 7, .ending = {7}}},
		 "o",
		 "",
		 "ddprof-launch: stacks ended: root:7\n"
		 "ddprof-launch: 7 samples, 0 lost, 100.0% of stacks reached the root; no profile was "
		 "written\n"},
		{{.profiles = 2, FOLDER(.problem = "No space left on device")},
		 "o",
		 "",
		 "ddprof-launch: 2 profiles could not be written to o: No space left on device\n"},
		{{.ledger = {.samples = 1},
		  .profiles = 2,
		  FOLDER(.delivered = 1, .problem = "Permission denied"),
		  .last_name = "e"},
		 "o",
		 "",
		 "ddprof-launch: stacks ended: \n"
		 "ddprof-launch: 1 samples, 0 lost, 0.0% of stacks reached the root; profile: o/e\n"
		 "ddprof-launch: 1 profiles could not be written to o: Permission denied\n"},
		{{.profiles = 3, .spooled = 2, FOLDER(.problem = "No space left on device")},
		 "o",
		 "/var/spool/x",
		 "ddprof-launch: 3 profiles could not be written to o: No space left on device; 2 are kept "
		 "in "
		 "/var/spool/x for the next run\n"},
		{{.ledger = {.samples = UINT64_MAX, .lost = UINT64_MAX, .ending = {UINT64_MAX}},
		  .profiles = UINT64_MAX,
		  FOLDER(.delivered = UINT64_MAX),
		  .last_name = "f"},
		 "o",
		 "",
		 "ddprof-launch: stacks ended: root:18446744073709551615\n"
		 "ddprof-launch: 18446744073709551615 samples, 18446744073709551615 lost, 100.0% of stacks "
		 "reached the root; 18446744073709551615 profiles in o, the last: f\n"},
		{{.ledger = {.samples = 10, .ending = {5, 2, [5] = 3}},
		  .module = {{.name = "/lib/cut\n.so", .ending = {4, 2}},
			     {.name = "/good", .ending = {1, [5] = 3}}},
		  .profiles = 1,
		  FOLDER(.delivered = 1),
		  .last_name = "g"},
		 "o",
		 "",
		 "ddprof-launch: stacks ended: root:5 copy_short:2 depth:3\n"
		 "ddprof-launch: stacks that ended in /lib/cut\\x0a.so: root:4 copy_short:2\n"
		 "ddprof-launch: 10 samples, 0 lost, 80.0% of stacks reached the root; profile: o/g\n"},
	};

	(void)state;
	check(cases, sizeof(cases) / sizeof(cases[0]));
}

#define COUNTS "ddprof-launch: no samples (less CPU time than one sampling period)"

static void
test_uploads(void **state)
{
	static const struct summary_case cases[] = {
		{{.profiles = 12, UPLOAD(.delivered = 12)},
		 "",
		 "",
		 COUNTS "; 12 profiles delivered to " AGENT "\n"},
		{{.profiles = 1, UPLOAD(.delivered = 1, .earlier = 7)},
		 "",
		 "s",
		 COUNTS "; 1 profile delivered to " AGENT " and 7 of earlier runs\n"},
		{{UPLOAD(.earlier = 7)}, "", "s", COUNTS "; 7 of earlier runs delivered to " AGENT "\n"},
		{{.profiles = 14, .spooled = 2, UPLOAD(.delivered = 12, .problem = "Connection refused")},
		 "",
		 "/var/spool/x",
		 COUNTS "; 12 profiles delivered to " AGENT "; 2 not delivered (" AGENT
			": Connection refused), kept in /var/spool/x for the next run\n"},
		{{.profiles = 2, .dropped = 2, UPLOAD(.problem = "403 Forbidden: no such key")},
		 "",
		 "",
		 COUNTS "; 2 lost (" AGENT
			": 403 Forbidden: no such key), --spool DIR would keep them for the "
			"next run\n"},
		{{.profiles = 7, .spooled = 3, .dropped = 1, UPLOAD(.delivered = 1)},
		 "",
		 "s",
		 COUNTS
		 "; 1 profile delivered to " AGENT "; 3 not delivered (" AGENT
		 ": there was no time), kept in s for the next run; 1 lost (" AGENT
		 ": there was no time), the spool had no room for them; 2 taken over by another run\n"},
		{{.profiles = 1}, "o", "", COUNTS "; 1 profile lost: the exporter could not be started\n"},
		/* what the exporter says cannot drive a terminal */
		{{.profiles = 1, .dropped = 1, UPLOAD(.problem = "\033[2J\n")},
		 "",
		 "",
		 COUNTS "; 1 lost (" AGENT
			": \\x1b[2J\\x0a), --spool DIR would keep them for the next run\n"},
	};
	static const struct summary_case both = {
		{.profiles = 2,
		 .destinations = 2,
		 .destination = {{.kind = DESTINATION_FOLDER, .delivered = 2},
				 {.kind = DESTINATION_OTLP, .delivered = 2, .name = "otel:4318"}},
		 .last_name = "b"},
		"out",
		"",
		COUNTS "; 2 profiles in out, the last: b; 2 profiles delivered to otel:4318\n"};

	(void)state;
	check(cases, sizeof(cases) / sizeof(cases[0]));
	check(&both, 1);
}

/* Somebody who watches for errors hears of lost profiles, not of those that are kept. */
static void
test_severity(void **state)
{
	static const struct {
		struct summary_message summary;
		bool is_warning, is_error;
	} cases[] = {
		{{.profiles = 1, UPLOAD(.delivered = 1)}, false, false},
		{{.profiles = 1, .spooled = 1, UPLOAD(.delivered = 0)}, true, false},
		{{.profiles = 1, .dropped = 1, UPLOAD(.delivered = 0)}, true, true},
	};
	char byte;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		OWNED_FD warnings = file_with(""), errors = file_with("");

		summary_log(&(struct log){.fd = warnings, .threshold = LOG_LEVEL_WARN}, &cases[i].summary, "",
			    "s");
		summary_log(&(struct log){.fd = errors, .threshold = LOG_LEVEL_ERROR}, &cases[i].summary, "",
			    "s");
		assert_int_equal(pread(warnings, &byte, 1, 0), cases[i].is_warning);
		assert_int_equal(pread(errors, &byte, 1, 0), cases[i].is_error);
	}
}

/* Whoever did not ask for more gets one line. */
static void
test_notice(void **state)
{
	struct summary_message summary = {.ledger = {.samples = 1, .ending = {0, 1}},
					  .module = {{.name = "/cut", .ending = {0, 1}}},
					  .profiles = 1,
					  FOLDER(.delivered = 1),
					  .last_name = "a"};
	OWNED_FD fd = file_with("");
	struct log log = {.fd = fd, .threshold = LOG_LEVEL_NOTICE};
	char written[256] = "";

	(void)state;
	summary_log(&log, &summary, "o", "");
	assert_true(pread(fd, written, sizeof(written) - 1, 0) > 0);
	assert_string_equal(written, "ddprof-launch: 1 samples, 0 lost, 0.0% of stacks reached the root; "
				     "profile: o/a\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_cost),
					   cmocka_unit_test(test_uploads), cmocka_unit_test(test_severity),
					   cmocka_unit_test(test_notice)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
