/* What libelf is allowed to do for us: headers, and the raw bytes of a section whose size was checked. */
#include "worker/symbolize/elf_source.h"

#include "worker/base/cursor.h"
#include "worker/base/read_at.h"

#include <endian.h>
#include <errno.h>
#include <libelf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* 5 million symbols (Chromium has 1.2) and their names. A sparse file can claim any size. */
	SYMBOL_BYTES_MAX = 120 << 20,
	STRING_BYTES_MAX = 400 << 20,
	NOTE_BYTES_MAX = 64 << 10,
	SECTION_NAMES_MAX = 4 << 20,
	PROGRAM_HEADERS_MAX = 4096,
};

struct elf_source {
	Elf *elf;
	int fd;               /* or -1 and: */
	const uint8_t *image; /* of image_size bytes */
	size_t image_size;
	struct elf_section_extent *sections;
	size_t section_count;
	size_t owners;
};

/* A file may have had its section headers taken away: then it still has a build id. */
static bool
has_no_sections(const Elf64_Ehdr *header)
{
	return header->e_shoff == 0 && header->e_shnum == 0;
}

/* Before libelf sees the file: it allocates by these numbers. e_shnum 0 with a table is the escape for
 * more than 65279 sections, which no linked file has, and would let 64 bits of size be claimed. */
static bool
is_header_acceptable(const void *bytes, size_t size)
{
	Elf64_Ehdr header;

	if (size < sizeof(header))
		return false;
	memcpy(&header, bytes, sizeof(header));
	return memcmp(header.e_ident, ELFMAG, SELFMAG) == 0 && header.e_ident[EI_CLASS] == ELFCLASS64 &&
	       header.e_ident[EI_DATA] == ELFDATA2LSB &&
	       (header.e_type == ET_EXEC || header.e_type == ET_DYN || header.e_type == ET_REL) &&
	       (has_no_sections(&header) ||
		(header.e_shnum != 0 && header.e_shentsize == sizeof(Elf64_Shdr))) &&
	       header.e_phnum <= PROGRAM_HEADERS_MAX;
}

static int
read_sections(struct elf_source *source)
{
	Elf_Scn *section = NULL;
	size_t count;

	if (elf_getshdrnum(source->elf, &count) != 0)
		return -EBADMSG;
	source->sections = calloc(count + 1, sizeof(*source->sections));
	if (!source->sections)
		return -ENOMEM;
	source->section_count = count;
	while ((section = elf_nextscn(source->elf, section))) {
		const Elf64_Shdr *header = elf64_getshdr(section);
		size_t number = elf_ndxscn(section);

		if (header && number < count && (header->sh_flags & SHF_ALLOC) &&
		    (header->sh_flags & SHF_EXECINSTR) && header->sh_size <= UINT64_MAX - header->sh_addr)
			source->sections[number] = (struct elf_section_extent){
				.start = header->sh_addr, .limit = header->sh_addr + header->sh_size};
	}
	return 0;
}

/* Takes the Elf, also on failure. */
static int
adopt(Elf *elf, int fd, const void *image, size_t image_size, struct elf_source **ret)
{
	struct elf_source *source = elf ? calloc(1, sizeof(*source)) : NULL;
	int error;

	if (!source) {
		elf_end(elf);
		return elf ? -ENOMEM : -EBADMSG;
	}
	source->elf = elf;
	source->fd = fd;
	source->image = image;
	source->image_size = image_size;
	source->owners = 1;
	error = read_sections(source);
	if (error) {
		elf_source_close(source);
		return error;
	}
	*ret = source;
	return 0;
}

int
elf_source_open(int fd, struct elf_source **ret)
{
	Elf64_Ehdr header;

	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    !is_header_acceptable(&header, sizeof(header)))
		return -EBADMSG;
	if (elf_version(EV_CURRENT) == EV_NONE)
		return -EBADMSG;
	return adopt(elf_begin(fd, ELF_C_READ, NULL), fd, NULL, 0, ret);
}

int
elf_source_open_memory(const void *image, size_t size, struct elf_source **ret)
{
	const Elf64_Ehdr *header = image;

	if (!is_header_acceptable(image, size) || elf_version(EV_CURRENT) == EV_NONE)
		return -EBADMSG;
	/* In memory libelf hands out its headers in place. */
	if ((header->e_shoff | header->e_phoff) % _Alignof(Elf64_Shdr) != 0)
		return -EBADMSG;
	return adopt(elf_memory((char *)image, size), -1, image, size, ret); /* only read from */
}

void
elf_source_share(struct elf_source *source)
{
	source->owners++;
}

void
elf_source_close(struct elf_source *source)
{
	if (!source || --source->owners > 0)
		return;
	elf_end(source->elf);
	free(source->sections);
	free(source);
}

size_t
elf_source_sections(const struct elf_source *source, const struct elf_section_extent **ret)
{
	*ret = source->sections;
	return source->section_count;
}

static int
section_bytes(Elf_Scn *section, size_t size_max, struct elf_bytes *ret)
{
	const Elf64_Shdr *header = section ? elf64_getshdr(section) : NULL;
	const Elf_Data *data;

	if (!header || header->sh_type == SHT_NOBITS || (header->sh_flags & SHF_COMPRESSED))
		return -EBADMSG;
	if (header->sh_size > size_max)
		return -ERANGE;
	/* Raw: the cursor reads little-endian anyway, and conversion would copy. */
	data = elf_rawdata(section, NULL);
	if (!data || !data->d_buf)
		return -EBADMSG;
	*ret = (struct elf_bytes){.bytes = data->d_buf, .size = data->d_size};
	return 0;
}

int
elf_source_symbol_table(struct elf_source *source, uint32_t type, struct elf_bytes *ret_symbols,
			struct elf_bytes *ret_strings)
{
	struct elf_bytes symbols, strings;
	const Elf64_Shdr *header = NULL;
	Elf_Scn *section = NULL;
	int error;

	while ((section = elf_nextscn(source->elf, section))) {
		header = elf64_getshdr(section);
		if (header && header->sh_type == type)
			break;
	}
	if (!section)
		return -ENOENT;
	error = section_bytes(section, SYMBOL_BYTES_MAX, &symbols);
	if (!error)
		error = section_bytes(elf_getscn(source->elf, header->sh_link), STRING_BYTES_MAX, &strings);
	if (error)
		return error;
	*ret_symbols = symbols;
	*ret_strings = strings;
	return 0;
}

/* Not elf_strptr(): it would read a table of any size. */
static Elf_Scn *
find_section(struct elf_source *source, const char *name)
{
	struct elf_bytes names;
	Elf_Scn *section = NULL;
	size_t number, size = strlen(name) + 1;

	if (elf_getshdrstrndx(source->elf, &number) != 0 ||
	    section_bytes(elf_getscn(source->elf, number), SECTION_NAMES_MAX, &names) != 0)
		return NULL;
	while ((section = elf_nextscn(source->elf, section))) {
		const Elf64_Shdr *header = elf64_getshdr(section);

		if (header && header->sh_name < names.size && size <= names.size - header->sh_name &&
		    memcmp((const char *)names.bytes + header->sh_name, name, size) == 0)
			return section;
	}
	return NULL;
}

int
elf_source_section(struct elf_source *source, const char *name, size_t size_max, struct elf_bytes *ret)
{
	Elf_Scn *section = find_section(source, name);

	return section ? section_bytes(section, size_max, ret) : -ENOENT;
}

bool
elf_source_has_section(struct elf_source *source, const char *name)
{
	Elf_Scn *section = find_section(source, name);
	const Elf64_Shdr *header = section ? elf64_getshdr(section) : NULL;

	return header && header->sh_type != SHT_NOBITS && header->sh_size > 0;
}

/* ---- pieces ---- */

static bool
describe_region(Elf_Scn *section, struct elf_region *ret)
{
	const Elf64_Shdr *header = section ? elf64_getshdr(section) : NULL;

	if (!header || header->sh_type == SHT_NOBITS || (header->sh_flags & SHF_COMPRESSED) ||
	    header->sh_offset > INT64_MAX || header->sh_size > INT64_MAX - header->sh_offset)
		return false;
	*ret = (struct elf_region){
		.offset = header->sh_offset,
		.size = header->sh_size,
		.address = header->sh_flags & SHF_ALLOC ? header->sh_addr : 0,
	};
	return true;
}

int
elf_source_region(struct elf_source *source, const char *name, struct elf_region *ret)
{
	Elf_Scn *section = find_section(source, name);

	if (!section)
		return -ENOENT;
	return describe_region(section, ret) ? 0 : -EBADMSG;
}

bool
elf_source_region_at(struct elf_source *source, uint64_t address, struct elf_region *ret)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(source->elf, section))) {
		struct elf_region region;

		if (!describe_region(section, &region) || region.address == 0 || address < region.address ||
		    address - region.address >= region.size)
			continue;
		*ret = region;
		return true;
	}
	return false;
}

bool
elf_source_read(struct elf_source *source, uint64_t offset, void *ret_bytes, size_t size)
{
	if (!source->image)
		return read_at(source->fd, offset, ret_bytes, size);
	if (offset > source->image_size || size > source->image_size - offset)
		return false;
	memcpy(ret_bytes, source->image + offset, size);
	return true;
}

/* The descriptor of the first GNU build id note. Padded to 4 bytes, as the kernel reads notes: mold puts
 * those of 4 and those of 8 into one segment, which says 8. */
static bool
find_build_id(struct cursor notes, const uint8_t **ret, size_t *ret_size)
{
	while (cursor_left(&notes) > 0) {
		size_t name_size = cursor_u32(&notes), size = cursor_u32(&notes);
		uint32_t type = cursor_u32(&notes);
		const uint8_t *name, *id;

		name = cursor_bytes(&notes, (name_size + 3) & ~(size_t)3);
		id = cursor_bytes(&notes, size);
		if (!name || !id)
			return false;
		if (type == NT_GNU_BUILD_ID && name_size == 4 && memcmp(name, "GNU", 4) == 0) {
			*ret = id;
			*ret_size = size;
			return true;
		}
		(void)cursor_bytes(&notes, -size & 3); /* the last one may lack its padding */
	}
	return false;
}

static bool
format_build_id(struct elf_bytes notes, char ret_hex[static ELF_SOURCE_ID_HEX])
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *id;
	size_t size;

	if (!find_build_id(cursor_over(notes.bytes, notes.size), &id, &size) || size > ELF_SOURCE_ID_MAX)
		return false;
	for (size_t at = 0; at < size; at++) {
		*ret_hex++ = digits[id[at] >> 4];
		*ret_hex++ = digits[id[at] & 15];
	}
	*ret_hex = 0;
	return true;
}

bool
elf_source_build_id(struct elf_source *source, char ret_hex[static ELF_SOURCE_ID_HEX])
{
	const Elf64_Phdr *headers = elf64_getphdr(source->elf);
	struct elf_bytes notes;
	size_t count;

	/* What dwz shares between files is never loaded, and has sections only. */
	if (!headers)
		return elf_source_section(source, ".note.gnu.build-id", NOTE_BYTES_MAX, &notes) == 0 &&
		       format_build_id(notes, ret_hex);
	if (elf_getphdrnum(source->elf, &count) != 0)
		return false;
	for (size_t i = 0; i < count; i++) {
		Elf_Data *data;

		if (headers[i].p_type != PT_NOTE || headers[i].p_filesz > NOTE_BYTES_MAX)
			continue;
		data = elf_getdata_rawchunk(source->elf, (int64_t)headers[i].p_offset, headers[i].p_filesz,
					    ELF_T_BYTE);
		if (data && data->d_buf &&
		    format_build_id((struct elf_bytes){.bytes = data->d_buf, .size = data->d_size}, ret_hex))
			return true;
	}
	return false;
}

bool
elf_source_has_build_id(struct elf_source *source, const char *hex)
{
	char own[ELF_SOURCE_ID_HEX];

	return elf_source_build_id(source, own) && strcmp(own, hex) == 0;
}
