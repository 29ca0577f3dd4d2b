#pragma once
/* The name of a profile's file: <service>-<pid>-<YYYYmmddTHHMMSSZ>-<sequence>.pprof, time in UTC. */

#include <stddef.h>
#include <stdint.h>

/* Bytes of the service that a file name cannot or should not have ('/', control characters, a leading
 * '.') become '_'; a long service is cut. */
void export_file_name(const char *service, uint32_t pid, int64_t end_ns, uint64_t sequence, char *ret_name,
		      size_t capacity);
