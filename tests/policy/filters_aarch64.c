/* The arm64 branch of the generated filters, under a name of its own. Headers first: they must see the real
 * architecture. */

#include "tests/policy/both_architectures.h"

#undef __x86_64__
#undef __aarch64__
#define __aarch64__ 1
#define filter_programs filter_programs_aarch64
#include GENERATED_FILTERS
