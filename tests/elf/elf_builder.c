/* The file layout is the test's business; only the ELF and program headers have a fixed place: the front. */

#include "tests/elf/elf_builder.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void
elf_builder_init(struct elf_builder *b)
{
	memset(b, 0, sizeof(*b));
	b->header = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		.e_type = ET_DYN,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_shentsize = sizeof(Elf64_Shdr),
	};
}

void
elf_builder_put(struct elf_builder *b, size_t offset, const void *bytes, size_t size)
{
	if (offset > sizeof(b->bytes) || size > sizeof(b->bytes) - offset)
		abort();
	memcpy(b->bytes + offset, bytes, size);
	if (offset + size > b->size)
		b->size = offset + size;
}

Elf64_Phdr *
elf_builder_add(struct elf_builder *b, uint32_t type, uint32_t flags, uint64_t offset, uint64_t address,
		uint64_t size)
{
	Elf64_Phdr *program = &b->program[b->header.e_phnum++];

	if (b->header.e_phnum > ELF_BUILDER_HEADERS)
		abort();
	*program = (Elf64_Phdr){
		.p_type = type,
		.p_flags = flags,
		.p_offset = offset,
		.p_vaddr = address,
		.p_filesz = size,
		.p_memsz = size,
		.p_align = 4,
	};
	return program;
}

void
elf_builder_add_section(struct elf_builder *b, size_t offset, const char *name, uint64_t address,
			uint64_t section_offset, uint64_t size)
{
	char names[64] = "";
	size_t length = strlen(name) + 1;
	Elf64_Shdr sections[3] = {
		{.sh_type = SHT_NULL},
		{.sh_name = 1,
		 .sh_type = SHT_PROGBITS,
		 .sh_addr = address,
		 .sh_offset = section_offset,
		 .sh_size = size},
		{.sh_type = SHT_STRTAB, .sh_offset = offset + sizeof(sections), .sh_size = 1 + length},
	};

	memcpy(names + 1, name, length);
	elf_builder_put(b, offset, sections, sizeof(sections));
	elf_builder_put(b, offset + sizeof(sections), names, 1 + length);
	b->header.e_shoff = offset;
	b->header.e_shnum = 3;
	b->header.e_shstrndx = 2;
}

size_t
elf_builder_put_build_id(struct elf_builder *b, size_t offset, const uint8_t *id, size_t size)
{
	Elf64_Nhdr note = {.n_namesz = 4, .n_descsz = (uint32_t)size, .n_type = NT_GNU_BUILD_ID};

	elf_builder_put(b, offset, &note, sizeof(note));
	elf_builder_put(b, offset + sizeof(note), "GNU", 4);
	elf_builder_put(b, offset + sizeof(note) + 4, id, size);
	return sizeof(note) + 4 + size;
}

void
elf_builder_finish(struct elf_builder *b)
{
	elf_builder_put(b, sizeof(b->header), b->program, b->header.e_phnum * sizeof(b->program[0]));
	elf_builder_put(b, 0, &b->header, sizeof(b->header));
}

int
elf_builder_file(const struct elf_builder *b)
{
	int fd = memfd_create("elf", MFD_CLOEXEC);

	if (fd < 0 || write(fd, b->bytes, b->size) != (ssize_t)b->size)
		abort();
	return fd;
}
