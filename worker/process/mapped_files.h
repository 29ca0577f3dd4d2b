#pragma once
/* Every file that was ever mapped executable, known by what the kernel said of it (build id, or device
 * and inode, with the path). Opened on the first sampled address in it, through the supervisor, and shared
 * by all processes that map it. */

#include "worker/base/file_identity.h"
#include "worker/elf/image.h"
#include "worker/perf/record.h"

struct mapped_files;

enum mapped_file_state {
	MAPPED_FILE_UNOPENED,
	MAPPED_FILE_OPEN,
	MAPPED_FILE_UNREADABLE, /* gone, forbidden, or no longer the file that was mapped */
	MAPPED_FILE_ANONYMOUS,  /* no file at all: JIT code, memfd, shared memory */
};

struct mapped_file {
	uint32_t number; /* from 1, never reused */
	enum mapped_file_state state;
	const char *path;
	uint8_t build_id[MAX_BUILD_ID]; /* from the kernel, or read from the file once it is open */
	uint32_t build_id_size;
	bool is_build_id_from_kernel;
	char build_id_hex[2 * MAX_BUILD_ID + 1]; /* lower case; "" when there is none */
	uint32_t device_major, device_minor;
	uint64_t inode;
	uint64_t mapped_ns;            /* CLOCK_MONOTONIC, the first time; 0: unknown */
	struct file_identity identity; /* MAPPED_FILE_OPEN and without a build id from the kernel */
	int fd;                        /* MAPPED_FILE_OPEN, except for the vdso */
	struct elf_image *image;       /* MAPPED_FILE_OPEN only */
	struct unwind_module *module;  /* MAPPED_FILE_OPEN only */
};

/* Asks for the file behind a mapping: a descriptor (passed to the caller) and where it was found, or -errno.
 */
typedef int mapped_file_open(void *context, const struct open_mapping *request, uint32_t *ret_candidate);

struct mapped_files *mapped_files_new(mapped_file_open *open_file, void *context);
void mapped_files_free(struct mapped_files *files);

/* The number of the file a record maps, new or known; 0: out of memory or MAPPED_FILES_MAX reached. */
#define MAPPED_FILES_MAX 65536
uint32_t mapped_files_add(struct mapped_files *files, const struct mmap_record *record);

/* Borrowed until mapped_files_free(); NULL for 0 and numbers never given. */
struct mapped_file *mapped_files_get(struct mapped_files *files, uint32_t number);

uint32_t mapped_files_count(const struct mapped_files *files); /* numbers given: 1 to this */

/* Opens the file if nobody tried yet; `pid` is a process that maps it. The state says how it went. */
void mapped_files_open(struct mapped_files *files, struct mapped_file *file, uint32_t pid);
