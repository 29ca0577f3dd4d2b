/* The least recently used table of open files: a binary that is deleted or replaced while it runs is
 * still symbolised as it was when it was first sampled. */

#include "worker/supervisor/broker.h"

#include "ipc/fd.h"
#include "worker/base/debug_paths.h"
#include "worker/supervisor/jit_files.h"
#include "worker/supervisor/open_below.h"
#include "worker/supervisor/views.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct known_file {
	int fd;
	uint32_t candidate; /* where it was found */
	uint32_t view;      /* of the process that mapped it */
	uint64_t last_used;
	uint64_t inode; /* as asked for; with its device what identifies a file without build id */
	uint32_t device_major, device_minor;
	char build_id[2 * MAX_BUILD_ID + 1];
	char *path;
};

struct broker {
	int proc;
	struct views *views;
	struct jit_files *jit_files;
	uint64_t uses;
	size_t count, max_files;
	struct known_file file[BROKER_MAX_FILES];
};

struct broker *
broker_new(int proc, size_t max_files, size_t max_jit_processes)
{
	struct broker *broker = calloc(1, sizeof(*broker));

	if (!broker)
		return NULL;
	broker->proc = proc;
	broker->max_files = max_files < BROKER_MAX_FILES ? max_files : BROKER_MAX_FILES;
	broker->views = views_new(proc);
	broker->jit_files = broker->views ? jit_files_new(proc, broker->views, max_jit_processes) : NULL;
	if (!broker->jit_files) {
		broker_free(broker);
		return NULL;
	}
	return broker;
}

struct jit_files *
broker_jit_files(struct broker *broker)
{
	return broker->jit_files;
}

static void
forget(struct known_file *file)
{
	close_fd(&file->fd);
	free(file->path);
	file->path = NULL;
}

void
broker_free(struct broker *broker)
{
	if (!broker)
		return;
	for (size_t i = 0; i < broker->count; i++)
		forget(&broker->file[i]);
	jit_files_free(broker->jit_files);
	views_free(broker->views);
	free(broker);
}

static void
format_build_id(const struct open_mapping *request, char *ret_hex)
{
	ret_hex[0] = 0;
	for (uint32_t i = 0; i < request->build_id_size; i++)
		snprintf(ret_hex + (size_t)2 * i, 3, "%02x", request->build_id[i]);
}

static bool
is_sane(const struct open_mapping *request)
{
	return request->path[0] == '/' && memchr(request->path, 0, sizeof(request->path)) != NULL &&
	       request->build_id_size <= MAX_BUILD_ID;
}

/* Takes a candidate, or closes it. The device number is not compared: overlayfs and btrfs report another one
 * in stat(2) than the kernel gives perf. */
static int
check_candidate(int candidate, const struct open_mapping *request)
{
	struct stat status;
	OWNED_FD fd = accept_elf(candidate);

	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (request->build_id_size == 0 && status.st_ino != request->inode)
		return -ESTALE;
	return take_fd(&fd);
}

/* Where the file may be found: as the target sees the path (another mount namespace); as we do, because for a
 * target with capabilities, or one that has ended, /proc/PID/root is closed to us; and, when it was deleted
 * or replaced, as what the process executes. */
enum candidate {
	CANDIDATE_TARGET_PATH,
	CANDIDATE_OWN_PATH,
	CANDIDATE_EXECUTABLE,
	CANDIDATE_COUNT,
};

static int
open_at(const struct broker *broker, const struct open_mapping *request, enum candidate candidate)
{
	char path[32];
	int fd;

	switch (candidate) {
	case CANDIDATE_TARGET_PATH:
		snprintf(path, sizeof(path), "%u/root", request->pid);
		return open_below(openat(broker->proc, path, FOLDER_FLAGS), request->path);
	case CANDIDATE_OWN_PATH:
		return open_below(open("/", FOLDER_FLAGS), request->path);
	default:
		snprintf(path, sizeof(path), "%u/exe", request->pid);
		fd = openat(broker->proc, path, READ_FLAGS);
		return fd < 0 ? -errno : fd;
	}
}

/* The first candidate that opens. The error is that of the path, which says more than "no such process". */
static int
open_fresh(const struct broker *broker, const struct open_mapping *request, uint32_t *ret_candidate)
{
	int result = -ENOENT;

	for (uint32_t i = request->first_candidate; i < CANDIDATE_COUNT; i++) {
		int fd = check_candidate(open_at(broker, request, i), request);

		*ret_candidate = i;
		if (fd >= 0)
			return fd;
		if (i == CANDIDATE_OWN_PATH)
			result = fd;
	}
	return result;
}

static int
use(struct broker *broker, struct known_file *file)
{
	file->last_used = ++broker->uses;
	return file->fd;
}

static struct known_file *
take_slot(struct broker *broker)
{
	struct known_file *oldest = &broker->file[0];

	if (broker->count < broker->max_files)
		return &broker->file[broker->count++];
	for (size_t i = 1; i < broker->count; i++)
		if (broker->file[i].last_used < oldest->last_used)
			oldest = &broker->file[i];
	forget(oldest);
	return oldest;
}

static bool
is_same(const struct known_file *file, const struct open_mapping *request, const char *build_id)
{
	bool same_inode = file->inode == request->inode && file->device_major == request->device_major &&
			  file->device_minor == request->device_minor;

	return strcmp(file->build_id, build_id) == 0 && (build_id[0] || same_inode) &&
	       strcmp(file->path, request->path) == 0;
}

/* An unwinder that was started again asks again, perhaps after the file was deleted or replaced. */
static struct known_file *
find_same(struct broker *broker, const struct open_mapping *request, const char *build_id)
{
	for (size_t i = 0; i < broker->count; i++)
		if (is_same(&broker->file[i], request, build_id))
			return &broker->file[i];
	return NULL;
}

/* The profile may know a build id that the kernel did not (it is then the file's own), or none: the exact
 * one if there is, else what was opened last under that path. The symbolizer compares. */
static struct known_file *
find_known(struct broker *broker, const struct open_known *request)
{
	struct known_file *best = NULL;

	for (size_t i = 0; i < broker->count; i++) {
		struct known_file *file = &broker->file[i];

		if (strcmp(file->path, request->path) != 0)
			continue;
		if (strcmp(file->build_id, request->build_id) == 0 && request->build_id[0])
			return file;
		if (!(file->build_id[0] && request->build_id[0]) &&
		    (!best || file->last_used > best->last_used))
			best = file;
	}
	return best;
}

int
broker_open_mapping(struct broker *broker, const struct open_mapping *request, uint32_t *ret_candidate)
{
	char build_id[2 * MAX_BUILD_ID + 1];

	*ret_candidate = 0;
	if (!is_sane(request))
		return -EINVAL;
	format_build_id(request, build_id);
	struct known_file *slot = find_same(broker, request, build_id);
	if (slot && request->first_candidate <= slot->candidate) {
		*ret_candidate = slot->candidate;
		return use(broker, slot);
	}
	OWNED_FD fd = open_fresh(broker, request, ret_candidate);
	if (fd < 0)
		return fd;
	char *path = strdup(request->path);
	if (!path)
		return -ENOMEM;
	if (slot)
		forget(slot); /* it was the wrong file */
	else
		slot = take_slot(broker);
	*slot = (struct known_file){
		.fd = take_fd(&fd),
		.candidate = *ret_candidate,
		.view = views_of_process(broker->views, request->pid),
		.inode = request->inode,
		.device_major = request->device_major,
		.device_minor = request->device_minor,
		.path = path,
	};
	memcpy(slot->build_id, build_id, sizeof(build_id));
	return use(broker, slot);
}

static bool
is_terminated(const struct open_known *request)
{
	return memchr(request->path, 0, sizeof(request->path)) &&
	       memchr(request->build_id, 0, sizeof(request->build_id));
}

int
broker_open_known(struct broker *broker, const struct open_known *request)
{
	if (!is_terminated(request))
		return -EINVAL;
	struct known_file *file = find_known(broker, request);
	return file ? use(broker, file) : -ENOENT;
}

bool
broker_has_mapped(const struct broker *broker, const struct open_known *request)
{
	if (!is_terminated(request) || !request->build_id[0])
		return false;
	for (size_t i = 0; i < broker->count; i++)
		if (strcmp(broker->file[i].path, request->path) == 0 &&
		    strcmp(broker->file[i].build_id, request->build_id) == 0)
			return true;
	return false;
}

/* ---- separate debug files ---- */

/* A path in a container means nothing outside of it. */
static bool
is_place_elsewhere(const struct open_debug *request, const struct view *view, bool is_own)
{
	return is_own ? request->way == DEBUG_BY_UNIT && view : !view;
}

/* As the process that mapped the module saw it, in a view that was kept, or (NULL) as we do. */
static int
open_in_view(const struct view *view, const char *path)
{
	size_t debug = strlen(DEBUG_FOLDER);

	if (!view)
		return open_below(open("/", FOLDER_FLAGS), path);
	if (strncmp(path, DEBUG_FOLDER "/", debug + 1) == 0 && view->debug >= 0)
		return open_below(openat(view->debug, ".", FOLDER_FLAGS), path + debug);
	return open_below(openat(view->root, ".", FOLDER_FLAGS), path);
}

int
broker_open_debug(struct broker *broker, const struct open_debug *request, uint32_t *ret_candidate)
{
	char path[MAX_PATH_BYTES + DEBUG_NAME_MAX + 64];

	*ret_candidate = 0;
	if (!debug_request_is_sane(request))
		return -EINVAL;
	struct known_file *module = find_known(broker, &request->module);
	if (!module)
		return -ENOENT;
	(void)use(broker, module);
	const struct view *view = views_get(broker->views, module->view);
	for (uint32_t i = request->first_candidate; i < 2 * DEBUG_PLACES; i++) {
		bool is_own = i >= DEBUG_PLACES;

		if (debug_path_format(request, module->path, i % DEBUG_PLACES, sizeof(path), path) < 0 ||
		    is_place_elsewhere(request, view, is_own))
			continue;
		int fd = accept_elf(open_in_view(is_own ? NULL : view, path));
		if (fd >= 0) {
			*ret_candidate = i;
			return fd;
		}
	}
	return -ENOENT;
}
