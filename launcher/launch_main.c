/* ddprof-launch: reads its options, has the opener profile this very process, and becomes the target.
 * Whatever fails on the way, the target runs. */

#include "launcher/event_grammar.h"
#include "launcher/launch.h"

#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

struct launch_plan {
	const struct launch_options *options;
	const struct log_destination *log;
	char *const *command;
	bool profile;
};

static int
complain(const char *text)
{
	struct log standard_error = {.fd = STDERR_FILENO};

	log_line(&standard_error, LOG_LEVEL_ERROR, "%s", text);
	return LAUNCH_EXIT_FAILURE;
}

/* What the command line asked to print instead of running anything. */
static bool
print_and_leave(const struct launch_options *options, bool has_command)
{
	if (options->help)
		options_print_help(STDOUT_FILENO);
	else if (options->print_version)
		dprintf(STDOUT_FILENO, "ddprof-launch " DDPROF_VERSION "\n");
	else if (options->event_help)
		event_grammar_print(STDOUT_FILENO);
	else if (options->show_config && !has_command)
		options_print_config(options, STDOUT_FILENO);
	else
		return false;
	return true;
}

static void
explain(const struct launch_plan *plan, struct launch_outcome outcome)
{
	const char *reason = failure_reason(outcome.failure);
	const char *colon = outcome.error ? ": " : "", *error = outcome.error ? strerror(outcome.error) : "";

	if (outcome.failure == FAILURE_OUTPUT)
		log_line(&plan->log->launcher, LOG_LEVEL_ERROR, "not profiling: %s '%s'%s%s; %s", reason,
			 plan->options->output, colon, error, failure_fix(outcome.failure));
	else
		log_line(&plan->log->launcher, LOG_LEVEL_ERROR, "not profiling: %s%s%s; %s", reason, colon,
			 error, failure_fix(outcome.failure));
}

/* Profiles if it can, then becomes the target. */
static int
launch(void *context, int wait_fd)
{
	const struct launch_plan *plan = context;
	int channel = -1;

	if (plan->profile) {
		struct launch_outcome outcome = launch_start(plan->options, plan->log, wait_fd, &channel);

		if (outcome.failure != FAILURE_NONE) {
			explain(plan, outcome);
			if (plan->options->require)
				return LAUNCH_EXIT_FAILURE;
		}
	}
	return target_execute(plan->command, &plan->log->launcher, channel);
}

int
main(int argc, char **argv)
{
	struct launch_options options;
	struct option_error error;
	struct log_destination log;

	if (getauxval(AT_SECURE))
		return complain("refusing to run with privileges of its own (set-uid or file capabilities): "
				"they would "
				"reach the target; give them to " DDPROF_LIBEXECDIR
				"/ddprof-perf-open instead");
	write_signals_ignore();
	int result = options_parse(argc, argv, environ, &options, &error);
	if (result < 0 && error.origin == OPTION_FROM_COMMAND_LINE)
		return complain(error.text);
	if (result == 0 && print_and_leave(&options, options.command_index < argc))
		return 0;
	if (options.command_index >= argc)
		return complain(result < 0 ? error.text
					   : "no command to run; usage: ddprof-launch [options] [--] command "
					     "[argument...] "
					     "(--help lists the options)");
	if (options.show_config)
		options_print_config(&options, STDERR_FILENO);

	log_destination_open(&options, &log);
	struct launch_plan plan = {&options, &log, argv + options.command_index,
				   options.enabled && result == 0};
	if (result < 0) {
		log_line(&log.launcher, LOG_LEVEL_ERROR, "not profiling: %s", error.text);
		if (options.require)
			return LAUNCH_EXIT_FAILURE;
	}
	if (options.wait)
		return wait_for_target(&log, options.output, launch, &plan);
	return launch(&plan, -1);
}
