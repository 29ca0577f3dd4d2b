#pragma once
/* protobuf-c messages in an arena. */

#include "worker/profile/arena.h"

#include <otlp.pb-c.h>

/* An array of pointers to that many messages of one type, each set to `init`; NULL when the arena is
 * exhausted. (One more is allocated: an arena's first allocation of nothing is NULL.) */
#define NEW_MESSAGES(arena, type, init, count)                                            \
	({                                                                                \
		size_t count_ = (count);                                                  \
		type **list_ = arena_allocate_array((arena), count_ + 1, sizeof(type *)); \
		type *all_ = arena_allocate_array((arena), count_ + 1, sizeof(type));     \
		for (size_t i_ = 0; list_ && all_ && i_ < count_; i_++) {                 \
			all_[i_] = (type)init;                                            \
			list_[i_] = &all_[i_];                                            \
		}                                                                         \
		list_ &&all_ ? list_ : NULL;                                              \
	})
