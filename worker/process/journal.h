#pragma once
/* Every sideband record seen, in order, in a memfd that the supervisor holds too: a fresh unwinder replays
 * it and knows what its predecessor knew. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_MAX_BYTES (64u << 20) /* about half a million records */

struct journal {
	int fd; /* owned */
	uint64_t bytes;
	uint64_t compact_at; /* bytes at which rewriting it pays */
	bool is_full;        /* records after this are not kept: a successor starts with an older picture */
};

/* Takes over a memfd and continues at its end. 0 or -errno. */
int journal_open(int fd, struct journal *ret);
void journal_close(struct journal *journal);

/* True when most of what it holds is history that no longer matters: write what is still true into a new
 * one (processes_write_to), give that to the supervisor, go on with it. */
bool journal_wants_compaction(const struct journal *journal);

/* Appends one whole record (header first). 0 or -errno; ENOSPC when full. */
int journal_append(struct journal *journal, const uint8_t *record, size_t size);

/* Hands out every whole record from the start; a torn last one (its writer died) is ignored. 0 or -errno. */
int journal_replay(int fd, void (*handle)(void *context, const uint8_t *record, size_t size), void *context);
