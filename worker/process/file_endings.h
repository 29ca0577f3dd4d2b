#pragma once
/* How the stacks whose walk ended in a file's code did end, for every file, exactly. */

#include "worker/unwind/unwind.h"

struct mapped_files;
struct module_endings;

/* All zeroes is empty. */
struct file_endings {
	uint32_t (*counts)[UNWIND_END_COUNT]; /* by file number; 0: code that is in no known mapping */
	uint32_t capacity;
};

/* Out of memory is no failure: the ledger counts every stack as well. */
void file_endings_add(struct file_endings *endings, uint32_t file, enum unwind_end end);

/* Names the files that lost most stacks; of equal ones, those that ended most. */
void file_endings_worst(const struct file_endings *endings, struct mapped_files *files,
			struct module_endings *ret, size_t max);

void file_endings_clear(struct file_endings *endings);
