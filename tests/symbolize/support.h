#pragma once
/* What the symbolizer's tests share: reading whole files and build ids with libelf's own dwelf. */

#include <stddef.h>
#include <stdint.h>

uint8_t *read_file(const char *path, size_t *ret_size); /* malloc'ed; fails the test */
char *build_id_of(const char *path);                    /* malloc'ed hex */
