#pragma once
/* The one place that picks an architecture. Each folder has the same files with the same functions. The tests
 * define DDPROF_UNWIND_AARCH64 to run that unwinder on any machine: it only handles numbers. */

#if defined(__aarch64__) || defined(DDPROF_UNWIND_AARCH64)
#include "worker/unwind/aarch64/registers.h"
#include "worker/unwind/aarch64/rule.h"
#elif defined(__x86_64__)
#include "worker/unwind/x86_64/registers.h"
#include "worker/unwind/x86_64/rule.h"
#else
#error "no unwinder for this architecture"
#endif
