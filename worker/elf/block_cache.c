/* Blocks live in sets of eight, replaced least-recently-used: a lookup is one hash and eight compares, and
 * there is nothing to delete, rehash or free.
 *
 *   (file, block number) --hash--> set --> [ file | file | ... ]  8 tags, 8 blocks of 4 KB
 *
 * The storage is static and untouched until used, so a process that reads little stays small. */

#include "worker/elf/block_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum {
	BLOCK_SIZE = 4096,
	WAYS = 8,
	SETS = BLOCK_CACHE_BYTES / BLOCK_SIZE / WAYS,
};

struct block_set {
	uint64_t file[WAYS]; /* 0: empty */
	uint64_t number[WAYS];
	uint64_t last_use[WAYS];
	uint16_t filled[WAYS]; /* less than BLOCK_SIZE where the file ended */
};

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER; /* uncontended: no syscall */
static struct block_set sets[SETS];
static uint8_t blocks[SETS][WAYS][BLOCK_SIZE];
static uint64_t uses, files;

_Static_assert((SETS & (SETS - 1)) == 0, "the hash is masked");

uint64_t
block_cache_new_file(void)
{
	return __atomic_add_fetch(&files, 1, __ATOMIC_RELAXED);
}

/* Fills one block; a short count means end of file. -errno on failure. */
static ssize_t
read_block(int fd, uint64_t number, uint8_t *ret_bytes)
{
	size_t filled = 0;

	while (filled < BLOCK_SIZE) {
		ssize_t got = pread(fd, ret_bytes + filled, BLOCK_SIZE - filled,
				    (off_t)(number * BLOCK_SIZE + filled));
		if (got == 0)
			break;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		filled += (size_t)got;
	}
	return (ssize_t)filled;
}

static unsigned
set_of(uint64_t file, uint64_t number)
{
	return (unsigned)(((number + file * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u) >> 32) & (SETS - 1);
}

static unsigned
least_recent(const struct block_set *set)
{
	unsigned oldest = 0;

	for (unsigned way = 1; way < WAYS; way++)
		if (set->last_use[way] < set->last_use[oldest])
			oldest = way;
	return oldest;
}

/* The block's bytes and how many are valid; the cache lock is held. */
static int
find_block(int fd, uint64_t file, uint64_t number, const uint8_t **ret_bytes, size_t *ret_filled)
{
	unsigned index = set_of(file, number), way;
	struct block_set *set = &sets[index];
	ssize_t filled;

	for (way = 0; way < WAYS; way++)
		if (set->number[way] == number && set->file[way] == file)
			break;
	if (way == WAYS) {
		way = least_recent(set);
		set->file[way] = 0; /* a failed read must not leave half a block behind a valid tag */
		filled = read_block(fd, number, blocks[index][way]);
		if (filled < 0)
			return (int)filled;
		set->file[way] = file;
		set->number[way] = number;
		set->filled[way] = (uint16_t)filled;
	}
	set->last_use[way] = ++uses;
	*ret_bytes = blocks[index][way];
	*ret_filled = set->filled[way];
	return 0;
}

int
block_cache_read(int fd, uint64_t file, uint64_t offset, void *ret_bytes, size_t size)
{
	uint8_t *to = ret_bytes;
	int error = 0;

	if (offset > INT64_MAX - BLOCK_SIZE || size > INT64_MAX - BLOCK_SIZE - offset)
		return -ERANGE;
	pthread_mutex_lock(&cache_lock);
	while (size > 0) {
		size_t skip = offset % BLOCK_SIZE, part = BLOCK_SIZE - skip, filled;
		const uint8_t *bytes;

		if (part > size)
			part = size;
		error = find_block(fd, file, offset / BLOCK_SIZE, &bytes, &filled);
		if (!error && filled < skip + part)
			error = -ERANGE;
		if (error)
			break;
		memcpy(to, bytes + skip, part);
		to += part;
		offset += part;
		size -= part;
	}
	pthread_mutex_unlock(&cache_lock);
	return error;
}
