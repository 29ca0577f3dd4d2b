#pragma once
/* The verdict on one process of ours, from what was read about it. Pure: reading is attest.c's. */

#include "launcher/audit/findings.h"
#include "launcher/audit/process_status.h"
#include "policy/syscalls.h"

#include <stdbool.h>

enum descriptor_kind {
	DESCRIPTOR_NULL, /* /dev/null */
	DESCRIPTOR_SOCKET,
	DESCRIPTOR_EVENT, /* perf event */
	DESCRIPTOR_MEMFD,
	DESCRIPTOR_PROC, /* /proc itself */
	DESCRIPTOR_SIGNALS,
	DESCRIPTOR_FOLDER,
	DESCRIPTOR_FILE, /* opened read-only */
	DESCRIPTOR_LOG,  /* a terminal, or a file opened for writing */
	DESCRIPTOR_OTHER,
	DESCRIPTOR_KINDS,
};

enum knowledge {
	KNOWN_NO,
	KNOWN_YES,
	KNOWN_NOT,
};

struct attested {
	enum role role;
	struct process_status status;
	enum knowledge is_dumpable;
	enum knowledge has_core_limit_zero;
	enum knowledge is_our_executable; /* root only */
	const char *executable;           /* as it is, when known */
	const char *self_report;          /* "landlock=6 mdwe=on ...", or "" */
	bool kernel_has_landlock, kernel_has_mdwe;
	bool descriptors_visible; /* root only */
	unsigned descriptors[DESCRIPTOR_KINDS];
	unsigned cpus;
};

/* One finding per promise. */
void attest_judge(const struct attested *process, struct findings *findings);

/* What a finding cannot judge of the target: its own rights. */
void attest_describe_target(const struct process_status *status, struct findings *findings);
