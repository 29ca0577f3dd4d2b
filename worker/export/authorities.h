#pragma once
/* The certificate authorities this system trusts, as one text. */

#include <stddef.h>

/* Allocated, with its size in *ret_size and where it was found in *ret_path (static); NULL: nowhere. */
char *authorities_read(size_t *ret_size, const char **ret_path);
