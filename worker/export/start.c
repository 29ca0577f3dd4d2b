/* Finished profiles in, files and requests out. The exporter never sees an ELF file or a stack.
 *
 * What it is told at the start decides what its sandbox leaves open: with files alone there is no network. */

#include "worker/export/start.h"

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/harden.h"
#include "worker/base/memory_file.h"
#include "worker/base/seal.h"
#include "worker/export/exporter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define START_TIMEOUT_MS 5000

/* From the supervisor, and all of it for the whole life of the process. */
struct given {
	struct worker_config config;
	struct exporter_start start;
	const struct delivery_config *delivery;
	struct network network;
	char network_problem[NETWORK_PROBLEM_MAX];
};

/* ---- START ---- */

/* The supervisor checked the strings of the configuration; sealed, it is the same since. */
static int
read_config(int fd, struct worker_config *ret)
{
	int result = memfd_check_sealed(fd);

	if (result < 0)
		return result;
	return pread(fd, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) ? 0 : -EBADMSG;
}

static bool
is_terminated_destination(const struct delivery_destination *destination)
{
	return IS_TERMINATED(destination->name) && IS_TERMINATED(destination->url) &&
	       IS_TERMINATED(destination->unix_socket) && IS_TERMINATED(destination->headers) &&
	       IS_TERMINATED(destination->file_prefix) && destination->kind > 0 &&
	       destination->kind < DESTINATION_KINDS;
}

static bool
is_sane(const struct delivery_config *delivery, size_t size)
{
	if (size < sizeof(*delivery) || delivery->count > DESTINATIONS_MAX ||
	    delivery->ca_size > DELIVERY_PEM_MAX || delivery->certificate_size > DELIVERY_PEM_MAX ||
	    delivery->key_size > DELIVERY_PEM_MAX ||
	    size != sizeof(*delivery) + delivery->ca_size + delivery->certificate_size + delivery->key_size)
		return false;
	for (uint32_t i = 0; i < delivery->count; i++)
		if (!is_terminated_destination(&delivery->destination[i]))
			return false;
	return IS_TERMINATED(delivery->runtime_id) && IS_TERMINATED(delivery->hostname) &&
	       IS_TERMINATED(delivery->entity_id) && IS_TERMINATED(delivery->external_env) &&
	       IS_TERMINATED(delivery->resource_attributes) && IS_TERMINATED(delivery->proxy_http) &&
	       IS_TERMINATED(delivery->proxy_https) && IS_TERMINATED(delivery->no_proxy) &&
	       IS_TERMINATED(delivery->statsd_socket) && IS_TERMINATED(delivery->debuginfod_urls);
}

/* Nobody looked into it yet: it holds keys. */
static int
read_delivery(int fd, const struct delivery_config **ret)
{
	uint8_t *bytes;
	size_t size;
	int result = memfd_check_sealed(fd);

	if (result == 0)
		result = memory_file_read(fd, &bytes, &size);
	if (result < 0)
		return result;
	*ret = (const void *)bytes;
	return is_sane(*ret, size) ? 0 : -EBADMSG;
}

static int
receive_start(struct given *given)
{
	static struct message message;
	int result = channel_receive(FD_CONTROL, &message, START_TIMEOUT_MS);

	if (result < 0)
		return result;
	const struct exporter_start *start = message_expect(&message, MESSAGE_START, sizeof(*start), 2);
	if (!start || !IS_TERMINATED(start->container_id))
		return -EBADMSG;
	given->start = *start;
	OWNED_FD config = message_take_fd(&message, 0);
	OWNED_FD delivery = message_take_fd(&message, 1);
	result = read_config(config, &given->config);
	return result < 0 ? result : read_delivery(delivery, &given->delivery);
}

/* ---- sandbox ---- */

/* /dev/null is in place of a folder that there is not. */
static bool
is_folder(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISDIR(status.st_mode);
}

static int
confine(const struct given *given)
{
	static const int candidates[] = {FD_OUTPUT, FD_SPOOL, FD_PREFIX};
	int folders[sizeof(candidates) / sizeof(candidates[0])];
	struct landlock_exceptions exceptions = given->network.exceptions;

	exceptions.folders = folders;
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		if (is_folder(candidates[i]))
			folders[exceptions.folder_count++] = candidates[i];
	return harden_confine(given->network.context ? ROLE_UPLOADER : ROLE_EXPORTER, &exceptions);
}

static int
serve(network_open_function *open)
{
	static struct given given;
	int result = receive_start(&given);

	if (result == 0 && open)
		result = open(given.delivery, &given.network, given.network_problem);
	else if (result == 0 && delivery_has_network(given.delivery))
		result = -EBADMSG;
	bool has_spool = is_folder(FD_SPOOL);
	if (result == 0)
		result = confine(&given);
	if (result < 0)
		return result == -EPIPE ? 0 : result;
	const struct exporter_settings settings = {
		.config = &given.config,
		.delivery = given.delivery,
		.start = &given.start,
		.network = given.network.context ? &given.network : NULL,
		.network_problem = given.network_problem,
		.control = FD_CONTROL,
		.spool = has_spool ? FD_SPOOL : -1,
	};
	return exporter_run(&settings);
}

int
exporter_main(int argc, char **argv, network_open_function *open)
{
	if (argc != 3 || strcmp(argv[1], "exporter") != 0) {
		dprintf(STDERR_FILENO, "%s: started by ddprof-launch, not by hand\n",
			program_invocation_short_name);
		return 2;
	}
	int result = harden_process(argv[2]);
	if (result == 0)
		result = harden_role_start();
	return result < 0 || serve(open) < 0 ? 1 : 0;
}
