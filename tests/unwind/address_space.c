/* Simple and slow where it may be: a linear list of files, a sorted list of mappings with a last hit. */

#include "tests/unwind/address_space.h"

#include "worker/elf/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

enum { MAPPINGS_MAX = 4096, FILES_MAX = 256 };

struct mapped_file {
	char path[256];
	int fd;
	struct elf_image *image;
	struct unwind_module *module;
};

struct mapping {
	uint64_t start, end, offset;
	bool executable;
	uint32_t file; /* 0: none */
	uint64_t bias; /* pc - bias = ELF address */
};

struct address_space {
	pid_t pid;
	struct mapping mappings[MAPPINGS_MAX];
	size_t mapping_count, last_hit;
	struct mapped_file files[FILES_MAX]; /* 0 is not used */
	uint32_t file_count;
};

static size_t
vdso_size(const uint8_t *vdso)
{
	char line[512];
	uint64_t start, end;
	size_t size = 0;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && start == (uint64_t)(uintptr_t)vdso)
			size = end - start;
	if (maps)
		fclose(maps);
	return size;
}

static uint32_t
file_number(struct address_space *space, const char *path)
{
	static uint32_t next_id = 1;
	struct mapped_file *file;
	int error = -1;

	for (uint32_t i = 1; i < space->file_count; i++)
		if (!strcmp(space->files[i].path, path))
			return i;
	if (space->file_count == FILES_MAX)
		return 0;
	file = &space->files[space->file_count];
	file->fd = -1;
	if (!strcmp(path, "[vdso]")) {
		const uint8_t *vdso = (const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
		error = elf_image_open_memory(vdso, vdso_size(vdso), &file->image);
	} else if (path[0] == '/') {
		file->fd = open(path, O_RDONLY | O_CLOEXEC);
		error = file->fd < 0 ? -1 : elf_image_open(file->fd, &file->image);
	}
	if (error) {
		if (file->fd >= 0)
			close(file->fd);
		return 0;
	}
	file->module = unwind_module_new(file->image, next_id++);
	snprintf(file->path, sizeof(file->path), "%s", path);
	return space->file_count++;
}

void
address_space_reload(struct address_space *space)
{
	char name[64], line[1024];
	FILE *maps;

	snprintf(name, sizeof(name), "/proc/%d/maps", (int)space->pid);
	maps = fopen(name, "re");
	space->mapping_count = 0;
	space->last_hit = 0;
	while (maps && fgets(line, sizeof(line), maps) && space->mapping_count < MAPPINGS_MAX) {
		struct mapping *mapping = &space->mappings[space->mapping_count];
		char rights[5], path[256] = "";
		uint64_t address;

		if (sscanf(line, "%lx-%lx %4s %lx %*s %*s %255[^\n]", &mapping->start, &mapping->end, rights,
			   &mapping->offset, path) < 4)
			continue;
		mapping->executable = rights[2] == 'x';
		mapping->file = mapping->executable && path[0] ? file_number(space, path) : 0;
		if (mapping->file &&
		    elf_image_address_of_offset(space->files[mapping->file].image, mapping->offset, &address))
			mapping->bias = mapping->start - address;
		space->mapping_count++;
	}
	if (maps)
		fclose(maps);
}

struct address_space *
address_space_new(pid_t pid)
{
	struct address_space *space = calloc(1, sizeof(*space));

	if (!space)
		abort();
	space->pid = pid;
	space->file_count = 1;
	address_space_reload(space);
	return space;
}

void
address_space_free(struct address_space *space)
{
	for (uint32_t i = 1; i < space->file_count; i++) {
		unwind_module_free(space->files[i].module);
		elf_image_free(space->files[i].image);
		if (space->files[i].fd >= 0)
			close(space->files[i].fd);
	}
	free(space);
}

static const struct mapping *
find_mapping(struct address_space *space, uint64_t address)
{
	const struct mapping *hit = &space->mappings[space->last_hit];
	size_t low = 0, high = space->mapping_count;

	if (space->mapping_count && address - hit->start < hit->end - hit->start)
		return hit;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		hit = &space->mappings[middle];
		if (address >= hit->end) {
			low = middle + 1;
		} else if (address < hit->start) {
			high = middle;
		} else {
			space->last_hit = middle;
			return hit;
		}
	}
	return NULL;
}

void
address_space_lookup(void *context, uint64_t pc, struct code_place *ret)
{
	struct address_space *space = context;
	const struct mapping *mapping = find_mapping(space, pc);

	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (!mapping || !mapping->executable)
		return;
	ret->kind = CODE_ANONYMOUS;
	if (!mapping->file)
		return;
	ret->kind = CODE_MODULE;
	ret->file = mapping->file;
	ret->address = pc - mapping->bias;
	ret->module = space->files[mapping->file].module;
}

bool
address_space_find_mapping(const struct address_space *space, uint64_t address, uint64_t *ret_start,
			   uint64_t *ret_end)
{
	for (size_t i = 0; i < space->mapping_count; i++)
		if (address >= space->mappings[i].start && address < space->mappings[i].end) {
			*ret_start = space->mappings[i].start;
			*ret_end = space->mappings[i].end;
			return true;
		}
	return false;
}

const char *
address_space_file_name(const struct address_space *space, uint32_t file)
{
	return file && file < space->file_count ? space->files[file].path : "?";
}
