#include "tests/symbolize/debug_builder.h"

#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

void
put_bytes(struct builder *builder, const void *bytes, size_t size)
{
	assert_true(size <= sizeof(builder->bytes) - builder->size);
	memcpy(builder->bytes + builder->size, bytes, size);
	builder->size += size;
}

void
put_u8(struct builder *builder, unsigned value)
{
	put_bytes(builder, &(uint8_t){(uint8_t)value}, 1);
}

void
put_u16(struct builder *builder, unsigned value)
{
	put_bytes(builder, &(uint16_t){(uint16_t)value}, 2);
}

void
put_u32(struct builder *builder, uint32_t value)
{
	put_bytes(builder, &value, sizeof(value));
}

void
put_u64(struct builder *builder, uint64_t value)
{
	put_bytes(builder, &value, sizeof(value));
}

void
put_uleb(struct builder *builder, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		put_u8(builder, 0x80 | (value & 0x7f));
	put_u8(builder, (unsigned)value);
}

void
put_text(struct builder *builder, const char *text)
{
	put_bytes(builder, text, strlen(text) + 1);
}

int
build_debug_file(const struct built_section *sections, size_t count)
{
	enum { SECTIONS_MAX = 12 };
	Elf64_Ehdr elf = {.e_type = ET_DYN, .e_shentsize = sizeof(Elf64_Shdr)};
	Elf64_Shdr headers[SECTIONS_MAX + 2] = {0};
	struct builder names = {.size = 1};
	int fd = memfd_create("debug", MFD_CLOEXEC);
	off_t at = sizeof(elf);

	assert_true(fd >= 0 && count <= SECTIONS_MAX);
	memcpy(elf.e_ident, ELFMAG, SELFMAG);
	elf.e_ident[EI_CLASS] = ELFCLASS64;
	elf.e_ident[EI_DATA] = ELFDATA2LSB;
	for (size_t i = 0; i < count; i++) {
		headers[i + 1] = (Elf64_Shdr){.sh_name = (uint32_t)names.size,
					      .sh_type = SHT_PROGBITS,
					      .sh_flags = sections[i].flags,
					      .sh_offset = (uint64_t)at,
					      .sh_size = sections[i].size};
		put_text(&names, sections[i].name);
		assert_int_equal(pwrite(fd, sections[i].bytes, sections[i].size, at), sections[i].size);
		at += (off_t)sections[i].size;
	}
	headers[count + 1] =
		(Elf64_Shdr){.sh_type = SHT_STRTAB, .sh_offset = (uint64_t)at, .sh_size = names.size};
	assert_int_equal(pwrite(fd, names.bytes, names.size, at), names.size);
	at += (off_t)names.size;
	elf.e_shoff = (uint64_t)at;
	elf.e_shnum = (uint16_t)(count + 2);
	elf.e_shstrndx = (uint16_t)(count + 1);
	assert_int_equal(pwrite(fd, headers, elf.e_shnum * sizeof(headers[0]), at),
			 elf.e_shnum * sizeof(headers[0]));
	assert_int_equal(pwrite(fd, &elf, sizeof(elf), 0), sizeof(elf));
	return fd;
}
