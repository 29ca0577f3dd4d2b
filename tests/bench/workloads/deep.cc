// deep SECONDS: a few dozen frames of everything that C++ calls with: virtual functions, std::function,
// callbacks from libc and libstdc++, exceptions through many frames.
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <vector>

namespace
{

volatile unsigned sink;

struct Node {
	virtual ~Node() = default;
	virtual unsigned visit(unsigned depth) = 0;
};

unsigned
leaf(unsigned seed)
{
	static const std::regex pattern("(a|b)*c[0-9]+");
	std::map<std::string, unsigned> count;
	std::vector<unsigned> values;

	for (unsigned i = 0; i < 64; i++) {
		seed = seed * 1664525 + 1013904223;
		values.push_back(seed);
		count[std::to_string(seed % 17)]++;
	}
	std::sort(values.begin(), values.end(), [](unsigned a, unsigned b) { return a % 1000 < b % 1000; });
	qsort(values.data(), values.size(), sizeof(values[0]), [](const void *a, const void *b) {
		return *static_cast<const int *>(a) < *static_cast<const int *>(b) ? -1 : 1;
	});
	return values[3] + std::regex_match("ababc" + std::to_string(seed % 100), pattern) + count.size();
}

template <int N> struct Step : Node {
	std::unique_ptr<Node> next;
	explicit Step(std::unique_ptr<Node> next) : next(std::move(next))
	{
	}
	unsigned visit(unsigned depth) override
	{
		std::function<unsigned(unsigned)> call = [this](unsigned d) {
			return next->visit(d - 1) + N;
		};
		std::string local(N % 40, 'x');

		if (depth == 0) {
			if (sink % 8 == 0)
				throw std::string("thrown");
			return leaf(sink);
		}
		return call(depth) + static_cast<unsigned>(local.size());
	}
};

struct Last : Node {
	Node *first = nullptr;
	unsigned visit(unsigned depth) override
	{
		return first->visit(depth);
	}
};

template <int N>
std::unique_ptr<Node>
chain(std::unique_ptr<Node> end)
{
	if constexpr (N == 0)
		return end;
	else
		return chain<N - 1>(std::make_unique<Step<N>>(std::move(end)));
}

} // namespace

int
main(int, char *argv[])
{
	auto end = std::chrono::steady_clock::now() + std::chrono::seconds(atoi(argv[1]));
	auto last = std::make_unique<Last>();
	Last *loop = last.get();
	auto first = chain<40>(std::move(last));

	loop->first = first.get();
	for (unsigned i = 0; std::chrono::steady_clock::now() < end; i++) {
		try {
			sink = first->visit(i % 70);
		} catch (const std::string &) {
			sink = sink + 1;
		}
	}
	return 0;
}
