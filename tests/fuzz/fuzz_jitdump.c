/* A jitdump: each name lies in the record of a load that covers the address or was moved there, and what is
 * found does not depend on what else is asked for. Input: a first address, the distance of the others, the
 * file. */

#include "tests/fuzz/fuzz.h"

#include "worker/symbolize/jitdump.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ADDRESSES = 16 };

static const uint8_t *file;
static size_t file_size;

static uint64_t
word_at(uint64_t at, size_t size)
{
	uint64_t value = 0;

	CHECK(at <= file_size && file_size - at >= size);
	memcpy(&value, file + at, size);
	return value;
}

/* A string of at least one byte that ends before `limit`. */
static void
check_string(uint64_t at, uint64_t limit)
{
	CHECK(limit <= file_size && at < limit);
	CHECK(file[at] != 0 && memchr(file + at, 0, (size_t)(limit - at)));
}

static void
check_hit(const struct jitdump_hit *hit, uint64_t address)
{
	if (!hit->name_at) {
		CHECK(!hit->file_at && !hit->line);
		return;
	}
	uint64_t end = hit->load + word_at(hit->load + 4, 4);
	CHECK(word_at(hit->load, 4) == 0 && hit->name_at > hit->load);
	check_string(hit->name_at, end);
	uint64_t code = word_at(hit->load + 32, 8);
	CHECK(hit->code_start == code && hit->offset <= address);
	if (!hit->file_at)
		return;
	CHECK(word_at(hit->lines_at, 4) == 2 && word_at(hit->lines_at + 16, 8) == code);
	check_string(hit->file_at, hit->lines_at + word_at(hit->lines_at + 4, 4));
	CHECK(hit->line_address >= code && hit->line_address - code <= hit->offset);
}

static int
find(int fd, const uint64_t *addresses, size_t count, struct jitdump_hit *ret)
{
	static struct file_window window;
	struct file_budget budget = {.bytes_left = 64 << 20};

	memset(ret, 0, count * sizeof(*ret));
	file_window_open(&window, fd, &budget);
	int result = jitdump_find(&window, addresses, count, ret);
	CHECK(result == 0 || result == -EBADMSG);
	CHECK(budget.bytes_left <= 64 << 20);
	return budget.is_exceeded ? -ERANGE : result;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	uint64_t first = cursor_u64(&in), distance = cursor_u8(&in), addresses[ADDRESSES];
	struct jitdump_hit hits[ADDRESSES], alone;
	size_t count = 0;

	if (in.failed)
		return 0;
	while (count < ADDRESSES && (count == 0 || first + count * distance > addresses[count - 1])) {
		addresses[count] = first + count * distance;
		count++;
	}
	file = in.at;
	file_size = cursor_left(&in);
	int fd = memfd_create("dump", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, file, file_size) == (ssize_t)file_size);
	int result = find(fd, addresses, count, hits);
	for (size_t i = 0; i < count && result == 0; i++) {
		check_hit(&hits[i], addresses[i]);
		CHECK(find(fd, &addresses[i], 1, &alone) == 0);
		CHECK(alone.name_at == hits[i].name_at && alone.file_at == hits[i].file_at &&
		      alone.line == hits[i].line);
	}
	close(fd);
	return 0;
}
