#pragma once
/* A program of another architecture under QEMU's user-mode emulator, stepped through its gdb stub. Failures
 * end the test. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gdb_remote;

/* Starts `argv` (the emulator's command line behind its -g) and stops it at its first instruction. */
struct gdb_remote *gdb_remote_start(const char *emulator, char *const argv[]);
void gdb_remote_end(struct gdb_remote *remote);

/* One instruction, delivering `signal` first unless it is 0. False: the program has ended. *ret_signal: what
 * stopped it, 0 when only the step. Signals are in gdb's numbering. */
bool gdb_remote_step(struct gdb_remote *remote, unsigned signal, unsigned *ret_signal);

/* The same up to one of these addresses. */
bool gdb_remote_run_to(struct gdb_remote *remote, const uint64_t *addresses, size_t count,
		       unsigned *ret_signal);

/* The first `count` registers of 8 bytes. */
void gdb_remote_registers(struct gdb_remote *remote, uint64_t *ret_registers, size_t count);

/* Memory; the number of bytes that could be read: all or none. */
size_t gdb_remote_read(struct gdb_remote *remote, uint64_t address, void *ret_bytes, size_t size);
