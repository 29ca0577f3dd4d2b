/* Folders, keys and certificates, with the caller's own rights; then everything into one sealed memfd, and
 * what is secret is wiped here. */

#include "launcher/destinations.h"

#include "ipc/fd.h"
#include "ipc/text.h"
#include "launcher/cgroup_inode.h"
#include "launcher/limit_failure.h"
#include "launcher/option_table.h"
#include "launcher/sealed_memfd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define API_KEY_FILE_MAX 4096

/* ---- what nobody chose ---- */

void
delivery_decide(struct delivery_choice *choice, const struct log *log)
{
	const char *socket = NULL;

	if (!choice->is_default)
		return;

	if (choice->may_export && agent_answers(&socket)) {
		destinations_add_agent(choice, socket);
		log_line(log, LOG_LEVEL_NOTICE,
			 "profiles go to the %s (nothing else was chosen; --output or --url chooses)",
			 choice->config.destination[0].name);
		return;
	}
	destinations_add_folder(choice, ".");
	log_line(log, LOG_LEVEL_NOTICE, "profiles go to files in the current folder (%s; --output%s chooses)",
		 choice->may_export ? "no Datadog agent answers at localhost:8126" : "--do_export is false",
		 choice->may_export ? " or --url" : "");
}

/* ---- files ---- */

/* The option, or the variable that it was set by. */
static void
name_option(const struct delivery_choice *choice, enum option_id id, char ret[64])
{
	const char *variable = choice->options->variables[id];

	snprintf(ret, 64, "%s%s", variable ? "" : "--", variable ? variable : option_table[id].name);
}

static int
problem(const struct delivery_choice *choice, char *ret, enum option_id id, const char *path, int error,
	const char *fix)
{
	char shown[256], name[64];
	enum failure limit = limit_failure(FAILURE_OUTPUT, error);

	if (limit != FAILURE_OUTPUT) {
		failure_explain(ret, DELIVERY_PROBLEM_MAX, limit, error);
		return -error;
	}
	name_option(choice, id, name);
	text_escape(shown, sizeof(shown), path, strlen(path));
	snprintf(ret, DELIVERY_PROBLEM_MAX, "%s '%s': %s; %s", name, shown,
		 error == EINVAL ? "not a regular file" : strerror(error), fix);
	return -error;
}

/* O_NONBLOCK: a FIFO without a writer must not hold the target up. */
static int
open_regular(const char *path)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	return S_ISREG(status.st_mode) ? take_fd(&fd) : -EINVAL;
}

/* A whole small file. The size, or -errno (EFBIG). */
static ssize_t
read_small(const char *path, char *ret, size_t capacity)
{
	OWNED_FD fd = open_regular(path);
	size_t used = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t got = read(fd, ret + used, capacity - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			return (ssize_t)used;
		used += (size_t)got;
		if (used == capacity)
			return -EFBIG;
	}
}

static struct delivery_destination *
find_intake(struct delivery_config *config)
{
	for (uint32_t i = 0; i < config->count; i++)
		if (config->destination[i].is_agentless)
			return &config->destination[i];
	return NULL;
}

static int
read_api_key(struct delivery_choice *choice, char *ret_problem)
{
	struct delivery_destination *intake = find_intake(&choice->config);
	char key[API_KEY_FILE_MAX];

	if (!intake || !choice->api_key_file[0])
		return 0;
	ssize_t size = read_small(choice->api_key_file, key, sizeof(key));
	if (size < 0)
		return problem(choice, ret_problem, OPTION_API_KEY_FILE, choice->api_key_file, (int)-size,
			       "name a file that you can read and that holds the key alone");
	while (size > 0 && (key[size - 1] == '\n' || key[size - 1] == '\r' || key[size - 1] == ' '))
		size--;
	key[size] = '\0';
	bool is_key = destinations_add_api_key(intake, key);
	explicit_bzero(key, sizeof(key));
	if (is_key)
		return 0;
	char name[64];
	name_option(choice, OPTION_API_KEY_FILE, name);
	snprintf(ret_problem, DELIVERY_PROBLEM_MAX,
		 "%s: the file holds no API key: one has at least 32 characters and no spaces", name);
	return -EINVAL;
}

/* The PEM texts, in the order in which they follow the configuration. */
struct certificates {
	char *bytes;
	size_t used;
};

/* Not the last word on it, which is the TLS library's: it finds what was mixed up. */
static const char *
judge_pem(const char *bytes, size_t size, bool is_key)
{
	bool has_key = memmem(bytes, size, "PRIVATE KEY-----", 16);
	bool has_certificate = memmem(bytes, size, "CERTIFICATE-----", 16);

	if (!memmem(bytes, size, "-----BEGIN ", 11))
		return "holds no PEM text (-----BEGIN ...); convert it with openssl";
	if (!is_key)
		return has_certificate ? NULL : "holds no certificate (-----BEGIN CERTIFICATE-----)";
	if (!has_key)
		return "holds no private key (-----BEGIN PRIVATE KEY-----)";
	return memmem(bytes, size, "ENCRYPTED", 9)
		       ? "the key is encrypted, and nobody is there to ask for its "
			 "password; decrypt it with openssl pkey"
		       : NULL;
}

static int
append_pem(const struct delivery_choice *choice, struct certificates *pem, enum option_id id,
	   const char *path, uint32_t *ret_size, char *ret_problem)
{
	char *bytes = pem->bytes + pem->used, name[64];

	if (!path[0])
		return 0;
	ssize_t size = read_small(path, bytes, DELIVERY_PEM_MAX - pem->used);
	if (size < 0)
		return problem(choice, ret_problem, id, path, (int)-size,
			       "name a PEM file that you can read");
	const char *wrong = judge_pem(bytes, (size_t)size, id == choice->key_option);
	if (wrong) {
		name_option(choice, id, name);
		snprintf(ret_problem, DELIVERY_PROBLEM_MAX, "%s: %s", name, wrong);
		return -EBADMSG;
	}
	*ret_size = (uint32_t)size;
	pem->used += (size_t)size;
	return 0;
}

static int
read_certificates(const struct delivery_choice *choice, struct delivery_config *config,
		  struct certificates *pem, char *ret_problem)
{
	int result =
		append_pem(choice, pem, choice->ca_option, choice->ca_file, &config->ca_size, ret_problem);

	if (result == 0)
		result = append_pem(choice, pem, choice->certificate_option, choice->client_certificate,
				    &config->certificate_size, ret_problem);
	if (result == 0)
		result = append_pem(choice, pem, choice->key_option, choice->client_key, &config->key_size,
				    ret_problem);
	return result;
}

/* Opened here, with the caller's rights, so that the worker needs none of its own. */
static int
open_folder(const struct delivery_choice *choice, enum option_id id, const char *path, bool may_create,
	    int *ret, char *ret_problem)
{
	if (!path[0])
		return 0;
	if (may_create && mkdir(path, 0700) < 0 && errno != EEXIST)
		return problem(choice, ret_problem, id, path, errno, "name a folder that you can write");
	OWNED_FD fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return problem(choice, ret_problem, id, path, errno, "name a folder that you can write");
	*ret = take_fd(&fd);
	return 0;
}

static int
seal(struct delivery_choice *choice, const struct certificates *pem, char *ret_problem)
{
	const struct iovec parts[] = {
		{&choice->config, sizeof(choice->config)},
		{pem->bytes, pem->used},
	};
	int fd = sealed_memfd("ddprof-delivery", parts, pem->used > 0 ? 2 : 1);

	if (fd < 0)
		failure_explain(ret_problem, DELIVERY_PROBLEM_MAX,
				limit_failure(fd == -EFBIG ? FAILURE_FILE_SIZE : FAILURE_SETUP, -fd), -fd);
	return fd;
}

static int
open_all(struct delivery_choice *choice, struct delivery_fds *ret, struct certificates *pem,
	 char *ret_problem)
{
	int result = read_api_key(choice, ret_problem);

	if (result == 0)
		result = read_certificates(choice, &choice->config, pem, ret_problem);
	if (result == 0)
		result = open_folder(choice, OPTION_SPOOL, choice->spool, true, &ret->spool, ret_problem);
	if (result == 0)
		result = open_folder(choice, OPTION_PPROF_PREFIX, choice->prefix_folder, false, &ret->prefix,
				     ret_problem);
	if (result < 0)
		return result;
	ret->config = seal(choice, pem, ret_problem);
	return ret->config < 0 ? ret->config : 0;
}

int
delivery_open(struct delivery_choice *choice, struct delivery_fds *ret,
	      char ret_problem[DELIVERY_PROBLEM_MAX])
{
	struct delivery_fds fds = {-1, -1, -1, delivery_has_network(&choice->config)};
	struct certificates pem = {.bytes = NULL};
	bool has_pem = choice->ca_file[0] || choice->client_certificate[0];

	cgroup_inode_text("/proc/self/cgroup", "/sys/fs/cgroup", choice->config.entity_id,
			  sizeof(choice->config.entity_id));
	if (has_pem && !(pem.bytes = malloc(DELIVERY_PEM_MAX))) {
		failure_explain(ret_problem, DELIVERY_PROBLEM_MAX, FAILURE_TOO_LITTLE_MEMORY, ENOMEM);
		return -ENOMEM;
	}
	int result = open_all(choice, &fds, &pem, ret_problem);
	if (pem.bytes)
		explicit_bzero(pem.bytes, pem.used);
	free(pem.bytes);
	explicit_bzero(&choice->config, sizeof(choice->config));
	if (result < 0)
		delivery_fds_close(&fds);
	else
		*ret = fds;
	return result;
}

void
delivery_fds_close(struct delivery_fds *fds)
{
	close_fd(&fds->config);
	close_fd(&fds->spool);
	close_fd(&fds->prefix);
}
