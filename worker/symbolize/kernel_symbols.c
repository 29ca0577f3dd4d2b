#include "worker/symbolize/kernel_symbols.h"

#include "worker/symbolize/address_list.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES 16384 /* no line is longer than a tenth of it */

struct line {
	uint64_t address;
	char type;
	const char *name, *module; /* not terminated */
	size_t name_length, module_length;
};

static bool
take_address(const char **at, uint64_t *ret)
{
	const char *digits = *at;
	uint64_t value = 0;

	for (; **at != ' '; ++*at) {
		char digit = **at;

		if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f')) || *at - digits == 16)
			return false;
		value = value << 4 | (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
	}
	*ret = value;
	return *at > digits;
}

/* `text` ends in a newline. */
static bool
parse_line(const char *text, struct line *ret)
{
	const char *at = text;

	if (!take_address(&at, &ret->address) || at[1] == '\n' || at[2] != ' ')
		return false;
	ret->type = at[1];
	ret->name = at + 3;
	ret->name_length = strcspn(ret->name, "\t\n");
	ret->module = ret->name + ret->name_length;
	ret->module += *ret->module == '\t';
	ret->module_length = strcspn(ret->module, "\n");
	return ret->name_length > 0;
}

static size_t
underscores(const char *name)
{
	return strspn(name, "_");
}

static bool
is_better(const struct line *line, const struct kernel_symbol *than)
{
	if (line->address != than->address)
		return line->address > than->address;
	size_t mine = underscores(line->name), its = underscores(than->name);

	return mine != its ? mine < its : line->name_length < strlen(than->name);
}

static void
take_line(const char *text, const uint64_t *addresses, size_t count, struct kernel_symbol *symbols)
{
	struct line line;
	size_t index;

	if (!parse_line(text, &line) || !memchr("tTwW", line.type, 4) || line.address == 0)
		return;
	(void)address_list_find(addresses, count, line.address, &index);
	if (index == count || !is_better(&line, &symbols[index]))
		return;
	symbols[index].address = line.address;
	snprintf(symbols[index].name, sizeof(symbols[index].name), "%.*s", (int)line.name_length, line.name);
	snprintf(symbols[index].module, sizeof(symbols[index].module), "%.*s", (int)line.module_length,
		 line.module);
}

int
kernel_symbols_find(int fd, const uint64_t *addresses, size_t count, struct kernel_symbol *ret_symbols)
{
	char block[BLOCK_BYTES + 1];
	size_t used = 0, left = KALLSYMS_BYTES_MAX;
	ssize_t got = 0;
	int error = 0;

	memset(ret_symbols, 0, count * sizeof(*ret_symbols));
	if (lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	while (!error && (got = read(fd, block + used, BLOCK_BYTES - used)) > 0) {
		char *line = block, *end;

		used += (size_t)got;
		left -= (size_t)got < left ? (size_t)got : left;
		block[used] = '\0';
		for (; (end = memchr(line, '\n', used - (size_t)(line - block))); line = end + 1)
			take_line(line, addresses, count, ret_symbols);
		used -= (size_t)(line - block);
		error = used == BLOCK_BYTES ? -EBADMSG : left == 0 ? -EFBIG : 0;
		memmove(block, line, used);
	}
	if (got < 0)
		error = -errno;
	/* each line went to the first address above it; it counts for all that follow */
	for (size_t i = 1; i < count; i++)
		if (ret_symbols[i].address < ret_symbols[i - 1].address)
			ret_symbols[i] = ret_symbols[i - 1];
	return error;
}
