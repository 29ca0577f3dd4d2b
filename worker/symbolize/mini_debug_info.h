#pragma once
/* MiniDebugInfo: an ELF file of nothing but .symtab, compressed with xz into the section .gnu_debugdata of a
 * stripped one. */

#include <stddef.h>
#include <stdint.h>

/* Its bytes, malloc'ed. Bounded in memory, whatever is claimed. 0, -EBADMSG, -ERANGE (too large), -ENOMEM. */
int mini_debug_info_inflate(const void *compressed, size_t size, uint8_t **ret, size_t *ret_size);

#define MINI_DEBUG_INFO_MAX (64u << 20) /* inflated; the largest of Fedora has 10 MB */
