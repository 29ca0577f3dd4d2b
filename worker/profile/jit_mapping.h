#pragma once
/* How the unwinder tells the symbolizer whose code is at an address that is in no file: by the name of the
 * location's mapping. PID 0 is the kernel's (JIT_PID_OF_KERNEL). The symbolizer takes such mappings out of
 * the profile, addresses and all. */

#include <stdbool.h>
#include <stdint.h>

#define JIT_MAPPING_NAME_BYTES sizeof("[jit:4294967295]")

void jit_mapping_format(char ret[static JIT_MAPPING_NAME_BYTES], uint32_t pid);

/* False: a mapping of another kind. No file is called so: paths are absolute. */
bool jit_mapping_parse(const char *name, uint32_t *ret_pid);
