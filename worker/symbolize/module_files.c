/* What the module says of its debug file (a name, a checksum) is a hint: the answer is a file whose build id
 * or checksum was compared here. */

#include "worker/symbolize/module_files.h"

#include "ipc/fd.h"
#include "worker/base/cursor.h"
#include "worker/symbolize/elf_source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum {
	LINK_BYTES_MAX = 4096,
	CANDIDATES_MAX = 8,
	CRC_BLOCK = 64 << 10,
};
#define CRC_BYTES_MAX (1ull << 30) /* about a second's work; larger debug files have build ids */

/* A name and what follows it, in .gnu_debuglink and .gnu_debugaltlink. */
static bool
read_link(struct elf_source *source, const char *section, const char **ret_name, struct elf_bytes *ret_rest)
{
	struct elf_bytes bytes;

	if (elf_source_section(source, section, LINK_BYTES_MAX, &bytes) != 0)
		return false;
	const char *end = memchr(bytes.bytes, 0, bytes.size);
	if (!end || end == bytes.bytes)
		return false;
	*ret_name = bytes.bytes;
	*ret_rest = (struct elf_bytes){
		.bytes = end + 1,
		.size = bytes.size - (size_t)(end + 1 - (const char *)bytes.bytes),
	};
	return true;
}

/* ---- does it belong to the module ---- */

struct wanted {
	const char *build_id; /* lower-case hex; NULL or "": compare the checksum */
	uint32_t crc;
};

static bool
has_checksum(int fd, uint32_t wanted)
{
	uint8_t *block = malloc(CRC_BLOCK);
	uLong crc = crc32(0, NULL, 0);
	uint64_t at = 0;
	ssize_t got = block ? 1 : 0;

	while (got > 0 && at < CRC_BYTES_MAX) {
		got = pread(fd, block, CRC_BLOCK, (off_t)at);
		if (got > 0)
			crc = crc32(crc, block, (uInt)got);
		at += got > 0 ? (uint64_t)got : 0;
	}
	bool is_whole = block && got == 0;
	free(block);
	return is_whole && (uint32_t)crc == wanted;
}

static bool
belongs(int fd, const struct wanted *wanted)
{
	struct elf_source *source;

	if (!wanted->build_id || !wanted->build_id[0])
		return has_checksum(fd, wanted->crc);
	if (elf_source_open(fd, &source) != 0)
		return false;
	bool is_same = elf_source_has_build_id(source, wanted->build_id);
	elf_source_close(source);
	return is_same;
}

/* ---- ask ---- */

struct search {
	const struct file_finder *finder;
	const char *path, *build_id; /* of the module */
};

static bool
make_request(const struct search *search, enum debug_way way, const char *name, struct open_debug *ret)
{
	*ret = (struct open_debug){.way = way};
	if (strlen(search->path) >= sizeof(ret->module.path) ||
	    strlen(search->build_id) >= sizeof(ret->module.build_id) || strlen(name) >= sizeof(ret->name))
		return false;
	strcpy(ret->module.path, search->path);
	strcpy(ret->module.build_id, search->build_id);
	strcpy(ret->name, name);
	return true;
}

static int
find(const struct search *search, enum debug_way way, const char *name, const struct wanted *wanted)
{
	struct open_debug request;
	uint32_t candidate = 0;

	if (!make_request(search, way, name, &request))
		return -ENAMETOOLONG;
	for (int i = 0; i < CANDIDATES_MAX; i++) {
		OWNED_FD fd = search->finder->open_debug(search->finder->context, &request, &candidate);
		if (fd < 0)
			return fd;
		if (belongs(fd, wanted))
			return take_fd(&fd);
		request.first_candidate = candidate + 1;
	}
	return -ENOENT;
}

/* The last resort: it takes time, and the network. */
static int
find_elsewhere(const struct search *search, const struct wanted *wanted, bool *ret_is_late)
{
	struct open_debug request;
	uint32_t candidate;

	if (!make_request(search, DEBUG_BY_BUILD_ID, wanted->build_id, &request))
		return -ENAMETOOLONG;
	request.first_candidate = DEBUG_CANDIDATE_FETCHED;
	OWNED_FD fd = search->finder->open_debug(search->finder->context, &request, &candidate);
	*ret_is_late = fd == -EAGAIN;
	if (fd < 0)
		return fd;
	return belongs(fd, wanted) ? take_fd(&fd) : -ENOENT;
}

static int
find_debug_file(const struct search *search, struct elf_source *module)
{
	struct wanted wanted = {.build_id = search->build_id};
	char own_id[ELF_SOURCE_ID_HEX];
	const char *name;
	struct elf_bytes rest;
	int fd = -ENOENT;

	if (!search->build_id[0] && elf_source_build_id(module, own_id))
		wanted.build_id = own_id;
	if (wanted.build_id[0])
		fd = find(search, DEBUG_BY_BUILD_ID, wanted.build_id, &wanted);
	if (fd >= 0 || !read_link(module, ".gnu_debuglink", &name, &rest))
		return fd;
	size_t name_size = strlen(name) + 1, padding = -name_size & 3;
	struct cursor cursor = cursor_over(rest.bytes, rest.size);
	(void)cursor_bytes(&cursor, padding);
	wanted.crc = cursor_u32(&cursor);
	return cursor.failed ? -EBADMSG : find(search, DEBUG_BY_LINK, name, &wanted);
}

static void
format_hex(const uint8_t *bytes, size_t size, char *ret)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*ret++ = digits[bytes[i] >> 4];
		*ret++ = digits[bytes[i] & 15];
	}
	*ret = 0;
}

/* The link of dwz is a path relative to the file it is in, and a build id. Packages put all such files below
 * one folder, which is the only one looked into. */
static int
find_alt_file(const struct search *search, struct elf_source *source)
{
	char id[ELF_SOURCE_ID_HEX];
	const struct wanted wanted = {.build_id = id};
	const char *name;
	struct elf_bytes rest;

	if (!read_link(source, ".gnu_debugaltlink", &name, &rest) || rest.size == 0 ||
	    rest.size > ELF_SOURCE_ID_MAX)
		return -ENOENT;
	format_hex(rest.bytes, rest.size, id);
	int fd = find(search, DEBUG_BY_BUILD_ID, id, &wanted);
	const char *below = strstr(name, ".dwz/");
	return fd < 0 && below ? find(search, DEBUG_BY_DWZ, below + strlen(".dwz/"), &wanted) : fd;
}

static bool
has_everything(struct elf_source *module)
{
	return elf_source_has_section(module, ".symtab") && elf_source_has_section(module, ".debug_info");
}

void
module_files_find(struct elf_source *module, const char *path, const char *build_id,
		  const struct file_finder *finder, struct module_files *ret)
{
	const struct search search = {finder, path, build_id};
	struct elf_source *debug = NULL;

	*ret = MODULE_FILES_NONE;
	if (!finder->open_debug || path[0] != '/')
		return;
	ret->finder = finder;
	ret->path = path;
	ret->build_id = build_id;
	bool is_wanted = !has_everything(module);
	int fd = is_wanted ? find_debug_file(&search, module) : -ENOENT;
	if (is_wanted && fd < 0 && build_id[0])
		fd = find_elsewhere(&search, &(const struct wanted){.build_id = build_id}, &ret->is_late);
	ret->debug_fd = fd < 0 ? -1 : fd;
	if (fd >= 0 && elf_source_open(fd, &debug) != 0)
		return;
	fd = find_alt_file(&search, debug ? debug : module);
	ret->alt_fd = fd < 0 ? -1 : fd;
	elf_source_close(debug);
}

/* ---- split units ---- */

static int
ask(const struct module_files *files, enum debug_way way, const char *name, uint32_t *place)
{
	const struct search search = {files->finder, files->path, files->build_id};
	struct open_debug request;
	uint32_t found = 0;

	if (!files->finder || !make_request(&search, way, name, &request))
		return -ENOENT;
	request.first_candidate = *place;
	int fd = files->finder->open_debug(files->finder->context, &request, &found);
	*place = found + 1;
	return fd;
}

int
module_files_open_package(const struct module_files *files)
{
	char name[DEBUG_NAME_MAX];
	uint32_t place = 0;

	if (!files->finder ||
	    snprintf(name, sizeof(name), "%s.dwp", strrchr(files->path, '/') + 1) >= (int)sizeof(name))
		return -ENOENT;
	return ask(files, DEBUG_BY_LINK, name, &place);
}

int
module_files_open_unit(const struct module_files *files, const char *path, uint32_t *place)
{
	return ask(files, DEBUG_BY_UNIT, path, place);
}

/* Appends the names of a path, each after a slash. */
static bool
append_names(const char *path, size_t size, size_t *length, char *ret)
{
	for (const char *at = path + strspn(path, "/"); *at; at += strspn(at, "/")) {
		size_t name = strcspn(at, "/");

		if (name == 2 && at[0] == '.' && at[1] == '.') {
			while (*length > 0 && ret[--*length] != '/')
				;
		} else if (name != 1 || at[0] != '.') {
			if (name + 1 >= size - *length)
				return false;
			ret[(*length)++] = '/';
			memcpy(ret + *length, at, name);
			*length += name;
		}
		at += name;
	}
	return true;
}

bool
module_files_join(const char *folder, const char *name, size_t size, char *ret)
{
	size_t length = 0;

	if (name[0] != '/' && (folder[0] != '/' || !append_names(folder, size, &length, ret)))
		return false;
	if (!append_names(name, size, &length, ret))
		return false;
	ret[length] = '\0';
	return length > 0;
}

void
module_files_close(struct module_files *files)
{
	close_fd(&files->debug_fd);
	close_fd(&files->alt_fd);
}
