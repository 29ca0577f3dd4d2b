#pragma once
/* Adds up profiles: for every function what was spent in it (flat) and in it or below it (cumulative).
 * Functions are told apart by name; a recursive one counts once per sample. */

#include "worker/profile/decode.h"
#include "worker/profile/record_table.h"
#include "worker/profile/string_table.h"
#include "worker/report/cost.h"

#include <stdint.h>

struct account_function {
	uint32_t name;        /* in account.names; key */
	uint32_t last_sample; /* the sample that was last added to `cumulative` */
	int64_t flat, cumulative;
};

struct account {
	struct budget budget;
	struct string_table names;
	struct record_table functions; /* of struct account_function */
	char *type, *unit;             /* of the values; NULL until the first profile */
	uint32_t samples;              /* pprof samples seen, numbers them for last_sample */
	int64_t total;
	int64_t sample_count;          /* by the profiles' own count type, else the number of samples */
	int64_t start_ns, duration_ns; /* earliest start; sum of durations */
	struct profile_cost cost;
};

void account_init(struct account *account);
void account_destroy(struct account *account);

/* `type`: the sample type wanted, NULL: CPU time if the profile has it, else the profile's default. All
 * profiles of an account must have the type with the same unit. 0, -ENOENT (no such type), -EINVAL (another
 * unit), -ENOMEM. */
int account_add(struct account *account, const Perftools__Profiles__Profile *profile, const char *type);

enum account_order { BY_FLAT, BY_CUMULATIVE };

/* Sorts by that value, then by the other, then by name. *ret is malloc'ed. Returns the count, or -ENOMEM. */
int64_t account_sort(const struct account *account, enum account_order order,
		     const struct account_function **ret);

const char *account_name(const struct account *account, const struct account_function *function);
