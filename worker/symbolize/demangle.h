#pragma once
/* A linker's symbol name as a person would write it: C++ (Itanium), Rust (legacy without its hash, v0) and
 * D; anything else as it is. The result is printable UTF-8 of bounded length. */

#include <stddef.h>

/* The longest name we make, terminator included; longer ones are cut and end in "…". */
#define DEMANGLE_SIZE 1024

/* Returns the length. Deterministic, and bounded in time and memory for any input. */
size_t demangle(const char *symbol, char ret[static DEMANGLE_SIZE]);
