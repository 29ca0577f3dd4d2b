// demo_workload [seconds]: something worth profiling. Three threads do what programs do: one indexes text and
// answers queries, one parses and prints JSON, one traces rays through a small scene. Each reports how much
// it got done.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <regex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace demo
{

using Clock = std::chrono::steady_clock;

// ---- text: an inverted index ----

namespace text
{

const char *const syllables[] = {"ka", "lo", "mi", "ne", "ru", "ta", "vo", "shi", "en", "pra"};

std::string
make_word(std::mt19937 &random)
{
	std::string word;

	for (unsigned int i = 0; i < 2 + random() % 3; i++)
		word += syllables[random() % std::size(syllables)];
	return word;
}

std::string
make_document(std::mt19937 &random, std::size_t words)
{
	std::string document;

	for (std::size_t i = 0; i < words; i++)
		document += make_word(random) + (random() % 9 == 0 ? "@example.org " : " ");
	return document;
}

template <typename Visit>
void
for_each_word(std::string_view document, Visit visit)
{
	while (!document.empty()) {
		std::size_t end = std::min(document.find(' '), document.size());

		if (end > 0)
			visit(document.substr(0, end));
		document.remove_prefix(std::min(end + 1, document.size()));
	}
}

struct Posting {
	std::size_t document;
	unsigned int count;
};

class Index
{
      public:
	void add(std::size_t number, const std::string &document);
	std::vector<Posting> search(const std::string &word) const;

      private:
	std::map<std::string, std::vector<Posting>> postings;
};

__attribute__((noinline)) void
Index::add(std::size_t number, const std::string &document)
{
	for_each_word(document, [&](std::string_view word) {
		auto &list = postings[std::string(word)];

		if (list.empty() || list.back().document != number)
			list.push_back({number, 0});
		list.back().count++;
	});
}

__attribute__((noinline)) std::vector<Posting>
Index::search(const std::string &word) const
{
	auto found = postings.find(word);
	std::vector<Posting> hits = found == postings.end() ? std::vector<Posting>{} : found->second;

	std::sort(hits.begin(), hits.end(),
		  [](const Posting &a, const Posting &b) { return a.count > b.count; });
	return hits;
}

__attribute__((noinline)) std::size_t
count_addresses(const std::string &document)
{
	static const std::regex address("[a-z]+@([a-z]+)\\.org");

	return static_cast<std::size_t>(std::distance(
		std::sregex_iterator(document.begin(), document.end(), address), std::sregex_iterator()));
}

__attribute__((noinline)) std::size_t
index_batch(std::mt19937 &random)
{
	Index index;
	std::size_t result = 0;

	for (std::size_t i = 0; i < 40; i++) {
		std::string document = make_document(random, 120);

		index.add(i, document);
		result += count_addresses(document);
	}
	for (int i = 0; i < 200; i++)
		result += index.search(make_word(random)).size();
	return result;
}

} // namespace text

// ---- JSON: recursive descent, recursive printing ----

namespace json
{

struct Value;
using Array = std::vector<Value>;
using Object = std::map<std::string, Value>;

struct Value {
	std::variant<double, std::string, Array, Object> content;
};

class Parser
{
      public:
	explicit Parser(std::string_view input) : rest(input)
	{
	}
	Value parse_value();

      private:
	Value parse_array();
	Value parse_object();
	Value parse_number();
	std::string parse_string();
	bool take(char expected);

	std::string_view rest;
};

bool
Parser::take(char expected)
{
	if (rest.empty() || rest.front() != expected)
		return false;
	rest.remove_prefix(1);
	return true;
}

__attribute__((noinline)) std::string
Parser::parse_string()
{
	std::string result;

	take('"');
	while (!rest.empty() && rest.front() != '"') {
		result += rest.front();
		rest.remove_prefix(1);
	}
	take('"');
	return result;
}

__attribute__((noinline)) Value
Parser::parse_number()
{
	std::string digits(rest.substr(0, rest.find_first_not_of("-.0123456789")));

	rest.remove_prefix(std::max<std::size_t>(digits.size(), 1));
	return {std::strtod(digits.c_str(), nullptr)};
}

__attribute__((noinline)) Value
Parser::parse_array()
{
	Array items;

	take('[');
	while (!rest.empty() && !take(']')) {
		items.push_back(parse_value());
		take(',');
	}
	return {std::move(items)};
}

__attribute__((noinline)) Value
Parser::parse_object()
{
	Object members;

	take('{');
	while (!rest.empty() && !take('}')) {
		std::string key = parse_string();

		take(':');
		members.emplace(std::move(key), parse_value());
		take(',');
	}
	return {std::move(members)};
}

__attribute__((noinline)) Value
Parser::parse_value()
{
	switch (rest.empty() ? '0' : rest.front()) {
	case '[':
		return parse_array();
	case '{':
		return parse_object();
	case '"':
		return {parse_string()};
	default:
		return parse_number();
	}
}

struct Printer {
	std::string &out;

	void operator()(double number) const
	{
		out += std::to_string(number);
	}
	void operator()(const std::string &string) const
	{
		out += '"' + string + '"';
	}
	void operator()(const Array &items) const
	{
		out += '[';
		for (const Value &item : items) {
			std::visit(*this, item.content);
			out += ',';
		}
		out += ']';
	}
	void operator()(const Object &members) const
	{
		out += '{';
		for (const auto &[key, value] : members) {
			(*this)(key);
			out += ':';
			std::visit(*this, value.content);
			out += ',';
		}
		out += '}';
	}
};

__attribute__((noinline)) std::string
print_value(const Value &value)
{
	std::string out;

	std::visit(Printer{out}, value.content);
	return out;
}

__attribute__((noinline)) std::string
make_json(std::mt19937 &random, int depth)
{
	if (depth == 0)
		return random() % 2 ? "\"" + text::make_word(random) + "\""
				    : std::to_string(random() % 100000) + ".5";

	bool is_object = random() % 2;
	std::string out = is_object ? "{" : "[";

	for (int i = 0; i < 3; i++) {
		if (is_object)
			out += "\"" + text::make_word(random) + "\":";
		out += make_json(random, depth - 1) + ",";
	}
	return out + (is_object ? "}" : "]");
}

__attribute__((noinline)) std::size_t
round_trip(std::mt19937 &random)
{
	std::string document = make_json(random, 7);
	std::size_t result = 0;

	for (int i = 0; i < 3; i++) {
		Value value = Parser(document).parse_value();

		document = print_value(value);
		result += document.size();
	}
	return result;
}

} // namespace json

// ---- rays: arithmetic, recursion, virtual calls ----

namespace rays
{

template <typename T> struct Vector {
	T x, y, z;

	Vector operator+(const Vector &o) const
	{
		return {x + o.x, y + o.y, z + o.z};
	}
	Vector operator-(const Vector &o) const
	{
		return {x - o.x, y - o.y, z - o.z};
	}
	Vector operator*(T k) const
	{
		return {x * k, y * k, z * k};
	}
	T dot(const Vector &o) const
	{
		return x * o.x + y * o.y + z * o.z;
	}
	Vector normalized() const
	{
		return *this * (1 / std::sqrt(dot(*this)));
	}
};

using Point = Vector<double>;

struct Ray {
	Point origin, direction;
};

struct Shape {
	virtual ~Shape() = default;
	virtual double distance(const Ray &ray) const = 0; // negative: the ray passes by
	virtual Point normal(const Point &at) const = 0;
};

struct Sphere : Shape {
	Point centre;
	double radius;

	Sphere(Point c, double r) : centre(c), radius(r)
	{
	}

	__attribute__((noinline)) double distance(const Ray &ray) const override
	{
		Point to_centre = centre - ray.origin;
		double along = to_centre.dot(ray.direction);
		double root = radius * radius - to_centre.dot(to_centre) + along * along;

		return root < 0 ? -1 : along - std::sqrt(root);
	}

	Point normal(const Point &at) const override
	{
		return (at - centre).normalized();
	}
};

struct Floor : Shape {
	__attribute__((noinline)) double distance(const Ray &ray) const override
	{
		return ray.direction.y < -1e-6 ? -(ray.origin.y + 1) / ray.direction.y : -1;
	}

	Point normal(const Point &) const override
	{
		return {0, 1, 0};
	}
};

using Scene = std::vector<std::unique_ptr<Shape>>;

__attribute__((noinline)) const Shape *
find_nearest(const Scene &scene, const Ray &ray, double &nearest)
{
	const Shape *result = nullptr;

	nearest = 1e9;
	for (const auto &shape : scene) {
		double distance = shape->distance(ray);

		if (distance > 1e-4 && distance < nearest) {
			nearest = distance;
			result = shape.get();
		}
	}
	return result;
}

__attribute__((noinline)) double
trace_ray(const Scene &scene, const Ray &ray, int bounces)
{
	double distance;
	const Shape *shape = find_nearest(scene, ray, distance);

	if (!shape)
		return 0.5 + 0.5 * ray.direction.y;

	Point at = ray.origin + ray.direction * distance;
	Point normal = shape->normal(at);
	double light = std::max(0.0, normal.dot(Point{0.5, 0.7, -0.5}));

	if (bounces == 0)
		return light;

	Point mirrored = ray.direction - normal * (2 * normal.dot(ray.direction));
	double reflected = trace_ray(scene, {at, mirrored.normalized()}, bounces - 1);

	return 0.6 * light + 0.4 * reflected; // used after the call: the recursion stays a recursion
}

Scene
make_scene()
{
	Scene scene;

	scene.push_back(std::make_unique<Floor>());
	for (int i = 0; i < 9; i++)
		scene.push_back(std::make_unique<Sphere>(
			Point{i % 3 * 1.1 - 1.1, i / 3 * 0.9 - 0.6, 3.0 + i % 2}, 0.5));
	return scene;
}

__attribute__((noinline)) double
render_image(const Scene &scene, int size)
{
	double brightness = 0;

	for (int y = 0; y < size; y++) {
		for (int x = 0; x < size; x++) {
			Point direction{2.0 * x / size - 1, 1 - 2.0 * y / size, 1.5};

			brightness += trace_ray(scene, {{0, 0, -1}, direction.normalized()}, 6);
		}
	}
	return brightness;
}

} // namespace rays

// ---- threads ----

template <typename Work>
__attribute__((noinline)) std::size_t
repeat_until(Clock::time_point end, Work work)
{
	std::size_t rounds = 0;

	while (Clock::now() < end) {
		work();
		rounds++;
	}
	return rounds;
}

void
run_indexer(Clock::time_point end)
{
	std::mt19937 random(1);
	std::size_t hits = 0;
	std::size_t rounds = repeat_until(end, [&] { hits += text::index_batch(random); });

	std::printf("indexer:  %zu batches, %zu hits\n", rounds, hits);
}

void
run_parser(Clock::time_point end)
{
	std::mt19937 random(2);
	std::size_t bytes = 0;
	std::size_t rounds = repeat_until(end, [&] { bytes += json::round_trip(random); });

	std::printf("parser:   %zu documents, %zu MB\n", rounds, bytes / 1000000);
}

void
run_renderer(Clock::time_point end)
{
	rays::Scene scene = rays::make_scene();
	double brightness = 0;
	std::size_t rounds = repeat_until(end, [&] { brightness += rays::render_image(scene, 64); });

	std::printf("renderer: %zu images, brightness %.0f\n", rounds, brightness);
}

} // namespace demo

int
main(int argc, char *argv[])
{
	double seconds = argc > 1 ? std::atof(argv[1]) : 10;
	auto end = demo::Clock::now() + std::chrono::milliseconds(static_cast<long>(seconds * 1000));
	std::thread indexer(demo::run_indexer, end);
	std::thread parser(demo::run_parser, end);

	demo::run_renderer(end);
	indexer.join();
	parser.join();
	return 0;
}
