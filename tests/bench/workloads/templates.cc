#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct Tower {
	std::map<int, std::variant<int, std::string, std::vector<int>>> m;
	int run(std::function<int(int)> f)
	{
		std::regex r("a(b|c)*d");
		std::unordered_map<std::string, std::shared_ptr<Tower>> u;
		int s = 0;
		for (auto &[k, v] : m)
			s += std::visit(
				[&](auto &x) {
					if constexpr (std::is_same_v<std::decay_t<decltype(x)>, int>)
						return f(x);
					else
						return (int)x.size() + N;
				},
				v);
		std::vector<std::string> w;
		std::sort(w.begin(), w.end(), [](auto &a, auto &b) { return a.size() < b.size(); });
		return s + std::regex_match("abcd", r) + Tower<N - 1>().run(f) + (int)u.size();
	}
};
template <> struct Tower<0> {
	int run(std::function<int(int)>)
	{
		return 0;
	}
};
int
main()
{
	std::cout << Tower<8>().run([](int x) { return x + 1; });
}
