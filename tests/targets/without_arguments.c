/* without_arguments PROGRAM: executes it with an empty argument vector, where not even its own name is. Linux
 * before 5.18 passes that on as it is; later ones make it one empty string. */

#include <stdio.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	char *const nothing[] = {NULL};

	if (argc != 2)
		return 2;
	execve(argv[1], nothing, nothing);
	perror(argv[1]);
	return 127;
}
