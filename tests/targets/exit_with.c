/* exit_with STATUS | -SIGNAL: ends as asked, by a status ("7") or by a signal ("-9", "-TERM", "-SIGTERM"). */

#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static int
signal_number(const char *text)
{
	if (isdigit((unsigned char)text[0]))
		return atoi(text);
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	for (int number = 1; number < NSIG; number++) {
		const char *name = sigabbrev_np(number);

		if (name && strcmp(name, text) == 0)
			return number;
	}
	return -1;
}

/* Dies of the signal even if the caller had it ignored or blocked, and leaves no core file behind. */
static int
die_of(int number)
{
	const struct rlimit no_core = {0, 0};
	sigset_t set;

	setrlimit(RLIMIT_CORE, &no_core);
	signal(number, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, number);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	raise(number);
	return 2; /* a signal that does not kill */
}

int
main(int argc, char *argv[])
{
	if (argc != 2 || (argv[1][0] == '-' && signal_number(argv[1] + 1) <= 0)) {
		fprintf(stderr, "usage: exit_with STATUS | -SIGNAL\n");
		return 2;
	}
	return argv[1][0] == '-' ? die_of(signal_number(argv[1] + 1)) : atoi(argv[1]);
}
