/* DWARF: whatever the sections say, work and memory stay within the budget, what was inflated is given back,
 * and every answer is a chain of strings. Input: the first address to look up, then the file, which is also
 * its own file of split units, and its package; at first it has no file that it shares with others (dwz), and
 * then it is that, too. */

#include "tests/fuzz/fuzz.h"

#include "worker/base/debug_paths.h"
#include "worker/symbolize/source_batch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ADDRESSES = 64, INFLATED = 1 << 20, WORK = 1 << 22, FILES = 3 };

struct opener {
	int fd;
	unsigned opened;
};

static int
open_debug(void *context, const struct open_debug *request, uint32_t *ret_candidate)
{
	CHECK(debug_request_is_sane(request) || request->way == DEBUG_BY_UNIT);
	struct opener *opener = context;

	CHECK(++opener->opened <= FILES);
	*ret_candidate = request->first_candidate;
	return request->first_candidate > 1 ? -ENOENT : dup(opener->fd);
}

static unsigned
count_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void
check_location(const struct source_location *location)
{
	CHECK(location->count > 0 && location->count <= 64);
	for (size_t i = 0; i < location->count; i++) {
		const struct source_frame *frame = &location->frames[i];

		if (frame->function)
			use_bytes(frame->function, strlen(frame->function));
		if (frame->file)
			CHECK(frame->file[0] != '\0' && strlen(frame->file) < DEBUG_STRING_MAX);
	}
}

static void
look_up(int fd, int alternate, uint64_t address)
{
	struct debug_budget budget = {.work_left = WORK, .inflated_left = INFLATED, .files_left = FILES};
	struct opener opener = {.fd = fd};
	const struct file_finder finder = {.open_debug = open_debug, .context = &opener};
	struct module_files files = MODULE_FILES_NONE;
	uint64_t *addresses = calloc(ADDRESSES, sizeof(*addresses));
	struct source_batch batch;
	unsigned descriptors = count_descriptors();

	files.finder = &finder;
	files.path = "/program";
	files.build_id = "";
	files.alt_fd = alternate;
	for (uint64_t i = 0; i < ADDRESSES; i++)
		addresses[i] = address + 3 * i;
	source_batch_find(&batch, fd, &files, &budget, addresses, ADDRESSES);
	for (uint64_t i = 0; i < ADDRESSES; i++) {
		const struct source_location *location = source_batch_at(&batch, address + 3 * i);

		if (location)
			check_location(location);
	}
	CHECK(budget.inflated_left == INFLATED && budget.work_left <= WORK && budget.files_left <= FILES);
	CHECK(count_descriptors() == descriptors);
	source_batch_destroy(&batch);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	uint64_t address = cursor_u64(&in);

	if (in.failed)
		return 0;
	size = cursor_left(&in);
	int fd = memfd_create("elf", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, in.at, size) == (ssize_t)size);
	look_up(fd, -1, address);
	look_up(fd, fd, address);
	close(fd);
	return 0;
}
