/* jit map|late|dump|none SECONDS [NAME|FOLDER]: copies a function to three places in executable memory and
 * spends its CPU time there: a sixth, a third and a half of it, under the names below. "map" writes
 * /tmp/perf-PID.map first and deletes it at its end, the first name being NAME; "late" writes it after half
 * of the time; "dump" writes FOLDER/jit-PID.dump, with lines, and moves a function. */

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "burn.h"

#define CODE_BYTES 256
#define REGION_BYTES 4096
#define FUNCTIONS 3

static const char *names[FUNCTIONS] = {"jit_one", "LazyCompile:~jit two /srv/two words.js:12",
				       "_ZN3jit5threeEv"};

/* Calls nothing and refers to nothing, so that it runs wherever it is copied to. */
__attribute__((noinline)) static uint64_t
burn_here(uint64_t seed, uint64_t steps)
{
	return burn_steps(seed, steps);
}

typedef uint64_t burn_function(uint64_t seed, uint64_t steps);

static void
write_map(const char *path, unsigned char *code)
{
	FILE *file = fopen(path, "w");

	if (!file)
		exit(1);
	fprintf(file, "this is no map\n%lx %x stale name\n", (unsigned long)(uintptr_t)code, REGION_BYTES);
	for (int i = 0; i < FUNCTIONS; i++)
		fprintf(file, "%s%lx %x %s\n", i ? "" : "0x",
			(unsigned long)(uintptr_t)(code + i * CODE_BYTES), CODE_BYTES, names[i]);
	fprintf(file, "%lx %x unfinished", (unsigned long)(uintptr_t)code, REGION_BYTES);
	fclose(file);
}

/* ---- jitdump ---- */

struct prefix {
	uint32_t id, size;
	uint64_t time;
};

static void
write_debug_info(FILE *file, uint64_t address, uint32_t line)
{
	struct {
		struct prefix prefix;
		uint64_t address, entries;
	} record = {{2, 0, 0}, address, 2};
	struct {
		uint64_t address;
		uint32_t line, discriminator;
	} entry = {address, line, 0};
	const char path[] = "/srv/source.jit";

	record.prefix.size = (uint32_t)(sizeof(record) + 2 * sizeof(entry) + sizeof(path) + 2);
	fwrite(&record, sizeof(record), 1, file);
	fwrite(&entry, sizeof(entry), 1, file);
	fwrite(path, sizeof(path), 1, file);
	entry.address += 8; /* in the prologue, or after it */
	entry.line++;
	fwrite(&entry, sizeof(entry), 1, file);
	fwrite("\377", 2, 1, file);
}

static void
write_load(FILE *file, const unsigned char *code, uint64_t address, uint64_t index, const char *name)
{
	struct {
		struct prefix prefix;
		uint32_t pid, tid;
		uint64_t vma, address, size, index;
	} record = {{0, 0, 0}, (uint32_t)getpid(), (uint32_t)getpid(), address, address, CODE_BYTES, index};

	record.prefix.size = (uint32_t)(sizeof(record) + strlen(name) + 1 + CODE_BYTES);
	fwrite(&record, sizeof(record), 1, file);
	fwrite(name, strlen(name) + 1, 1, file);
	fwrite(code, CODE_BYTES, 1, file);
}

static void
write_move(FILE *file, uint64_t from, uint64_t to, uint64_t index)
{
	struct {
		struct prefix prefix;
		uint32_t pid, tid;
		uint64_t vma, from, to, size, index;
	} record = {{1, 64, 0}, (uint32_t)getpid(), (uint32_t)getpid(), to, from, to, CODE_BYTES, index};

	fwrite(&record, sizeof(record), 1, file);
}

static void
write_dump(const char *folder, const unsigned char *code)
{
	const uint32_t header[10] = {0x4A695444, 1, sizeof(header), EM_X86_64, 0, (uint32_t)getpid()};
	const uint64_t elsewhere = 0x1000;
	char path[4096];

	snprintf(path, sizeof(path), "%s/jit-%d.dump", folder, (int)getpid());
	FILE *file = fopen(path, "w+");
	/* how who profiles us learns of it */
	if (!file || mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fileno(file), 0) == MAP_FAILED)
		exit(1);
	fwrite(header, sizeof(header), 1, file);
	write_load(file, code, (uintptr_t)code, 0, "stale name");
	for (int i = 0; i < FUNCTIONS; i++) {
		uint64_t address = (uintptr_t)(code + i * CODE_BYTES), at = i == 2 ? elsewhere : address;

		write_debug_info(file, at, 100 * ((uint32_t)i + 1));
		write_load(file, code + i * CODE_BYTES, at, (uint64_t)i + 1, names[i]);
		if (i == 2)
			write_move(file, at, address, (uint64_t)i + 1);
	}
	fclose(file);
}

int
main(int argc, char *argv[])
{
	const char *what = argc > 1 ? argv[1] : "map";
	uint64_t duration_ns = (uint64_t)((argc > 2 ? atof(argv[2]) : 1) * 1e9), value = 1;
	unsigned char *code =
		mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char map[64];

	if (code == MAP_FAILED)
		return 1;
	for (int i = 0; i < FUNCTIONS; i++)
		memcpy(code + i * CODE_BYTES, (const void *)(uintptr_t)burn_here, CODE_BYTES);
	if (mprotect(code, REGION_BYTES, PROT_READ | PROT_EXEC) < 0)
		return 1;
	snprintf(map, sizeof(map), "/tmp/perf-%d.map", (int)getpid());
	if (argc > 3 && strcmp(what, "dump") != 0)
		names[0] = argv[3];
	if (strcmp(what, "map") == 0)
		write_map(map, code);
	else if (strcmp(what, "dump") == 0)
		write_dump(argv[3], code);
	for (uint64_t now = 0; now < duration_ns; now = burn_clock_ns(CLOCK_PROCESS_CPUTIME_ID)) {
		for (uint64_t i = 0; i < FUNCTIONS; i++)
			value = ((burn_function *)(uintptr_t)(code + i * CODE_BYTES))(
				value, (i + 1) * BURN_STEPS_PER_SLICE);
		if (strcmp(what, "late") == 0 && now > duration_ns / 2) {
			write_map(map, code);
			what = "map";
		}
	}
	printf("%d\n", (int)value);
	if (strcmp(what, "map") == 0)
		unlink(map);
	return 0;
}
