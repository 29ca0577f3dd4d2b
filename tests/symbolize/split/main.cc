// Two units that inline from the library; built with and without -gsplit-dwarf by test_split_units.py.
#include <string>
#include <vector>

int sum(const std::vector<std::string> &words);

int
main(int count, char **words)
{
	return sum(std::vector<std::string>(words, words + count));
}
