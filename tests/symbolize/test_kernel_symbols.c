/* Lines as /proc/kallsyms has them, in any order, and lines that are none; and the running kernel's own. */

#include "worker/symbolize/kernel_symbols.h"

#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "worker/symbolize/address_list.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT                                                    \
	"0000000000000000 A fixed_percpu_data\n"                \
	"ffffffff81000000 T _stext\n"                           \
	"ffffffff81000000 T _text\n"                            \
	"ffffffff81000100 t __do_low\n"                         \
	"ffffffff81000100 T do_low\n"                           \
	"ffffffff81000100 T do_lowest\n"                        \
	"ffffffff81000200 W weak\n"                             \
	"ffffffff81000280 D jiffies\n"                          \
	"ffffffff81000300 t name with blanks\n"                 \
	"ffffffffc0002000 t ext4_read\t[ext4]\n"                \
	"ffffffffc0001000 t bpf_prog_6deef7357e7b4530\t[bpf]\n" \
	"ffffffff81000180 t late_line\n"

static void
expect_in(const char *text, uint64_t address, const char *name, const char *module)
{
	struct kernel_symbol symbol;
	OWNED_FD fd = file_with(text);

	for (int times = 0; times < 2; times++) /* the second time it is at its end */
		assert_int_equal(kernel_symbols_find(fd, &address, 1, &symbol), 0);
	if (!name) {
		assert_int_equal(symbol.address, 0);
		return;
	}
	assert_string_equal(symbol.name, name);
	assert_string_equal(symbol.module, module);
	assert_true(symbol.address != 0 && symbol.address <= address);
}

static void
test_lines(void **state)
{
	(void)state;
	expect_in(TEXT, 0xffffffff80ffffff, NULL, NULL);
	expect_in(TEXT, 0xffffffff81000000, "_text", ""); /* the shorter one */
	expect_in(TEXT, 0xffffffff810000ff, "_text", "");
	expect_in(TEXT, 0xffffffff81000100, "do_low", "");
	expect_in(TEXT, 0xffffffff8100017f, "do_low", "");
	expect_in(TEXT, 0xffffffff81000180, "late_line", "");
	expect_in(TEXT, 0xffffffff810002ff, "weak", ""); /* data are nobody's code */
	expect_in(TEXT, 0xffffffff81000300, "name with blanks", "");
	expect_in(TEXT, 0xffffffffc0001fff, "bpf_prog_6deef7357e7b4530", "[bpf]");
	expect_in(TEXT, UINT64_MAX, "ext4_read", "[ext4]");
	expect_in("", 5, NULL, NULL);
}

static void
test_lines_that_are_none(void **state)
{
	static const char *const lines[] = {
		"\n",
		"10\n",
		"10 \n",
		"10 t\n",
		"10 t \n",
		"10 tt x\n",
		"1g t x\n",
		" 10 t x\n",
		"- t x\n",
		"10\tt x\n",
		"10000000000000000 t x\n",
		"10 T x", /* no end */
		"0x10 t x\n",
		"00 t x\n",
		"10 d x\n",
		"10 ? x\n",
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(text, sizeof(text), "8 t before\n%s", lines[i]);
		expect_in(text, 0x20, "before", "");
		if (strchr(lines[i], '\n')) {
			snprintf(text, sizeof(text), "%s18 t after\n", lines[i]);
			expect_in(text, 0x20, "after", "");
		}
	}
}

/* A name up to the kernel's limit, at every place of a block; what is longer than is kept is cut. */
static void
test_blocks_and_long_names(void **state)
{
	char name[512], kept[KERNEL_SYMBOL_NAME_MAX] = "", *text = malloc(1 << 16);

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[511] = '\0';
	memset(kept, 'n', sizeof(kept) - 1);
	for (size_t padding = 16384 - 600; padding < 16384 + 20; padding += 7) {
		size_t used = 0;

		while (padding - used >= 40)
			used += (size_t)sprintf(text + used, "1 t filling_of_thirty_odd_bytes\n");
		used += (size_t)sprintf(text + used, "2 t %*s\n", (int)(padding - used - 5), "x");
		sprintf(text + used, "10 t %s\t[a_module]\n30 t end\n", name);
		expect_in(text, 0x20, kept, "[a_module]");
		expect_in(text, 0x30, "end", "");
	}
	memset(text, 'x', 40000);
	text[40000] = '\0';
	struct kernel_symbol symbol;
	uint64_t address = 1;
	OWNED_FD fd = file_with(text);
	assert_true(kernel_symbols_find(fd, &address, 1, &symbol) < 0);
	free(text);
}

/* Whoever starts the launcher chose the file: it ends somewhere. */
static void
test_too_much(void **state)
{
	static const char first[] = "8 t first\n", late[] = "10 t late\n";
	OWNED_FD fd = file_with(first);
	uint64_t addresses[] = {0x8, 0x20};
	struct kernel_symbol symbols[2];

	(void)state;
	char *lines = malloc(1 << 20);
	assert_non_null(lines);
	memset(lines, '\n', 1 << 20);
	for (size_t at = 0; at < KALLSYMS_BYTES_MAX; at += 1 << 20)
		assert_int_equal(pwrite(fd, lines, 1 << 20, (off_t)(sizeof(first) - 1 + at)), 1 << 20);
	free(lines);
	assert_int_equal(pwrite(fd, late, sizeof(late) - 1, sizeof(first) - 1 + KALLSYMS_BYTES_MAX),
			 sizeof(late) - 1);
	assert_int_equal(kernel_symbols_find(fd, addresses, 2, symbols), -EFBIG);
	assert_string_equal(symbols[0].name, "first");
	assert_string_equal(symbols[1].name, "first"); /* carried on all the same */
}

struct known {
	uint64_t address;
	char name[KERNEL_SYMBOL_NAME_MAX];
};

static int
by_address(const void *left, const void *right)
{
	const struct known *a = left, *b = right;

	return a->address < b->address ? -1 : a->address > b->address;
}

/* Each symbol of code, at its first byte and one before the next one, by a sorted list of all. */
static void
test_this_kernel(void **state)
{
	FILE *file = fopen("/proc/kallsyms", "re");
	size_t known_count = 0, capacity = 1 << 19, checked = 0;
	struct known *known = calloc(capacity, sizeof(*known));
	char line[1024], type;

	(void)state;
	assert_non_null(file);
	while (known_count < capacity && fgets(line, sizeof(line), file))
		if (sscanf(line, "%" SCNx64 " %c %255s", &known[known_count].address, &type,
			   known[known_count].name) == 3 &&
		    strchr("tTwW", type) && known[known_count].address)
			known_count++;
	fclose(file);
	qsort(known, known_count, sizeof(*known), by_address);
	uint64_t *addresses = calloc(2 * known_count, sizeof(*addresses));
	for (size_t i = 0; i < known_count; i++) {
		addresses[2 * i] = known[i].address;
		addresses[2 * i + 1] = i + 1 < known_count ? known[i + 1].address - 1 : known[i].address + 1;
	}
	size_t count = address_list_sort(addresses, 2 * known_count);
	struct kernel_symbol *symbols = calloc(count, sizeof(*symbols));
	OWNED_FD fd = open("/proc/kallsyms", O_RDONLY | O_CLOEXEC);
	char first[64];
	assert_int_equal(read(fd, first, sizeof(first)), sizeof(first)); /* wherever the file is at */
	assert_int_equal(kernel_symbols_find(fd, addresses, count, symbols), 0);
	for (size_t i = 0, at = 0; i < count; i++) {
		while (at + 1 < known_count && known[at + 1].address <= addresses[i])
			at++;
		if (known[at].address > addresses[i]) {
			assert_int_equal(symbols[i].address, 0);
			continue;
		}
		assert_int_equal(symbols[i].address, known[at].address);
		bool is_one_of_them = false;
		for (size_t same = at + 1; same-- > 0 && known[same].address == known[at].address;)
			is_one_of_them |= strcmp(known[same].name, symbols[i].name) == 0;
		assert_true(is_one_of_them);
		checked++;
	}
	print_message("%zu addresses, %zu symbols\n", checked, known_count);
	free(symbols);
	free(addresses);
	free(known);
	if (known_count == 0)
		skip(); /* all are 0: not root, or kptr_restrict */
	assert_true(checked > 10000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_blocks_and_long_names),
		cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_this_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
