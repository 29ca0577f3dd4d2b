#pragma once
/* Is what is installed still as it was installed? Image builders and copies lose file modes. */

/* The path of a program of the worker that its user can read (the kernel then starts it dumpable), or NULL.
 * Root reads everything: for it the answer means nothing. */
const char *installation_find_readable(void);
