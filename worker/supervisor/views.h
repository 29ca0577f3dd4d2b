#pragma once
/* The file system as processes saw it that live in another mount namespace or root folder than we do. A view
 * is kept from when a process was first met, so that the last profile still finds the debug files of a
 * container that has ended. */

#include <stdint.h>

struct views;

#define VIEWS_MAX 8
#define VIEWS_MAX_FILES (2 * VIEWS_MAX)

/* Descriptors of folders, O_PATH; -1 for what is not there. Borrowed, until the next views_of_process(). */
struct view {
	int root;
	int debug; /* /usr/lib/debug: often a mount of its own, which the end of a namespace cuts off its root
		    */
};

struct views *views_new(int proc); /* `proc` is borrowed; NULL: out of memory */
void views_free(struct views *views);

/* The number of a process's view; 0: it sees what we see, or does not let us look. The oldest view is
 * forgotten for a new one. */
uint32_t views_of_process(struct views *views, uint32_t pid);

/* NULL: 0, or forgotten. */
const struct view *views_get(const struct views *views, uint32_t number);
