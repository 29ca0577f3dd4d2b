#pragma once
/* What others call the types that a profile has under ddprof's names. Pyroscope refuses a '-' in one; and cpu
 * and samples are what OpenTelemetry's own profiler and Go's call them. */

#define SAMPLE_TYPE_MAX 64

/* `ret` gets the name; a longer one is cut. */
void sample_type_rename(const char *name, char ret[SAMPLE_TYPE_MAX]);
