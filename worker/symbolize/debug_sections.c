/* Section headers are read here and not by libelf, which would read or inflate sections as a whole. */
#include "worker/symbolize/debug_sections.h"

#include "worker/base/read_at.h"
#include "worker/symbolize/inflate.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	SECTION_NAMES_MAX = 1 << 20,
	WINDOW_SMALL = 4 << 10, /* one string or entry of many: the page cache has them in such pieces */
	WINDOW_LARGE = 64 << 10,
};

struct window {
	uint64_t file_offset, file_size; /* of the section */
	uint64_t size;                   /* uncompressed */
	bool is_compressed, is_broken;
	uint8_t *bytes; /* of [start, start + filled) */
	size_t capacity;
	uint64_t start;
	size_t filled;
};

struct debug_sections {
	int fd;
	struct debug_budget *budget;
	size_t inflated;
	struct debug_sections *alternate;
	struct debug_sections *skeletons; /* NULL: these are no split units */
	struct window windows[DEBUG_SECTIONS];
};

static const struct {
	const char *name;
	const char *split_name; /* NULL: that of the skeletons' file is used */
	uint32_t window;
} section_table[DEBUG_SECTIONS] = {
	[DEBUG_INFO] = {".debug_info", ".debug_info.dwo", WINDOW_LARGE},
	[DEBUG_INFO_ELSEWHERE] = {".debug_info", ".debug_info.dwo", WINDOW_SMALL},
	[DEBUG_ABBREV] = {".debug_abbrev", ".debug_abbrev.dwo", WINDOW_LARGE},
	[DEBUG_LINE] = {".debug_line", NULL, WINDOW_LARGE},
	[DEBUG_STR] = {".debug_str", ".debug_str.dwo", WINDOW_SMALL},
	[DEBUG_LINE_STR] = {".debug_line_str", NULL, WINDOW_SMALL},
	[DEBUG_STR_OFFSETS] = {".debug_str_offsets", ".debug_str_offsets.dwo", WINDOW_SMALL},
	[DEBUG_ADDR] = {".debug_addr", NULL, WINDOW_SMALL},
	[DEBUG_RANGES] = {".debug_ranges", NULL, WINDOW_SMALL},
	[DEBUG_RNGLISTS] = {".debug_rnglists", ".debug_rnglists.dwo", WINDOW_SMALL},
	[DEBUG_UNIT_INDEX] = {".debug_cu_index", ".debug_cu_index", WINDOW_SMALL},
};

static const char *
name_of(const struct debug_sections *sections, enum debug_section section)
{
	return sections->skeletons ? section_table[section].split_name : section_table[section].name;
}

/* Whose section it is. */
static struct debug_sections *
owner_of(struct debug_sections *sections, enum debug_section section)
{
	return name_of(sections, section) ? sections : sections->skeletons;
}

bool
debug_sections_charge(struct debug_sections *sections, uint64_t amount)
{
	return debug_budget_charge(sections->budget, amount);
}

static bool
describe_section(struct debug_sections *sections, const Elf64_Shdr *header, struct window *ret)
{
	Elf64_Chdr compression;

	*ret = (struct window){
		.file_offset = header->sh_offset, .file_size = header->sh_size, .size = header->sh_size};
	if (!(header->sh_flags & SHF_COMPRESSED))
		return true;
	if (header->sh_size < sizeof(compression) ||
	    !read_at(sections->fd, header->sh_offset, &compression, sizeof(compression)))
		return false;
	ret->is_compressed = true;
	ret->size = compression.ch_size;
	return true;
}

/* Every section takes the first header of its name; of split units the last, because gcc gives each type a
 * section of its own before that of the unit. */
static int
find_sections(struct debug_sections *sections, const Elf64_Shdr *headers, size_t count, const char *names,
	      size_t names_size)
{
	for (size_t i = 0; i < count; i++) {
		const char *name = headers[i].sh_name < names_size ? names + headers[i].sh_name : "";

		if (headers[i].sh_type == SHT_NOBITS || headers[i].sh_size == 0)
			continue;
		for (size_t at = 0; at < DEBUG_SECTIONS; at++)
			if ((sections->windows[at].size == 0 || sections->skeletons) &&
			    name_of(sections, at) && strcmp(name, name_of(sections, at)) == 0 &&
			    !describe_section(sections, &headers[i], &sections->windows[at]))
				return -EBADMSG;
	}
	return sections->windows[DEBUG_INFO].size ? 0 : -ENOENT;
}

static int
read_headers(struct debug_sections *sections)
{
	Elf64_Ehdr elf;
	Elf64_Shdr *headers = NULL;
	char *names = NULL;
	size_t names_size;
	int error = -EBADMSG;

	if (!read_at(sections->fd, 0, &elf, sizeof(elf)) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 ||
	    elf.e_ident[EI_CLASS] != ELFCLASS64 || elf.e_ident[EI_DATA] != ELFDATA2LSB ||
	    elf.e_shentsize != sizeof(Elf64_Shdr) || elf.e_shstrndx >= elf.e_shnum)
		return -EBADMSG;
	headers = calloc(elf.e_shnum, sizeof(*headers));
	if (!headers)
		return -ENOMEM;
	if (!read_at(sections->fd, elf.e_shoff, headers, elf.e_shnum * sizeof(*headers)) ||
	    headers[elf.e_shstrndx].sh_size > SECTION_NAMES_MAX)
		goto out;
	names_size = headers[elf.e_shstrndx].sh_size;
	names = calloc(1, names_size + 1);
	error = names ? -EBADMSG : -ENOMEM;
	if (names && read_at(sections->fd, headers[elf.e_shstrndx].sh_offset, names, names_size))
		error = find_sections(sections, headers, elf.e_shnum, names, names_size);
out:
	free(headers);
	free(names);
	return error;
}

int
debug_sections_open(int fd, struct debug_budget *budget, struct debug_sections **ret)
{
	return debug_sections_open_split(fd, budget, NULL, ret);
}

int
debug_sections_open_split(int fd, struct debug_budget *budget, struct debug_sections *skeletons,
			  struct debug_sections **ret)
{
	struct debug_sections *sections = calloc(1, sizeof(*sections));
	int error;

	if (!sections)
		return -ENOMEM;
	sections->fd = fd;
	sections->budget = budget;
	sections->skeletons = skeletons;
	error = read_headers(sections);
	if (error) {
		debug_sections_close(sections);
		return error;
	}
	*ret = sections;
	return 0;
}

void
debug_sections_close(struct debug_sections *sections)
{
	if (!sections)
		return;
	/* An inflated .debug_info has one copy and two windows. */
	if (sections->windows[DEBUG_INFO_ELSEWHERE].bytes == sections->windows[DEBUG_INFO].bytes)
		sections->windows[DEBUG_INFO_ELSEWHERE].bytes = NULL;
	for (size_t i = 0; i < DEBUG_SECTIONS; i++)
		free(sections->windows[i].bytes);
	sections->budget->inflated_left += sections->inflated;
	free(sections);
}

void
debug_sections_set_alternate(struct debug_sections *sections, struct debug_sections *alternate)
{
	sections->alternate = alternate;
}

struct debug_sections *
debug_sections_alternate(const struct debug_sections *sections)
{
	return sections->alternate;
}

uint64_t
debug_section_size(const struct debug_sections *sections, enum debug_section section)
{
	if (!name_of(sections, section))
		sections = sections->skeletons;
	return sections->windows[section].size;
}

/* The whole section becomes its window. */
static bool
inflate_section(struct debug_sections *sections, struct window *window)
{
	size_t size = (size_t)window->size;

	if (window->size > sections->budget->inflated_left) {
		sections->budget->is_exceeded = true;
		return false;
	}
	if (!debug_sections_charge(sections, window->size))
		return false;
	window->bytes = malloc(size);
	if (!window->bytes)
		return false;
	if (inflate_file(sections->fd, window->file_offset, window->file_size, window->bytes, size)) {
		free(window->bytes);
		window->bytes = NULL;
		return false;
	}
	sections->budget->inflated_left -= size;
	sections->inflated += size;
	window->filled = window->capacity = size;
	return true;
}

static bool
fill_inflated(struct debug_sections *sections, enum debug_section section)
{
	struct window *window = &sections->windows[section], *info = &sections->windows[DEBUG_INFO];

	if (section != DEBUG_INFO_ELSEWHERE)
		return inflate_section(sections, window);
	if (!info->bytes && (info->is_broken || !inflate_section(sections, info))) {
		info->is_broken = true;
		return false;
	}
	*window = *info;
	return true;
}

/* Makes [offset, offset + size), which is inside the section, part of the window. */
static bool
fill(struct debug_sections *sections, enum debug_section section, uint64_t offset, size_t size)
{
	struct window *window = &sections->windows[section];
	uint64_t left = window->size - offset;

	if (window->is_broken)
		return false;
	if (window->is_compressed) {
		window->is_broken = !fill_inflated(sections, section);
		return !window->is_broken;
	}
	if (size < section_table[section].window)
		size = left < section_table[section].window ? (size_t)left : section_table[section].window;
	if (window->capacity < size) {
		free(window->bytes);
		window->filled = window->capacity = 0;
		window->bytes = malloc(size);
		if (!window->bytes)
			return false;
		window->capacity = size;
	}
	window->filled = 0;
	if (!debug_sections_charge(sections, size) ||
	    !read_at(sections->fd, window->file_offset + offset, window->bytes, size))
		return false;
	window->start = offset;
	window->filled = size;
	return true;
}

const uint8_t *
debug_section_view(struct debug_sections *sections, enum debug_section section, uint64_t offset,
		   uint64_t size)
{
	sections = owner_of(sections, section);
	struct window *window = &sections->windows[section];

	if (offset >= window->start && offset - window->start <= window->filled &&
	    size <= window->filled - (offset - window->start))
		return window->bytes ? window->bytes + (offset - window->start) : NULL;
	if (offset > window->size || size > window->size - offset || window->size > INT64_MAX)
		return NULL;
	if (size > DEBUG_VIEW_MAX && !window->is_compressed) {
		sections->budget->is_exceeded = true;
		return NULL;
	}
	return fill(sections, section, offset, (size_t)size) ? window->bytes + (offset - window->start)
							     : NULL;
}

struct cursor
debug_section_cursor(struct debug_sections *sections, enum debug_section section, uint64_t offset,
		     uint64_t size_max)
{
	uint64_t size = debug_section_size(sections, section);
	uint64_t left = offset < size ? size - offset : 0, part = left < size_max ? left : size_max;
	const uint8_t *bytes = part ? debug_section_view(sections, section, offset, part) : NULL;
	struct cursor cursor = cursor_over(bytes ? bytes : (const uint8_t *)"", bytes ? (size_t)part : 0);

	cursor.failed = !bytes;
	return cursor;
}

const char *
debug_section_string(struct debug_sections *sections, enum debug_section section, uint64_t offset)
{
	for (size_t size = 256; size <= DEBUG_STRING_MAX; size *= 8) {
		struct cursor cursor = debug_section_cursor(sections, section, offset, size);

		if (cursor.failed)
			return NULL;
		if (memchr(cursor.at, '\0', cursor_left(&cursor)))
			return (const char *)cursor.at;
	}
	return NULL;
}
