/* A view is known by its mount namespace and its root: chroot(2) changes one, unshare(2) the other. */

#include "worker/supervisor/views.h"

#include "ipc/fd.h"
#include "worker/supervisor/open_below.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct identity {
	dev_t root_device;
	ino_t root, namespace;
};

struct known_view {
	uint32_t number;
	struct identity identity;
	struct view view;
};

struct views {
	int proc;
	uint32_t last_number;
	struct identity own;
	struct known_view known[VIEWS_MAX]; /* number % VIEWS_MAX */
};

static struct identity
identify(int root, int folder, const char *namespace)
{
	struct stat of_root = {0}, of_namespace = {0};

	(void)fstatat(root, "", &of_root, AT_EMPTY_PATH); /* 0 is nobody's root */
	(void)fstatat(folder, namespace, &of_namespace, 0);
	return (struct identity){of_root.st_dev, of_root.st_ino, of_namespace.st_ino};
}

static bool
is_same(const struct identity *a, const struct identity *b)
{
	return a->root_device == b->root_device && a->root == b->root && a->namespace == b->namespace;
}

struct views *
views_new(int proc)
{
	struct views *views = calloc(1, sizeof(*views));
	OWNED_FD root = open("/", FOLDER_FLAGS);

	if (!views)
		return NULL;
	views->proc = proc;
	views->own = identify(root, proc, "self/ns/mnt");
	for (uint32_t i = 0; i < VIEWS_MAX; i++)
		views->known[i].view = (struct view){-1, -1};
	return views;
}

static void
forget(struct known_view *known)
{
	close_fd(&known->view.root);
	close_fd(&known->view.debug);
}

void
views_free(struct views *views)
{
	if (!views)
		return;
	for (uint32_t i = 0; i < VIEWS_MAX; i++)
		forget(&views->known[i]);
	free(views);
}

static struct known_view *
find(struct views *views, const struct identity *identity)
{
	for (uint32_t i = 0; i < VIEWS_MAX; i++)
		if (views->known[i].number && is_same(identity, &views->known[i].identity))
			return &views->known[i];
	return NULL;
}

uint32_t
views_of_process(struct views *views, uint32_t pid)
{
	char path[32], namespace[32];

	snprintf(path, sizeof(path), "%u/root", pid);
	snprintf(namespace, sizeof(namespace), "%u/ns/mnt", pid);
	OWNED_FD root = openat(views->proc, path, FOLDER_FLAGS);
	if (root < 0)
		return 0;
	struct identity identity = identify(root, views->proc, namespace);
	if (is_same(&identity, &views->own))
		return 0;
	struct known_view *known = find(views, &identity);
	uint32_t number = known ? known->number : ++views->last_number;
	if (!known)
		known = &views->known[number % VIEWS_MAX];
	/* Also of a known one: a container's first process mounts its folders, its second is the service. */
	int debug = open_folder_below(openat(root, ".", FOLDER_FLAGS), "/usr/lib/debug");
	forget(known);
	*known = (struct known_view){number, identity, {take_fd(&root), debug < 0 ? -1 : debug}};
	return number;
}

const struct view *
views_get(const struct views *views, uint32_t number)
{
	const struct known_view *slot = &views->known[number % VIEWS_MAX];

	return number && slot->number == number ? &slot->view : NULL;
}
