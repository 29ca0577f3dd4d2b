#pragma once
/* A pure function: an unsymbolised pprof message in, the same profile with function names out. Sources
 * are listed in module_names.h; C++ and Rust names are demangled. A file that cannot be read costs its own
 * names and nothing else. */

#include "worker/symbolize/module_files.h"

#include <stddef.h>
#include <stdint.h>

/* `in` is one uncompressed pprof message. *ret_out is malloc'ed. 0, -EBADMSG (not a pprof), -ENOMEM. */
int symbolize_profile(const uint8_t *in, size_t in_size, const struct file_finder *finder, uint8_t **ret_out,
		      size_t *ret_size);
