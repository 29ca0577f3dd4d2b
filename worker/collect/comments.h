#pragma once
/* What a profile says about itself, one "key=value" comment each: whom it is about, and the ledger. */

#include "ipc/protocol.h"

struct profile_comments {
	char text[16][48];
	char tags[START_TAGS_MAX + sizeof("ddprof.tags=")];
	const char *lines[18]; /* NULL-terminated, into the above: valid as long as this is not moved */
};

void profile_comments_format(const struct ledger *ledger, const char *tags, struct profile_comments *ret);
