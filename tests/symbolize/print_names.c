/* Prints the name that we give to each address of a file, or "??". Addresses come in hexadecimal, one a line,
 * on standard input. A tool of the comparison with other programs. */
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/module_names.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	static const struct file_finder nobody;
	int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	struct elf_source *source;
	struct module_names *names;
	uint64_t address;

	if (fd < 0 || elf_source_open(fd, &source) != 0 ||
	    module_names_open(source, argv[1], "", &nobody, &names) != 0)
		return 1;
	while (scanf("%" SCNx64, &address) == 1) {
		const char *name = module_names_find(names, address);

		puts(name ? name : "??");
	}
	module_names_close(names);
	return 0;
}
