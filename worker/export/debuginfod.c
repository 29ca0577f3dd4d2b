/* The file goes into a memfd as it comes; who asked for it compares build ids, for a server may send
 * anything. */

#include "worker/export/debuginfod.h"

#include "ipc/fd.h"
#include "worker/base/seal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

void
debuginfod_servers(char *urls, const char *ret_servers[DEBUGINFOD_SERVERS_MAX + 1])
{
	size_t count = 0;
	char *rest = urls, *url;

	while (count < DEBUGINFOD_SERVERS_MAX && (url = strsep(&rest, " ")))
		if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0)
			ret_servers[count++] = url;
	ret_servers[count] = NULL;
}

void
debuginfod_init(struct debuginfod *debuginfod, struct http_client *client, const char *const *servers)
{
	*debuginfod = (struct debuginfod){.client = client, .servers = servers, .fd = -1};
}

static bool
is_build_id(const char *text)
{
	size_t length = strlen(text);

	return length > 2 && length <= 2 * MAX_BUILD_ID && strspn(text, "0123456789abcdef") == length;
}

static int
ask_server(struct debuginfod *debuginfod)
{
	const char *server = debuginfod->servers[debuginfod->server];

	if (!server)
		return -ENOENT;
	close_fd(&debuginfod->fd);
	debuginfod->fd = memfd_create("ddprof-debuginfod", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (debuginfod->fd < 0)
		return -errno;
	const char *slash = server[strlen(server) - 1] == '/' ? "" : "/";
	if (snprintf(debuginfod->url, sizeof(debuginfod->url), "%s%sbuildid/%s/debuginfo", server, slash,
		     debuginfod->build_id) >= (int)sizeof(debuginfod->url))
		return -ENAMETOOLONG;
	debuginfod->sink = (struct http_sink){.fd = debuginfod->fd, .limit = DEBUGINFOD_FILE_MAX};
	debuginfod->request = (struct http_request){
		.url = debuginfod->url,
		.sink = &debuginfod->sink,
		.timeout_ms = DEBUGINFOD_TIMEOUT_MS,
	};
	return http_client_start(debuginfod->client, &debuginfod->request, debuginfod);
}

static void
finish(struct debuginfod *debuginfod)
{
	close_fd(&debuginfod->fd);
	debuginfod->build_id[0] = '\0';
}

int
debuginfod_fetch(struct debuginfod *debuginfod, const char *build_id)
{
	if (debuginfod->build_id[0])
		return -EBUSY;
	if (!is_build_id(build_id))
		return -EINVAL;
	strcpy(debuginfod->build_id, build_id);
	debuginfod->server = 0;
	debuginfod->error = ENOENT;
	int result = ask_server(debuginfod);
	if (result < 0)
		finish(debuginfod);
	return result;
}

static int
seal(struct debuginfod *debuginfod)
{
	int result = memfd_seal(debuginfod->fd);

	return result < 0 ? result : take_fd(&debuginfod->fd);
}

bool
debuginfod_take(struct debuginfod *debuginfod, const struct http_answer *answer, int *ret_fd)
{
	if (answer->status == 200) {
		*ret_fd = seal(debuginfod);
		finish(debuginfod);
		return true;
	}
	if (debuginfod->sink.bytes > 0 && answer->status == 0)
		debuginfod->error = EFBIG; /* or it broke off: in either case not worth another minute soon */
	else if (answer->status != 404 && debuginfod->error == ENOENT)
		debuginfod->error = EIO;
	debuginfod->server++;
	if (ask_server(debuginfod) == 0)
		return false;
	*ret_fd = -debuginfod->error;
	finish(debuginfod);
	return true;
}
