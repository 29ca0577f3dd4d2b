#pragma once
/* One finished profile as a receiver wants it: format.h, for what is sent. */

#include "worker/export/format.h"

/* By the destination's kind: datadog.c, otlp.c, pyroscope.c. 0, -ENOMEM, -EBADMSG (not a pprof), -ERANGE (too
 * large for this destination), -EINVAL (no such kind). Nothing is left behind on failure. */
int format_request(const struct format_input *input, struct format_output *ret);
