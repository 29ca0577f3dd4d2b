/* Prints docs/Commands.md. A test compares the two, so the page is never older than the option table. */

#include <unistd.h>

#include "launcher/options.h"

int
main(void)
{
	options_print_markdown(STDOUT_FILENO);
	return 0;
}
