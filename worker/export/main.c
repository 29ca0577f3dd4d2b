/* ddprof-exporter: finished profiles in, files below one folder out. It never sees an ELF file or a stack. */

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/harden.h"
#include "worker/base/seal.h"
#include "worker/export/file.h"
#include "worker/export/file_name.h"
#include "worker/export/self_report.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define START_TIMEOUT_MS 5000

/* The supervisor checked the strings of the configuration; sealed, it is the same since. */
static int
receive_config(struct worker_config *ret)
{
	static struct message message;
	int result = channel_receive(FD_CONTROL, &message, START_TIMEOUT_MS);

	if (result < 0)
		return result;
	if (!message_expect(&message, MESSAGE_START, 0, 1))
		return -EBADMSG;
	OWNED_FD config = message_take_fd(&message, 0);
	result = memfd_check_sealed(config);
	if (result < 0)
		return result;
	return pread(config, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) ? 0 : -EBADMSG;
}

static int
export_one(const struct worker_config *config, struct message *message)
{
	const struct profile_message *head = message_expect(message, MESSAGE_PROFILE, sizeof(*head), 1);
	static struct queue_report queue;
	struct written_message written = {0};

	if (!head)
		return -EBADMSG;
	OWNED_FD profile = message_take_fd(message, 0);
	int result = memfd_check_sealed(profile);
	if (result < 0)
		return result;
	OWNED_FD reported = self_report_add(profile, head, &queue, /* statsd_socket= */ "");
	written.sequence = head->sequence;
	export_file_name(config->service, config->target_pid, head->end_ns, head->sequence, written.name,
			 sizeof(written.name));
	result = export_file(FD_OUTPUT, written.name, reported >= 0 ? reported : profile, &written.bytes);
	written.error = result < 0 ? -result : 0;
	return channel_send(FD_CONTROL, MESSAGE_WRITTEN, &written, sizeof(written), NULL, 0);
}

static int
serve(void)
{
	static struct worker_config config;
	static struct message message;
	int result = receive_config(&config);

	if (result == 0)
		result = channel_send(FD_CONTROL, MESSAGE_READY, NULL, 0, NULL, 0);
	while (result == 0) {
		result = channel_receive(FD_CONTROL, &message, -1);
		if (result == 0)
			result = export_one(&config, &message);
	}
	return result == -EPIPE ? 0 : result;
}

int
main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "exporter") != 0) {
		dprintf(STDERR_FILENO, "ddprof-exporter: started by ddprof-launch, not by hand\n");
		return 2;
	}
	int result = harden_process(argv[2]);
	if (result == 0)
		result = harden_role_start();
	if (result == 0)
		result = harden_confine(ROLE_EXPORTER);
	return result < 0 || serve() < 0 ? 1 : 0;
}
