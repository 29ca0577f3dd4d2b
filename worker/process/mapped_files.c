/* Files by identity: what is unwound is the file that was mapped, or nothing. */

#include "worker/process/mapped_files.h"

#include "ipc/fd.h"
#include "worker/unwind/unwind.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <uthash.h>

struct file_key {
	uint8_t build_id[MAX_BUILD_ID];
	uint32_t build_id_size, device_major, device_minor;
	uint64_t inode;
	char path[]; /* without its terminator */
};

struct entry {
	struct mapped_file file;
	UT_hash_handle hh;
	struct file_key key; /* last: it ends in the path */
};

struct mapped_files {
	mapped_file_open *open_file;
	void *context;
	struct entry *by_key;
	struct entry **by_number; /* [number - 1] */
	uint32_t count, capacity;
};

struct mapped_files *
mapped_files_new(mapped_file_open *open_file, void *context)
{
	struct mapped_files *files = calloc(1, sizeof(*files));

	if (files) {
		files->open_file = open_file;
		files->context = context;
	}
	return files;
}

static void
close_file(struct mapped_file *file)
{
	unwind_module_free(file->module);
	elf_image_free(file->image);
	close_fd(&file->fd);
	file->module = NULL;
	file->image = NULL;
}

void
mapped_files_free(struct mapped_files *files)
{
	if (!files)
		return;
	HASH_CLEAR(hh, files->by_key);
	for (uint32_t i = 0; i < files->count; i++) {
		close_file(&files->by_number[i]->file);
		free(files->by_number[i]);
	}
	free(files->by_number);
	free(files);
}

static bool
starts_with(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Names the kernel gives to executable memory that is in no file system (fs/proc, mm/shmem, ipc/shm). A memfd
 * is one, too, unless it has a build id: then it is a program or library. */
static bool
is_anonymous(const struct mmap_record *record)
{
	static const char *const prefixes[] = {"//", "/dev/", "/SYSV", "/anon_hugepage", "/[aio]", "/i915"};
	const char *path = record->path;

	if (strcmp(path, "[vdso]") == 0)
		return false;
	if (path[0] != '/')
		return true;
	if (starts_with(path, "/memfd:"))
		return record->build_id_size == 0;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (starts_with(path, prefixes[i]))
			return true;
	return false;
}

static bool
make_room(struct mapped_files *files)
{
	if (files->count < files->capacity)
		return true;
	if (files->count >= MAPPED_FILES_MAX)
		return false;

	uint32_t capacity = files->capacity ? files->capacity * 2 : 64;
	struct entry **grown = reallocarray(files->by_number, capacity, sizeof(*grown));
	if (!grown)
		return false;
	files->by_number = grown;
	files->capacity = capacity;
	return true;
}

static void
fill_entry(struct entry *entry, const struct mmap_record *record, size_t path_length)
{
	entry->key.build_id_size = record->build_id_size;
	memcpy(entry->key.build_id, record->build_id, record->build_id_size);
	entry->key.device_major = record->device_major;
	entry->key.device_minor = record->device_minor;
	entry->key.inode = record->inode;
	memcpy(entry->key.path, record->path, path_length + 1);
	entry->file = (struct mapped_file){
		.state = is_anonymous(record) ? MAPPED_FILE_ANONYMOUS : MAPPED_FILE_UNOPENED,
		.path = entry->key.path,
		.build_id_size = record->build_id_size,
		.is_build_id_from_kernel = record->build_id_size > 0,
		.device_major = record->device_major,
		.device_minor = record->device_minor,
		.inode = record->inode,
		.mapped_ns = record->time_ns,
		.fd = -1,
	};
	memcpy(entry->file.build_id, record->build_id, record->build_id_size);
}

uint32_t
mapped_files_add(struct mapped_files *files, const struct mmap_record *record)
{
	size_t path_length = strlen(record->path);
	size_t key_size = sizeof(struct file_key) + path_length;
	struct entry *entry = calloc(1, sizeof(*entry) + path_length + 1), *known = NULL;

	if (!entry)
		return 0;
	fill_entry(entry, record, path_length);
	HASH_FIND(hh, files->by_key, &entry->key, key_size, known);
	if (known || !make_room(files)) {
		free(entry);
		return known ? known->file.number : 0;
	}
	files->by_number[files->count] = entry;
	entry->file.number = ++files->count;
	HASH_ADD_KEYPTR(hh, files->by_key, &entry->key, key_size, entry);
	return entry->file.number;
}

struct mapped_file *
mapped_files_get(struct mapped_files *files, uint32_t number)
{
	return number >= 1 && number <= files->count ? &files->by_number[number - 1]->file : NULL;
}

uint32_t
mapped_files_count(const struct mapped_files *files)
{
	return files->count;
}

/* What the file itself says, when the kernel did not. */
static void
take_own_build_id(struct mapped_file *file)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	size_t size = elf_image_build_id(file->image, id);

	if (size > MAX_BUILD_ID)
		return;
	memcpy(file->build_id, id, size);
	file->build_id_size = (uint32_t)size;
}

/* The vdso is in no file; ours is the same image as the target's (one per kernel and ABI). Its build id tells
 * another machine's symbolizer that it has another. */
static int
open_vdso(struct mapped_file *file)
{
	const uint8_t *bytes = (const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR); /* NOLINT */
	Elf64_Ehdr header;

	if (!bytes)
		return -1;
	memcpy(&header, bytes, sizeof(header));
	int result = elf_image_open_memory(
		bytes, header.e_shoff + (size_t)header.e_shentsize * header.e_shnum, &file->image);
	if (result == 0)
		take_own_build_id(file);
	return result;
}

static int64_t
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Written over in place before we came, or before a predecessor of ours died. */
static bool
was_modified_since_mapped(const struct mapped_file *file)
{
	int64_t since_boot_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);

	return file->mapped_ns > 0 && file->identity.modified_ns - since_boot_ns > (int64_t)file->mapped_ns;
}

/* The supervisor cannot read ELF, so the build id is checked here; without one from the kernel the
 * supervisor compared the inode, and the file's own build id (if any) is what the profile will carry. */
static bool
is_the_mapped_file(struct mapped_file *file)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	size_t size;

	if (file->is_build_id_from_kernel) {
		size = elf_image_build_id(file->image, id);
		return size >= file->build_id_size && memcmp(id, file->build_id, file->build_id_size) == 0;
	}
	take_own_build_id(file);
	return file_identity_of(file->fd, &file->identity) == 0 && !was_modified_since_mapped(file);
}

/* One place after another until there is the file that was mapped. */
static int
open_by_mapping(struct mapped_files *files, struct mapped_file *file, uint32_t pid)
{
	struct open_mapping request = {
		.pid = pid,
		.build_id_size = file->build_id_size,
		.device_major = file->device_major,
		.device_minor = file->device_minor,
		.inode = file->inode,
	};
	uint32_t candidate;

	memcpy(request.build_id, file->build_id, file->build_id_size);
	memcpy(request.path, file->path, strlen(file->path)); /* decode_mmap bounds it */
	for (;; request.first_candidate = candidate + 1) {
		file->fd = files->open_file(files->context, &request, &candidate);
		if (file->fd < 0)
			return file->fd;
		if (elf_image_open(file->fd, &file->image) == 0 && is_the_mapped_file(file))
			return 0;
		close_file(file);
	}
}

static void
format_build_id(struct mapped_file *file)
{
	static const char digits[] = "0123456789abcdef";

	for (uint32_t i = 0; i < file->build_id_size; i++) {
		file->build_id_hex[2 * i] = digits[file->build_id[i] >> 4];
		file->build_id_hex[2 * i + 1] = digits[file->build_id[i] & 15];
	}
}

void
mapped_files_open(struct mapped_files *files, struct mapped_file *file, uint32_t pid)
{
	if (file->state != MAPPED_FILE_UNOPENED)
		return;

	bool is_vdso = strcmp(file->path, "[vdso]") == 0;
	int result = is_vdso ? open_vdso(file) : open_by_mapping(files, file, pid);
	if (result == 0)
		file->module = unwind_module_new(file->image, file->number);
	format_build_id(file);
	file->state = file->module ? MAPPED_FILE_OPEN : MAPPED_FILE_UNREADABLE;
	if (file->state == MAPPED_FILE_UNREADABLE)
		close_file(file);
}
