#pragma once
/* A process maps its jitdump so that who watches its mappings learns where it is: the name is all there is to
 * tell it by (jitdump-specification.txt). */

#include <stdbool.h>
#include <string.h>

/* Of a path: does it end in /jit-DIGITS.dump. */
static inline bool
jit_dump_name_is(const char *path)
{
	const char *name = strrchr(path, '/');

	if (!name || strncmp(name, "/jit-", 5) != 0)
		return false;
	size_t digits = strspn(name + 5, "0123456789");
	return digits > 0 && strcmp(name + 5 + digits, ".dump") == 0;
}
