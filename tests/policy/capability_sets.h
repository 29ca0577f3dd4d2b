#pragma once
/* What the tests of capabilities share: a child for what cannot be undone, and what the kernel shows of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* One set from /proc/self/status; all bits when it cannot be read. */
static inline unsigned long long
read_set(const char *name)
{
	FILE *status = fopen("/proc/self/status", "re");
	unsigned long long bits = ~0ull;
	char line[256];

	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, name, strlen(name)) == 0)
			bits = strtoull(line + strlen(name), NULL, 16);
	if (status)
		fclose(status);
	return bits;
}

static inline int
run_in_child(int (*run)(void))
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(run());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}
