/* Runs the installed ddprof-launch as the caller would, its messages in a memory file: to a pipe the worker
 * would not speak (it never keeps one open). */

#include "launcher/audit/trial.h"

#include "ipc/fd.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_S 30
#define BURN_MS 250
#define SPEAKER "ddprof-launch: "

int
trial_burn(void)
{
	struct timespec used;
	volatile unsigned work = 0;

	do {
		while (++work %
		       100000) /* in user space: the clock below costs kernel time, which is not sampled */
			continue;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	} while (used.tv_sec == 0 && used.tv_nsec < BURN_MS * 1000000L);
	return 0;
}

static _Noreturn void
become_launch(const char *output, int messages)
{
	const char *const argv[] = {DDPROF_BINDIR "/ddprof-launch",
				    "--enable=true",
				    "--require",
				    "--wait",
				    "--log_level=notice",
				    "--log_mode=stderr",
				    "--output",
				    output,
				    DDPROF_LIBEXECDIR "/ddprof-audit",
				    TRIAL_COMMAND,
				    NULL};

	dup2(messages, STDOUT_FILENO);
	dup2(messages, STDERR_FILENO);
	setpgid(0, 0); /* to be ended as a whole */
	execv(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(STDERR_FILENO, "cannot start %s: %s; install it again\n", argv[0], strerror(errno));
	_exit(125);
}

/* Its status, or -ETIMEDOUT. */
static int
wait_for(pid_t child)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000000L};
	int status = 0;

	for (int i = 0; i < LIMIT_S * 100; i++) {
		if (waitpid(child, &status, WNOHANG) == child)
			return status;
		nanosleep(&pause, NULL);
	}
	kill(-child, SIGKILL);
	waitpid(child, &status, 0);
	return -ETIMEDOUT;
}

/* The first line that ddprof-launch said. */
static void
read_words(int messages, char *ret, size_t capacity)
{
	ssize_t length = pread(messages, ret, capacity - 1, 0);

	ret[length < 0 ? 0 : length] = '\0';
	ret[strcspn(ret, "\n")] = '\0';
	if (strncmp(ret, SPEAKER, strlen(SPEAKER)) == 0)
		memmove(ret, ret + strlen(SPEAKER), strlen(ret + strlen(SPEAKER)) + 1);
}

/* Removes the folder with what is in it. How many profiles that were. */
static unsigned
remove_folder(const char *path)
{
	unsigned profiles = 0;
	DIR *folder = opendir(path);

	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		profiles += strstr(entry->d_name, ".pprof") != NULL;
		unlinkat(dirfd(folder), entry->d_name, 0);
	}
	if (folder)
		closedir(folder);
	rmdir(path);
	return profiles;
}

void
trial_run(struct trial *ret)
{
	const char *parent = getenv("TMPDIR");
	char output[4096];
	OWNED_FD messages = memfd_create("messages", MFD_CLOEXEC);

	ret->works = false;
	snprintf(output, sizeof(output), "%s/ddprof-check-XXXXXX", parent && *parent ? parent : "/tmp");
	if (messages < 0 || !mkdtemp(output)) {
		snprintf(ret->words, sizeof(ret->words),
			 "not tried, no temporary folder: %s; set TMPDIR to "
			 "one you can write",
			 strerror(errno));
		return;
	}
	pid_t child = fork();
	if (child == 0)
		become_launch(output, messages);
	int status = child < 0 ? -errno : wait_for(child);
	unsigned profiles = remove_folder(output);
	read_words(messages, ret->words, sizeof(ret->words));
	ret->works = status == 0 && profiles > 0;
	if (status < 0)
		snprintf(ret->words, sizeof(ret->words),
			 "not tried: %s; try again when the machine is less busy", strerror(-status));
	else if (!ret->words[0])
		snprintf(ret->words, sizeof(ret->words),
			 "ended with status %d and %u profiles, and said nothing",
			 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), profiles);
}
