/* ddprof-launch: reads its options, has the opener profile this very process, and becomes the target.
 * Whatever fails on the way, the target runs, unless --require or --drop_caps promised otherwise. */

#include "ipc/channel.h"
#include "launcher/event_grammar.h"
#include "launcher/launch.h"
#include "policy/kept_capabilities.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define AUDIT_MAX_ARGUMENTS 2 /* one more than any of the auditor's commands takes, for it to refuse */

struct launch_plan {
	const struct launch_options *options;
	const struct log_destination *log;
	struct delivery_choice *choice;
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

/* `choice`: NULL when there is none. */
static void
print_config(const struct launch_options *options, const struct delivery_choice *choice, int fd)
{
	options_print_config(options, fd);
	if (choice)
		destinations_print(choice, fd);
}

/* What the command line asked to print instead of running anything. */
static bool
print_and_leave(const struct launch_options *options, const struct delivery_choice *choice, bool has_command)
{
	if (options->help)
		options_print_help(STDOUT_FILENO);
	else if (options->print_version)
		dprintf(STDOUT_FILENO, "ddprof-launch " DDPROF_VERSION "\n");
	else if (options->event_help)
		event_grammar_print(STDOUT_FILENO);
	else if (options->show_config && !has_command)
		print_config(options, choice, STDOUT_FILENO);
	else
		return false;
	return true;
}

/* Another program answers the auditor: this one stays small. */
static int
become_auditor(const char *name, char *const arguments[])
{
	static char path[] = DDPROF_LIBEXECDIR "/ddprof-audit";
	char *argv[AUDIT_MAX_ARGUMENTS + 3] = {path, (char *)(uintptr_t)name};
	char sentence[640];

	for (int i = 0; i < AUDIT_MAX_ARGUMENTS && arguments[i]; i++)
		argv[i + 2] = arguments[i];
	write_signals_restore();
	execv(path, argv);
	snprintf(sentence, sizeof(sentence),
		 "cannot start %s: %s; install ddprof-launch again with the prefix it was built for", path,
		 strerror(errno));
	return complain(sentence);
}

static void
explain(const struct launch_plan *plan, struct launch_outcome outcome)
{
	char sentence[640];

	failure_explain(sentence, sizeof(sentence), outcome.failure, outcome.error);
	if (outcome.failure == FAILURE_OUTPUT)
		log_line(&plan->log->launcher, LOG_LEVEL_ERROR, "not profiling: '%s': %s",
			 plan->choice->output, sentence);
	else
		log_line(&plan->log->launcher, LOG_LEVEL_ERROR, "not profiling: %s", sentence);
}

/* False: why not has been said. */
static bool
start_profiling(const struct launch_plan *plan, int wait_fd, int *ret_channel)
{
	struct delivery_fds delivery = DELIVERY_FDS_NONE;
	char problem[DELIVERY_PROBLEM_MAX];

	if (delivery_open(plan->choice, &delivery, problem) < 0) {
		log_line(&plan->log->launcher, LOG_LEVEL_ERROR, "not profiling: %s", problem);
		return false;
	}
	struct launch_outcome outcome =
		launch_start(plan->options, plan->log, plan->choice->output, &delivery, wait_fd, ret_channel);
	delivery_fds_close(&delivery);
	if (outcome.failure != FAILURE_NONE)
		explain(plan, outcome);
	return outcome.failure == FAILURE_NONE;
}

/* Profiles if it can, then becomes the target. A waiting parent is told when there is nothing to wait for. */
static int
launch(void *context, int wait_fd)
{
	const struct launch_plan *plan = context;
	int channel = -1;
	bool has_failed = plan->profile && !start_profiling(plan, wait_fd, &channel);

	if (channel < 0 && wait_fd >= 0)
		(void)channel_send(wait_fd, MESSAGE_CANCEL, NULL, 0, NULL, 0);
	if (has_failed && plan->options->require)
		return LAUNCH_EXIT_FAILURE;
	return target_execute(plan->options, plan->command, &plan->log->launcher, channel);
}

/* Set-uid, set-gid or with file capabilities. AT_SECURE alone is not it: a security module sets it on a
 * change of domain too (getauxval(3)), which is no reason not to run a service. */
static bool
has_privileges_of_its_own(void)
{
	if (!getauxval(AT_SECURE))
		return false;
	return getuid() != geteuid() || getgid() != getegid() ||
	       (getuid() != 0 && (capabilities_permitted() & ~capabilities_ambient()));
}

int
main(int argc, char **argv)
{
	static struct delivery_choice choice;
	struct launch_options options;
	struct option_error error;
	struct log_destination log;

	if (has_privileges_of_its_own())
		return complain("refusing to run with privileges of its own (set-uid or file capabilities): "
				"they would reach the target; give them to " DDPROF_LIBEXECDIR
				"/ddprof-perf-open instead");
	write_signals_ignore();
	int result = options_parse(argc, argv, environ, &options, &error);
	if (result == 0 && options.enabled && !options.audit)
		result = destinations_choose(&options, &choice, &error);
	if (result < 0 && error.origin == OPTION_FROM_COMMAND_LINE)
		return complain(error.text);
	if (result == 0 && options.audit)
		return become_auditor(options.audit, argv + options.command_index);
	if (result == 0 &&
	    print_and_leave(&options, options.enabled ? &choice : NULL, options.command_index < argc))
		return 0;
	if (options.command_index >= argc)
		return complain(result < 0 ? error.text
					   : "no command to run; usage: ddprof-launch [options] [--] command "
					     "[argument...] "
					     "(--help lists the options)");
	if (options.show_config)
		print_config(&options, result == 0 && options.enabled ? &choice : NULL, STDERR_FILENO);

	log_destination_open(&options, &log);
	struct launch_plan plan = {&options, &log, &choice, argv + options.command_index,
				   options.enabled && result == 0};
	if (target_check_kept(&options, &log.launcher) < 0)
		return LAUNCH_EXIT_FAILURE;
	if (result < 0) {
		log_line(&log.launcher, LOG_LEVEL_ERROR, "not profiling: %s", error.text);
		if (options.require)
			return LAUNCH_EXIT_FAILURE;
	}
	if (plan.profile && options.warning[0])
		log_line(&log.launcher, LOG_LEVEL_WARN, "%s", options.warning);
	if (plan.profile)
		delivery_decide(&choice, &log.launcher);
	if (options.wait)
		return wait_for_target(&options, &log, plan.profile ? choice.output : "", launch, &plan);
	return launch(&plan, -1);
}
