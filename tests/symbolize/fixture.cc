// Names of every kind the symbolizer must read: C++ templates, aliases, weak and local symbols, and Rust
// names, which are only strings to a linker.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#define RUST_LEGACY "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"
#define RUST_V0 "_RNvNtCs1234_7mycrate3foo3bar"

__attribute__((noinline, used)) int legacy(int value) __asm__(RUST_LEGACY);
int legacy(int value) { return value * 3; }

__attribute__((noinline, used)) int v0(int value) __asm__(RUST_V0);
int v0(int value) { return value * 5; }

namespace shop {
template <class T> struct Basket {
	std::vector<T> items;
	__attribute__((noinline)) T total() const;
};
template <class T> T
Basket<T>::total() const
{
	T sum{};
	for (const auto &item : items)
		sum = sum + item;
	return sum;
}
template struct Basket<double>;
template struct Basket<std::string>;

struct Counter {
	std::map<std::string, int> counts;
	Counter(const std::string &name);
	virtual ~Counter();
};
Counter::Counter(const std::string &name) { counts[name]++; }
Counter::~Counter() {}
} // namespace shop

extern "C" {
__attribute__((noinline, used)) int global_name(int value) { return value + 1; }
int weak_alias(int value) __attribute__((weak, alias("global_name")));
static int local_alias(int value) __attribute__((used, alias("global_name")));
int label_after_code(void);
}

int
main(int argc, char **argv)
{
	shop::Basket<double> basket{{1.0, 2.0, double(argc)}};
	shop::Counter counter(argv[0]);
	return int(basket.total()) + legacy(argc) + v0(argc) + global_name(argc) + label_after_code();
}
