#pragma once
/* What a profile is of, as OpenTelemetry's semantic conventions name it. */

#include "worker/export/format.h"
#include "worker/profile/arena.h"

#include <otlp.pb-c.h>

/* Lives in the arena; strings borrow from the input. NULL: the arena is exhausted. */
Otlp__Resource *otlp_resource(const struct format_input *input, struct arena *arena);
