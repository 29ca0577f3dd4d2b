#pragma once
/* The one place that picks an architecture. Each folder has the same files with the same functions. */

#if defined(__x86_64__)
#include "worker/unwind/x86_64/code_patterns.h"
#include "worker/unwind/x86_64/registers.h"
#include "worker/unwind/x86_64/rule.h"
#else
#error "no unwinder for this architecture"
#endif
