/* Names are the index: a look at the folder says whose, how old, how large and to whom, without opening a
 * file. What has no name of ours is passed over. */

#include "worker/export/spool.h"

#include "ipc/fd.h"
#include "worker/export/spool_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define SPOOL_BAD_MAX 256         /* files remembered as unreadable */
#define SPOOL_LIST_MAX (1u << 20) /* names looked at */

struct spool {
	struct spool_settings settings; /* its strings are not valid any more */
	char key[SPOOL_KEY_DIGITS + 1], runtime_id[SPOOL_LAUNCH_BYTES + 1];
	struct spool_counts counts;
	struct spool_file *held; /* all that were given out */
	size_t held_count;
	size_t bad_count;
	uint64_t bad[SPOOL_BAD_MAX];
};

/* The names of one service, sorted: by age, and a file before its marks. */
struct listing {
	size_t count, capacity;
	char (*names)[SPOOL_NAME_MAX];
};

int
spool_new(const struct spool_settings *settings, struct spool **ret)
{
	if (strlen(settings->runtime_id) != SPOOL_LAUNCH_BYTES)
		return -EINVAL;
	struct spool *spool = calloc(1, sizeof(*spool));
	if (!spool)
		return -ENOMEM;
	spool->settings = *settings;
	spool_key(settings->service, settings->environment, spool->key);
	memcpy(spool->runtime_id, settings->runtime_id, sizeof(spool->runtime_id));
	*ret = spool;
	return 0;
}

void
spool_free(struct spool *spool)
{
	if (!spool)
		return;
	while (spool->held)
		spool_file_release(spool, spool->held);
	free(spool);
}

/* ---- the folder ---- */

static int
listing_add(struct listing *listing, const char *name)
{
	if (listing->count == SPOOL_LIST_MAX)
		return 0;
	if (listing->count == listing->capacity) {
		size_t capacity = listing->capacity ? 2 * listing->capacity : 64;
		void *names = realloc(listing->names, capacity * sizeof(listing->names[0]));

		if (!names)
			return -ENOMEM;
		listing->names = names;
		listing->capacity = capacity;
	}
	snprintf(listing->names[listing->count++], SPOOL_NAME_MAX, "%s", name);
	return 0;
}

/* A temporary file whose writer is gone: nobody holds its lock, and nobody will ever finish it. */
static void
remove_if_abandoned(const struct spool *spool, const char *name)
{
	OWNED_FD fd = openat(spool->settings.folder, name, SPOOL_OPEN_FLAGS);

	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		(void)unlinkat(spool->settings.folder, name, 0);
}

static int
consider(const struct spool *spool, const char *name, struct listing *listing)
{
	if (strlen(name) >= SPOOL_NAME_MAX)
		return 0;
	if (name[0] == '.' && strncmp(name + 1, spool->key, SPOOL_KEY_DIGITS) == 0)
		remove_if_abandoned(spool, name);
	else if (strncmp(name, spool->key, SPOOL_KEY_DIGITS) == 0)
		return listing_add(listing, name);
	return 0;
}

static int
compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The folder's descriptor has one position for all who hold it, so each look begins with going back. */
static int
list_folder(const struct spool *spool, struct listing *ret)
{
	_Alignas(8) char buffer[16384];
	ssize_t got;
	int result = lseek(spool->settings.folder, 0, SEEK_SET) < 0 ? -errno : 0;

	*ret = (struct listing){0};
	while (result == 0 && (got = getdents64(spool->settings.folder, buffer, sizeof(buffer))) != 0) {
		if (got < 0)
			result = -errno;
		for (ssize_t at = 0; result == 0 && at < got;) {
			const struct dirent64 *entry = (const void *)(buffer + at);

			result = consider(spool, entry->d_name, ret);
			at += entry->d_reclen;
		}
	}
	if (result < 0) {
		free(ret->names);
		return result;
	}
	if (ret->count > 0)
		qsort(ret->names, ret->count, sizeof(ret->names[0]), compare_names);
	return 0;
}

/* ---- files that are not what they seem ---- */

static bool
is_bad(const struct spool *spool, const char *name)
{
	uint64_t hash = spool_hash(SPOOL_HASH_START, name, strlen(name));

	for (size_t i = 0; i < spool->bad_count && i < SPOOL_BAD_MAX; i++)
		if (spool->bad[i] == hash)
			return true;
	return false;
}

static void
remember_bad(struct spool *spool, const char *name, int error)
{
	spool->bad[spool->bad_count++ % SPOOL_BAD_MAX] = spool_hash(SPOOL_HASH_START, name, strlen(name));
	spool->settings.skipped(spool->settings.context, name, error);
}

/* ---- what we hold ---- */

static struct spool_file *
find_held(const struct spool *spool, const char *name)
{
	for (struct spool_file *file = spool->held; file; file = file->next)
		if (strcmp(file->name, name) == 0)
			return file;
	return NULL;
}

static struct spool_file *
hold(struct spool *spool, int *fd, const char *name)
{
	struct spool_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	file->fd = take_fd(fd);
	snprintf(file->name, sizeof(file->name), "%s", name);
	file->next = spool->held;
	spool->held = file;
	spool->held_count++;
	return file;
}

void
spool_file_release(struct spool *spool, struct spool_file *file)
{
	struct spool_file **link = &spool->held;

	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	spool->held_count--;
	close_fd(&file->fd); /* and its lock */
	free(file);
}

static void
count_name(struct spool_counts *counts, const char *runtime_id, const struct spool_name *name, int sign)
{
	if (strcmp(name->runtime_id, runtime_id) == 0)
		counts->own += (uint64_t)sign;
	else
		counts->earlier += (uint64_t)sign;
	counts->bytes += (uint64_t)sign * name->bytes;
	if (sign > 0 && (counts->oldest_ns == 0 || name->end_ns < counts->oldest_ns))
		counts->oldest_ns = name->end_ns;
}

/* The file before its marks: a mark without a file is removed by the next look, a file without its marks
 * would be sent again. */
static void
unlink_all(struct spool *spool, const struct spool_file *file)
{
	char mark[SPOOL_NAME_MAX];

	if (unlinkat(spool->settings.folder, file->name, 0) == 0)
		(void)fsync(spool->settings.folder); /* or a power cut brings it back, and it is sent twice */
	for (size_t i = 0; i < file->sent_count; i++) {
		spool_mark_name(file->name, file->sent[i], mark);
		(void)unlinkat(spool->settings.folder, mark, 0);
	}
}

void
spool_file_remove(struct spool *spool, struct spool_file *file)
{
	struct spool_name name;

	unlink_all(spool, file);
	if (spool_name_parse(file->name, &name))
		count_name(&spool->counts, spool->runtime_id, &name, -1);
	spool_file_release(spool, file);
}

/* ---- the caps ---- */

/* Removes a profile that nobody else is about to send. */
static bool
discard(struct spool *spool, const char *name)
{
	struct spool_file *held = find_held(spool, name);

	if (held)
		return spool->settings.give_up(spool->settings.context, held);
	OWNED_FD fd = openat(spool->settings.folder, name, SPOOL_OPEN_FLAGS);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(spool->settings.folder, name, 0) == 0;
}

static bool
is_too_old(const struct spool *spool, const struct spool_name *name, int64_t now_ns)
{
	return now_ns > name->end_ns &&
	       (uint64_t)(now_ns - name->end_ns) / 1000000000 >= spool->settings.max_age_s;
}

/* Counts what there is, then lets the oldest go until what remains, and `coming` bytes more, is within the
 * caps. Names that are gone are emptied. */
static void
apply_caps(struct spool *spool, struct listing *listing, uint64_t coming, int64_t now_ns)
{
	struct spool_name name;

	spool->counts = (struct spool_counts){0};
	for (size_t i = 0; i < listing->count; i++)
		if (spool_name_parse(listing->names[i], &name) && !is_bad(spool, listing->names[i]))
			count_name(&spool->counts, spool->runtime_id, &name, 1);
	for (size_t i = 0; i < listing->count; i++) {
		if (!spool_name_parse(listing->names[i], &name) || is_bad(spool, listing->names[i]))
			continue;
		bool is_old = is_too_old(spool, &name, now_ns);
		if (!is_old && spool->counts.bytes + coming <= spool->settings.max_bytes)
			return;
		bool was_held = find_held(spool, listing->names[i]) != NULL;
		if (!discard(spool, listing->names[i]))
			continue;
		if (!was_held) /* otherwise spool_file_remove() did */
			count_name(&spool->counts, spool->runtime_id, &name, -1);
		listing->names[i][0] = 0;
		spool->settings.lost(spool->settings.context, is_old ? SPOOL_OLD : SPOOL_FULL,
				     strcmp(name.runtime_id, spool->runtime_id) == 0);
	}
}

static void
make_room(struct spool *spool, uint64_t coming, int64_t now_ns)
{
	struct listing listing;

	if (list_folder(spool, &listing) < 0)
		return; /* then it cannot be written to either, and that is reported */
	apply_caps(spool, &listing, coming, now_ns);
	free(listing.names);
}

/* ---- storing ---- */

static int
create_locked(const struct spool *spool, const char *temporary)
{
	OWNED_FD fd = openat(spool->settings.folder, temporary,
			     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return -errno;
	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : take_fd(&fd);
}

/* The lock belongs to the open file: reading needs another one, whose lock is free only once the writer's is
 * gone. In between another run may be quicker; then it sends the profile, which is as good. */
static int
reopen(const struct spool *spool, const char *name, int *writer)
{
	OWNED_FD fd = openat(spool->settings.folder, name, SPOOL_OPEN_FLAGS);

	if (fd < 0)
		return -errno;
	close_fd(writer);
	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : take_fd(&fd);
}

static int
write_durably(const struct spool *spool, const struct spool_image *image, const char *name)
{
	char temporary[SPOOL_NAME_MAX + 1];

	snprintf(temporary, sizeof(temporary), ".%s", name);
	OWNED_FD fd = create_locked(spool, temporary);
	if (fd == -EEXIST) { /* of a predecessor that was killed here */
		remove_if_abandoned(spool, temporary);
		fd = create_locked(spool, temporary);
	}
	if (fd < 0)
		return fd;
	int result = spool_image_write(image, fd);
	if (result == 0 && fsync(fd) < 0)
		result = -errno;
	if (result == 0 && renameat(spool->settings.folder, temporary, spool->settings.folder, name) < 0)
		result = -errno;
	if (result < 0) {
		(void)unlinkat(spool->settings.folder, temporary, 0);
		return result;
	}
	(void)fsync(spool->settings.folder); /* a file system that cannot has done what it can */
	return reopen(spool, name, &fd);
}

int
spool_store(struct spool *spool, const struct profile_facts *facts, const uint8_t *pprof, size_t size,
	    int64_t now_ns, struct spool_file **ret)
{
	struct spool_image image;
	struct spool_name parts = {.end_ns = facts->end_ns, .sequence = facts->sequence};
	char name[SPOOL_NAME_MAX];
	int result = spool_image_make(facts, pprof, size, &image);

	if (result < 0)
		return result;
	memcpy(parts.key, spool->key, sizeof(parts.key));
	memcpy(parts.runtime_id, spool->runtime_id, sizeof(parts.runtime_id));
	parts.bytes = spool_image_size(&image);
	spool_name_format(&parts, name);
	if (spool->counts.bytes + parts.bytes > spool->settings.max_bytes)
		make_room(spool, parts.bytes, now_ns);
	OWNED_FD fd = write_durably(spool, &image, name);
	spool_image_destroy(&image);
	if (fd < 0 && fd != -EWOULDBLOCK)
		return fd;
	count_name(&spool->counts, spool->runtime_id, &parts, 1);
	*ret = fd < 0 ? NULL : hold(spool, &fd, name);
	return 0;
}

/* ---- left-overs ---- */

/* Locked, still there, and what its name says. -EWOULDBLOCK: somebody else has it; -ENOENT: somebody else had
 * it. */
static int
lock(const struct spool *spool, const char *name, struct profile_facts *ret_facts)
{
	OWNED_FD fd = openat(spool->settings.folder, name, SPOOL_OPEN_FLAGS);
	struct stat status;
	struct spool_name parts;

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (status.st_nlink == 0)
		return -ENOENT;
	int result = S_ISREG(status.st_mode) ? spool_image_read_facts(fd, ret_facts) : -EBADMSG;
	if (result < 0)
		return result;
	if (!spool_name_parse(name, &parts) || parts.bytes != (uint64_t)status.st_size ||
	    parts.sequence != ret_facts->sequence || parts.end_ns != ret_facts->end_ns ||
	    strcmp(parts.runtime_id, ret_facts->runtime_id) != 0)
		return -EBADMSG;
	return take_fd(&fd);
}

/* The marks of a file follow its name in the listing. */
static void
read_marks(const struct listing *listing, size_t at, struct spool_file *file)
{
	size_t length = strlen(file->name);
	uint64_t destination;

	while (++at < listing->count && strncmp(listing->names[at], file->name, length) == 0)
		if (file->sent_count < SPOOL_SENT_MAX &&
		    spool_mark_parse(listing->names[at] + length, &destination))
			file->sent[file->sent_count++] = destination;
}

static void
claim_one(struct spool *spool, const struct listing *listing, size_t at,
	  void (*take)(void *context, struct spool_file *file, const struct profile_facts *facts))
{
	const char *name = listing->names[at];
	static struct profile_facts facts;
	OWNED_FD fd = lock(spool, name, &facts);

	if (fd == -EWOULDBLOCK || fd == -ENOENT || fd == -EMFILE || fd == -ENFILE || fd == -EINTR)
		return; /* nothing is wrong with it */
	if (fd < 0) {
		remember_bad(spool, name, fd);
		return;
	}
	struct spool_file *file = hold(spool, &fd, name);
	if (!file)
		return; /* no memory now; the next look finds it again */
	read_marks(listing, at, file);
	take(spool->settings.context, file, &facts);
}

/* What is left of a file that was removed by somebody who then died. */
static void
remove_stray_mark(const struct spool *spool, const struct listing *listing, size_t at)
{
	const char *name = listing->names[at];
	size_t length = strcspn(name, "+");
	uint64_t destination;

	for (size_t i = at; i > 0 && strncmp(listing->names[i - 1], name, length) == 0; i--)
		if (strlen(listing->names[i - 1]) == length)
			return; /* its file is there */
	if (spool_mark_parse(name + length, &destination))
		(void)unlinkat(spool->settings.folder, name, 0);
}

int
spool_claim(struct spool *spool, int64_t now_ns,
	    void (*take)(void *context, struct spool_file *file, const struct profile_facts *facts))
{
	struct listing listing;
	struct spool_name parts;
	int result = list_folder(spool, &listing);

	if (result < 0)
		return result;
	apply_caps(spool, &listing, 0, now_ns);
	for (size_t i = 0; i < listing.count; i++) {
		const char *name = listing.names[i];

		if (strchr(name, '+'))
			remove_stray_mark(spool, &listing, i);
		else if (name[0] && spool->held_count < SPOOL_WINDOW && spool_name_parse(name, &parts) &&
			 !is_bad(spool, name) && !find_held(spool, name))
			claim_one(spool, &listing, i, take);
	}
	free(listing.names);
	return 0;
}

bool
spool_has(struct spool *spool, uint64_t sequence)
{
	struct listing listing;
	struct spool_name parts;
	bool found = false;

	if (list_folder(spool, &listing) < 0)
		return false;
	for (size_t i = 0; i < listing.count && !found; i++)
		found = spool_name_parse(listing.names[i], &parts) && parts.sequence == sequence &&
			strcmp(parts.runtime_id, spool->runtime_id) == 0;
	free(listing.names);
	return found;
}

struct spool_counts
spool_counts(const struct spool *spool)
{
	return spool->counts;
}

size_t
spool_held(const struct spool *spool)
{
	return spool->held_count;
}

/* ---- one file ---- */

int
spool_file_read(const struct spool_file *file, uint8_t **ret_pprof, size_t *ret_size)
{
	return spool_image_read(file->fd, ret_pprof, ret_size);
}

int
spool_file_mark(struct spool *spool, struct spool_file *file, uint64_t destination)
{
	char mark[SPOOL_NAME_MAX];

	if (file->sent_count < SPOOL_SENT_MAX)
		file->sent[file->sent_count++] = destination;
	spool_mark_name(file->name, destination, mark);
	OWNED_FD fd = openat(spool->settings.folder, mark,
			     O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 && errno != EEXIST)
		return -errno;
	return fsync(spool->settings.folder) < 0 ? -errno : 0;
}

bool
spool_file_is_marked(const struct spool_file *file, uint64_t destination)
{
	for (size_t i = 0; i < file->sent_count; i++)
		if (file->sent[i] == destination)
			return true;
	return false;
}

uint64_t
spool_destination(const struct delivery_destination *destination)
{
	uint64_t hash = spool_hash(SPOOL_HASH_START, &destination->kind, sizeof(destination->kind));

	hash = spool_hash(hash, destination->url, strlen(destination->url) + 1);
	hash = spool_hash(hash, destination->unix_socket, strlen(destination->unix_socket) + 1);
	return spool_hash(hash, destination->file_prefix, strlen(destination->file_prefix));
}
