#include "worker/supervisor/jit_files.h"

#include "ipc/fd.h"
#include "worker/base/jit_dump_name.h"
#include "worker/supervisor/open_below.h"
#include "worker/supervisor/process_ids.h"
#include "worker/supervisor/views.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct process {
	uint32_t pid; /* as we know it; 0: unused */
	struct process_ids ids;
	bool is_root_closed; /* what it sees at a path we cannot know */
	uint32_t view;       /* views_get(); 0: what we see */
	int fd[JIT_FILES];
	uint64_t last_used;
};

struct jit_files {
	int proc;
	struct views *views;
	uint64_t uses;
	size_t max_processes;
	struct process process[JIT_FILES_PROCESSES_MAX];
};

struct jit_files *
jit_files_new(int proc, struct views *views, size_t max_processes)
{
	struct jit_files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	files->proc = proc;
	files->views = views;
	files->max_processes =
		max_processes < JIT_FILES_PROCESSES_MAX ? max_processes : JIT_FILES_PROCESSES_MAX;
	for (size_t i = 0; i < JIT_FILES_PROCESSES_MAX; i++)
		files->process[i] = (struct process){.fd = {-1, -1}};
	return files;
}

static void
forget(struct process *process)
{
	for (size_t i = 0; i < JIT_FILES; i++)
		close_fd(&process->fd[i]);
	*process = (struct process){.fd = {-1, -1}};
}

void
jit_files_free(struct jit_files *files)
{
	if (!files)
		return;
	for (size_t i = 0; i < JIT_FILES_PROCESSES_MAX; i++)
		forget(&files->process[i]);
	free(files);
}

/* ---- processes ---- */

static struct process *
find(struct jit_files *files, uint32_t pid)
{
	for (size_t i = 0; i < files->max_processes; i++)
		if (files->process[i].pid == pid && pid != 0)
			return &files->process[i];
	return NULL;
}

static struct process *
take_slot(struct jit_files *files)
{
	struct process *oldest = files->process;

	if (files->max_processes == 0)
		return NULL;
	for (size_t i = 1; i < files->max_processes; i++)
		if (files->process[i].last_used < oldest->last_used)
			oldest = &files->process[i];
	forget(oldest);
	return oldest;
}

/* What is known of a process stays known when it has ended. One that had ended before is taken for one of our
 * user's, in our namespaces. */
static void
look_at(struct jit_files *files, struct process *process)
{
	char path[32];

	if (process_ids_read(files->proc, process->pid, &process->ids) < 0)
		return;
	process->view = views_of_process(files->views, process->pid);
	snprintf(path, sizeof(path), "%u/root", process->pid);
	OWNED_FD root = openat(files->proc, path, FOLDER_FLAGS);
	process->is_root_closed = root < 0;
}

static struct process *
know(struct jit_files *files, uint32_t pid)
{
	struct process *process = find(files, pid);

	if (!process) {
		process = pid ? take_slot(files) : NULL;
		if (!process)
			return NULL;
		process->pid = pid;
		process->ids = (struct process_ids){.uid = getuid(), .inner_pid = pid};
	}
	look_at(files, process);
	process->last_used = ++files->uses;
	return process;
}

/* ---- files ---- */

/* Takes the descriptor, or closes it. */
static int
accept_file(int opened, uint32_t uid, const uint64_t *inode)
{
	struct stat status;
	OWNED_FD fd = opened;

	if (fd < 0)
		return fd;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || status.st_nlink != 1)
		return -EINVAL;
	if ((status.st_uid != uid && status.st_uid != 0) || status.st_mode & (S_IWGRP | S_IWOTH))
		return -EACCES;
	if (inode && status.st_ino != *inode)
		return -ESTALE;
	return take_fd(&fd);
}

static int
open_as_we_see_it(const char *path)
{
	return open_below(open("/", FOLDER_FLAGS), path);
}

static int
open_as_it_sees_it(const struct jit_files *files, const struct process *process, const char *path)
{
	const struct view *view = views_get(files->views, process->view);

	if (process->is_root_closed)
		return -EACCES;
	if (process->view && !view)
		return -ESTALE; /* too many others since */
	return view ? open_below(openat(view->root, ".", FOLDER_FLAGS), path) : open_as_we_see_it(path);
}

static int
open_map(const struct jit_files *files, const struct process *process)
{
	char path[64];

	snprintf(path, sizeof(path), "/tmp/perf-%u.map", process->ids.inner_pid);
	int fd = accept_file(open_as_it_sees_it(files, process, path), process->ids.uid, NULL);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", process->pid);
	return accept_file(open_as_we_see_it(path), process->ids.uid, NULL);
}

static void
keep(struct process *process, enum jit_file which, int fd)
{
	close_fd(&process->fd[which]);
	process->fd[which] = fd;
}

int
jit_files_hold_map(struct jit_files *files, uint32_t pid)
{
	struct process *process = know(files, pid);

	if (!process)
		return -ENOMEM;
	int fd = open_map(files, process);
	if (fd < 0)
		return fd;
	keep(process, JIT_PERF_MAP, fd);
	return 0;
}

int
jit_files_hold_dump(struct jit_files *files, const struct open_mapping *request)
{
	if (request->path[0] != '/' || !memchr(request->path, 0, sizeof(request->path)) ||
	    request->build_id_size != 0 || !jit_dump_name_is(request->path))
		return -EINVAL;
	struct process *process = know(files, request->pid);
	if (!process)
		return -ENOMEM;
	int fd = accept_file(open_as_it_sees_it(files, process, request->path), process->ids.uid,
			     &request->inode);
	if (fd < 0)
		fd = accept_file(open_as_we_see_it(request->path), process->ids.uid, &request->inode);
	if (fd < 0)
		return fd;
	keep(process, JIT_DUMP, fd);
	return 0;
}

/* Not when it is mapped: its process writes the first bytes later. */
static bool
is_dump(int fd)
{
	static const char magic[] = {'D', 'T', 'i', 'J'};
	char bytes[sizeof(magic)];

	return pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes) &&
	       memcmp(bytes, magic, sizeof(magic)) == 0;
}

int
jit_files_open(struct jit_files *files, const struct open_jit *request)
{
	struct process *process = find(files, request->pid);

	if (!process || request->file >= JIT_FILES)
		return -ENOENT;
	process->last_used = ++files->uses;
	if (request->file == JIT_PERF_MAP) /* the one that is there now; else the one that was */
		(void)jit_files_hold_map(files, request->pid);
	int fd = process->fd[request->file];
	if (fd < 0)
		return -ENOENT;
	return request->file == JIT_PERF_MAP || is_dump(fd) ? fd : -EINVAL;
}
