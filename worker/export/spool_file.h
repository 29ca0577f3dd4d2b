#pragma once
/* What a spooled profile is called and what its bytes are. Names and bytes come from a folder that others may
 * write to: both are checked as hostile input. */

#include "worker/export/spool.h"

#define SPOOL_KEY_DIGITS 16
#define SPOOL_LAUNCH_BYTES 36 /* a UUID */
#define SPOOL_NAME_MAX 160    /* with the NUL, a leading '.' or a mark */
#define SPOOL_HASH_START 0xcbf29ce484222325ull
/* Only to read; a FIFO somebody put there does not hold us up, a link is not followed. */
#define SPOOL_OPEN_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

struct spool_file {
	struct spool_file *next;
	int fd; /* read-only; holds the lock */
	size_t sent_count;
	uint64_t sent[SPOOL_SENT_MAX]; /* destinations that have it */
	char name[SPOOL_NAME_MAX];
};

/* FNV-1a, 64 bits, continued from `hash`. */
uint64_t spool_hash(uint64_t hash, const void *bytes, size_t size);

struct spool_name {
	char key[SPOOL_KEY_DIGITS + 1];
	char runtime_id[SPOOL_LAUNCH_BYTES + 1];
	int64_t end_ns;
	uint64_t sequence, bytes;
};

void spool_key(const char *service, const char *environment, char ret[static SPOOL_KEY_DIGITS + 1]);
void spool_name_format(const struct spool_name *parts, char ret[static SPOOL_NAME_MAX]);
bool spool_name_parse(const char *name, struct spool_name *ret); /* false: not the name of a profile */

void spool_mark_name(const char *file, uint64_t destination, char ret[static SPOOL_NAME_MAX]);
bool spool_mark_parse(const char *suffix, uint64_t *ret_destination); /* "+<destination>" */

/* How a file begins; behind it is one zstd frame. */
struct spool_header {
	char magic[8];
	uint32_t version, header_size;
	uint64_t packed_size, pprof_size;
	uint64_t checksum;
	struct profile_facts facts;
};
uint64_t spool_checksum(const struct spool_header *header); /* of all but the checksum itself */

/* A file's content, ready to be written. */
struct spool_image {
	struct spool_header *header; /* owned, as is the next */
	uint8_t *packed;
	size_t packed_size;
};

int spool_image_make(const struct profile_facts *facts, const uint8_t *pprof, size_t size,
		     struct spool_image *ret); /* 0, -ENOMEM, -EFBIG */
uint64_t spool_image_size(const struct spool_image *image);
int spool_image_write(const struct spool_image *image, int fd); /* 0 or -errno */
void spool_image_destroy(struct spool_image *image);

/* 0, -EBADMSG (damaged), -ENOTSUP (of another version), -errno. */
int spool_image_read_facts(int fd, struct profile_facts *ret);
/* Also -ENOMEM. *ret_pprof is malloc'ed. */
int spool_image_read(int fd, uint8_t **ret_pprof, size_t *ret_size);
