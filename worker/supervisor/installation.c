/* Asks the kernel with the rights of this process, as execve(2) does, instead of reading mode bits. */

#include "worker/supervisor/installation.h"

#include "worker/base/harden.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

const char *
installation_find_readable(void)
{
	static const char *const programs[] = {
		DDPROF_LIBEXECDIR "/ddprof-worker",
		DDPROF_LIBEXECDIR "/ddprof-symbolizer",
		DDPROF_LIBEXECDIR "/ddprof-exporter",
		DDPROF_LIBEXECDIR "/ddprof-uploader",
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		/* not by libc's name, which is another system call on newer kernels (faccessat2) */
		if (syscall(SYS_faccessat, AT_FDCWD, programs[i], R_OK) == 0)
			return programs[i];
	return harden_was_dumpable() ? programs[0] : NULL; /* the mode was mended since */
}
