/* Every option, from either side, accepted and refused; and that one table really is behind all of it. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "launcher/option_table.h"
#include "launcher/options.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define WORDS_MAX 8
#define REPEAT_MAX 6000

/* A value of one character, this many times. Valid until the next call. */
static const char *
repeated(char c, size_t count)
{
	static char text[REPEAT_MAX + 1];

	assert_true(count <= REPEAT_MAX);
	memset(text, c, count);
	text[count] = '\0';
	return text;
}

struct outcome {
	int result;
	struct launch_options options;
	struct option_error error;
};

/* Parses "ddprof-launch" + words with the given environment; both lists end with NULL. */
static struct outcome
parse(const char *const words[], const char *const environment[])
{
	const char *argv[WORDS_MAX + 2] = {"ddprof-launch"};
	const char *none[] = {NULL};
	struct outcome outcome;
	int argc = 1;

	memset(&outcome, 0xa5, sizeof(outcome));
	for (; words[argc - 1]; argc++)
		argv[argc] = words[argc - 1];
	argv[argc] = NULL;
	outcome.result =
		options_parse(argc, (char *const *)argv, (char *const *)(environment ? environment : none),
			      &outcome.options, &outcome.error);
	return outcome;
}

/* What --show_config says about one option: "value  (origin)". Valid until the next call. */
static const char *
shown(const struct launch_options *options, const char *name)
{
	static char text[16384];
	int fd = memfd_create("config", MFD_CLOEXEC);
	ssize_t length;

	assert_true(fd >= 0);
	options_print_config(options, fd);
	length = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(length > 0);
	close(fd);
	text[length] = '\0';
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		size_t name_length = strlen(name);

		if (strncmp(line, name, name_length) == 0 && line[name_length] == ' ')
			return line + name_length + strspn(line + name_length, " ");
	}
	fail_msg("%s is not in --show_config", name);
	return NULL;
}

/* ---- accepted ---- */

static void
test_defaults(void **state)
{
	struct outcome outcome = parse((const char *const[]){"/usr/bin/env", NULL}, NULL);

	(void)state;
	assert_int_equal(outcome.result, 0);
	assert_string_equal(outcome.options.service, "env");
	assert_string_equal(outcome.options.environment, "");
	assert_string_equal(outcome.options.version, "");
	assert_string_equal(outcome.options.tags, "");
	assert_string_equal(outcome.options.delivery.output, "");
	assert_string_equal(outcome.options.delivery.url, "");
	assert_int_equal(outcome.options.delivery.port, 8126);
	assert_true(outcome.options.delivery.do_export);
	assert_false(outcome.options.delivery.agentless);
	assert_false(outcome.options.delivery.otlp);
	assert_int_equal(outcome.options.delivery.spool_size_mib, 256);
	assert_int_equal(outcome.options.delivery.spool_age_h, 168);
	assert_int_equal(outcome.options.upload_period_s, 59);
	assert_int_equal(outcome.options.frequency_hz, 99);
	assert_int_equal(outcome.options.unwind, UNWIND_AUTO);
	assert_int_equal(outcome.options.stack_sample_size, 0);
	assert_string_equal(shown(&outcome.options, "stack_sample_size"), "as needed  (default)");
	assert_int_equal(outcome.options.log_level, LOG_LEVEL_NOTICE);
	assert_string_equal(outcome.options.log_mode, "stderr");
	assert_true(outcome.options.enabled);
	assert_false(outcome.options.show_config);
	assert_false(outcome.options.require);
	assert_false(outcome.options.wait);
	assert_false(outcome.options.drop_caps);
	assert_true(outcome.options.kept_capabilities == 0);
	assert_false(outcome.options.help);
	assert_false(outcome.options.print_version);
	assert_false(outcome.options.event_help);
	assert_int_equal(outcome.options.command_index, 1);
}

static void
test_accepted_on_command_line(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *option;
		const char *shown;
	} rows[] = {
		{{"-S", "shop", "x"}, "service", "shop  (command line)"},
		{{"-Sshop", "x"}, "service", "shop  (command line)"},
		{{"--service", "shop", "x"}, "service", "shop  (command line)"},
		{{"--service=shop", "x"}, "service", "shop  (command line)"},
		{{"--service=a=b", "x"}, "service", "a=b  (command line)"},
		{{"--service", "-x", "x"}, "service", "-x  (command line)"},
		{{"--service", "--", "x"}, "service", "--  (command line)"},
		{{"--service", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8d\xb0", "x"},
		 "service",
		 "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8d\xb0  (command line)"},
		{{"--service", "one", "-S", "two", "x"}, "service", "two  (command line)"},
		{{"-E", "prod", "x"}, "environment", "prod  (command line)"},
		{{"--environment=", "x"}, "environment", "  (command line)"},
		{{"-V", "1.2", "x"}, "service_version", "1.2  (command line)"},
		{{"--service-version", "1.2", "x"}, "service_version", "1.2  (command line)"},
		{{"--service_version", "1.2", "x"}, "service_version", "1.2  (command line)"},
		{{"-T", "a:b", "x"}, "tags", "a:b  (command line)"},
		{{"--tags", "team:a-1,Path:/x\\y.z_:w", "x"},
		 "tags",
		 "team:a-1,Path:/x\\y.z_:w  (command line)"},
		{{"--tags", "", "x"}, "tags", "  (command line)"},
		{{"--output", "/tmp/a b\xff", "x"}, "output", "/tmp/a b\xff  (command line)"},
		{{"-U", "host:1", "x"}, "url", "host:1  (command line)"},
		{{"--url=http://u:p@host/a?k=v", "x"},
		 "url",
		 "http://(not shown)@host/a?(not shown)  (command line)"},
		{{"--https_proxy", "u:p@proxy:3128", "x"},
		 "https_proxy",
		 "(not shown)@proxy:3128  (command line)"},
		{{"-H", "agent", "-P", "1", "x"}, "port", "1  (command line)"},
		{{"--agentless", "yes", "x"}, "agentless", "true  (command line)"},
		{{"--spool-size", "1048576", "x"}, "spool_size", "1048576  (command line)"},
		{{"-b", "unix:///s", "x"}, "internal_stats", "unix:///s  (command line)"},
		{{"-u", "1", "x"}, "upload_period", "1  (command line)"},
		{{"--upload-period=3600", "x"}, "upload_period", "3600  (command line)"},
		{{"--upload_period=0060", "x"}, "upload_period", "60  (command line)"},
		{{"-e", "sCPU f=199", "x"}, "event", "sCPU freq=199  (command line)"},
		{{"--event=sCPU", "x"}, "event", "sCPU freq=99  (command line)"},
		{{"--unwind", "dwarf", "x"}, "unwind", "dwarf  (command line)"},
		{{"--unwind=FP", "x"}, "unwind", "fp  (command line)"},
		{{"x"}, "unwind", "auto  (default)"},
		{{"--stack_sample_size", "1024", "x"}, "stack_sample_size", "1024  (command line)"},
		{{"--stack-sample_size", "65528", "x"}, "stack_sample_size", "65528  (command line)"},
		{{"x"}, "disable_symbolization", "false  (default)"},
		{{"--disable-symbolization=yes", "x"}, "disable_symbolization", "true  (command line)"},
		{{"--enable", "false", "x"}, "enable", "false  (command line)"},
		{{"--enable", "No", "x"}, "enable", "false  (command line)"},
		{{"--enable", "off", "x"}, "enable", "false  (command line)"},
		{{"--enable=0", "x"}, "enable", "false  (command line)"},
		{{"--enable", "true", "x"}, "enable", "true  (command line)"},
		{{"--enable", "YES", "x"}, "enable", "true  (command line)"},
		{{"--enable", "on", "x"}, "enable", "true  (command line)"},
		{{"--enable=1", "x"}, "enable", "true  (command line)"},
		{{"--require", "x"}, "require", "true  (command line)"},
		{{"--wait", "x"}, "wait", "true  (command line)"},
		{{"--drop-caps", "x"}, "drop_caps", "true  (command line)"},
		{{"--drop_caps", "x"}, "keep_cap", "  (default)"},
		{{"--drop-caps", "--keep-cap", "cap_chown", "x"}, "keep_cap", "cap_chown  (command line)"},
		{{"--keep-cap=NET_Bind_Service", "--drop-caps", "--keep_cap", "Cap_Chown", "x"},
		 "keep_cap",
		 "cap_chown,cap_net_bind_service  (command line)"},
		{{"--show-config", "x"}, "show_config", "true  (command line)"},
		{{"-l", "debug", "x"}, "log_level", "debug  (command line)"},
		{{"-linfo", "x"}, "log_level", "informational  (command line)"},
		{{"-l", "informational", "x"}, "log_level", "informational  (command line)"},
		{{"-l", "notice", "x"}, "log_level", "notice  (command line)"},
		{{"-l", "warn", "x"}, "log_level", "warn  (command line)"},
		{{"-l", "WARNING", "x"}, "log_level", "warn  (command line)"},
		{{"-l", "error", "x"}, "log_level", "error  (command line)"},
		{{"-o", "disabled", "x"}, "log_mode", "disabled  (command line)"},
		{{"--log_mode", "/var/log/p.log", "x"}, "log_mode", "/var/log/p.log  (command line)"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse(rows[i].words, NULL);

		if (outcome.result != 0)
			fail_msg("row %zu was refused: %s", i, outcome.error.text);
		/* A leading "  " of an empty value is eaten along with the padding. */
		assert_string_equal(shown(&outcome.options, rows[i].option),
				    rows[i].shown + strspn(rows[i].shown, " "));
		assert_string_equal(rows[i].words[outcome.options.command_index - 1], "x");
	}
}

static void
test_accepted_from_environment(void **state)
{
	static const struct {
		const char *variable;
		const char *option;
		const char *shown;
	} rows[] = {
		{"DD_SERVICE=shop", "service", "shop  (environment DD_SERVICE)"},
		{"DD_ENV=prod", "environment", "prod  (environment DD_ENV)"},
		{"DD_VERSION=3", "service_version", "3  (environment DD_VERSION)"},
		{"DD_TAGS=a:b,c:d", "tags", "a:b,c:d  (environment DD_TAGS)"},
		{"DDPROF_OUTPUT=/x", "output", "/x  (environment DDPROF_OUTPUT)"},
		{"DD_PROFILING_UPLOAD_PERIOD=5", "upload_period",
		 "5  (environment DD_PROFILING_UPLOAD_PERIOD)"},
		{"DD_PROFILING_NATIVE_EVENTS=sCPU f=3", "event",
		 "sCPU freq=3  (environment DD_PROFILING_NATIVE_EVENTS)"},
		{"DD_PROFILING_SAMPLE_STACK_USER=8192", "stack_sample_size",
		 "8192  (environment DD_PROFILING_SAMPLE_STACK_USER)"},
		{"DD_PROFILING_DISABLE_SYMBOLIZATION=1", "disable_symbolization",
		 "true  (environment DD_PROFILING_DISABLE_SYMBOLIZATION)"},
		{"DD_PROFILING_ENABLED=no", "enable", "false  (environment DD_PROFILING_ENABLED)"},
		{"DD_PROFILING_NATIVE_LOG_LEVEL=error", "log_level",
		 "error  (environment DD_PROFILING_NATIVE_LOG_LEVEL)"},
		{"DD_PROFILING_NATIVE_LOG_MODE=syslog", "log_mode",
		 "syslog  (environment DD_PROFILING_NATIVE_LOG_MODE)"},
		{"OTEL_SERVICE_NAME=shop", "service", "shop  (environment OTEL_SERVICE_NAME)"},
		{"DD_TRACE_AGENT_URL=http://a", "url", "http://a  (environment DD_TRACE_AGENT_URL)"},
		{"DD_TRACE_AGENT_PORT=65535", "port", "65535  (environment DD_TRACE_AGENT_PORT)"},
		{"DD_API_KEY=0123456789abcdef", "api_key", "set, not shown  (environment DD_API_KEY)"},
		{"OTEL_EXPORTER_OTLP_HEADERS=a=b", "otlp_headers",
		 "set, not shown  (environment OTEL_EXPORTER_OTLP_HEADERS)"},
		{"OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT=x", "otlp_timeout",
		 "x  (environment OTEL_EXPORTER_OTLP_PROFILES_TIMEOUT)"}, /* judged by who uses it */
		{"PYROSCOPE_BASIC_AUTH_PASSWORD=secret", "pyroscope_password",
		 "set, not shown  (environment PYROSCOPE_BASIC_AUTH_PASSWORD)"},
		{"PYROSCOPE_SERVER_ADDRESS=http://u:p@x", "pyroscope_url",
		 "http://(not shown)@x  (environment PYROSCOPE_SERVER_ADDRESS)"},
		/* As curl(1): HTTP_PROXY is what a web server makes of a request's header, so it is none. */
		{"HTTP_PROXY=http://p", "http_proxy", "  (default)"},
		{"http_proxy=http://p", "http_proxy", "http://p  (environment http_proxy)"},
		{"HTTPS_PROXY=http://p", "https_proxy", "http://p  (environment HTTPS_PROXY)"},
		{"ALL_PROXY=http://p", "http_proxy", "http://p  (environment ALL_PROXY)"},
		{"NO_PROXY=*", "no_proxy", "*  (environment NO_PROXY)"},
		/* Not the variables they begin like, and empty is unset. */
		{"DD_SERVICES=shop", "service", "x  (default)"},
		{"DD_SERVICE", "service", "x  (default)"},
		{"DD_SERVICE=", "service", "x  (default)"},
		{"DD_PROFILING_UPLOAD_PERIOD=", "upload_period", "59  (default)"},
		{"DD_PROFILING_NATIVE_EVENTS=", "event", "sCPU freq=99  (default)"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse((const char *const[]){"x", NULL},
					       (const char *const[]){"A=1", rows[i].variable, "Z=1", NULL});

		if (outcome.result != 0)
			fail_msg("%s was refused: %s", rows[i].variable, outcome.error.text);
		assert_string_equal(shown(&outcome.options, rows[i].option),
				    rows[i].shown + strspn(rows[i].shown, " "));
	}
}

/* Of several variables the first that is set counts, and only it is looked at. */
static void
test_order_of_variables(void **state)
{
	static const char *const environment[] = {"HTTPS_PROXY=second", "ALL_PROXY=fourth",
						  "https_proxy=",       "OTEL_SERVICE_NAME=\033",
						  "DD_SERVICE=shop",    NULL};
	struct outcome outcome = parse((const char *const[]){"x", NULL}, environment);

	(void)state;
	assert_int_equal(outcome.result, 0);
	assert_string_equal(outcome.options.delivery.https_proxy, "second");
	assert_string_equal(outcome.options.delivery.http_proxy, "fourth");
	assert_string_equal(outcome.options.service, "shop");
}

/* Whatever secret there is, and however wrong: it is not in what is printed. */
static void
test_secrets_are_not_shown(void **state)
{
	static const struct {
		const char *variable, *option;
		enum option_id id;
	} rows[] = {
		{"DD_API_KEY=TOPSECRET\t", "api_key", OPTION_API_KEY},
		{"OTEL_EXPORTER_OTLP_PROFILES_HEADERS=TOPSECRET\xff", "otlp_headers", OPTION_OTLP_HEADERS},
		{"PYROSCOPE_BASIC_AUTH_PASSWORD=TOPSECRET\n", "pyroscope_password",
		 OPTION_PYROSCOPE_PASSWORD},
		{"DD_TRACE_AGENT_URL=http://user:TOPSECRET@host space", "url", OPTION_URL},
		{"PYROSCOPE_SERVER_ADDRESS=user:TOPSECRET@host/\x01", "pyroscope_url", OPTION_PYROSCOPE_URL},
		{"https_proxy=TOPSECRET@proxy ", "https_proxy", OPTION_HTTPS_PROXY},
	};
	static const char *const shown_rows[] = {
		"DD_API_KEY=TOPSECRET", "OTEL_EXPORTER_OTLP_HEADERS=TOPSECRET",
		"PYROSCOPE_SERVER_ADDRESS=http://TOPSECRET/with/@slash@host?key=TOPSECRET",
		"http_proxy=u:TOPSECRET@h"};
	static char text[32768];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse((const char *const[]){"x", NULL},
					       (const char *const[]){rows[i].variable, NULL});

		assert_int_equal(outcome.result, 0); /* nobody uses it yet */
		assert_string_equal(strstr(shown(&outcome.options, rows[i].option), "set, but unusable"),
				    shown(&outcome.options, rows[i].option));
		assert_true(outcome.options.is_unreadable[rows[i].id]);
	}
	for (size_t i = 0; i < COUNT_OF(shown_rows); i++) {
		struct outcome outcome =
			parse((const char *const[]){"x", NULL}, (const char *const[]){shown_rows[i], NULL});
		int fd = memfd_create("config", MFD_CLOEXEC);

		assert_int_equal(outcome.result, 0);
		options_print_config(&outcome.options, fd);
		ssize_t length = pread(fd, text, sizeof(text) - 1, 0);
		assert_true(length > 0);
		text[length] = '\0';
		close(fd);
		assert_non_null(strstr(text, "not shown"));
		assert_null(strstr(text, "TOPSECRET"));
	}
}

static void
test_command_line_beats_environment(void **state)
{
	static const char *const bad_environment[] = {"DD_SERVICE=\033", "DD_TAGS=9",
						      "DD_PROFILING_NATIVE_EVENTS=?", NULL};
	struct outcome outcome = parse(
		(const char *const[]){"-S", "a", "-T", "k:v", "-e", "sCPU f=4", "x", NULL}, bad_environment);

	(void)state;
	assert_int_equal(outcome.result, 0); /* a variable that loses is not even looked at */
	assert_string_equal(outcome.options.service, "a");
	assert_string_equal(outcome.options.tags, "k:v");
	assert_int_equal(outcome.options.frequency_hz, 4);
}

static void
test_service_from_command(void **state)
{
	static const struct {
		const char *command;
		const char *service;
	} rows[] = {
		{"svc", "svc"},          {"./svc", "svc"},    {"/a/b/svc-1.2", "svc-1.2"},
		{"/a/b/", "myservice"},  {"", "myservice"},   {"./a\nb", "myservice"},
		{"./\xff", "myservice"}, {NULL, "myservice"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse((const char *const[]){rows[i].command, NULL}, NULL);

		assert_int_equal(outcome.result, 0);
		assert_string_equal(outcome.options.service, rows[i].service);
		assert_int_equal(outcome.options.origins[OPTION_SERVICE], OPTION_FROM_DEFAULT);
	}
}

static void
test_where_the_command_begins(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		int command_index; /* in argv, where word 0 is argument 1 */
	} rows[] = {
		{{NULL}, 1},
		{{"x", "--wait"}, 1},
		{{"--wait", "x", "--require", "--bogus"}, 2},
		{{"--wait", "--", "x", "--require"}, 3},
		{{"--", "--wait"}, 2},
		{{"--", "--", "x"}, 2},
		{{"--"}, 2},
		{{"--wait"}, 2},
		{{"-", "x"}, 1},
		{{"", "x"}, 1},
		{{"-S", "a", "b", "-E", "c"}, 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse(rows[i].words, NULL);

		assert_int_equal(outcome.result, 0);
		assert_int_equal(outcome.options.command_index, rows[i].command_index);
		assert_false(outcome.options.require);
	}
}

static void
test_help_ends_the_reading(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		size_t field;
	} rows[] = {
		{{"--help", "--bogus"}, offsetof(struct launch_options, help)},
		{{"-h", "--bogus"}, offsetof(struct launch_options, help)},
		{{"--version", "--bogus"}, offsetof(struct launch_options, print_version)},
		{{"-v", "--bogus"}, offsetof(struct launch_options, print_version)},
		{{"-e", "help", "--bogus"}, offsetof(struct launch_options, event_help)},
		{{"-ehelp", "--bogus"}, offsetof(struct launch_options, event_help)},
		{{"--event=help", "--bogus"}, offsetof(struct launch_options, event_help)},
		{{"--wait", "--help", "x"}, offsetof(struct launch_options, help)},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse(rows[i].words, (const char *const[]){"DD_TAGS=9", NULL});
		int argc = 1;

		while (rows[i].words[argc - 1])
			argc++;
		assert_int_equal(outcome.result, 0);
		assert_true(*(bool *)((char *)&outcome.options + rows[i].field));
		assert_int_equal(
			outcome.options.help + outcome.options.print_version + outcome.options.event_help, 1);
		assert_int_equal(outcome.options.command_index, argc);
	}
}

static void
test_the_auditors_commands_end_the_reading(void **state)
{
	static const struct {
		const char *words[WORDS_MAX], *audit;
		int first_argument;
	} rows[] = {
		{{"--check", "--json", "--bogus"}, "check", 2},
		{{"--check"}, "check", 2},
		{{"--print-policy", "unwinder"}, "print_policy", 2},
		{{"--wait", "--attest", "--", "17"}, "attest", 3},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse(rows[i].words, (const char *const[]){"DD_TAGS=9", NULL});

		assert_int_equal(outcome.result, 0);
		assert_string_equal(outcome.options.audit, rows[i].audit);
		assert_int_equal(outcome.options.command_index, rows[i].first_argument);
	}
	assert_null(parse((const char *const[]){"x", "--check", NULL}, (const char *const[]){NULL})
			    .options.audit);
}

static void
test_no_arguments_at_all(void **state)
{
	char *const nothing[] = {NULL};
	struct launch_options options;
	struct option_error error;

	(void)state;
	assert_int_equal(options_parse(0, nothing, nothing, &options, &error), 0);
	assert_int_equal(options.command_index, 0);
}

/* ---- refused ---- */

#define TAG_RULE                                                                                            \
	" is not KEY:VALUE, at most 200 bytes, first a letter, then letters, digits and _-:./\\, no colon " \
	"at the end"

static void
test_refused_on_command_line(void **state)
{
	static const struct {
		const char *words[WORDS_MAX];
		const char *error;
	} rows[] = {
		{{"--service", "", "x"},
		 "--service: '' is not 1 to 200 bytes of text without control characters"},
		{{"-S", "a\tb", "x"},
		 "--service: 'a?b' is not 1 to 200 bytes of text without control characters"},
		{{"-S", "a\x7f", "x"},
		 "--service: 'a?' is not 1 to 200 bytes of text without control characters"},
		{{"-E", "a\n", "x"},
		 "--environment: 'a?' is not at most 200 bytes of text without control characters"},
		{{"-V", "\x80", "x"},
		 "--service_version: '?' is not at most 200 bytes of text without control characters"},
		{{"--output", "", "x"},
		 "--output: '' is not a path of 1 to 4095 bytes without control characters"},
		{{"--output", "a\r", "x"},
		 "--output: 'a?' is not a path of 1 to 4095 bytes without control characters"},
		{{"--output", "a\x7f", "x"},
		 "--output: 'a?' is not a path of 1 to 4095 bytes without control characters"},
		{{"-u", "abc", "x"}, "--upload_period: 'abc' is not a number of seconds from 1 to 3600"},
		{{"-u", "", "x"}, "--upload_period: '' is not a number of seconds from 1 to 3600"},
		{{"-u", "0", "x"}, "--upload_period: '0' is not a number of seconds from 1 to 3600"},
		{{"-u", "3601", "x"}, "--upload_period: '3601' is not a number of seconds from 1 to 3600"},
		{{"-u", "-5", "x"}, "--upload_period: '-5' is not a number of seconds from 1 to 3600"},
		{{"-u", "5s", "x"}, "--upload_period: '5s' is not a number of seconds from 1 to 3600"},
		{{"-u", " 5", "x"}, "--upload_period: ' 5' is not a number of seconds from 1 to 3600"},
		{{"-u", "4294967301", "x"},
		 "--upload_period: '4294967301' is not a number of seconds from 1 to 3600"},
		{{"-u", "18446744073709551617", "x"},
		 "--upload_period: '18446744073709551617' is not a number of seconds from 1 to 3600"},
		{{"--unwind", "orc", "x"}, "--unwind: 'orc' is not auto, dwarf or fp"},
		{{"--unwind", "", "x"}, "--unwind: '' is not auto, dwarf or fp"},
		{{"--stack_sample_size", "1016", "x"},
		 "--stack_sample_size: '1016' is not a number of bytes, multiple of 8, from 1024 to 65528"},
		{{"--stack_sample_size", "32001", "x"},
		 "--stack_sample_size: '32001' is not a number of bytes, multiple of 8, from 1024 to 65528"},
		{{"--stack_sample_size", "65536", "x"},
		 "--stack_sample_size: '65536' is not a number of bytes, multiple of 8, from 1024 to 65528"},
		{{"--enable", "maybe", "x"},
		 "--enable: 'maybe' is not true, yes, on, 1, false, no, off or 0"},
		{{"--enable=", "x"}, "--enable: '' is not true, yes, on, 1, false, no, off or 0"},
		{{"-l", "loud", "x"},
		 "--log_level: 'loud' is not debug, informational, notice, warn or error"},
		{{"-o", "", "x"},
		 "--log_mode: '' is not stdout, stderr, syslog, disabled or a path of 1 to 4095 bytes "
		 "without control "
		 "characters"},
		{{"-T", "a:b,9:c", "x"}, "--tags: tag '9:c'" TAG_RULE},
		{{"-T", "a", "x"}, "--tags: tag 'a'" TAG_RULE},
		{{"-T", "a:", "x"}, "--tags: tag 'a:'" TAG_RULE},
		{{"-T", ":a", "x"}, "--tags: tag ':a'" TAG_RULE},
		{{"-T", "a:b c", "x"}, "--tags: tag 'a:b c'" TAG_RULE},
		{{"-T", "a:\xc3\xa9", "x"}, "--tags: tag 'a:\?\?'" TAG_RULE},
		{{"-T", "a:b,", "x"}, "--tags: tag ''" TAG_RULE},
		{{"-T", ",a:b", "x"}, "--tags: tag ''" TAG_RULE},
		{{"-T", "a:b,,c:d", "x"}, "--tags: tag ''" TAG_RULE},
		{{"-e", "sCPU f=0", "x"}, "--event: '0' is not a frequency in Hz from 1 to 5000"},
		{{"-e", "", "x"}, "--event: '' names no event (accepted: sCPU)"},
		{{"-e", "sCPU", "-e", "sCPU", "x"},
		 "--event: sCPU is given twice (accepted: every event once)"},
		{{"--service"},
		 "--service: needs a value, 1 to 200 bytes of text without control characters"},
		{{"-u"}, "--upload_period: needs a value, a number of seconds from 1 to 3600"},
		{{"--drop_caps", "--keep_cap", "cap_chwon", "x"},
		 "--keep_cap: 'cap_chwon' is not the name of a capability, such as cap_net_bind_service"},
		{{"--drop_caps", "--keep_cap", "", "x"},
		 "--keep_cap: '' is not the name of a capability, such as cap_net_bind_service"},
		{{"--drop_caps", "--keep_cap", "10", "x"},
		 "--keep_cap: '10' is not the name of a capability, such as cap_net_bind_service"},
		{{"--drop_caps", "--keep_cap", "chown,kill", "x"},
		 "--keep_cap: 'chown,kill' is not the name of a capability, such as cap_net_bind_service"},
		{{"--keep_cap"},
		 "--keep_cap: needs a value, the name of a capability, such as cap_net_bind_service"},
		{{"--keep-cap", "chown", "x"},
		 "--keep_cap: only together with --drop_caps; without it the command keeps every capability "
		 "you have"},
		{{"--drop_caps=all", "x"}, "--drop_caps: 'all' is one value too many; it takes none"},
		{{"--wait=yes", "x"}, "--wait: 'yes' is one value too many; it takes none"},
		{{"-hx"}, "--help: 'x' is one value too many; it takes none"},
		{{"--attest=1"}, "--attest: '1' is one value too many; it takes none"},
		{{"--srvice", "a", "x"}, "--srvice: unknown option; did you mean --service?"},
		{{"--Service=a", "x"}, "--Service: unknown option; did you mean --service?"},
		{{"--upload-perod=1", "x"}, "--upload-perod: unknown option; did you mean --upload_period?"},
		{{"--tag", "a:b", "x"}, "--tag: unknown option; did you mean --tags?"},
		{{"--serv", "x"}, "--serv: unknown option; --help lists them all"},
		{{"--outpuxyz", "x"}, "--outpuxyz: unknown option; --help lists them all"},
		{{"--outpxy", "x"}, "--outpxy: unknown option; did you mean --output?"},
		{{"--global", "x"}, "--global: unknown option; --help lists them all"},
		{{"--api_key", "TOPSECRET", "x"},
		 "--api_key: refused, for everybody on this machine can read command lines; put the key into "
		 "DD_API_KEY, or better into a file that only you can read, for --api_key_file"},
		{{"--otlp-headers=a=TOPSECRET", "x"},
		 "--otlp_headers: refused, for everybody on this machine can read command lines; put them "
		 "into "
		 "OTEL_EXPORTER_OTLP_PROFILES_HEADERS"},
		{{"-P", "0", "x"}, "--port: '0' is not a port from 1 to 65535"},
		{{"-P", "65536", "x"}, "--port: '65536' is not a port from 1 to 65535"},
		{{"--url", "", "x"},
		 "--url: the value is not a URL of 1 to 2047 printable ASCII characters without spaces"},
		{{"--url", "http://\xc3\xa9", "x"},
		 "--url: the value is not a URL of 1 to 2047 printable ASCII characters without spaces"},
		{{"--spool_age", "8761", "x"}, "--spool_age: '8761' is not a number of hours from 1 to 8760"},
		{{"--=a", "x"}, "--: unknown option; --help lists them all"},
		{{"---", "x"}, "---: unknown option; --help lists them all"},
		{{"-x", "x"}, "-x: unknown option; --help lists them all"},
		{{"-\033", "x"}, "-?: unknown option; --help lists them all"},
		{{"--\033[2J", "x"}, "--?[2J: unknown option; --help lists them all"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse(rows[i].words, NULL);
		struct launch_options untouched;

		if (outcome.result != -EINVAL)
			fail_msg("row %zu was accepted; expected: %s", i, rows[i].error);
		assert_string_equal(outcome.error.text, rows[i].error);
		assert_int_equal(outcome.error.origin, OPTION_FROM_COMMAND_LINE);
		memset(&untouched, 0xa5, sizeof(untouched));
		assert_memory_equal(&outcome.options, &untouched, sizeof(untouched));
	}
}

static void
test_malformed_utf8_is_refused(void **state)
{
	static const char *const rows[] = {
		"\xc3",   /* cut short by the end */
		"a\xc3(", /* by something else */
		"\xe2\x82",
		"\xc1\x81",         /* overlong 'A' */
		"\xe0\x9f\xbf",     /* overlong U+07FF */
		"\xf0\x8f\xbf\xbf", /* overlong U+FFFF */
		"\xed\xa0\x80",     /* a surrogate */
		"\xf4\x90\x80\x80", /* past U+10FFFF */
		"\xf8\x88\x80\x80\x80",
		"\xc2\x9b", /* U+009B opens a terminal's escape sequence */
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (parse((const char *const[]){"-S", rows[i], "x", NULL}, NULL).result != -EINVAL)
			fail_msg("row %zu was accepted", i);
	}
	assert_int_equal(
		parse((const char *const[]){"-S", "\xc2\xa0\xed\x9f\xbf\xf4\x8f\xbf\xbf", "x", NULL}, NULL)
			.result,
		0);
}

static void
test_lengths(void **state)
{
	static const struct {
		const char *option;
		size_t longest;
	} rows[] = {
		{"--service", 200}, {"--environment", 200}, {"--service_version", 200},
		{"--output", 4095}, {"--log_mode", 4095},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *words[] = {rows[i].option, repeated('a', rows[i].longest), "x", NULL};

		assert_int_equal(parse(words, NULL).result, 0);
		words[1] = repeated('a', rows[i].longest + 1);
		struct outcome outcome = parse(words, NULL);
		assert_int_equal(outcome.result, -EINVAL);
		assert_non_null(strstr(outcome.error.text, "aaaa...' is not "));
		assert_true(strlen(outcome.error.text) < 200);
	}
}

static void
test_tag_lengths(void **state)
{
	char tags[REPEAT_MAX] = "a:";

	(void)state;
	memset(tags + 2, 'b', 198);
	assert_int_equal(parse((const char *const[]){"-T", tags, "x", NULL}, NULL).result, 0);
	tags[200] = 'b';
	assert_int_equal(parse((const char *const[]){"-T", tags, "x", NULL}, NULL).result, -EINVAL);

	memset(tags, 0, sizeof(tags));
	for (size_t i = 0; i < 4096; i++)
		tags[i] = "a:b,"[i % 4];
	tags[4095] = 'c'; /* "...,a:bc": 4096 bytes */
	assert_int_equal(parse((const char *const[]){"-T", tags, "x", NULL}, NULL).result, 0);
	tags[4096] = 'd';
	assert_int_equal(parse((const char *const[]){"-T", tags, "x", NULL}, NULL).result, -EINVAL);
}

static void
test_bad_environment_leaves_usable_options(void **state)
{
	static const char *const environment[] = {"DD_PROFILING_UPLOAD_PERIOD=abc", "DD_ENV=prod",
						  "DD_PROFILING_NATIVE_EVENTS=sCPU f=x", "DD_TAGS=9", NULL};
	struct outcome outcome = parse((const char *const[]){"--require", "x", NULL}, environment);

	(void)state;
	assert_int_equal(outcome.result, -EINVAL);
	assert_int_equal(outcome.error.origin, OPTION_FROM_ENVIRONMENT);
	assert_string_equal(outcome.error.text,
			    "DD_PROFILING_UPLOAD_PERIOD: 'abc' is not a number of seconds from 1 "
			    "to 3600"); /* the first in the table's order */
	assert_string_equal(outcome.options.warning, "DD_TAGS: tag '9'" TAG_RULE "; it is left out");
	assert_int_equal(outcome.options.command_index, 2);
	assert_true(outcome.options.require);
	assert_string_equal(outcome.options.environment, "prod");
	assert_string_equal(outcome.options.tags, "");
	assert_int_equal(outcome.options.upload_period_s, 59);
	assert_int_equal(outcome.options.frequency_hz, 99);
	assert_int_equal(outcome.options.origins[OPTION_UPLOAD_PERIOD], OPTION_FROM_DEFAULT);
}

static void
test_bad_tags_of_the_environment_are_left_out(void **state)
{
	static const struct {
		const char *variable, *tags;
	} rows[] = {
		{"DD_TAGS=9,team:a,b,c:", "team:a"},
		{"DD_TAGS=a:b,%%,c:d", "a:b,c:d"},
		{"DD_TAGS=,a:b,", "a:b"},
		{"DD_TAGS=x", ""},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct outcome outcome = parse((const char *const[]){"x", NULL},
					       (const char *const[]){rows[i].variable, NULL});

		assert_int_equal(outcome.result, 0);
		assert_string_equal(outcome.options.tags, rows[i].tags);
		assert_non_null(strstr(outcome.options.warning, "it is left out"));
	}
	assert_string_equal(
		parse((const char *const[]){"x", NULL}, (const char *const[]){"DD_TAGS=a:b", NULL})
			.options.warning,
		"");
	assert_int_equal(parse((const char *const[]){"-T", "9", "x", NULL}, NULL).result, -EINVAL);
}

static void
test_environment_error_names_the_variable(void **state)
{
	struct outcome outcome = parse((const char *const[]){"x", NULL},
				       (const char *const[]){"DD_PROFILING_UPLOAD_PERIOD=abc", NULL});

	(void)state;
	assert_int_equal(outcome.result, -EINVAL);
	assert_string_equal(outcome.error.text,
			    "DD_PROFILING_UPLOAD_PERIOD: 'abc' is not a number of seconds from 1 to 3600");
}

static void
test_disabled_has_no_complaints(void **state)
{
	static const char *const environment[] = {"DD_PROFILING_ENABLED=false",
						  "DD_PROFILING_UPLOAD_PERIOD=abc", NULL};

	(void)state;
	assert_int_equal(parse((const char *const[]){"x", NULL}, environment).result, 0);
	assert_int_equal(parse((const char *const[]){"--enable", "true", "x", NULL}, environment).result,
			 -EINVAL);
	assert_int_equal(
		parse((const char *const[]){"x", NULL}, (const char *const[]){"DD_PROFILING_ENABLED=2", NULL})
			.result,
		-EINVAL);
}

/* ---- one table ---- */

static void
test_table_is_complete(void **state)
{
	(void)state;
	for (int i = 0; i < OPTION_COUNT; i++) {
		const struct option_row *row = &option_table[i];
		bool is_audit = row->kind == OPTION_KIND_AUDIT; /* what follows is its own business */
		bool is_flag = row->kind == OPTION_KIND_FLAG || is_audit;
		/* What the target may do is said where it is started, not by a variable from somewhere. */
		bool has_variable = !is_flag && i != OPTION_KEEP_CAP;

		assert_non_null(row->name);
		assert_true(strlen(row->name) <= 23); /* the column of --show_config */
		assert_null(strchr(row->name, '-'));
		assert_non_null(row->help);
		assert_true((is_flag && !is_audit) == !row->placeholder && has_variable == !!row->variable &&
			    is_flag == !row->accepts);
		assert_true(is_flag || row->default_text || row->help_default);
		assert_int_equal(row->kind == OPTION_KIND_SECRET, !!row->instead);
		for (int j = 0; j < i; j++) {
			assert_string_not_equal(row->name, option_table[j].name);
			assert_false(row->letter && row->letter == option_table[j].letter);
		}
	}
}

static void
test_help_names_everything(void **state)
{
	static char text[32768];
	int fd = memfd_create("help", MFD_CLOEXEC);

	(void)state;
	options_print_help(fd);
	assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
	close(fd);
	for (int i = 0; i < OPTION_COUNT; i++) {
		char long_name[64];

		snprintf(long_name, sizeof(long_name), "--%s", option_table[i].name);
		assert_non_null(strstr(text, long_name));
		for (size_t j = 0; option_variable(&option_table[i], j); j++)
			assert_non_null(strstr(text, option_variable(&option_table[i], j)));
	}
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 84);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_accepted_on_command_line),
		cmocka_unit_test(test_accepted_from_environment),
		cmocka_unit_test(test_order_of_variables),
		cmocka_unit_test(test_secrets_are_not_shown),
		cmocka_unit_test(test_command_line_beats_environment),
		cmocka_unit_test(test_service_from_command),
		cmocka_unit_test(test_where_the_command_begins),
		cmocka_unit_test(test_help_ends_the_reading),
		cmocka_unit_test(test_the_auditors_commands_end_the_reading),
		cmocka_unit_test(test_no_arguments_at_all),
		cmocka_unit_test(test_refused_on_command_line),
		cmocka_unit_test(test_malformed_utf8_is_refused),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_tag_lengths),
		cmocka_unit_test(test_bad_environment_leaves_usable_options),
		cmocka_unit_test(test_bad_tags_of_the_environment_are_left_out),
		cmocka_unit_test(test_environment_error_names_the_variable),
		cmocka_unit_test(test_disabled_has_no_complaints),
		cmocka_unit_test(test_table_is_complete),
		cmocka_unit_test(test_help_names_everything),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
