/* Symbols overlap: aliases, functions inside functions, labels of hand-written assembly. They are
 * flattened once into ranges that do not, each with the one symbol that wins there:
 *
 *     outer   |-----------------------|            ranges: outer | inner | outer | label
 *     inner          |------|          label (no size: until the next symbol or the section's end)
 *
 * A lookup is then a binary search, whatever a hostile file claims. */
#include "worker/symbolize/symbols.h"

#include "worker/symbolize/elf_source.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct symbol {
	uint64_t start, limit; /* without size: the section's end, then what bound_unsized() leaves */
	uint32_t name;         /* offset in the string table */
	uint8_t rank;          /* smaller is preferred */
	bool sized;
};

struct range {
	uint64_t start, limit;
	uint32_t name;
};

struct symbols {
	struct elf_source *source;
	struct elf_bytes strings;
	struct range *ranges;
	size_t count;
};

/* Candidates while the table is built. */
struct candidates {
	struct symbol *list, *spare; /* spare: as large, for sorting and as the stack of the sweep */
	size_t count;
};

/* Checked for what is asked for, not for every symbol. */
const char *
symbols_name_at(const struct elf_bytes *strings, uint32_t offset)
{
	const char *name = (const char *)strings->bytes + offset;
	size_t left;

	if (offset >= strings->size)
		return NULL;
	left = strings->size - offset;
	return memchr(name, '\0', left < SYMBOL_NAME_MAX ? left : SYMBOL_NAME_MAX) ? name : NULL;
}

/* Smaller wins: functions before labels, then global, weak, local, then powf before __powf_finite. */
static uint8_t
rank_of(unsigned type, unsigned binding, char first)
{
	uint8_t rank = binding == STB_GLOBAL || binding == STB_GNU_UNIQUE ? 0 : binding == STB_WEAK ? 1 : 2;

	if (type == STT_NOTYPE)
		rank += 3;
	return (uint8_t)(2 * rank + (first == '_'));
}

/* Anonymous, or a label that only means something to an assembler: ".L12", ARM's "$x". */
static bool
is_nameless(const struct elf_bytes *strings, uint32_t offset, unsigned type)
{
	const char *name = (const char *)strings->bytes + offset;

	if (offset >= strings->size || name[0] == '\0')
		return true;
	return type == STT_NOTYPE &&
	       (name[0] == '$' || (name[0] == '.' && offset + 1 < strings->size && name[1] == 'L'));
}

static bool
accept(const Elf64_Sym *symbol, const struct elf_bytes *strings, const struct elf_section_extent *section,
       struct symbol *ret)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);
	uint64_t left;

	if (type != STT_FUNC && type != STT_GNU_IFUNC && type != STT_NOTYPE)
		return false;
	if (symbol->st_value == 0 || symbol->st_value < section->start || symbol->st_value >= section->limit)
		return false;
	if (is_nameless(strings, symbol->st_name, type))
		return false;
	left = section->limit - symbol->st_value;
	*ret = (struct symbol){
		.start = symbol->st_value,
		.limit = symbol->st_size && symbol->st_size < left ? symbol->st_value + symbol->st_size
								   : section->limit,
		.name = symbol->st_name,
		.rank = rank_of(type, ELF64_ST_BIND(symbol->st_info),
				((const char *)strings->bytes)[symbol->st_name]),
		.sized = symbol->st_size > 0,
	};
	return true;
}

/* Last symbol first: the stable sort below then leaves the first of equals last, on top. */
static void
collect(struct candidates *candidates, const struct elf_bytes *symbols, const struct elf_bytes *strings,
	const struct elf_source *source)
{
	const struct elf_section_extent *sections;
	size_t section_count = elf_source_sections(source, &sections);

	for (size_t i = symbols->size / sizeof(Elf64_Sym); i > 0; i--) {
		Elf64_Sym symbol;

		memcpy(&symbol, (const Elf64_Sym *)symbols->bytes + i - 1, sizeof(symbol));
		/* Undefined, absolute and reserved section numbers have no code to name. */
		if (symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE ||
		    symbol.st_shndx >= section_count)
			continue;
		if (accept(&symbol, strings, &sections[symbol.st_shndx],
			   &candidates->list[candidates->count]))
			candidates->count++;
	}
}

/* By start; of equal starts the preferred one last. */
static bool
is_before(const struct symbol *a, const struct symbol *b)
{
	return a->start != b->start ? a->start < b->start : a->rank > b->rank;
}

static void
merge(const struct symbol *from, struct symbol *to, size_t low, size_t middle, size_t high)
{
	size_t left = low, right = middle;

	for (size_t at = low; at < high; at++)
		to[at] = left < middle && (right >= high || !is_before(&from[right], &from[left]))
				 ? from[left++]
				 : from[right++];
}

/* A stable merge sort: glibc's qsort asks the kernel for the machine's memory, which our filter forbids. */
static void
sort(struct candidates *candidates)
{
	for (size_t width = 1; width < candidates->count; width *= 2) {
		struct symbol *from = candidates->list;

		for (size_t low = 0; low < candidates->count; low += 2 * width) {
			size_t middle = low + width < candidates->count ? low + width : candidates->count;
			size_t high = middle + width < candidates->count ? middle + width : candidates->count;

			merge(from, candidates->spare, low, middle, high);
		}
		candidates->list = candidates->spare;
		candidates->spare = from;
	}
}

/* A symbol without size reaches to the next symbol or the end of its section, unless it is a label inside
 * a function that has a size. */
static void
bound_unsized(struct candidates *candidates)
{
	struct symbol *list = candidates->list;
	uint64_t covered_until = 0;

	for (size_t first = 0, next; first < candidates->count; first = next) {
		uint64_t start = list[first].start;

		for (next = first; next < candidates->count && list[next].start == start; next++)
			if (list[next].sized && list[next].limit > covered_until)
				covered_until = list[next].limit;
		for (size_t i = first; i < next; i++) {
			if (list[i].sized)
				continue;
			if (covered_until > start)
				list[i].limit = start; /* covers nothing */
			else if (next < candidates->count && list[next].start < list[i].limit)
				list[i].limit = list[next].start;
		}
	}
}

static void
emit(struct symbols *symbols, uint64_t start, uint64_t limit, uint32_t name)
{
	if (start < limit)
		symbols->ranges[symbols->count++] = (struct range){start, limit, name};
}

/* Gives each address to the symbol that started last. `stack` holds the symbols that began before and may
 * still go on, the innermost on top; `at` is how far everything has been given away. */
static void
sweep_until(struct symbols *symbols, const struct symbol *stack, size_t *depth, uint64_t *at, uint64_t until)
{
	while (*depth > 0 && *at < until) {
		const struct symbol *top = &stack[*depth - 1];

		if (top->limit > *at) {
			uint64_t limit = top->limit < until ? top->limit : until;

			emit(symbols, *at, limit, top->name);
			*at = limit;
		}
		if (top->limit <= *at)
			(*depth)--;
	}
}

static int
flatten(struct symbols *symbols, const struct candidates *candidates)
{
	struct symbol *stack = candidates->spare;
	size_t depth = 0;
	uint64_t at = 0;

	/* Every symbol opens at most one range and, by ending, lets one more open. */
	symbols->ranges = calloc(candidates->count * 2, sizeof(*symbols->ranges));
	if (!symbols->ranges)
		return -ENOMEM;
	for (size_t i = 0; i < candidates->count; i++) {
		const struct symbol *symbol = &candidates->list[i];

		if (symbol->limit <= symbol->start)
			continue;
		sweep_until(symbols, stack, &depth, &at, symbol->start);
		at = symbol->start;
		stack[depth++] = *symbol;
	}
	sweep_until(symbols, stack, &depth, &at, UINT64_MAX);
	return symbols->count ? 0 : -ENOENT;
}

static int
build(struct symbols *symbols, uint32_t type)
{
	struct candidates candidates = {0};
	struct elf_bytes table;
	size_t count;
	int error = elf_source_symbol_table(symbols->source, type, &table, &symbols->strings);

	if (error)
		return error;
	count = table.size / sizeof(Elf64_Sym);
	candidates.list = calloc(count + 1, sizeof(*candidates.list));
	candidates.spare = calloc(count + 1, sizeof(*candidates.spare));
	error = -ENOMEM;
	if (candidates.list && candidates.spare) {
		collect(&candidates, &table, &symbols->strings, symbols->source);
		sort(&candidates);
		bound_unsized(&candidates);
		error = candidates.count ? flatten(symbols, &candidates) : -ENOENT;
	}
	free(candidates.list);
	free(candidates.spare);
	return error;
}

int
symbols_new_of(struct elf_source *source, uint32_t type, struct symbols **ret)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));
	int error;

	if (!symbols) {
		elf_source_close(source);
		return -ENOMEM;
	}
	symbols->source = source;
	error = build(symbols, type);
	if (error) {
		symbols_free(symbols);
		return error;
	}
	*ret = symbols;
	return 0;
}

int
symbols_new(struct elf_source *source, struct symbols **ret)
{
	int error;

	elf_source_share(source);
	error = symbols_new_of(source, SHT_SYMTAB, ret);
	if (error && error != -ENOMEM)
		return symbols_new_of(source, SHT_DYNSYM, ret);
	elf_source_close(source);
	return error;
}

void
symbols_free(struct symbols *symbols)
{
	if (!symbols)
		return;
	elf_source_close(symbols->source);
	free(symbols->ranges);
	free(symbols);
}

const char *
symbols_find(const struct symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct range *range = &symbols->ranges[middle];

		if (address < range->start)
			high = middle;
		else if (address >= range->limit)
			low = middle + 1;
		else
			return symbols_name_at(&symbols->strings, range->name);
	}
	return NULL;
}
