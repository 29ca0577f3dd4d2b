#pragma once
/* A seccomp filter as text that can be read beside its table: classic BPF (linux
 * Documentation/networking/filter.rst), one instruction a line, with the system calls named. */

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define BPF_TEXT_MAX_INSTRUCTIONS 4096 /* the kernel's limit (BPF_MAXINSNS) */

/* Name of a system call of an architecture (AUDIT_ARCH_... of linux/audit.h), or NULL; the caller frees it.
 */
typedef char *(*bpf_call_name)(uint32_t architecture, unsigned number);

void bpf_text_print(const struct sock_filter *code, size_t length, bpf_call_name call_name, FILE *to);
