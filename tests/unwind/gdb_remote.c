/* Of gdb's remote serial protocol: "$packet#checksum", acknowledged by "+". */

#include "tests/unwind/gdb_remote.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PACKET_MAX = 16384, MEMORY_MAX = 2000 }; /* QEMU's stub takes packets of 4 KB */

struct gdb_remote {
	pid_t pid;
	int fd;
	size_t at, filled;
	char input[PACKET_MAX];
	char packet[PACKET_MAX]; /* the last one received, with a NUL */
};

static void
fail(const char *what)
{
	perror(what);
	abort();
}

static char
next_byte(struct gdb_remote *r)
{
	if (r->at == r->filled) {
		ssize_t size = read(r->fd, r->input, sizeof(r->input));

		if (size <= 0)
			return 0;
		r->at = 0;
		r->filled = (size_t)size;
	}
	return r->input[r->at++];
}

/* False: the other side is gone. */
static bool
receive(struct gdb_remote *r)
{
	size_t length = 0;
	char byte;

	do {
		byte = next_byte(r);
	} while (byte && byte != '$');
	while (byte && (byte = next_byte(r)) != '#' && byte && length + 1 < sizeof(r->packet))
		r->packet[length++] = byte;
	r->packet[length] = 0;
	return byte && next_byte(r) && next_byte(r) && write(r->fd, "+", 1) == 1;
}

static bool
ask(struct gdb_remote *r, const char *packet)
{
	uint8_t sum = 0;
	char out[128];
	int size;

	for (const char *at = packet; *at; at++)
		sum += (uint8_t)*at;
	size = snprintf(out, sizeof(out), "$%s#%02x", packet, sum);
	return write(r->fd, out, (size_t)size) == size && receive(r);
}

static size_t
decode_hex(const char *text, void *ret_bytes, size_t size)
{
	uint8_t *bytes = ret_bytes;

	for (size_t i = 0; i < size; i++) {
		char digits[3] = {text[2 * i], text[2 * i] ? text[2 * i + 1] : 0};
		char *end;

		bytes[i] = (uint8_t)strtoul(digits, &end, 16);
		if (end != digits + 2)
			return i;
	}
	return size;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	for (unsigned i = 0; i < 3000; i++) {
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
			return fd;
		usleep(10000);
	}
	fail("connecting to the emulator");
	return -1;
}

struct gdb_remote *
gdb_remote_start(const char *emulator, char *const argv[])
{
	struct gdb_remote *r = calloc(1, sizeof(*r));
	char folder[] = "/tmp/ddprof-gdb-XXXXXX", path[64];
	const char *command[16] = {emulator, "-cpu", "max", "-g", path};

	if (!r || !mkdtemp(folder))
		fail("a folder for the socket");
	snprintf(path, sizeof(path), "%s/socket", folder);
	for (size_t i = 0; argv[i] && i < 8; i++)
		command[5 + i] = argv[i];
	r->pid = fork();
	if (r->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execve(emulator, (char *const *)(uintptr_t)command, (char *[]){NULL});
		_exit(127);
	}
	r->fd = connect_to(path);
	unlink(path);
	rmdir(folder);
	if (!ask(r, "?"))
		fail("the emulator");
	return r;
}

void
gdb_remote_end(struct gdb_remote *r)
{
	close(r->fd);
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	free(r);
}

/* Goes on with a command until something stops the program. */
static bool
resume(struct gdb_remote *r, const char *command, unsigned *ret_signal)
{
	enum { TRAP = 5 };
	char digits[3];

	if (!ask(r, command) || r->packet[0] == 'W' || r->packet[0] == 'X')
		return false;
	if (r->packet[0] != 'T')
		fail("an answer of the emulator");
	snprintf(digits, sizeof(digits), "%.2s", r->packet + 1);
	*ret_signal = (unsigned)strtoul(digits, NULL, 16);
	if (*ret_signal == TRAP)
		*ret_signal = 0;
	return true;
}

bool
gdb_remote_step(struct gdb_remote *r, unsigned number, unsigned *ret_signal)
{
	char command[32] = "s";

	if (number)
		snprintf(command, sizeof(command), "vCont;S%02x", number);
	return resume(r, command, ret_signal);
}

bool
gdb_remote_run_to(struct gdb_remote *r, const uint64_t *addresses, size_t count, unsigned *ret_signal)
{
	char command[64];
	bool alive;

	for (size_t i = 0; i < count; i++) {
		snprintf(command, sizeof(command), "Z0,%lx,4", (unsigned long)addresses[i]);
		if (!ask(r, command) || strcmp(r->packet, "OK") != 0)
			fail("a breakpoint");
	}
	alive = resume(r, "c", ret_signal);
	for (size_t i = 0; alive && i < count; i++) {
		snprintf(command, sizeof(command), "z0,%lx,4", (unsigned long)addresses[i]);
		(void)ask(r, command);
	}
	return alive;
}

void
gdb_remote_registers(struct gdb_remote *r, uint64_t *ret_registers, size_t count)
{
	if (!ask(r, "g") || decode_hex(r->packet, ret_registers, 8 * count) != 8 * count)
		fail("reading registers");
}

size_t
gdb_remote_read(struct gdb_remote *r, uint64_t address, void *ret_bytes, size_t size)
{
	for (size_t done = 0; done < size;) {
		size_t part = size - done < MEMORY_MAX ? size - done : MEMORY_MAX;
		char packet[64];

		snprintf(packet, sizeof(packet), "m%lx,%zx", (unsigned long)(address + done), part);
		if (!ask(r, packet) || decode_hex(r->packet, (uint8_t *)ret_bytes + done, part) != part)
			return 0;
		done += part;
	}
	return size;
}
