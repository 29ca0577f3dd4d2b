#pragma once
/* A pure function: an unsymbolised pprof message in, the same profile with function names out. Sources
 * are listed in module_names.h, and DWARF for inlined functions, source files and lines; C++ and Rust names
 * are demangled. Code that a process made itself has the names that the process gave it (jit_batch.h). A file
 * that cannot be read costs its own names and nothing else, and so does one that is no longer what was
 * mapped, by its build id or (known_files.h) by size and time, which a comment of the profile counts
 * ("ddprof.modules_changed=1"). One whose DWARF is beyond the profile's budget has its symbols' names, and is
 * counted ("ddprof.debug_info.over_budget=1"), as are processes whose own names were not all read
 * ("ddprof.jit.over_budget=1"). */

#include "worker/symbolize/module_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct name_cache;

struct symbolize_options {
	bool inlined_functions;   /* DWARF is read */
	struct name_cache *cache; /* from profile to profile, of the same options; NULL: none */
};

/* `in` is one uncompressed pprof message. *ret_out is malloc'ed. 0, -EBADMSG (not a pprof), -ENOMEM. */
int symbolize_profile(const uint8_t *in, size_t in_size, const struct file_finder *finder,
		      const struct symbolize_options *options, uint8_t **ret_out, size_t *ret_size);
