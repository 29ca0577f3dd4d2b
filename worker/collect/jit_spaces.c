#include "worker/collect/jit_spaces.h"

#include <errno.h>

void
jit_spaces_init(struct jit_spaces *ret)
{
	*ret = (struct jit_spaces){
		.budget.limit = JIT_SPACES_BYTES_MAX,
		.spaces = RECORD_TABLE(struct jit_space, sizeof(uint32_t)),
	};
}

void
jit_spaces_clear(struct jit_spaces *spaces)
{
	record_table_clear(&spaces->spaces, &spaces->budget);
}

static int
add_space(struct jit_spaces *spaces, uint32_t pid, uint64_t address, uint32_t *ret)
{
	struct jit_space space = {.pid = pid, .start = address, .limit = address + 1};

	jit_mapping_format(space.name, pid);
	return record_table_put(&spaces->spaces, &spaces->budget, &space, ret);
}

int
jit_spaces_put(struct jit_spaces *spaces, uint32_t pid, uint64_t address, uint32_t *ret)
{
	uint32_t number = record_table_find(&spaces->spaces, &pid);

	if (address >> 63)
		return -EINVAL;
	if (number == HASH_INDEX_NONE)
		return add_space(spaces, pid, address, ret);
	struct jit_space *space = record_table_at(&spaces->spaces, number);
	if (address < space->start)
		space->start = address;
	if (address >= space->limit)
		space->limit = address + 1;
	*ret = number;
	return 0;
}

const struct jit_space *
jit_spaces_get(const struct jit_spaces *spaces, uint32_t number)
{
	return number < spaces->spaces.count ? record_table_at(&spaces->spaces, number) : NULL;
}
