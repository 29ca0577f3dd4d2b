#pragma once
/* Debug files by build id from debuginfod servers (elfutils, debuginfod(8): GET
 * <server>/buildid/<hex>/debuginfo). One at a time; of several servers each is asked in turn until one has
 * it. */

#include "ipc/protocol.h"
#include "worker/export/http.h"

#define DEBUGINFOD_SERVERS_MAX 4
#define DEBUGINFOD_FILE_MAX ((uint64_t)256 << 20) /* it is kept in memory */
#define DEBUGINFOD_TIMEOUT_MS 90000               /* of one server; debuginfod-client's default */

struct debuginfod {
	struct http_client *client; /* borrowed */
	const char *const *servers; /* NULL-terminated; borrowed */
	/* the file that is being fetched */
	char build_id[2 * MAX_BUILD_ID + 1]; /* "": none */
	size_t server;
	int fd;
	int error; /* of the servers asked so far: ENOENT or worse */
	char url[2200];
	struct http_sink sink;
	struct http_request request;
};

/* Cuts a text as in DEBUGINFOD_URLS, URLs separated by spaces, into a NULL-terminated list. What is no
 * http:// or https:// URL ("ima:enforcing") is passed over, as is what is beyond DEBUGINFOD_SERVERS_MAX. */
void debuginfod_servers(char *urls, const char *ret_servers[DEBUGINFOD_SERVERS_MAX + 1]);

void debuginfod_init(struct debuginfod *debuginfod, struct http_client *client, const char *const *servers);

/* Begins. 0, -EINVAL (no build id), -EBUSY, -ENOENT (no servers), -ENOMEM. What becomes of it is an answer of
 * the client whose context is `debuginfod`. */
int debuginfod_fetch(struct debuginfod *debuginfod, const char *build_id);

/* Takes that answer. True: it is over, and *ret_fd is a sealed memfd, which the caller then owns, or -errno:
 * -ENOENT (no server has it), -EFBIG, -EIO (a server did not say). False: another server is being asked. */
bool debuginfod_take(struct debuginfod *debuginfod, const struct http_answer *answer, int *ret_fd);
