/* ddprof-audit: what ddprof-launch becomes for --check, --print_policy and --attest. No privilege, no change
 * to the machine. */

#include "launcher/audit/audit.h"
#include "launcher/audit/trial.h"

#include <stdio.h>
#include <string.h>

static int
burn_main(const char *unused)
{
	(void)unused;
	return trial_burn();
}

static const struct {
	const char *name, *argument;
	int (*run)(const char *argument);
} commands[] = {
	{"check", "[--json]", check_main},
	{"print_policy", "[ROLE]", print_policy_main},
	{"attest", "[PID]", attest_main},
	{TRIAL_COMMAND, NULL, burn_main},
};

int
main(int argc, char **argv)
{
	for (size_t i = 0; argc >= 2 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (argc > (commands[i].argument ? 3 : 2)) {
			fprintf(stderr, "ddprof-launch: --%s takes at most one argument, %s\n", argv[1],
				commands[i].argument ? commands[i].argument : "none");
			return AUDIT_EXIT_USAGE;
		}
		return commands[i].run(argv[2]);
	}
	fprintf(stderr, "ddprof-audit: started by ddprof-launch --check, --print_policy or --attest\n");
	return AUDIT_EXIT_USAGE;
}
