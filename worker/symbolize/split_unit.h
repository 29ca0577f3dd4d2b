#pragma once
/* The other halves of units that were split (-gsplit-dwarf): the program has a skeleton with addresses and
 * lines, and what is said of its functions is in a file that the compiler wrote (.dwo), or in a package of
 * those (.dwp) beside the program. What is used has the skeleton's id. */

#include "worker/symbolize/debug_names.h"
#include "worker/symbolize/module_files.h"

/* Where halves of one module come from. */
struct split_files {
	const struct module_files *files; /* NULL: nobody may be asked */
	struct debug_budget *budget;
	struct debug_sections *skeletons;
	struct debug_sections *package; /* NULL: none, or it was not looked for yet */
	int package_fd;
	bool is_package_known;
	unsigned found, missing; /* units' own files */
};

void split_files_init(struct split_files *files, const struct module_files *module,
		      struct debug_budget *budget, struct debug_sections *skeletons);
void split_files_close(struct split_files *files);

struct split_unit {
	struct debug_file file; /* with all units of a .dwo, but only the one of a package */
	struct debug_unit *unit;
	int fd; /* -1: it is the package's */
};

/* The other half of a skeleton (has_split_id), as far as it can be had. */
bool split_unit_open(struct split_files *files, const struct debug_unit *skeleton, struct split_unit *ret);
void split_unit_close(struct split_unit *unit);
