/* The keys are part of the profile: readers look for them by name. */

#include "worker/collect/comments.h"

#include "worker/unwind/unwind.h"

#include <stdio.h>

void
profile_comments_format(const struct ledger *ledger, const char *tags, struct profile_comments *ret)
{
	const struct {
		const char *key;
		uint64_t value;
	} entries[] = {
		{"samples", ledger->samples},
		{"lost", ledger->lost},
		{"malformed", ledger->malformed},
		{"unstored", ledger->unstored},
		{"restarts", ledger->restarts},
		{"stacks.root", ledger->ending[END_ROOT]},
		{"stacks.copy_short", ledger->ending[END_COPY_SHORT]},
		{"stacks.unmapped", ledger->ending[END_UNMAPPED]},
		{"stacks.unreadable", ledger->ending[END_UNREADABLE]},
		{"stacks.bad_cfi", ledger->ending[END_BAD_CFI]},
		{"stacks.depth", ledger->ending[END_DEPTH]},
		{"cpu_time_ns", ledger->cpu_time_ns},
		{"kernel_count_ns", ledger->kernel_count_ns},
	};
	size_t count = sizeof(entries) / sizeof(entries[0]);

	snprintf(ret->tags, sizeof(ret->tags), "ddprof.tags=%s", tags);
	ret->lines[0] = ret->tags;
	for (size_t i = 0; i < count; i++) {
		snprintf(ret->text[i], sizeof(ret->text[i]), "ddprof.%s=%llu", entries[i].key,
			 (unsigned long long)entries[i].value);
		ret->lines[1 + i] = ret->text[i];
	}
	ret->lines[1 + count] = NULL;
}
