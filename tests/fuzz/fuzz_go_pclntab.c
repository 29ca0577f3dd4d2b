/* Go's function table: the same from memory and from a file; every name and path lies in the file; work stays
 * within the budget and chains within their length; a chain ends with the function itself. Input: an address
 * to look up, then the file. */

#include "tests/fuzz/fuzz.h"

#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/go_frames.h"
#include "worker/symbolize/inline_chain.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LOOKUPS = 64, WORK = 1 << 20 };

static void
check_text(const char *text, const uint8_t *file, size_t size)
{
	if (text)
		CHECK(text[0] && memmem(file, size, text, strlen(text) + 1));
}

static void
check_same(const char *one, const char *other)
{
	CHECK(!one == !other && (!one || strcmp(one, other) == 0));
}

static void
check_frames(const struct source_location *one, const struct source_location *other, const uint8_t *file,
	     size_t size)
{
	CHECK(one->count == other->count && one->count <= CHAIN_DEPTH_MAX);
	for (size_t i = 0; i < one->count; i++) {
		const struct source_frame *frame = &one->frames[i];

		check_text(frame->function, file, size);
		check_text(frame->file, file, size);
		check_same(frame->function, other->frames[i].function);
		check_same(frame->file, other->frames[i].file);
		CHECK(frame->line == other->frames[i].line && (frame->file || frame->line == 0));
	}
}

static void
check_tables(struct go_pclntab *one, struct go_pclntab *other, uint64_t address, const uint8_t *file,
	     size_t size)
{
	struct debug_budget budget[2] = {{.work_left = WORK}, {.work_left = WORK}};
	struct arena arena = {.limit = 64 << 20};

	for (unsigned i = 0; i < LOOKUPS; i++, address += i) {
		const char *name = go_pclntab_find(one, address);
		struct source_location found, same;
		int error = go_frames_find(one, address, &budget[0], &arena, &found);

		CHECK(error == 0 || (error == -ERANGE && budget[0].is_exceeded));
		CHECK(go_frames_find(other, address, &budget[1], &arena, &same) == error);
		CHECK(budget[0].work_left == budget[1].work_left && budget[0].work_left <= WORK);
		check_text(name, file, size);
		check_same(name, go_pclntab_find(other, address));
		check_frames(&found, &same, file, size);
		if (found.count)
			check_same(name, found.frames[found.count - 1].function);
	}
	arena_destroy(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct elf_source *memory = NULL, *file = NULL;
	struct go_pclntab *one = NULL, *other = NULL;
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	uint64_t address = cursor_u64(&in);

	if (in.failed)
		return 0;
	size = cursor_left(&in);
	uint8_t *image = malloc(size); /* aligned, as whoever maps or reads a file has it */
	int fd = memfd_create("elf", MFD_CLOEXEC);
	if (size > 0)
		memcpy(image, in.at, size);
	CHECK(fd >= 0 && write(fd, image, size) == (ssize_t)size);

	if (elf_source_open_memory(image, size, &memory) == 0 && elf_source_open(fd, &file) == 0) {
		int result = go_pclntab_open(memory, &one);

		CHECK(result == 0 || result == -ENOENT || result == -EBADMSG || result == -ERANGE);
		CHECK(go_pclntab_open(file, &other) == result);
		if (result == 0)
			check_tables(one, other, address, image, size);
	}
	go_pclntab_close(one);
	go_pclntab_close(other);
	elf_source_close(memory);
	elf_source_close(file);
	close(fd);
	free(image);
	return 0;
}
