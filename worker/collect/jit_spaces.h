#pragma once
/* Code without a file, of one profile: a mapping for each process that made some, since the same address is
 * other code in another process. */

#include "worker/profile/jit_mapping.h"
#include "worker/profile/record_table.h"

#define JIT_SPACES_BYTES_MAX (4u << 20) /* some 30,000 processes */

struct jit_space {
	uint32_t pid;          /* key */
	uint64_t start, limit; /* addresses seen lie in [start, limit) */
	char name[JIT_MAPPING_NAME_BYTES];
};

struct jit_spaces {
	struct budget budget;
	struct record_table spaces; /* struct jit_space */
};

void jit_spaces_init(struct jit_spaces *ret);
void jit_spaces_clear(struct jit_spaces *spaces); /* also frees */

/* The number of the process's space, from 0; the address is in it. -EINVAL (not of a user's memory), -ENOSPC,
 * -ENOMEM. */
int jit_spaces_put(struct jit_spaces *spaces, uint32_t pid, uint64_t address, uint32_t *ret);

/* NULL: no such number. Borrowed until the next put. */
const struct jit_space *jit_spaces_get(const struct jit_spaces *spaces, uint32_t number);
