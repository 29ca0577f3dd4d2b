#pragma once
/* Opens files by a path that somebody else chose: step by step, never through a symbolic link, never upwards,
 * only to read. */

#include <fcntl.h>

/* O_NONBLOCK: a FIFO at that path must not hold us up. */
#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)
#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

/* The file at `path` (slashes at its start do not matter) below a folder, or the folder there; takes the
 * descriptor `folder` (one below 0 stands for errno). -errno; -EINVAL for "", "." and "..". */
int open_below(int folder, const char *path);
int open_folder_below(int folder, const char *path);

/* The descriptor if it is of a regular ELF file that is not empty; else it is closed, and -errno. Who was
 * taken over gets programs, libraries and their debug files through us, not documents, keys or devices.
 * /proc/PID/mem and its like call themselves regular files, of no size. */
int accept_elf(int fd);
