#pragma once
/* What the launcher writes for the worker, in a memfd that nobody can change any more. */

#include <sys/uio.h>

/* An owned, close-on-exec descriptor holding the parts one after the other; -EFBIG when a file size limit of
 * the caller is in the way, else -errno. */
int sealed_memfd(const char *name, const struct iovec parts[], int count);
