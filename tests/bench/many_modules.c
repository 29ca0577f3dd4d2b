/* many_modules FOLDER COUNT EACH ROUNDS: COUNT processes are forked, each loads EACH of the folder's numbered
 * modules (0.so, 1.so, ...; the next one's begin half way through its own, and after the last comes the
 * first), and calls every one of them ROUNDS times. All are alive until the last has done so. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef double entry_point(double);

enum { EACH_MAX = 1000 };

static void
work(const char *folder, unsigned first, unsigned each, unsigned modules, unsigned rounds)
{
	static entry_point *entry[EACH_MAX];
	volatile double sum = 0;

	for (unsigned i = 0; i < each; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%u.so", folder, (first + i) % modules);
		void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
		entry[i] = module ? (entry_point *)dlsym(module, "entry") : NULL;
		if (!entry[i]) {
			fprintf(stderr, "many_modules: %s\n", dlerror());
			_exit(1);
		}
	}
	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < each; i++)
			sum += entry[i](sum);
}

int
main(int argc, char *argv[])
{
	unsigned number[4] = {0};
	int done[2], failed = 0, status;

	for (int i = 2; i < argc && i < 6; i++)
		number[i - 2] = (unsigned)strtoul(argv[i], NULL, 10);
	unsigned count = number[0], each = number[1], rounds = number[2], modules = count * each / 2;

	if (argc != 5 || count < 2 || each < 2 || each > EACH_MAX || pipe(done) != 0) {
		fprintf(stderr, "usage: many_modules FOLDER COUNT EACH ROUNDS\n");
		return 2;
	}
	for (unsigned i = 0; i < count; i++) {
		if (fork() != 0)
			continue;
		char byte;

		work(argv[1], i * each / 2, each, modules, rounds);
		close(done[1]);
		_exit(read(done[0], &byte, 1) != 0); /* ends when nobody can write any more */
	}
	close(done[1]);
	while (wait(&status) > 0)
		failed |= status;
	return failed != 0;
}
