/* elfutils' libdwfl with one Dwfl for all samples, which is how perf 7.0 uses it. */

#include "tests/bench/unwind/input.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static Dwfl *dwfl;
static const struct sample_record *current;
static uint32_t current_pid;

struct walk {
	uint64_t *pc;
	size_t count;
	bool wants_addresses;
};

static pid_t
next_thread(Dwfl *unused, void *context, void **thread)
{
	(void)unused;
	if (*thread)
		return 0;
	*thread = context;
	return (pid_t)current_pid;
}

static bool
get_thread(Dwfl *unused, pid_t tid, void *context, void **thread)
{
	(void)unused;
	(void)tid;
	*thread = context;
	return true;
}

static bool
read_memory(Dwfl *unused, Dwarf_Addr address, Dwarf_Word *ret, void *context)
{
	(void)unused;
	(void)context;
	return stack_view_u64(&current->stack, address, ret);
}

static bool
set_registers(Dwfl_Thread *thread, void *context)
{
	(void)context;
	return dwfl_thread_state_registers(thread, 0, REGISTER_COUNT, current->registers.value);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

static int
no_debug_file(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base, const char *file,
	      const char *link, GElf_Word crc, char **debug_name)
{
	(void)module, (void)data, (void)name, (void)base, (void)file, (void)link, (void)crc, (void)debug_name;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_build_id_find_elf,
	.find_debuginfo = no_debug_file,
	.section_address = dwfl_offline_section_address,
};

static int
prepare(const struct bench_input *input)
{
	current = &input->samples[0];
	current_pid = input->pid;
	dwfl = dwfl_begin(&callbacks);
	if (!dwfl)
		return -ENOMEM;
	dwfl_report_begin(dwfl);
	for (size_t i = 0; i < input->module_count; i++) {
		const struct bench_module *module = &input->modules[i];

		if (module->fd >= 0) /* libdwfl closes it */
			(void)dwfl_report_elf(dwfl, module->path, module->path, dup(module->fd), module->bias,
					      true);
	}
	dwfl_report_end(dwfl, NULL, NULL);
	return dwfl_attach_state(dwfl, NULL, (pid_t)input->pid, &thread_callbacks, (void *)dwfl) ? 0
												 : -EINVAL;
}

static int
take_frame(Dwfl_Frame *frame, void *context)
{
	struct walk *walk = context;
	Dwarf_Addr pc;
	bool is_activation;

	if (walk->count == BENCH_FRAMES_MAX || !dwfl_frame_pc(frame, &pc, &is_activation))
		return DWARF_CB_ABORT;
	if (walk->wants_addresses)
		walk->pc[walk->count] = pc - !is_activation;
	walk->count++;
	return DWARF_CB_OK;
}

static size_t
walk_sample(const struct sample_record *sample, uint64_t *ret_pc)
{
	struct walk walk = {.pc = ret_pc, .wants_addresses = ret_pc != NULL};

	current = sample;
	(void)dwfl_getthread_frames(dwfl, (pid_t)current_pid, take_frame, &walk);
	return walk.count;
}

const struct engine engine_dwfl = {"libdwfl, kept", prepare, walk_sample};
