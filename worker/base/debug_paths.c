/* A way has one to three places. */

#include "worker/base/debug_paths.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static size_t
count_slashes(const char *name)
{
	size_t count = 0;

	for (const char *at = name; (at = strchr(at, '/')); at++)
		count++;
	return count;
}

static bool
has_ending(const char *name, const char *ending)
{
	size_t length = strlen(name), size = strlen(ending);

	return length > size && strcmp(name + length - size, ending) == 0;
}

/* Whoever asks may be taken over: of other people's files he gets those that compilers wrote. */
static bool
is_object_path(const char *path)
{
	return path[0] == '/' && !strstr(path, "/../") && !strstr(path, "/./") &&
	       (has_ending(path, ".dwo") || has_ending(path, ".o"));
}

bool
debug_request_is_sane(const struct open_debug *request)
{
	if (!memchr(request->module.path, 0, sizeof(request->module.path)) ||
	    !memchr(request->module.build_id, 0, sizeof(request->module.build_id)) ||
	    !memchr(request->name, 0, sizeof(request->name)) || request->way >= DEBUG_WAYS ||
	    request->module.path[0] != '/')
		return false;
	const char *name = request->name;
	size_t length = strlen(name);
	if (request->way == DEBUG_BY_BUILD_ID)
		return length > 2 && strspn(name, "0123456789abcdef") == length;
	if (request->way == DEBUG_BY_UNIT)
		return is_object_path(name);
	return length > 0 && count_slashes(name) <= (request->way == DEBUG_BY_DWZ) &&
	       strcmp(name, ".") != 0 && strncmp(name, "..", 2) != 0 && !strstr(name, "/..");
}

int
debug_path_format(const struct open_debug *request, const char *module, uint32_t place, size_t capacity,
		  char *ret)
{
	const char *name = request->name;
	int folder = (int)(strrchr(module, '/') - module), length = -1;

	if (request->way == DEBUG_BY_BUILD_ID && place == 0)
		length = snprintf(ret, capacity, DEBUG_FOLDER "/.build-id/%.2s/%s.debug", name, name + 2);
	else if (request->way == DEBUG_BY_DWZ && place == 0)
		length = snprintf(ret, capacity, DEBUG_FOLDER "/.dwz/%s", name);
	else if (request->way == DEBUG_BY_UNIT && place == 0)
		length = snprintf(ret, capacity, "%s", name);
	else if (request->way == DEBUG_BY_UNIT && place == 1)
		length = snprintf(ret, capacity, "%.*s%s", folder, module, strrchr(name, '/'));
	else if (request->way == DEBUG_BY_LINK && place == 0)
		length = snprintf(ret, capacity, "%.*s/%s", folder, module, name);
	else if (request->way == DEBUG_BY_LINK && place == 1)
		length = snprintf(ret, capacity, "%.*s/.debug/%s", folder, module, name);
	else if (request->way == DEBUG_BY_LINK && place == 2)
		length = snprintf(ret, capacity, DEBUG_FOLDER "%.*s/%s", folder, module, name);
	if (length < 0)
		return -ENOENT;
	return (size_t)length < capacity ? 0 : -ENAMETOOLONG;
}
