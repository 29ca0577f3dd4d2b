/* DWARF: whatever the sections say, work and memory stay within the budget, what was inflated is given back,
 * and every answer is a chain of strings. Input: the first address to look up, then the file. */

#include "tests/fuzz/fuzz.h"

#include "worker/symbolize/source_batch.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ADDRESSES = 64, INFLATED = 1 << 20, WORK = 1 << 22 };

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

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct module_files no_files = MODULE_FILES_NONE;
	struct debug_budget budget = {.work_left = WORK, .inflated_left = INFLATED};
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	uint64_t address = cursor_u64(&in), *addresses;
	struct source_batch batch;

	if (in.failed)
		return 0;
	size = cursor_left(&in);
	int fd = memfd_create("elf", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, in.at, size) == (ssize_t)size);
	addresses = calloc(ADDRESSES, sizeof(*addresses));
	for (uint64_t i = 0; i < ADDRESSES; i++)
		addresses[i] = address + 3 * i;
	source_batch_find(&batch, fd, &no_files, &budget, addresses, ADDRESSES);
	for (uint64_t i = 0; i < ADDRESSES; i++) {
		const struct source_location *location = source_batch_at(&batch, address + 3 * i);

		if (location)
			check_location(location);
	}
	CHECK(budget.inflated_left == INFLATED && budget.work_left <= WORK);
	source_batch_destroy(&batch);
	close(fd);
	return 0;
}
