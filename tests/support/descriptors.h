#pragma once
/* Descriptors of this process, as the kernel lists them: what a test opened more than it closed is a leak. */

#include <stdbool.h>
#include <stddef.h>

size_t count_descriptors(void);

/* True when both name the same open file description (kcmp(2)), or at least the same inode. */
bool is_same_file(int a, int b);

/* A memfd that holds this text, at position 0. */
int file_with(const char *text);
