/* Holds what one file's lookups share: where its FDEs are and its CIEs. Used by one thread at a time. */

#include "worker/unwind/module.h"

#include "worker/elf/image.h"
#include "worker/unwind/code_patterns.h"
#include "worker/unwind/fde_table.h"

#include <errno.h>
#include <stdlib.h>

/* Most files have no .debug_frame: what it needs is allocated for those that do. */
struct debug_frame {
	struct fde_table fdes;
	struct cie_cache cies;
};

struct unwind_module {
	uint32_t id; /* first: the hot path reads only this */
	struct elf_image *image;
	struct fde_table fdes;
	struct cie_cache cies;
	struct debug_frame *debug_frame; /* once it was needed */
	bool has_no_debug_frame;
};

struct unwind_module *
unwind_module_new(struct elf_image *image, uint32_t id)
{
	struct unwind_module *module = calloc(1, sizeof(*module));

	if (!module)
		return NULL;
	module->image = image;
	module->id = id;
	return module;
}

void
unwind_module_free(struct unwind_module *module)
{
	if (!module)
		return;
	fde_table_clear(&module->fdes);
	if (module->debug_frame)
		fde_table_clear(&module->debug_frame->fdes);
	free(module->debug_frame);
	free(module);
}

uint32_t
unwind_module_id(const struct unwind_module *module)
{
	return module->id;
}

static int
find_row(struct unwind_module *module, struct fde_table *fdes, struct cie_cache *cies,
	 struct cfi_scratch *scratch, uint64_t address, struct cfi_row *ret_row)
{
	uint64_t fde;
	int error = fde_table_find(fdes, module->image, cies, scratch, address, &fde);

	return error ? error : cfi_find_row(module->image, cies, scratch, fde, address, ret_row);
}

/* 0, -ENOENT, -ENOMEM, or pread's error. */
static int
open_debug_frame(struct unwind_module *module, struct cfi_scratch *scratch)
{
	struct debug_frame *frame;
	uint64_t start, size;
	int error;

	if (module->debug_frame || module->has_no_debug_frame)
		return module->debug_frame ? 0 : -ENOENT;
	if (!elf_image_unloaded_section(module->image, ".debug_frame", &start, &size)) {
		module->has_no_debug_frame = true;
		return -ENOENT;
	}
	frame = calloc(1, sizeof(*frame));
	if (!frame)
		return -ENOMEM;
	frame->cies.debug_frame = start;
	error = fde_table_index(&frame->fdes, module->image, &frame->cies, scratch, start, size);
	if (error)
		free(frame);
	else
		module->debug_frame = frame;
	return error;
}

int
unwind_module_find_row(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address,
		       struct cfi_row *ret_row)
{
	int error = find_row(module, &module->fdes, &module->cies, scratch, address, ret_row);

	if (error != -ENOENT)
		return error;
	error = open_debug_frame(module, scratch);
	return error ? error
		     : find_row(module, &module->debug_frame->fdes, &module->debug_frame->cies, scratch,
				address, ret_row);
}

bool
unwind_module_read_code(struct unwind_module *module, uint64_t address, size_t before, uint8_t *ret_bytes,
			size_t size)
{
	return elf_image_read_address(module->image, address - before, ret_bytes, size) == 0;
}

/* For an address without FDE. As a return address, it is the byte before the code that runs next: a signal
 * return stub, or a function that nothing called, put there by who made the stack (makecontext). */
static struct rule
find_gap_rule(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address)
{
	struct cfi_row row;

	if (code_is_sigreturn(module, address + 1))
		return (struct rule){.kind = RULE_SIGRETURN};
	if (unwind_module_find_row(module, scratch, address + 1, &row) == 0 &&
	    !code_ends_in_call(module, address + 1))
		return (struct rule){.kind = RULE_START};
	return (struct rule){.kind = RULE_GAP};
}

static int
find_table_rule(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address,
		struct rule *ret_rule)
{
	struct cfi_row row;
	int error = unwind_module_find_row(module, scratch, address, &row);

	switch (error) {
	case 0:
		*ret_rule = rule_from_row(&row);
		return 0;
	case -ENOENT:
		*ret_rule = find_gap_rule(module, scratch, address);
		return 0;
	case -EBADMSG:
		*ret_rule = (struct rule){.kind = RULE_BAD};
		return 0;
	default:
		return error;
	}
}

int
unwind_module_find_rule(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address,
			struct rule *ret_rule)
{
	int error = find_table_rule(module, scratch, address, ret_rule);

	/* a return address minus one never starts an instruction where those are aligned */
	if (!error && INSTRUCTION_ALIGNMENT > 1 && address % INSTRUCTION_ALIGNMENT == 0)
		*ret_rule = code_leaf_rule(module, address, *ret_rule);
	return error;
}
