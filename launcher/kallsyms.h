#pragma once
/* The kernel's symbols, for whoever may see where they are. */

/* /proc/kallsyms, if this process sees addresses in it: the kernel decides that when the file is opened, by
 * CAP_SYSLOG, kptr_restrict and perf_event_paranoid (kallsyms_show_value(), Linux 4.15 and later), and
 * whoever is given the descriptor sees the same. -1: they are zeros, or there is no such file. */
int kallsyms_open(void);
