#pragma once
/* A pure function: an unsymbolised pprof message in, the same profile with function names out. Sources
 * are .symtab and .dynsym; C++ and Rust names are demangled. A file that cannot be read costs its own
 * names and nothing else. */

#include <stddef.h>
#include <stdint.h>

/* Provided by the caller: a read-only descriptor of the mapped file (ownership passes to symbolize), or
 * -errno. `build_id` is lower-case hex, "" when the profile does not know it. */
typedef int symbolize_open(void *context, const char *path, const char *build_id);

/* `in` is one uncompressed pprof message. *ret_out is malloc'ed. 0, -EBADMSG (not a pprof), -ENOMEM. */
int symbolize_profile(const uint8_t *in, size_t in_size, symbolize_open *open_file, void *context,
		      uint8_t **ret_out, size_t *ret_size);
