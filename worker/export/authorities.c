/* One file where the distributions keep it; the first that can be read. */

#include "worker/export/authorities.h"

#include "ipc/fd.h"

#include <stdlib.h>
#include <sys/stat.h>

#define AUTHORITIES_MAX (16u << 20) /* 140 authorities are 0.2 MB */

static const char *const places[] = {
	"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Alpine */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
	"/etc/pki/tls/certs/ca-bundle.crt",                  /* RHEL before 7 */
	"/etc/ssl/ca-bundle.pem",                            /* SUSE */
	"/etc/ssl/cert.pem",                                 /* Alpine without the package */
};

static char *
read_all(const char *path, size_t *ret_size)
{
	OWNED_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;

	if (fd < 0 || fstat(fd, &status) < 0 || status.st_size <= 0 || status.st_size > AUTHORITIES_MAX)
		return NULL;
	size_t size = (size_t)status.st_size;
	char *text = malloc(size);
	if (text && read(fd, text, size) != (ssize_t)size) {
		free(text);
		return NULL;
	}
	*ret_size = size;
	return text;
}

char *
authorities_read(size_t *ret_size, const char **ret_path)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		char *text = read_all(places[i], ret_size);

		if (text) {
			*ret_path = places[i];
			return text;
		}
	}
	return NULL;
}
