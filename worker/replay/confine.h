#pragma once
/* What ddprof-replay and ddprof-symbolizer give up before they look at what they were given: they may read
 * files and write into one folder, or none. */

/* `folder` is where the profile will be written; -1: nowhere. 0 or -errno. Landlock adds its part where the
 * kernel has it.
 */
int replay_confine(int folder);
