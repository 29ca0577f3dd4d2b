/* The keys are part of the profile: readers look for them by name. */

#include "worker/collect/comments.h"

#include "policy/levels.h"
#include "worker/process/mapped_files.h"

#include <stdbool.h>
#include <stdio.h>

/* "ddprof.module.1=root:12 copy_short:3 /usr/lib/libx.so": the path last, for it may hold anything. */
static size_t
format_module_comments(const struct module_endings module[static ENDING_MODULES], size_t line,
		       struct profile_comments *ret)
{
	char counts[ENDINGS_TEXT_MAX];

	for (size_t i = 0; i < ENDING_MODULES && module[i].name[0]; i++) {
		endings_format(module[i].ending, counts);
		snprintf(ret->modules[i], sizeof(ret->modules[i]), "ddprof.module.%zu=%s %s", i + 1, counts,
			 module[i].name);
		ret->lines[line++] = ret->modules[i];
	}
	return line;
}

/* Which files those were that have no build id to be known by. */
static size_t
format_file_comments(struct mapped_files *files, size_t line, struct profile_comments *ret)
{
	size_t used = 0, number = 0;

	for (uint32_t i = 1; i <= mapped_files_count(files) && number < FILE_COMMENTS_MAX; i++) {
		const struct mapped_file *file = mapped_files_get(files, i);
		char *text = ret->files + used;

		if (file->fd < 0 || file->build_id_size > 0)
			continue; /* not open; or the vdso, which is everybody's */
		int length = file_identity_format(&file->identity, number + 1, file->path, text,
						  sizeof(ret->files) - used);
		if (length < 0)
			continue;
		ret->lines[line++] = text;
		used += (size_t)length + 1;
		number++;
	}
	return line;
}

void
profile_comments_format(const struct ledger *ledger, const char *tags,
			const struct module_endings modules[static ENDING_MODULES],
			struct mapped_files *files, struct profile_comments *ret)
{
	size_t line;
	const struct {
		const char *key;
		uint64_t value;
		bool is_of_rings; /* 0 beside samples: they came out of a recording, and nobody counted */
	} entries[] = {
		{"samples", ledger->samples},
		{"lost", ledger->lost},
		{"malformed", ledger->malformed},
		{"unstored", ledger->unstored},
		{"sideband_lost", ledger->sideband_lost},
		{"restarts", ledger->restarts},
		{"cpu_time_ns", ledger->cpu_time_ns},
		{"kernel_count_ns", ledger->kernel_count_ns},
		{"in_kernel_ns", ledger->in_kernel_ns},
		{"unsampled_ns", ledger->unsampled_ns},
		{"records", ledger->records, true},
		{"unwind_ns", ledger->unwind_ns, true},
		{"frames", ledger->frames},
		{"stack_bytes", ledger->stack_bytes},
	};
	size_t count = 0;

	snprintf(ret->tags, sizeof(ret->tags), "ddprof.tags=%s", tags);
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		if (entries[i].value > 0 || ledger->samples == 0 || !entries[i].is_of_rings)
			snprintf(ret->text[count++], sizeof(ret->text[0]), "ddprof.%s=%llu", entries[i].key,
				 (unsigned long long)entries[i].value);
	for (size_t i = 0; i < ENDINGS; i++)
		snprintf(ret->text[count + i], sizeof(ret->text[0]), "ddprof.stacks.%s=%llu", ending_names[i],
			 (unsigned long long)ledger->ending[i]);
	count += ENDINGS;
	for (size_t i = 0; i < LEVEL_COUNT; i++)
		if (ledger->level[i] > 0)
			snprintf(ret->text[count++], sizeof(ret->text[0]), "ddprof.level.%s=%llu",
				 level_policy((enum sampling_level)i)->name,
				 (unsigned long long)ledger->level[i]);
	ret->lines[0] = ret->tags;
	for (size_t i = 0; i < count; i++)
		ret->lines[1 + i] = ret->text[i];
	line = format_module_comments(modules, 1 + count, ret);
	line = format_file_comments(files, line, ret);
	ret->lines[line] = NULL;
}
