#include "tests/symbolize/dump_builder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void
put(struct dump_builder *dump, const void *bytes, size_t size)
{
	assert_true(dump->size + size <= sizeof(dump->bytes));
	memcpy(dump->bytes + dump->size, bytes, size);
	dump->size += size;
}

static void
put_u32(struct dump_builder *dump, uint32_t value)
{
	put(dump, &value, sizeof(value));
}

static void
put_u64(struct dump_builder *dump, uint64_t value)
{
	put(dump, &value, sizeof(value));
}

static void
finish(struct dump_builder *dump)
{
	uint32_t size = (uint32_t)(dump->size - dump->record);

	memcpy(dump->bytes + dump->record + 4, &size, sizeof(size));
}

static void
begin(struct dump_builder *dump, uint32_t id)
{
	dump->record = dump->size;
	put_u32(dump, id);
	put_u32(dump, 0);
	put_u64(dump, 12345); /* time */
}

void
dump_begin(struct dump_builder *dump, uint32_t reserved)
{
	dump->size = 0;
	put_u32(dump, 0x4A695444);
	put_u32(dump, 1);
	put_u32(dump, 40);
	put_u32(dump, 62);
	put_u32(dump, reserved);
	put_u32(dump, 7);
	put_u64(dump, 0);
	put_u64(dump, 0);
}

void
dump_load(struct dump_builder *dump, uint64_t address, uint64_t size, uint64_t index, const char *name)
{
	static const uint8_t code[64];

	begin(dump, 0);
	put_u64(dump, 0x700000007);
	put_u64(dump, address);
	put_u64(dump, address);
	put_u64(dump, size);
	put_u64(dump, index);
	put(dump, name, strlen(name) + 1);
	put(dump, code, size < sizeof(code) ? size : sizeof(code));
	finish(dump);
}

void
dump_move(struct dump_builder *dump, uint64_t to, uint64_t size, uint64_t index)
{
	begin(dump, 1);
	put_u64(dump, 0x700000007);
	put_u64(dump, to);
	put_u64(dump, 0);
	put_u64(dump, to);
	put_u64(dump, size);
	put_u64(dump, index);
	finish(dump);
}

void
dump_lines(struct dump_builder *dump, uint64_t address)
{
	begin(dump, 2);
	put_u64(dump, address);
	put_u64(dump, 0);
	finish(dump);
}

void
dump_line(struct dump_builder *dump, uint64_t address, const char *file, uint32_t line)
{
	uint64_t count;

	put_u64(dump, address);
	put_u32(dump, line);
	put_u32(dump, 0);
	put(dump, file, strlen(file) + 1);
	memcpy(&count, dump->bytes + dump->record + 24, sizeof(count));
	count++;
	memcpy(dump->bytes + dump->record + 24, &count, sizeof(count));
	finish(dump);
}

void
dump_record(struct dump_builder *dump, uint32_t id, size_t body_bytes)
{
	begin(dump, id);
	for (size_t i = 0; i < body_bytes; i++)
		put(dump, "", 1);
	finish(dump);
}

void
dump_set_u32(struct dump_builder *dump, size_t offset, uint32_t value)
{
	memcpy(dump->bytes + dump->record + offset, &value, sizeof(value));
}

int
dump_file(const struct dump_builder *dump)
{
	int fd = memfd_create("dump", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, dump->bytes, dump->size), dump->size);
	return fd;
}
