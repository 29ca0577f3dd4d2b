/* nongnu libunwind over its own accessors with its global cache, one address space for all samples: what perf
 * before 7.0 does. */

#include "tests/bench/unwind/input.h"

#include <elf.h>
#include <errno.h>
#include <libunwind-x86_64.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Exported for exactly this use (perf declares it so too), but in no header of the library. */
int UNW_OBJ(dwarf_search_unwind_table)(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
				       unw_proc_info_t *pi, int need_unwind_info, void *arg);

struct file {
	const struct bench_module *module;
	const uint8_t *bytes;
	size_t size;
	uint64_t header;    /* .eh_frame_hdr, as mapped */
	uint64_t low, high; /* of all its segments */
};

static struct file *files;
static size_t file_count;
static unw_addr_space_t space;
static const struct sample_record *current;

static const uint8_t *
file_bytes(const struct file *file, uint64_t address, size_t size)
{
	const Elf64_Ehdr *elf = (const void *)file->bytes;
	const Elf64_Phdr *segment = (const void *)(file->bytes + elf->e_phoff);
	uint64_t at = address - file->module->bias;

	for (unsigned i = 0; i < elf->e_phnum; i++)
		if (segment[i].p_type == PT_LOAD && at >= segment[i].p_vaddr &&
		    at + size <= segment[i].p_vaddr + segment[i].p_filesz)
			return file->bytes + segment[i].p_offset + (at - segment[i].p_vaddr);
	return NULL;
}

static const struct file *
file_of(uint64_t ip)
{
	for (size_t i = file_count; i > 0; i--) /* what was mapped last lies on top */
		if (ip >= files[i - 1].module->start && ip < files[i - 1].module->end)
			return &files[i - 1];
	return NULL;
}

/* Unwind tables lie outside of the executable mapping. Neighbouring reads are of one file. */
static const struct file *
file_with(uint64_t address)
{
	static size_t last;

	if (last < file_count && address >= files[last].low && address < files[last].high)
		return &files[last];
	for (size_t i = file_count; i > 0; i--)
		if (address >= files[i - 1].low && address < files[i - 1].high) {
			last = i - 1;
			return &files[last];
		}
	return NULL;
}

static int
find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *info, int need, void *arg)
{
	const struct file *file = file_of(ip);
	unw_dyn_info_t table = {.format = UNW_INFO_FORMAT_REMOTE_TABLE};
	uint32_t count;

	if (!file || !file->header)
		return -UNW_ENOINFO;
	memcpy(&count, file_bytes(file, file->header + 8, 4), 4);
	table.start_ip = file->module->start;
	table.end_ip = file->module->end;
	table.u.rti.segbase = file->header;
	table.u.rti.table_data = file->header + 12; /* version, encodings, eh_frame pointer, count */
	table.u.rti.table_len = count * 8ull / sizeof(unw_word_t);
	return UNW_OBJ(dwarf_search_unwind_table)(as, ip, &table, info, need, arg);
}

static int
access_memory(unw_addr_space_t as, unw_word_t address, unw_word_t *value, int write, void *arg)
{
	(void)as, (void)arg;
	if (write)
		return -UNW_EINVAL;
	if (stack_view_u64(&current->stack, address, value))
		return 0;
	const struct file *file = file_with(address);
	const uint8_t *bytes = file ? file_bytes(file, address, sizeof(*value)) : NULL;
	if (bytes) {
		memcpy(value, bytes, sizeof(*value));
		return 0;
	}
	return -UNW_EINVAL;
}

static int
access_register(unw_addr_space_t as, unw_regnum_t number, unw_word_t *value, int write, void *arg)
{
	(void)as, (void)arg;
	if (write || number < 0 || number >= REGISTER_COUNT) /* libunwind counts as DWARF does */
		return -UNW_EBADREG;
	*value = current->registers.value[number];
	return 0;
}

static void
put_unwind_info(unw_addr_space_t as, unw_proc_info_t *info, void *arg)
{
	(void)as, (void)info, (void)arg;
}
static int
no_list(unw_addr_space_t as, unw_word_t *list, void *arg)
{
	(void)as, (void)list, (void)arg;
	return -UNW_ENOINFO;
}
static int
no_float(unw_addr_space_t as, unw_regnum_t number, unw_fpreg_t *value, int write, void *arg)
{
	(void)as, (void)number, (void)value, (void)write, (void)arg;
	return -UNW_EINVAL;
}
static int
no_resume(unw_addr_space_t as, unw_cursor_t *cursor, void *arg)
{
	(void)as, (void)cursor, (void)arg;
	return -UNW_EINVAL;
}
static int
no_name(unw_addr_space_t as, unw_word_t address, char *name, size_t size, unw_word_t *offset, void *arg)
{
	(void)as, (void)address, (void)name, (void)size, (void)offset, (void)arg;
	return -UNW_EINVAL;
}

static unw_accessors_t accessors = {
	.find_proc_info = find_proc_info,
	.put_unwind_info = put_unwind_info,
	.get_dyn_info_list_addr = no_list,
	.access_mem = access_memory,
	.access_reg = access_register,
	.access_fpreg = no_float,
	.resume = no_resume,
	.get_proc_name = no_name,
};

static void
add_file(const struct bench_module *module)
{
	struct file *file = &files[file_count];
	struct stat status;

	if (module->fd < 0 || fstat(module->fd, &status) < 0)
		return;
	*file = (struct file){.module = module, .size = (size_t)status.st_size};
	file->bytes = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, module->fd, 0);
	if (file->bytes == MAP_FAILED)
		return;
	const Elf64_Ehdr *elf = (const void *)file->bytes;
	const Elf64_Phdr *segment = (const void *)(file->bytes + elf->e_phoff);
	file->low = UINT64_MAX;
	for (unsigned i = 0; i < elf->e_phnum; i++) {
		uint64_t start = segment[i].p_vaddr + module->bias;

		if (segment[i].p_type == PT_GNU_EH_FRAME)
			file->header = start;
		if (segment[i].p_type != PT_LOAD)
			continue;
		file->low = start < file->low ? start : file->low;
		file->high =
			start + segment[i].p_filesz > file->high ? start + segment[i].p_filesz : file->high;
	}
	file_count++;
}

static int
prepare(const struct bench_input *input)
{
	current = &input->samples[0];
	files = calloc(input->module_count, sizeof(*files));
	space = unw_create_addr_space(&accessors, 0);
	if (!files || !space)
		return -ENOMEM;
	for (size_t i = 0; i < input->module_count; i++)
		add_file(&input->modules[i]);
	return unw_set_caching_policy(space, UNW_CACHE_GLOBAL) == 0 ? 0 : -EINVAL;
}

static size_t
walk(const struct sample_record *sample, uint64_t *ret_pc)
{
	bool wants_addresses = ret_pc != NULL;
	unw_cursor_t cursor;
	unw_word_t ip;
	size_t count = 0;

	current = sample;
	if (unw_init_remote(&cursor, space, NULL) < 0)
		return 0;
	do {
		if (unw_get_reg(&cursor, UNW_REG_IP, &ip) < 0 || ip == 0)
			break;
		if (wants_addresses)
			ret_pc[count] = ip - (count > 0 && !unw_is_signal_frame(&cursor));
		count++;
	} while (count < BENCH_FRAMES_MAX && unw_step(&cursor) > 0);
	return count;
}

const struct engine engine_libunwind = {"libunwind, kept", prepare, walk};
