/* ddprof-symbolizer: profiles with addresses in, the same profiles with names out. It opens nothing: ELF
 * files come as descriptors of what was sampled, and a malformed one costs at most this process. */

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/harden.h"
#include "worker/base/memory_file.h"
#include "worker/base/seal.h"
#include "worker/symbolize/name_cache.h"
#include "worker/symbolize/symbolize.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CACHE_BYTES_MAX ((size_t)16 << 20) /* some 60,000 addresses of C++ */

/* One question, one answer: a descriptor, or -errno. */
static int
ask_supervisor(uint32_t kind, const void *request, uint32_t size, struct opened *ret)
{
	static struct message message;
	int result = channel_send(FD_BROKER, kind, request, size, NULL, 0);

	if (result == 0)
		result = channel_receive(FD_BROKER, &message,
					 -1); /* a late answer would be taken for the next one */
	if (result < 0)
		return result;
	const struct opened *answer =
		message_expect(&message, MESSAGE_OPENED, sizeof(*answer), message.fd_count);
	if (!answer || message.fd_count > 1 || (answer->error == 0) != (message.fd_count == 1)) {
		message_discard(&message);
		return -EBADMSG;
	}
	*ret = *answer;
	return answer->error ? -abs(answer->error) : message_take_fd(&message, 0);
}

static int
open_module(void *context, const char *path, const char *build_id)
{
	struct open_known request = {0};
	struct opened unused;

	(void)context;
	if (strlen(path) >= sizeof(request.path) || strlen(build_id) >= sizeof(request.build_id))
		return -ENAMETOOLONG;
	memcpy(request.path, path, strlen(path));
	memcpy(request.build_id, build_id, strlen(build_id));
	return ask_supervisor(MESSAGE_OPEN_KNOWN, &request, sizeof(request), &unused);
}

static int
open_debug(void *context, const struct open_debug *request, uint32_t *ret_candidate)
{
	struct opened opened = {0};
	int fd = ask_supervisor(MESSAGE_OPEN_DEBUG, request, sizeof(*request), &opened);

	(void)context;
	*ret_candidate = opened.candidate;
	return fd;
}

static int
open_jit(void *context, uint32_t pid, enum jit_file file)
{
	const struct open_jit request = {.pid = pid, .file = file};
	struct opened unused;

	(void)context;
	return ask_supervisor(MESSAGE_OPEN_JIT, &request, sizeof(request), &unused);
}

static int
open_kallsyms(void *context, uint64_t *ret_offset)
{
	const struct open_jit request = {.pid = JIT_PID_OF_KERNEL, .file = JIT_PERF_MAP};
	struct opened opened = {0};
	int fd = ask_supervisor(MESSAGE_OPEN_JIT, &request, sizeof(request), &opened);

	(void)context;
	*ret_offset = opened.kernel_offset;
	return fd;
}

static const struct file_finder supervisor = {
	.open_module = open_module,
	.open_debug = open_debug,
	.open_jit = open_jit,
	.open_kallsyms = open_kallsyms,
};

/* The sealed memfd of the symbolised profile, or -errno. */
static int
symbolise(int profile, const struct symbolize_options *options)
{
	uint8_t *in = NULL, *out = NULL;
	size_t in_size = 0, out_size = 0;
	int result = memfd_check_sealed(profile);

	if (result == 0)
		result = memory_file_read(profile, &in, &in_size);
	if (result == 0)
		result = symbolize_profile(in, in_size, &supervisor, options, &out, &out_size);
	OWNED_FD fd = result < 0 ? -1 : memfd_create("ddprof-symbolised", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (result == 0 && fd < 0)
		result = -errno;
	if (result == 0)
		result = memory_file_write(fd, out, out_size);
	if (result == 0)
		result = memfd_seal(fd);
	free(in);
	free(out);
	return result < 0 ? result : take_fd(&fd);
}

static int
serve(void)
{
	static struct message message;
	/* The option is the session's: what was kept was made with the same one. */
	struct symbolize_options options = {.cache = name_cache_new(CACHE_BYTES_MAX)};

	for (;;) {
		int result = channel_receive(FD_CONTROL, &message, -1);
		if (result < 0)
			return result == -EPIPE ? 0 : result;
		const struct profile_message *head =
			message_expect(&message, MESSAGE_PROFILE, sizeof(*head), 1);
		if (!head)
			return -EBADMSG;
		OWNED_FD profile = message_take_fd(&message, 0);
		options.inlined_functions = head->inlined_functions;
		OWNED_FD symbolised = symbolise(profile, &options);
		if (symbolised < 0)
			return symbolised; /* the supervisor exports the profile without names */
		result = channel_send(FD_CONTROL, MESSAGE_PROFILE, NULL, 0, &symbolised, 1);
		if (result < 0)
			return result;
	}
}

int
main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "symbolizer") != 0) {
		dprintf(STDERR_FILENO, "ddprof-symbolizer: started by ddprof-launch, not by hand\n");
		return 2;
	}
	int result = harden_process(argv[2]);
	if (result == 0)
		result = harden_role_start();
	if (result == 0)
		result = harden_confine(ROLE_SYMBOLIZER, NULL);
	if (result == 0)
		result = channel_send(FD_CONTROL, MESSAGE_READY, NULL, 0, NULL, 0);
	return result < 0 || serve() < 0 ? 1 : 0;
}
