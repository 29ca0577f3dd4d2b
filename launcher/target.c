/* The target's process, from here on: with --drop_caps it loses, step by step and each step read back, what
 * it shall not have, or it is not run; then it becomes the command, or says why that is impossible. */

#include "launcher/launch.h"

#include "ipc/channel.h"
#include "policy/filter.h"
#include "policy/kept_capabilities.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static int
set_no_new_privs(uint64_t kept)
{
	(void)kept;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
}

static int
install_filter(uint64_t kept)
{
	(void)kept;
	int result = filter_install(ROLE_TARGET);

	if (result < 0)
		return result;
	return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER ? 0 : -EPERM;
}

/* In this order: the bounding set falls by a right that the next step takes, and the filter needs
 * no_new_privs. As uid 0, exec would give back whatever is still in the bounding set; where that stays full
 * (no CAP_SETPCAP), no_new_privs cuts the gain, and with it the kernel's reason to make the target
 * non-dumpable and delete its events. */
static const struct {
	const char *what;
	int (*take)(uint64_t kept);
	const char *fix;
} losses[] = {
	{"empty the bounding set", capabilities_limit_bounding,
	 "let the surrounding seccomp profile or security module allow prctl(PR_CAPBSET_DROP)"},
	{"empty the capability sets", capabilities_keep_only,
	 "let the surrounding seccomp profile, security module or securebits allow capset and ambient "
	 "capabilities"},
	{"set no_new_privs", set_no_new_privs,
	 "let the surrounding seccomp profile allow prctl(PR_SET_NO_NEW_PRIVS)"},
	{"install the system call filter", install_filter,
	 "let the surrounding seccomp profile allow seccomp, on a kernel with CONFIG_SECCOMP_FILTER"},
};

int
target_check_kept(const struct launch_options *options, const struct log *log)
{
	uint64_t kept = options->kept_capabilities;
	uint64_t missing = kept ? kept & ~capabilities_permitted() : 0;
	char name[CAPABILITY_NAME_MAX];

	if (!missing)
		return 0;
	capability_name(__builtin_ctzll(missing), name);
	log_line(log, LOG_LEVEL_ERROR,
		 "cannot keep %s: the caller does not have it; leave out --keep_cap %s, or start "
		 "ddprof-launch "
		 "with it",
		 name, name);
	return -EPERM;
}

int
target_lose_privileges(uint64_t kept, const struct log *log)
{
	for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
		int result = losses[i].take(kept);

		if (result == 0)
			continue;
		log_line(log, LOG_LEVEL_ERROR,
			 "not running the command: cannot %s: %s; %s, or leave out --drop_caps",
			 losses[i].what, strerror(-result), losses[i].fix);
		return result;
	}
	return 0;
}

static void
cancel_profile(int channel)
{
	if (channel >= 0)
		(void)channel_send(channel, MESSAGE_CANCEL, NULL, 0, NULL,
				   0); /* worst case: an empty profile */
}

int
target_execute(const struct launch_options *options, char *const command[], const struct log *log,
	       int channel)
{
	if (options->drop_caps && target_lose_privileges(options->kept_capabilities, log) < 0) {
		cancel_profile(channel);
		return LAUNCH_EXIT_FAILURE;
	}
	write_signals_restore();
	execvp(command[0], command);

	int error = errno;
	write_signals_ignore(); /* again: what follows is ours */
	cancel_profile(channel);
	log_line(log, LOG_LEVEL_ERROR, "cannot run '%s': %s", command[0], strerror(error));
	return error == ENOENT ? LAUNCH_EXIT_NOT_FOUND : LAUNCH_EXIT_CANNOT_EXECUTE;
}
