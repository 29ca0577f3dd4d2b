/* ddprof-exporter: finished profiles in, files and requests out. It never sees an ELF file or a stack.
 *
 * What it is told at the start decides what its sandbox leaves open: with files alone there is no network. */

#include "ipc/channel.h"
#include "ipc/fd.h"
#include "worker/base/harden.h"
#include "worker/base/memory_file.h"
#include "worker/base/seal.h"
#include "worker/export/debuginfod.h"
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
	struct http_client *client;
	char client_problem[256]; /* one printable line */
	char debuginfod_urls[DESTINATION_URL_MAX];
	const char *debuginfod[DEBUGINFOD_SERVERS_MAX + 1];
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

/* ---- network ---- */

static int
make_client(struct given *given)
{
	const struct delivery_config *delivery = given->delivery;
	const char *urls[DESTINATIONS_MAX + DEBUGINFOD_SERVERS_MAX + 1] = {NULL},
								     *sockets[DESTINATIONS_MAX + 2] = {NULL};
	const char *pem = (const char *)(delivery + 1);
	size_t url_count = 0, socket_count = 0;

	for (uint32_t i = 0; i < delivery->count; i++) {
		const struct delivery_destination *destination = &delivery->destination[i];

		if (destination->unix_socket[0])
			sockets[socket_count++] = destination->unix_socket;
		else if (destination->url[0])
			urls[url_count++] = destination->url;
	}
	memcpy(given->debuginfod_urls, delivery->debuginfod_urls, sizeof(given->debuginfod_urls));
	debuginfod_servers(given->debuginfod_urls, given->debuginfod);
	for (size_t i = 0; given->debuginfod[i]; i++)
		urls[url_count++] = given->debuginfod[i];
	if (delivery->statsd_socket[0])
		sockets[socket_count++] = delivery->statsd_socket;
	if (url_count + socket_count == 0)
		return 0;
	const struct http_settings settings = {
		.proxy_http = delivery->proxy_http,
		.proxy_https = delivery->proxy_https,
		.no_proxy = delivery->no_proxy,
		.ca = pem,
		.ca_size = delivery->ca_size,
		.certificate = pem + delivery->ca_size,
		.certificate_size = delivery->certificate_size,
		.key = pem + delivery->ca_size + delivery->certificate_size,
		.key_size = delivery->key_size,
		.urls = urls,
		.unix_sockets = sockets,
	};
	int result = http_client_new(&settings, &given->client, given->client_problem,
				     sizeof(given->client_problem));
	/* a bad certificate is no reason to write no files */
	return result == -EINVAL ? 0 : result;
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
	struct landlock_exceptions exceptions = {0};

	if (given->client)
		exceptions = http_client_exceptions(given->client);
	exceptions.folders = folders;
	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++)
		if (is_folder(candidates[i]))
			folders[exceptions.folder_count++] = candidates[i];
	return harden_confine(given->client ? ROLE_UPLOADER : ROLE_EXPORTER, &exceptions);
}

static int
serve(void)
{
	static struct given given;
	int result = receive_start(&given);

	if (result == 0)
		result = make_client(&given);
	bool has_spool = is_folder(FD_SPOOL);
	if (result == 0)
		result = confine(&given);
	if (result < 0)
		return result == -EPIPE ? 0 : result;
	const struct exporter_settings settings = {
		.config = &given.config,
		.delivery = given.delivery,
		.start = &given.start,
		.client = given.client,
		.client_problem = given.client_problem,
		.debuginfod = given.debuginfod,
		.control = FD_CONTROL,
		.spool = has_spool ? FD_SPOOL : -1,
	};
	return exporter_run(&settings);
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
	return result < 0 || serve() < 0 ? 1 : 0;
}
