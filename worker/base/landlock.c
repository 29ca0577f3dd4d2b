/* One table: what each version of Landlock's ABI added (include/uapi/linux/landlock.h of Linux 7.2, which
 * is newer than the headers we build with). Everything a kernel knows is denied. */

#include "worker/base/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(number) (1ull << (number))
#define DNS_PORT 53

enum {
	CREATE_RULESET_VERSION = 1 << 0, /* LANDLOCK_CREATE_RULESET_VERSION */
	RULE_PATH_BENEATH = 1,           /* LANDLOCK_RULE_PATH_BENEATH */
	RULE_NET_PORT = 2,               /* LANDLOCK_RULE_NET_PORT */
};

/* LANDLOCK_ACCESS_FS_* */
#define FS_EXECUTE BIT(0)
#define FS_WRITE_FILE BIT(1)
#define FS_READ_FILE BIT(2)
#define FS_READ_DIR BIT(3)
#define FS_REMOVE_DIR BIT(4)
#define FS_REMOVE_FILE BIT(5)
#define FS_MAKE_CHAR BIT(6)
#define FS_MAKE_DIR BIT(7)
#define FS_MAKE_REG BIT(8)
#define FS_MAKE_SOCK BIT(9)
#define FS_MAKE_FIFO BIT(10)
#define FS_MAKE_BLOCK BIT(11)
#define FS_MAKE_SYM BIT(12)
#define FS_REFER BIT(13)
#define FS_TRUNCATE BIT(14)
#define FS_IOCTL_DEV BIT(15)
#define FS_RESOLVE_UNIX BIT(16)
/* LANDLOCK_ACCESS_NET_* */
#define NET_BIND_TCP BIT(0)
#define NET_CONNECT_TCP BIT(1)
#define NET_BIND_UDP BIT(2)
#define NET_CONNECT_SEND_UDP BIT(3)
/* LANDLOCK_SCOPE_* */
#define SCOPE_ABSTRACT_UNIX_SOCKET BIT(0)
#define SCOPE_SIGNAL BIT(1)

static const struct landlock_rights added_by_abi[LANDLOCK_NEWEST_ABI + 1] = {
	/* Linux 5.13 */
	[1] = {.fs = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR |
		     FS_REMOVE_FILE | FS_MAKE_CHAR | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SOCK | FS_MAKE_FIFO |
		     FS_MAKE_BLOCK | FS_MAKE_SYM},
	[2] = {.fs = FS_REFER},                                      /* 5.19 */
	[3] = {.fs = FS_TRUNCATE},                                   /* 6.2 */
	[4] = {.net = NET_BIND_TCP | NET_CONNECT_TCP},               /* 6.7 */
	[5] = {.fs = FS_IOCTL_DEV},                                  /* 6.10 */
	[6] = {.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL}, /* 6.12 */
	[7] = {0},                     /* 6.15: flags to log less; we want refusals in the audit log */
	[8] = {0},                     /* 7.0: a flag to confine all threads; ours is the only one */
	[9] = {.fs = FS_RESOLVE_UNIX}, /* 7.1 */
	[10] = {.net = NET_BIND_UDP | NET_CONNECT_SEND_UDP}, /* 7.2 */
};

struct landlock_rights
landlock_rights_at(int abi)
{
	struct landlock_rights sum = {0};

	for (int i = 1; i <= abi && i <= LANDLOCK_NEWEST_ABI; i++) {
		sum.fs |= added_by_abi[i].fs;
		sum.net |= added_by_abi[i].net;
		sum.scoped |= added_by_abi[i].scoped;
	}
	return sum;
}

/* Not FS_REFER: a rename within one folder does not need it. */
uint64_t
landlock_writer_rights_at(int abi)
{
	return landlock_rights_at(abi).fs &
	       (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_FILE | FS_MAKE_REG | FS_TRUNCATE);
}

/* 0 without Landlock: not built (ENOSYS), not enabled at boot (EOPNOTSUPP), or a container's filter that
 * knows no such call (EPERM; who could put that on us could as well answer ENOSYS). */
static int
abi_of_kernel(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);

	if (abi < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
	return abi > LANDLOCK_NEWEST_ABI ? LANDLOCK_NEWEST_ABI : (int)abi;
}

static int
allow_below(int ruleset, int folder, uint64_t rights)
{
	struct {
		uint64_t allowed_access;
		int32_t parent_fd;
	} __attribute__((packed)) rule = {rights, folder};

	return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

/* A right that the ruleset does not handle would be EINVAL, and none at all ENOMSG: then nothing is denied.
 */
static int
allow_path(int ruleset, const char *path, uint64_t rights)
{
	if (rights == 0)
		return 0;
	int fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	int result = allow_below(ruleset, fd, rights);
	close(fd);
	return result;
}

static int
allow_paths(int ruleset, const char *const *paths, uint64_t rights)
{
	int result = 0;

	for (; result == 0 && paths && *paths; paths++)
		result = allow_path(ruleset, *paths, rights);
	return result;
}

static int
allow_port(int ruleset, uint16_t port, uint64_t rights)
{
	struct {
		uint64_t allowed_access, port;
	} rule = {rights, port};

	if (rights == 0)
		return 0;
	return syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) < 0 ? -errno : 0;
}

/* A socket that sends without an address of its own is given a free port, which counts as a bind to port 0.
 */
static int
allow_dns(int ruleset, uint64_t net)
{
	int result = allow_port(ruleset, DNS_PORT, net & (NET_CONNECT_TCP | NET_CONNECT_SEND_UDP));

	return result < 0 ? result : allow_port(ruleset, 0, net & NET_BIND_UDP);
}

static int
allow(int ruleset, int abi, const struct landlock_exceptions *exceptions)
{
	struct landlock_rights denied = landlock_rights_at(abi);
	int result = 0;

	for (size_t i = 0; result == 0 && i < exceptions->folder_count; i++)
		result = allow_below(ruleset, exceptions->folders[i], landlock_writer_rights_at(abi));
	if (result == 0)
		result = allow_paths(ruleset, exceptions->files, denied.fs & FS_READ_FILE);
	if (result == 0)
		result = allow_paths(ruleset, exceptions->unix_sockets, denied.fs & FS_RESOLVE_UNIX);
	for (size_t i = 0; result == 0 && i < exceptions->port_count; i++)
		result = allow_port(ruleset, exceptions->ports[i], denied.net & NET_CONNECT_TCP);
	return result == 0 && exceptions->has_dns ? allow_dns(ruleset, denied.net) : result;
}

static int
confine(const struct landlock_exceptions *exceptions, bool may_read)
{
	int abi = abi_of_kernel();

	if (abi <= 0)
		return abi;
	/* an older kernel takes the longer struct as long as what it does not know is 0 */
	struct landlock_rights denied = landlock_rights_at(abi);
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &denied, sizeof(denied), 0);
	if (ruleset < 0)
		return -errno;
	int result = exceptions ? allow(ruleset, abi, exceptions) : 0;
	if (result == 0 && may_read)
		result = allow_path(ruleset, "/", FS_READ_FILE | FS_READ_DIR);
	if (result == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		result = -errno;
	close(ruleset);
	return result < 0 ? result : abi;
}

int
landlock_confine(const struct landlock_exceptions *exceptions)
{
	return confine(exceptions, /* may_read= */ false);
}

int
landlock_confine_to_reading(int folder)
{
	const struct landlock_exceptions exceptions = {.folders = &folder,
						       .folder_count = folder < 0 ? 0 : 1};

	return confine(&exceptions, /* may_read= */ true);
}
