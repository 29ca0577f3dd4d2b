/* One table of names, and names made to hurt. */
#include "worker/symbolize/demangle.h"

#include "ipc/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const struct {
	const char *symbol, *name;
} names[] = {
	/* C and hand-written names are left alone */
	{"main", "main"},
	{"_start", "_start"},
	{"__memcpy_avx_unaligned_erms", "__memcpy_avx_unaligned_erms"},
	{"", ""},
	{"_", "_"},
	{"_Z", "_Z"},
	{"_ZN", "_ZN"},
	{"_R", "_R"},
	{"_D", "_D"},
	{"_Zfoo_is_not_mangled", "_Zfoo_is_not_mangled"},
	{"runtime.goexit.abi0", "runtime.goexit.abi0"},
	{"main.(*T).f", "main.(*T).f"},
	/* C++ */
	{"_Z3foov", "foo()"},
	{"_ZN4shop6BasketIdE5totalEv", "shop::Basket<double>::total()"},
	{"_ZNK4shop6BasketIdE5totalEv", "shop::Basket<double>::total() const"},
	{"_ZN4shop7CounterD0Ev", "shop::Counter::~Counter()"},
	{"_ZTV3foo", "vtable for foo"},
	{"_Z3foov.constprop.0", "foo() [clone .constprop.0]"},
	{"_ZNSt6vectorIiSaIiEE9push_backERKi",
	 "std::vector<int, std::allocator<int> >::push_back(int const&)"},
	{"_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()() const"},
	/* Rust, legacy: the hash goes */
	{"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"},
	{"_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
	 "3bar17h930b740aa94f1d3aE",
	 "<Test + 'static as foo::Bar<Test>>::bar"},
	/* Rust, v0 */
	{"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
	{"_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>"},
	{"_RINvCskK9ONXSS8Nz_4shop3genNtB2_6BasketKj7_EB2_", "shop::gen::<shop::Basket, 7>"},
	{"_RNvMs_CskK9ONXSS8Nz_4shopNtB4_6Basket3sum", "<shop::Basket>::sum"},
	{"_RNvXCskK9ONXSS8Nz_4shopNtB2_6BasketNtB2_3Tot5total", "<shop::Basket as shop::Tot>::total"},
	{"_RNCNvMs_CskK9ONXSS8Nz_4shopNtB6_6Basket3sum0B6_", "<shop::Basket>::sum::{closure#0}"},
	/* D */
	{"_D4test3fooFZv", "test.foo()"},
	{"_D8demangle4testFaZv", "demangle.test(char)"},
	/* what a linker would never write, but a file may hold */
	{"evil\n\x1b[2J", "evil\\x0a\\x1b[2J"},
	{"bad\xff", "bad\\xff"},
	{"_Z4a\n\x1b[v", "a\\x0a\\x1b[()"},
	{"_Z4\xe2\x80\xae"
	 "bv",
	 "\\u202eb()"},
	{"_D4te\tt3fooFZv", "te\\x09t.foo()"},
};

static void
test_table(void **state)
{
	char name[DEMANGLE_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t length = demangle(names[i].symbol, name);

		assert_string_equal(name, names[i].name);
		assert_int_equal(length, strlen(names[i].name));
	}
}

static void
check(const char *symbol)
{
	char *name = malloc(DEMANGLE_SIZE); /* on the heap: the sanitizer watches its end */
	size_t length = demangle(symbol, name);

	assert_true(length < DEMANGLE_SIZE);
	assert_int_equal(strlen(name), length);
	assert_true(text_is_printable(name, length));
	free(name);
}

static void
repeat(char *ret, size_t size, const char *head, const char *piece, const char *tail)
{
	strcpy(ret, head);
	while (strlen(ret) + strlen(piece) + strlen(tail) + 1 < size)
		strcat(ret, piece);
	strcat(ret, tail);
}

static const struct {
	const char *head, *piece, *tail;
} bombs[] = {
	{"_Z3foo", "P", "i"},                  /* deep */
	{"_Z3foo1aIS_S_E", "S0_IS0_S0_E", ""}, /* substitutions of substitutions */
	{"_Z1fI", "NSt4pairIS0_S0_E", "EvT_"},
	{"_ZN", "1aI", "E"},
	{"_RNvC1a1b", "IC1a", "E"},
	{"_RI", "TB_B_", "E"},
	{"_RMC1a", "TB2_B2_", "E"},
	{"_RNvYC1aC1b1c", "INvB0_", "E"},
	{"_D3foo", "F", "Zv"},        /* D: deep */
	{"_D4testFG", "HQcQe", "Zv"}, /* D: back references */
	{"_D1a", "__T1bT", "Zi"},
	{"_D3a3b", "S1c", "i"},
	{"", "a", ""}, /* only long */
	{"_Z", "9999999999", "a"},
	{"", "\xe2\x82\xac", ""},
};

static void
test_bombs(void **state)
{
	static char symbol[20000];
	clock_t begin = clock();

	(void)state;
	for (size_t size = 64; size < sizeof(symbol); size = size * 3 / 2)
		for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
			repeat(symbol, size, bombs[i].head, bombs[i].piece, bombs[i].tail);
			check(symbol);
		}
	assert_true(clock() - begin < 20 * CLOCKS_PER_SEC);
}

enum { LEVELS = 33 };

/* f(A<int, int>, A<that, that>, A<that, that>, ...): every parameter is twice as long as the one before. */
static void
cpp_bomb(char *ret)
{
	static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	ret += sprintf(ret, "_Z1f1AIiiE");
	for (int i = 0; i < LEVELS; i++)
		ret += sprintf(ret, "S_IS%c_S%c_E", digits[i], digits[i]);
}

/* b::<(u8, u8), (that, that), ...>; "B", then the place of the tuple before, in base 62 minus 1. */
static void
rust_bomb(char *ret)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
	char *begin = ret + 2;
	int last;

	ret += sprintf(ret, "_RINvC1a1b");
	last = (int)(ret - begin);
	ret += sprintf(ret, "ThhE");
	for (int i = 0; i < LEVELS; i++) {
		char place[4];
		int number = last - 1;

		if (number < 62)
			sprintf(place, "%c", digits[number]);
		else
			sprintf(place, "%c%c", digits[number / 62], digits[number % 62]);
		last = (int)(ret - begin);
		ret += sprintf(ret, "TB%s_B%s_E", place, place);
	}
	strcpy(ret, "E");
}

/* f(int[int], that[that], ...); "Q", then how far back, in base 26. */
static void
d_bomb(char *ret)
{
	ret += sprintf(ret, "_D1fFHiiHQeQg");
	for (int i = 0; i < LEVELS; i++)
		ret += sprintf(ret, "HQgQi");
	strcpy(ret, "Zv");
}

/* 2^33 copies in a few hundred bytes. C++ and Rust show their beginning, D stays as it is. */
static void
test_doubling(void **state)
{
	char symbol[2048], name[DEMANGLE_SIZE];

	(void)state;
	cpp_bomb(symbol);
	demangle(symbol, name);
	assert_memory_equal(name, "f(A<int, int>, A<A<int, int>, A<int, int> >, ", 45);
	rust_bomb(symbol);
	demangle(symbol, name);
	assert_memory_equal(name, "a::b::<(u8, u8), ((u8, u8), (u8, u8)), ", 39);
	d_bomb(symbol);
	demangle(symbol, name);
	assert_string_equal(name, symbol);
	strcpy(symbol, "_D1fFHiiHQeQgZv");
	demangle(symbol, name);
	assert_string_equal(name, "f(int[int], int[int][int[int]])");
}

static void
test_cut(void **state)
{
	char symbol[4096] = "_Z1f", name[DEMANGLE_SIZE];

	(void)state;
	for (int i = 0; i < 200; i++)
		strcat(symbol, "Pm"); /* f(unsigned long*, ...): 16 characters each */
	assert_true(demangle(symbol, name) >= DEMANGLE_SIZE - 4);
	assert_memory_equal(name, "f(unsigned long*, unsigned long*", 32);
	assert_string_equal(name + strlen(name) - 3, "\xe2\x80\xa6");
}

/* Mutations of real names; nothing may leak, overflow or hang. */
static void
test_mutations(void **state)
{
	uint32_t random = 99;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		const char *base = names[round % (sizeof(names) / sizeof(names[0]))].symbol;
		char symbol[128];
		size_t length = strlen(base);

		strcpy(symbol, base);
		for (int i = 0; i < 1 + round % 3 && length; i++) {
			const char alphabet[] = "_ZNSIEQRDTBC0123456789vidaPKFHXcLsu.$";

			random = random * 1664525 + 1013904223;
			symbol[(random >> 8) % length] = alphabet[(random >> 20) % (sizeof(alphabet) - 1)];
		}
		check(symbol);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),     cmocka_unit_test(test_bombs),
		cmocka_unit_test(test_doubling),  cmocka_unit_test(test_cut),
		cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
