/* A table, and a rule for what is not in it. */

#include "worker/export/sample_type.h"

#include <string.h>

void
sample_type_rename(const char *name, char ret[SAMPLE_TYPE_MAX])
{
	static const struct {
		const char *ours, *theirs;
	} names[] = {
		{"cpu-time", "cpu"},
		{"cpu-samples", "samples"},
	};
	size_t length = strnlen(name, SAMPLE_TYPE_MAX - 1);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i].ours) == 0) {
			memcpy(ret, names[i].theirs, strlen(names[i].theirs) + 1);
			return;
		}
	}
	for (size_t i = 0; i < length; i++)
		ret[i] = name[i];
	ret[length] = '\0';
	for (char *at = ret; *at; at++)
		*at = *at == '-' ? '_' : *at;
}
