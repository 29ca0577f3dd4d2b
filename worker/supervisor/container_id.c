/* Looks at the last path element of every cgroup line for a name only container runtimes give. */

#include "worker/supervisor/container_id.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Patterns of a whole id: x a hex digit, d a decimal digit run to the end, others themselves. */
static const char *const patterns[] = {
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	"xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx",
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-d",
};

/* Bytes of `text` that the pattern covers, 0 when it does not match there. */
static size_t
match(const char *text, const char *pattern)
{
	const char *at = text;

	for (; *pattern; pattern++) {
		if (*pattern == 'd') {
			if (!isdigit((unsigned char)*at))
				return 0;
			while (isdigit((unsigned char)*at))
				at++;
		} else if (*pattern == 'x' ? isxdigit((unsigned char)*at) : *at == *pattern) {
			at++;
		} else {
			return 0;
		}
	}
	return (size_t)(at - text);
}

static bool
find_in(const char *element, size_t length, char *ret_id, size_t capacity)
{
	for (size_t at = 0; at < length; at++) {
		for (size_t p = 0; p < sizeof(patterns) / sizeof(patterns[0]); p++) {
			size_t matched = match(element + at, patterns[p]);

			if (matched == 0 || at + matched > length)
				continue;
			/* not the inside of a longer run of letters: 65 hex digits are no container */
			if (at + matched < length && isalnum((unsigned char)element[at + matched]))
				continue;
			if (at > 0 && isalnum((unsigned char)element[at - 1]))
				continue;
			snprintf(ret_id, capacity, "%.*s", (int)matched, element + at);
			return true;
		}
	}
	return false;
}

void
container_id_parse(const char *cgroup_text, char *ret_id, size_t capacity)
{
	for (const char *line = cgroup_text; *line;) {
		size_t length = strcspn(line, "\n");
		const char *element = line;

		for (const char *c = line; c < line + length; c++)
			if (*c == '/')
				element = c + 1;
		if (find_in(element, (size_t)(line + length - element), ret_id, capacity))
			return;
		line += length + (line[length] == '\n');
	}
	snprintf(ret_id, capacity, "none");
}
