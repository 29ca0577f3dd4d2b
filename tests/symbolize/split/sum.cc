#include <algorithm>
#include <map>
#include <string>
#include <vector>

int
sum(const std::vector<std::string> &words)
{
	std::map<std::string, int> counts;
	std::vector<std::pair<int, std::string>> order;

	for (const auto &word : words)
		counts[word] += std::stoi(word);
	for (const auto &[word, count] : counts)
		order.emplace_back(count, word);
	std::sort(order.begin(), order.end());
	return order.empty() ? 0 : order.back().first;
}
