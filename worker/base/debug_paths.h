#pragma once
/* Where separate debug files are, after gdb's manual ("Debugging Information in Separate Files") and dwz(1).
 * What is made out of a sane request is a path below DEBUG_FOLDER or below the module's own folder, or one to
 * an object file. */

#include "ipc/protocol.h"

#include <stdbool.h>
#include <stddef.h>

#define DEBUG_FOLDER "/usr/lib/debug"
#define DEBUG_PLACES 3

/* Strings end, and the name is of its way's kind: hexadecimal for a build id; one name for a link, dwz's
 * may have one folder before it, for the architecture; none may be "." or begin with "..". A unit's is an
 * absolute path without such names that ends in ".dwo" or ".o". */
bool debug_request_is_sane(const struct open_debug *request);

/* The path of a sane request's file in one of the places (below DEBUG_PLACES) for it; `module` is the
 * absolute path of the file it belongs to. 0, -ENOENT (there are fewer places), -ENAMETOOLONG. */
int debug_path_format(const struct open_debug *request, const char *module, uint32_t place, size_t capacity,
		      char *ret);
