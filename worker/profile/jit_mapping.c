#include "worker/profile/jit_mapping.h"

#include <stdio.h>
#include <string.h>

#define START "[jit:"

void
jit_mapping_format(char ret[static JIT_MAPPING_NAME_BYTES], uint32_t pid)
{
	snprintf(ret, JIT_MAPPING_NAME_BYTES, START "%u]", pid);
}

bool
jit_mapping_parse(const char *name, uint32_t *ret_pid)
{
	char expected[JIT_MAPPING_NAME_BYTES];
	uint64_t pid = 0;

	if (strncmp(name, START, strlen(START)) != 0)
		return false;
	for (const char *at = name + strlen(START); *at >= '0' && *at <= '9' && pid <= UINT32_MAX; at++)
		pid = 10 * pid + (uint64_t)(*at - '0');
	if (pid > UINT32_MAX)
		return false;
	jit_mapping_format(expected, (uint32_t)pid);
	*ret_pid = (uint32_t)pid;
	return strcmp(name, expected) == 0;
}
