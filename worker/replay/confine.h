#pragma once
/* What ddprof-replay gives up before it looks at the recording: it may read files and write into one folder.
 */

/* `folder` is where the profile will be written. 0 or -errno. Landlock adds its part where the kernel has it.
 */
int replay_confine(int folder);
