/* A stub is 8 or 16 bytes, at a multiple of that, with a jump to where a word of the file's data says:
 *
 *     jmp *word(%rip)
 *
 * What is before and after the jump depends on the linker and its options. A relocation says which function's
 * address is put into the word. That is looked up address by address, for few are in stubs. */
#include "worker/symbolize/plt_stubs.h"

#include "worker/profile/arena.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	STUB_SIZE = 16,
	RELOCATION_BYTES_MAX = 1 << 20,
	NAME_BYTES_MAX = 1 << 20,
};

static const char *const section_names[] = {".plt", ".plt.sec", ".plt.got"};
#define SECTIONS (sizeof(section_names) / sizeof(section_names[0]))

struct plt_stubs {
	struct elf_source *module;
	const struct symbols *functions;
	struct elf_region sections[SECTIONS];
	struct arena arena; /* names live there */
	uint64_t last_word; /* locations are asked for twice */
	const char *last_name;
};

int
plt_stubs_open(struct elf_source *module, const struct symbols *functions, struct plt_stubs **ret)
{
	struct elf_region sections[SECTIONS];
	struct plt_stubs *stubs;
	bool is_any = false;

	for (size_t i = 0; i < SECTIONS; i++) {
		if (elf_source_region(module, section_names[i], &sections[i]) != 0)
			sections[i] = (struct elf_region){0};
		is_any |= sections[i].size > 0;
	}
	if (!is_any)
		return -ENOENT;
	stubs = calloc(1, sizeof(*stubs));
	if (!stubs)
		return -ENOMEM;
	stubs->module = module;
	stubs->functions = functions;
	memcpy(stubs->sections, sections, sizeof(sections));
	stubs->arena.limit = NAME_BYTES_MAX;
	*ret = stubs;
	return 0;
}

void
plt_stubs_close(struct plt_stubs *stubs)
{
	if (!stubs)
		return;
	arena_destroy(&stubs->arena);
	free(stubs);
}

/* The word that the first jump in these bytes of `address` reads; 0: there is none. */
static uint64_t
word_of_jump(const uint8_t *bytes, size_t size, uint64_t address)
{
	static const uint8_t jump[] = {0xff, 0x25};
	int32_t distance;

	for (size_t at = 0; at + sizeof(jump) + sizeof(distance) <= size; at++) {
		if (memcmp(bytes + at, jump, sizeof(jump)) != 0)
			continue;
		memcpy(&distance, bytes + at + sizeof(jump), sizeof(distance));
		return address + at + sizeof(jump) + sizeof(distance) + (uint64_t)(int64_t)distance;
	}
	return 0;
}

static uint64_t
word_of_stub(const struct plt_stubs *stubs, const struct elf_region *section, uint64_t address)
{
	uint64_t offset = (address - section->address) & ~(uint64_t)(STUB_SIZE - 1),
		 left = section->size - offset;
	size_t size = left < STUB_SIZE ? (size_t)left : STUB_SIZE, half = STUB_SIZE / 2;
	uint64_t start = section->address + offset, word = 0;
	uint8_t bytes[STUB_SIZE];

	if (!elf_source_read(stubs->module, section->offset + offset, bytes, size))
		return 0;
	if (address - start >= half)
		word = word_of_jump(bytes + half, size - half, start + half);
	return word ? word : word_of_jump(bytes, size, start);
}

static const char *
name_of_target(const struct plt_stubs *stubs, const Elf64_Rela *relocation)
{
	struct elf_bytes symbols, strings;
	uint64_t number = ELF64_R_SYM(relocation->r_info);
	Elf64_Sym symbol;

	/* A function of the file itself, of which there are several for different processors. */
	if (ELF64_R_TYPE(relocation->r_info) == R_X86_64_IRELATIVE)
		return stubs->functions ? symbols_find(stubs->functions, (uint64_t)relocation->r_addend)
					: NULL;
	if (elf_source_symbol_table(stubs->module, SHT_DYNSYM, &symbols, &strings) != 0 ||
	    number >= symbols.size / sizeof(symbol))
		return NULL;
	memcpy(&symbol, (const Elf64_Sym *)symbols.bytes + number, sizeof(symbol));
	return symbols_name_at(&strings, symbol.st_name);
}

static const char *
find_target(const struct plt_stubs *stubs, uint64_t word)
{
	static const char *const tables[] = {".rela.plt", ".rela.dyn"};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		struct elf_bytes bytes;

		if (elf_source_section(stubs->module, tables[i], RELOCATION_BYTES_MAX, &bytes) != 0)
			continue;
		for (size_t at = 0; at < bytes.size / sizeof(Elf64_Rela); at++) {
			Elf64_Rela relocation;

			memcpy(&relocation, (const Elf64_Rela *)bytes.bytes + at, sizeof(relocation));
			if (relocation.r_offset == word)
				return name_of_target(stubs, &relocation);
		}
	}
	return NULL;
}

static const char *
make_name(struct plt_stubs *stubs, const char *target)
{
	size_t length = target ? strlen(target) : 0;
	char *name = length ? arena_allocate(&stubs->arena, length + sizeof(PLT_STUB_ENDING)) : NULL;

	if (name) {
		memcpy(name, target, length);
		strcpy(name + length, PLT_STUB_ENDING);
	}
	return name;
}

const char *
plt_stubs_find(struct plt_stubs *stubs, uint64_t address)
{
	uint64_t word = 0;

	for (size_t i = 0; i < SECTIONS && !word; i++)
		if (address >= stubs->sections[i].address &&
		    address - stubs->sections[i].address < stubs->sections[i].size)
			word = word_of_stub(stubs, &stubs->sections[i], address);
	if (word && word != stubs->last_word) {
		stubs->last_name = make_name(stubs, find_target(stubs, word));
		stubs->last_word = word;
	}
	return word ? stubs->last_name : NULL;
}
