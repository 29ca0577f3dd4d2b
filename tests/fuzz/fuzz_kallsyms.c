/* /proc/kallsyms: each address has the symbol that a slow reading of the same text gives it. Input: a first
 * address, the distance of the others, the text. */

#include "tests/fuzz/fuzz.h"

#include "worker/symbolize/kernel_symbols.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ADDRESSES = 8 };

struct slow_symbol {
	uint64_t address;
	const char *name, *module;
	size_t name_length, module_length;
};

/* A line without its end: 1 to 16 digits, a blank, a letter, a blank, a name, perhaps a tab and a module. */
static bool
read_line(const char *line, size_t length, struct slow_symbol *ret)
{
	size_t digits = 0;

	*ret = (struct slow_symbol){0};
	for (; digits < length && isxdigit((unsigned char)line[digits]) &&
	       !isupper((unsigned char)line[digits]);
	     digits++)
		ret->address = ret->address * 16 + (uint64_t)(isdigit((unsigned char)line[digits])
								      ? line[digits] - '0'
								      : line[digits] - 'a' + 10);
	if (digits == 0 || digits > 16 || length < digits + 4 || line[digits] != ' ' ||
	    line[digits + 2] != ' ' || !memchr("tTwW", line[digits + 1], 4) || ret->address == 0)
		return false;
	ret->name = line + digits + 3;
	const char *end = line + length, *tab = ret->name;
	while (tab < end && *tab != '\t' && *tab)
		tab++;
	ret->name_length = (size_t)(tab - ret->name);
	ret->module = tab < end && *tab == '\t' ? tab + 1 : tab;
	while (ret->module + ret->module_length < end && ret->module[ret->module_length])
		ret->module_length++;
	return ret->name_length > 0;
}

static size_t
underscores(const struct slow_symbol *symbol)
{
	size_t count = 0;

	while (count < symbol->name_length && symbol->name[count] == '_')
		count++;
	return count;
}

/* What is kept of a name that is cut is as long as it is. */
static size_t
kept_length(const struct slow_symbol *symbol)
{
	return symbol->name_length < KERNEL_SYMBOL_NAME_MAX ? symbol->name_length
							    : KERNEL_SYMBOL_NAME_MAX - 1;
}

static bool
is_better(const struct slow_symbol *symbol, const struct slow_symbol *than)
{
	if (symbol->address != than->address)
		return symbol->address > than->address;
	if (underscores(symbol) != underscores(than))
		return underscores(symbol) < underscores(than);
	return symbol->name_length < kept_length(than);
}

static struct slow_symbol
read_slowly(const char *text, size_t size, uint64_t address)
{
	struct slow_symbol best = {0}, symbol;

	for (const char *line = text, *end; (end = memchr(line, '\n', (size_t)(text + size - line)));
	     line = end + 1)
		if (read_line(line, (size_t)(end - line), &symbol) && symbol.address <= address &&
		    is_better(&symbol, &best))
			best = symbol;
	return best;
}

static void
check(const struct slow_symbol *expected, const struct kernel_symbol *found)
{
	size_t module = expected->module_length < KERNEL_MODULE_NAME_MAX ? expected->module_length
									 : KERNEL_MODULE_NAME_MAX - 1;

	CHECK(found->address == expected->address);
	if (expected->address == 0)
		return;
	CHECK(strlen(found->name) == kept_length(expected) &&
	      memcmp(found->name, expected->name, kept_length(expected)) == 0);
	CHECK(strlen(found->module) == module && memcmp(found->module, expected->module, module) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_symbol found[ADDRESSES];
	uint64_t addresses[ADDRESSES], first, distance;

	if (size < 9 || size > 60000)
		return 0;
	memcpy(&first, data, sizeof(first));
	distance = data[8] + 1u;
	const char *text = (const char *)data + 9;
	size -= 9;
	if (first > UINT64_MAX - ADDRESSES * distance)
		return 0;
	for (uint64_t i = 0; i < ADDRESSES; i++)
		addresses[i] = first + i * distance;
	int fd = memfd_create("kallsyms", MFD_CLOEXEC);
	CHECK(write(fd, text, size) == (ssize_t)size);
	int result = kernel_symbols_find(fd, addresses, ADDRESSES, found);
	for (size_t i = 0; i < ADDRESSES && result == 0; i++) {
		struct slow_symbol expected = read_slowly(text, size, addresses[i]);

		check(&expected, &found[i]);
	}
	close(fd);
	return 0;
}
