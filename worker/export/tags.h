#pragma once
/* "key:value,key:value", one by one. */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct tag {
	const char *key, *value; /* borrowed */
	size_t key_length, value_length;
};

/* Takes one off the front; false at the end. What has no colon, no key or no value is skipped. */
static inline bool
tag_next(const char **tags, struct tag *ret)
{
	while (**tags) {
		const char *tag = *tags;
		size_t length = strcspn(tag, ","), key = strcspn(tag, ":,");

		*tags += length;
		*tags += **tags == ',';
		if (key == 0 || key + 1 >= length)
			continue;
		*ret = (struct tag){tag, tag + key + 1, key, length - key - 1};
		return true;
	}
	return false;
}
