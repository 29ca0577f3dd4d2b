/* Everything here is a number the profiled process controls. Counts are bounded by the constants below,
 * sums are checked for overflow once, at open, and bytes only ever arrive through elf_image_read(). */

#include "worker/elf/image.h"

#include "worker/elf/block_cache.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* DDPROF_UNWIND_AARCH64: see worker/unwind/architecture.h */
#if defined(__aarch64__) || defined(DDPROF_UNWIND_AARCH64)
#define ELF_MACHINE EM_AARCH64
#elif defined(__x86_64__)
#define ELF_MACHINE EM_X86_64
#else
#error "no unwinder for this architecture"
#endif

enum {
	PROGRAM_HEADERS_MAX = 256, /* linkers write 10 to 15 */
	SEGMENTS_MAX = 64,         /* PT_LOADs: 2 to 6; post-link tools add a few */
	SECTIONS_MAX = 4096,       /* linked files have 30 to 100 */
	SECTION_NAME_MAX = 64,     /* bytes of a name we look for, with its NUL */
	NOTES_MAX = 64,            /* notes looked at in one PT_NOTE */
	NOTE_UNIT = 4,
	FILE_PAGE = 4096, /* what mmap rounds to; larger pages only round further */
};

#define UNLOADED_ADDRESS (1ull << 62) /* no user address of any architecture is that high */

struct elf_image {
	int fd;        /* borrowed; unused when `memory` is set */
	uint64_t file; /* our number in the block cache */
	const uint8_t *memory;
	size_t memory_size;

	size_t segment_count;
	struct elf_segment segments[SEGMENTS_MAX];
	bool has_eh_frame_hdr;
	uint64_t eh_frame_hdr_address, eh_frame_hdr_size;
	uint64_t unloaded_offset, unloaded_size; /* what is read at UNLOADED_ADDRESS */
	uint64_t section_offset;
	uint32_t section_count, section_names; /* the latter is the index of the string table */
	size_t build_id_size;
	uint8_t build_id[ELF_BUILD_ID_MAX];
};

int
elf_image_read(struct elf_image *image, uint64_t offset, void *ret_bytes, size_t size)
{
	if (!image->memory)
		return block_cache_read(image->fd, image->file, offset, ret_bytes, size);
	if (offset > image->memory_size || size > image->memory_size - offset)
		return -ERANGE;
	memcpy(ret_bytes, image->memory + offset, size);
	return 0;
}

int
elf_image_read_address(struct elf_image *image, uint64_t address, void *ret_bytes, size_t size)
{
	for (size_t i = 0; i < image->segment_count; i++) {
		const struct elf_segment *segment = &image->segments[i];
		uint64_t skip = address - segment->address;

		if (address < segment->address || skip >= segment->file_size)
			continue;
		if (size > segment->file_size - skip)
			return -ERANGE;
		return elf_image_read(image, segment->offset + skip, ret_bytes, size);
	}
	if (address < UNLOADED_ADDRESS || address - UNLOADED_ADDRESS > image->unloaded_size ||
	    size > image->unloaded_size - (address - UNLOADED_ADDRESS))
		return -ERANGE;
	return elf_image_read(image, image->unloaded_offset + (address - UNLOADED_ADDRESS), ret_bytes, size);
}

static bool
ends_overflow(uint64_t start, uint64_t size)
{
	return size > UINT64_MAX - FILE_PAGE - start || start > UINT64_MAX - FILE_PAGE;
}

static int
add_segment(struct elf_image *image, const Elf64_Phdr *header)
{
	if (image->segment_count == SEGMENTS_MAX || header->p_filesz > header->p_memsz ||
	    ends_overflow(header->p_offset, header->p_filesz) ||
	    ends_overflow(header->p_vaddr, header->p_memsz))
		return -EBADMSG;
	image->segments[image->segment_count++] = (struct elf_segment){
		.offset = header->p_offset,
		.file_size = header->p_filesz,
		.address = header->p_vaddr,
		.memory_size = header->p_memsz,
		.executable = header->p_flags & PF_X,
	};
	return 0;
}

static uint64_t
round_up(uint64_t size, uint64_t unit)
{
	return (size + unit - 1) & ~(unit - 1);
}

/* Looks for NT_GNU_BUILD_ID in one PT_NOTE. Padded to 4 bytes, as the kernel reads notes: mold puts those of
 * 4 and those of 8 into one segment, which says 8. A damaged note ends the search: the id is a convenience.
 */
static void
find_build_id(struct elf_image *image, const Elf64_Phdr *header)
{
	uint64_t at = 0;
	Elf64_Nhdr note;
	char name[4];

	if (ends_overflow(header->p_offset, header->p_filesz))
		return;
	for (unsigned i = 0; i < NOTES_MAX && header->p_filesz - at >= sizeof(note); i++) {
		uint64_t name_at = at + sizeof(note), id_at, next;

		if (elf_image_read(image, header->p_offset + at, &note, sizeof(note)))
			return;
		id_at = round_up(name_at + note.n_namesz, NOTE_UNIT);
		next = round_up(id_at + note.n_descsz, NOTE_UNIT);
		if (id_at + note.n_descsz > header->p_filesz)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(name) && note.n_descsz > 0 &&
		    note.n_descsz <= ELF_BUILD_ID_MAX &&
		    !elf_image_read(image, header->p_offset + name_at, name, sizeof(name)) &&
		    !memcmp(name, ELF_NOTE_GNU, sizeof(name)) &&
		    !elf_image_read(image, header->p_offset + id_at, image->build_id, note.n_descsz)) {
			image->build_id_size = note.n_descsz;
			return;
		}
		if (next > header->p_filesz)
			return;
		at = next;
	}
}

static int
read_program_headers(struct elf_image *image, const Elf64_Ehdr *file)
{
	Elf64_Phdr header;
	int error;

	if (file->e_phentsize != sizeof(header) || file->e_phnum > PROGRAM_HEADERS_MAX ||
	    ends_overflow(file->e_phoff, file->e_phnum * sizeof(header)))
		return -EBADMSG;
	for (unsigned i = 0; i < file->e_phnum; i++) {
		error = elf_image_read(image, file->e_phoff + i * sizeof(header), &header, sizeof(header));
		if (error)
			return error == -ERANGE ? -EBADMSG : error;
		if (header.p_type == PT_LOAD && (error = add_segment(image, &header)))
			return error;
		if (header.p_type == PT_NOTE && image->build_id_size == 0)
			find_build_id(image, &header);
		if (header.p_type == PT_GNU_EH_FRAME && !ends_overflow(header.p_vaddr, header.p_filesz)) {
			image->has_eh_frame_hdr = true;
			image->eh_frame_hdr_address = header.p_vaddr;
			image->eh_frame_hdr_size = header.p_filesz;
		}
	}
	return 0;
}

/* Section headers are optional (and stripped by some packers): anything odd means "there are none". */
static void
note_sections(struct elf_image *image, const Elf64_Ehdr *file)
{
	if (file->e_shentsize != sizeof(Elf64_Shdr) || file->e_shnum > SECTIONS_MAX ||
	    file->e_shstrndx >= file->e_shnum ||
	    ends_overflow(file->e_shoff, file->e_shnum * sizeof(Elf64_Shdr)))
		return;
	image->section_offset = file->e_shoff;
	image->section_count = file->e_shnum;
	image->section_names = file->e_shstrndx;
}

static int
read_headers(struct elf_image *image)
{
	static const uint8_t ident[] = {ELFMAG0,    ELFMAG1,     ELFMAG2,   ELFMAG3,
					ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
	Elf64_Ehdr file;
	int error = elf_image_read(image, 0, &file, sizeof(file));

	if (error)
		return error == -ERANGE ? -EBADMSG : error;
	if (memcmp(file.e_ident, ident, sizeof(ident)) || file.e_machine != ELF_MACHINE ||
	    (file.e_type != ET_EXEC && file.e_type != ET_DYN))
		return -EBADMSG;
	error = read_program_headers(image, &file);
	if (!error)
		note_sections(image, &file);
	return error;
}

static int
open_image(const struct elf_image *start, struct elf_image **ret_image)
{
	struct elf_image *image = malloc(sizeof(*image));
	int error;

	if (!image)
		return -ENOMEM;
	*image = *start;
	error = read_headers(image);
	if (error)
		elf_image_free(image);
	else
		*ret_image = image;
	return error;
}

int
elf_image_open(int fd, struct elf_image **ret_image)
{
	return open_image(&(struct elf_image){.fd = fd, .file = block_cache_new_file()}, ret_image);
}

int
elf_image_open_memory(const void *bytes, size_t size, struct elf_image **ret_image)
{
	return open_image(&(struct elf_image){.fd = -1, .memory = bytes, .memory_size = size}, ret_image);
}

void
elf_image_free(struct elf_image *image)
{
	free(image);
}

size_t
elf_image_build_id(const struct elf_image *image, uint8_t ret_id[static ELF_BUILD_ID_MAX])
{
	memcpy(ret_id, image->build_id, image->build_id_size);
	return image->build_id_size;
}

size_t
elf_image_segments(const struct elf_image *image, const struct elf_segment **ret_segments)
{
	*ret_segments = image->segments;
	return image->segment_count;
}

bool
elf_image_address_of_offset(const struct elf_image *image, uint64_t offset, uint64_t *ret_address)
{
	/* First the segment that owns the byte; then one whose mapping shows it only because mmap rounds to
	 * whole pages. */
	for (uint64_t page = 1; page <= FILE_PAGE; page *= FILE_PAGE) {
		for (size_t i = 0; i < image->segment_count; i++) {
			const struct elf_segment *segment = &image->segments[i];
			uint64_t start = segment->offset & ~(page - 1);
			uint64_t end = round_up(segment->offset + segment->file_size, page);

			if (!segment->executable || offset < start || offset >= end)
				continue;
			*ret_address = segment->address + (offset - segment->offset);
			return true;
		}
	}
	return false;
}

bool
elf_image_eh_frame_hdr(const struct elf_image *image, uint64_t *ret_address, uint64_t *ret_size)
{
	if (!image->has_eh_frame_hdr)
		return false;
	*ret_address = image->eh_frame_hdr_address;
	*ret_size = image->eh_frame_hdr_size;
	return true;
}

static bool
read_section_header(struct elf_image *image, uint32_t index, Elf64_Shdr *ret_header)
{
	uint64_t offset = image->section_offset + (uint64_t)index * sizeof(*ret_header);

	return elf_image_read(image, offset, ret_header, sizeof(*ret_header)) == 0;
}

static bool
find_section(struct elf_image *image, const char *name, Elf64_Shdr *ret_header)
{
	size_t name_size = strlen(name) + 1;
	char found[SECTION_NAME_MAX];
	Elf64_Shdr names;

	if (name_size > sizeof(found) || image->section_count == 0 ||
	    !read_section_header(image, image->section_names, &names) ||
	    ends_overflow(names.sh_offset, names.sh_size))
		return false;
	for (uint32_t i = 0; i < image->section_count; i++) {
		if (!read_section_header(image, i, ret_header))
			return false;
		if (ret_header->sh_name > names.sh_size || names.sh_size - ret_header->sh_name < name_size ||
		    elf_image_read(image, names.sh_offset + ret_header->sh_name, found, name_size) ||
		    memcmp(found, name, name_size) != 0)
			continue;
		return ret_header->sh_type != SHT_NOBITS;
	}
	return false;
}

bool
elf_image_section(struct elf_image *image, const char *name, uint64_t *ret_address, uint64_t *ret_size)
{
	Elf64_Shdr header;

	if (!find_section(image, name, &header) || ends_overflow(header.sh_addr, header.sh_size))
		return false;
	*ret_address = header.sh_addr;
	*ret_size = header.sh_size;
	return true;
}

bool
elf_image_unloaded_section(struct elf_image *image, const char *name, uint64_t *ret_address,
			   uint64_t *ret_size)
{
	Elf64_Shdr header;

	if (!find_section(image, name, &header) || header.sh_flags & (SHF_ALLOC | SHF_COMPRESSED) ||
	    ends_overflow(header.sh_offset, header.sh_size))
		return false;
	image->unloaded_offset = header.sh_offset;
	image->unloaded_size = header.sh_size;
	*ret_address = UNLOADED_ADDRESS;
	*ret_size = header.sh_size;
	return true;
}
