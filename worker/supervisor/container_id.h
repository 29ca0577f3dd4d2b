#pragma once
/* The container a process is in, from the text of its /proc/PID/cgroup. */

#include <stddef.h>

/* Docker and Kubernetes name cgroups by 64 hex digits, ECS by a 32-hex task id and a number, Garden by a
 * UUID. Writes such an id, or "none". */
void container_id_parse(const char *cgroup_text, char *ret_id, size_t capacity);
