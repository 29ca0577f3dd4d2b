#pragma once
/* Runs a seccomp filter as the kernel would, without loading it: for any system call of any architecture. */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>

/* Not a value a filter can return: the program is one the kernel would refuse (a jump out of it, no return,
 * an unknown instruction, a load outside of struct seccomp_data). */
#define BPF_INVALID_PROGRAM 0xdeadbeefu

unsigned bpf_run(const struct sock_filter *code, size_t length, const struct seccomp_data *data);
