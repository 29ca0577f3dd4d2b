#pragma once
/* The filters for each architecture we support, in one program. */

#include "policy/filter.h"

extern const struct filter_program filter_programs_x86_64[ROLE_COUNT];
extern const struct filter_program filter_programs_aarch64[ROLE_COUNT];
