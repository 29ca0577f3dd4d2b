/* { header with the facts } { one zstd frame with a checksum }, in the byte order of the host: a spool does
 * not travel. */

#include "worker/export/spool_file.h"

#include "ipc/channel.h"
#include "worker/base/memory_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define MAGIC "ddspool"
#define VERSION 1
#define LEVEL 3
#define SUFFIX ".ddprof"
#define END_DIGITS 20
#define MARK_DIGITS 16

uint64_t
spool_hash(uint64_t hash, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * 0x100000001b3ull;
	return hash;
}

/* ---- names ---- */

void
spool_key(const char *service, const char *environment, char ret[static SPOOL_KEY_DIGITS + 1])
{
	uint64_t hash = spool_hash(SPOOL_HASH_START, service, strlen(service) + 1);

	snprintf(ret, SPOOL_KEY_DIGITS + 1, "%016" PRIx64,
		 spool_hash(hash, environment, strlen(environment)));
}

void
spool_name_format(const struct spool_name *parts, char ret[static SPOOL_NAME_MAX])
{
	snprintf(ret, SPOOL_NAME_MAX, "%s-%020" PRId64 "-%s-%" PRIu64 "-%" PRIu64 SUFFIX, parts->key,
		 parts->end_ns, parts->runtime_id, parts->sequence, parts->bytes);
}

static bool
take_text(const char **at, const char *alphabet, size_t length, char *ret)
{
	if (strspn(*at, alphabet) < length || (*at)[length] != '-')
		return false;
	memcpy(ret, *at, length);
	ret[length] = 0;
	*at += length + 1;
	return true;
}

/* Decimal digits, then the given character. */
static bool
take_number(const char **at, char then, uint64_t *ret)
{
	const char *end = *at + strspn(*at, "0123456789");
	char *parsed;

	if (end == *at || *end != then)
		return false;
	errno = 0;
	*ret = strtoull(*at, &parsed, 10);
	*at = end + 1;
	return errno == 0;
}

/* Only what spool_name_format() makes: a name that says the same in another way would be a second one. */
bool
spool_name_parse(const char *name, struct spool_name *ret)
{
	char again[SPOOL_NAME_MAX];
	const char *at = name;
	uint64_t end;

	if (strlen(name) >= SPOOL_NAME_MAX ||
	    !take_text(&at, "0123456789abcdef", SPOOL_KEY_DIGITS, ret->key) || !take_number(&at, '-', &end) ||
	    end > INT64_MAX || !take_text(&at, "0123456789abcdef-", SPOOL_LAUNCH_BYTES, ret->runtime_id) ||
	    !take_number(&at, '-', &ret->sequence) || !take_number(&at, SUFFIX[0], &ret->bytes))
		return false;
	ret->end_ns = (int64_t)end;
	spool_name_format(ret, again);
	return strcmp(name, again) == 0;
}

void
spool_mark_name(const char *file, uint64_t destination, char ret[static SPOOL_NAME_MAX])
{
	snprintf(ret, SPOOL_NAME_MAX, "%s+%016" PRIx64, file, destination);
}

bool
spool_mark_parse(const char *suffix, uint64_t *ret_destination)
{
	if (suffix[0] != '+' || strlen(suffix) != MARK_DIGITS + 1 ||
	    strspn(suffix + 1, "0123456789abcdef") != MARK_DIGITS)
		return false;
	*ret_destination = strtoull(suffix + 1, NULL, 16);
	return true;
}

/* ---- content ---- */

uint64_t
spool_checksum(const struct spool_header *header)
{
	const size_t before = offsetof(struct spool_header, checksum);
	const size_t after = before + sizeof(header->checksum);
	uint64_t hash = spool_hash(SPOOL_HASH_START, header, before);

	return spool_hash(hash, (const uint8_t *)header + after, sizeof(*header) - after);
}

static int
compress(const uint8_t *pprof, size_t size, struct spool_image *image)
{
	size_t capacity = ZSTD_compressBound(size);
	ZSTD_CCtx *context = ZSTD_createCCtx();

	image->packed = malloc(capacity);
	if (!context || !image->packed) {
		ZSTD_freeCCtx(context);
		return -ENOMEM;
	}
	(void)ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, LEVEL);
	(void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	image->packed_size = ZSTD_compress2(context, image->packed, capacity, pprof, size);
	ZSTD_freeCCtx(context);
	return ZSTD_isError(image->packed_size) ? -ENOMEM : 0;
}

int
spool_image_make(const struct profile_facts *facts, const uint8_t *pprof, size_t size,
		 struct spool_image *ret)
{
	*ret = (struct spool_image){0};
	if (size > MEMORY_FILE_MAX)
		return -EFBIG;
	ret->header = calloc(1, sizeof(*ret->header));
	int result = ret->header ? compress(pprof, size, ret) : -ENOMEM;
	if (result < 0) {
		spool_image_destroy(ret);
		return result;
	}
	memcpy(ret->header->magic, MAGIC, sizeof(ret->header->magic));
	ret->header->version = VERSION;
	ret->header->header_size = sizeof(*ret->header);
	ret->header->packed_size = ret->packed_size;
	ret->header->pprof_size = size;
	memcpy(&ret->header->facts, facts, sizeof(*facts));
	ret->header->checksum = spool_checksum(ret->header);
	return 0;
}

uint64_t
spool_image_size(const struct spool_image *image)
{
	return sizeof(*image->header) + image->packed_size;
}

int
spool_image_write(const struct spool_image *image, int fd)
{
	int result = memory_file_write(fd, (const uint8_t *)image->header, sizeof(*image->header));

	return result < 0 ? result : memory_file_write(fd, image->packed, image->packed_size);
}

void
spool_image_destroy(struct spool_image *image)
{
	free(image->header);
	free(image->packed);
	*image = (struct spool_image){0};
}

static bool
is_terminated(const struct profile_facts *facts)
{
	return IS_TERMINATED(facts->runtime_id) && IS_TERMINATED(facts->service) &&
	       IS_TERMINATED(facts->environment) && IS_TERMINATED(facts->version) &&
	       IS_TERMINATED(facts->tags) && IS_TERMINATED(facts->container_id);
}

static int
read_header(int fd, struct spool_header *ret)
{
	struct stat status;
	ssize_t got = pread(fd, ret, sizeof(*ret), 0);

	if (got < 0)
		return -errno;
	if (got < (ssize_t)offsetof(struct spool_header, packed_size) ||
	    memcmp(ret->magic, MAGIC, sizeof(ret->magic)) != 0)
		return -EBADMSG;
	if (ret->version != VERSION || ret->header_size != sizeof(*ret))
		return -ENOTSUP;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (got != sizeof(*ret) || ret->checksum != spool_checksum(ret) || !is_terminated(&ret->facts) ||
	    ret->pprof_size > MEMORY_FILE_MAX || ret->packed_size > MEMORY_FILE_MAX ||
	    (uint64_t)status.st_size != sizeof(*ret) + ret->packed_size)
		return -EBADMSG;
	return 0;
}

int
spool_image_read_facts(int fd, struct profile_facts *ret)
{
	static struct spool_header header;
	int result = read_header(fd, &header);

	if (result == 0)
		memcpy(ret, &header.facts, sizeof(*ret));
	return result;
}

static int
read_packed(int fd, const struct spool_header *header, uint8_t *packed)
{
	for (size_t at = 0; at < header->packed_size;) {
		ssize_t got = pread(fd, packed + at, header->packed_size - at, (off_t)(sizeof(*header) + at));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EBADMSG;
		at += (size_t)got;
	}
	return 0;
}

int
spool_image_read(int fd, uint8_t **ret_pprof, size_t *ret_size)
{
	static struct spool_header header;
	int result = read_header(fd, &header);

	if (result < 0)
		return result;
	uint8_t *packed = malloc(header.packed_size + 1), *pprof = malloc(header.pprof_size + 1);
	result = packed && pprof ? read_packed(fd, &header, packed) : -ENOMEM;
	if (result == 0 &&
	    ZSTD_decompress(pprof, header.pprof_size, packed, header.packed_size) != header.pprof_size)
		result = -EBADMSG;
	free(packed);
	if (result < 0) {
		free(pprof);
		return result;
	}
	*ret_pprof = pprof;
	*ret_size = header.pprof_size;
	return 0;
}
