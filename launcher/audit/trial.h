#pragma once
/* The last word on whether profiling works: doing it. */

#include <stdbool.h>

#define TRIAL_COMMAND "trial" /* of ddprof-audit: what is profiled */
#define TRIAL_WORDS_MAX 512

struct trial {
	bool works;
	char words[TRIAL_WORDS_MAX]; /* what ddprof-launch said, without its name; or why it could not be
					tried */
};

/* Runs ddprof-launch on TRIAL_COMMAND in a temporary folder that is gone afterwards, at most 30 s. */
void trial_run(struct trial *ret);

int trial_burn(void); /* uses a little CPU time */
