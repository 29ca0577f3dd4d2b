#pragma once
/* What a profile says about itself, one "key=value" comment each: whom it is about, and the ledger. */

#include "ipc/endings.h"
#include "ipc/protocol.h"

struct mapped_files;

/* Of files without build id; what does not fit has no names. */
#define FILE_COMMENTS_MAX 128
#define FILE_COMMENTS_BYTES (32u << 10)

struct profile_comments {
	char text[28][48];
	char tags[START_TAGS_MAX + sizeof("ddprof.tags=")];
	char modules[ENDING_MODULES][ENDINGS_TEXT_MAX + MODULE_NAME_MAX + 32];
	char files[FILE_COMMENTS_BYTES];
	const char *lines[30 + ENDING_MODULES + FILE_COMMENTS_MAX]; /* NULL-terminated, into the above: valid
						   as long as this is not moved */
};

/* modules: those whose stacks ended worst, unused ones at the end without a name. */
void profile_comments_format(const struct ledger *ledger, const char *tags,
			     const struct module_endings modules[static ENDING_MODULES],
			     struct mapped_files *files, struct profile_comments *ret);
