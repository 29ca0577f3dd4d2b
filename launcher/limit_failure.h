#pragma once
/* A limit of the caller's that is reached looks different at every step and has one fix. */

#include "ipc/failure.h"

/* `failure`, or what explains its errno better. */
enum failure limit_failure(enum failure failure, int error);
