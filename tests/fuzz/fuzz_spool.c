/* Files that somebody else put into the spool: their names, and their content. Even a checksum that is right
 * makes nobody believe them. The first byte says what the rest is: 0 a name, 1 a file, 2 a file whose
 * checksum is made right first. */

#include "tests/fuzz/fuzz.h"

#include "worker/base/memory_file.h"
#include "worker/export/spool_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define IS_TEXT(field) CHECK(memchr(field, 0, sizeof(field)))

static void
check_name(const uint8_t *data, size_t size)
{
	char text[512], again[SPOOL_NAME_MAX];
	struct spool_name parts;
	uint64_t destination;

	size = size < sizeof(text) ? size : sizeof(text) - 1;
	memcpy(text, data, size);
	text[size] = 0;
	(void)spool_mark_parse(text, &destination);
	if (!spool_name_parse(text, &parts))
		return;
	CHECK(strlen(parts.key) == SPOOL_KEY_DIGITS && strlen(parts.runtime_id) == SPOOL_LAUNCH_BYTES);
	CHECK(!strchr(parts.runtime_id, '/') && !strchr(text, '/') && text[0] != '.');
	CHECK(parts.end_ns >= 0);
	spool_name_format(&parts, again);
	CHECK(strcmp(text, again) == 0);
}

static void
check_file(const uint8_t *data, size_t size, bool mend)
{
	static struct profile_facts facts;
	static struct spool_header header;
	uint8_t *pprof = NULL, *again = NULL;
	size_t pprof_size = 0, again_size = 0;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	CHECK(fd >= 0 && memory_file_write(fd, data, size) == 0);
	if (mend && size >= sizeof(header)) {
		memcpy(&header, data, sizeof(header));
		header.checksum = spool_checksum(&header);
		CHECK(pwrite(fd, &header, sizeof(header), 0) == sizeof(header));
	}
	int result = spool_image_read_facts(fd, &facts);
	CHECK(result == 0 || result == -EBADMSG || result == -ENOTSUP);
	if (result == 0) {
		IS_TEXT(facts.runtime_id);
		IS_TEXT(facts.service);
		IS_TEXT(facts.environment);
		IS_TEXT(facts.version);
		IS_TEXT(facts.tags);
		IS_TEXT(facts.container_id);
		result = spool_image_read(fd, &pprof, &pprof_size);
		CHECK(result == 0 || result == -EBADMSG || result == -ENOMEM);
		CHECK(result != 0 || pprof_size <= MEMORY_FILE_MAX);
		if (result == 0) {
			CHECK(spool_image_read(fd, &again, &again_size) == 0);
			CHECK(again_size == pprof_size && memcmp(again, pprof, pprof_size) == 0);
		}
	}
	free(pprof);
	free(again);
	close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 0)
		check_name(data + 1, size - 1);
	else
		check_file(data + 1, size - 1, data[0] == 2);
	return 0;
}
