/* dlopener [seconds]: loads the plugin that lies beside this program, and burns its CPU time (default 2 s) in
 * there. */

#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	double seconds = argc > 1 ? atof(argv[1]) : 2;
	char self[PATH_MAX] = "";
	char path[PATH_MAX + 32];

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0) {
		perror("dlopener: /proc/self/exe");
		return 1;
	}
	snprintf(path, sizeof(path), "%s/libtarget_plugin.so", dirname(self));

	void *plugin = dlopen(path, RTLD_NOW);
	uint64_t (*burn)(double) = plugin ? (uint64_t(*)(double))dlsym(plugin, "plugin_burn") : NULL;

	if (!burn) {
		fprintf(stderr, "dlopener: %s\n", dlerror());
		return 1;
	}
	volatile uint64_t sink = burn(seconds);

	(void)sink;
	return 0;
}
