/* The x86-64 branch of the generated filters, under a name of its own. Headers first: they must see the real
 * architecture. */

#include "tests/policy/both_architectures.h"

#undef __aarch64__
#undef __x86_64__
#define __x86_64__ 1
#define filter_programs filter_programs_x86_64
#include GENERATED_FILTERS
