/* Holds what one file's lookups share: where its FDEs are and its CIEs. Used by one thread at a time. */

#include "worker/unwind/module.h"

#include "worker/elf/image.h"
#include "worker/unwind/fde_table.h"

#include <errno.h>
#include <stdlib.h>

struct unwind_module {
	uint32_t id; /* first: the hot path reads only this */
	struct elf_image *image;
	struct fde_table fdes;
	struct cie_cache cies;
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
	if (module)
		fde_table_clear(&module->fdes);
	free(module);
}

uint32_t
unwind_module_id(const struct unwind_module *module)
{
	return module->id;
}

int
unwind_module_find_row(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address,
		       struct cfi_row *ret_row)
{
	uint64_t fde;
	int error = fde_table_find(&module->fdes, module->image, &module->cies, scratch, address, &fde);

	return error ? error : cfi_find_row(module->image, &module->cies, scratch, fde, address, ret_row);
}

bool
unwind_module_read_code(struct unwind_module *module, uint64_t address, size_t before, uint8_t *ret_bytes,
			size_t size)
{
	return elf_image_read_address(module->image, address - before, ret_bytes, size) == 0;
}

int
unwind_module_find_rule(struct unwind_module *module, struct cfi_scratch *scratch, uint64_t address,
			struct rule *ret_rule)
{
	struct cfi_row row;
	int error = unwind_module_find_row(module, scratch, address, &row);

	switch (error) {
	case 0:
		*ret_rule = rule_from_row(&row);
		return 0;
	case -ENOENT:
		/* as a return address, this is the byte before the code that runs next */
		*ret_rule = (struct rule){
			.kind = code_is_sigreturn(module, address + 1) ? RULE_SIGRETURN : RULE_GAP,
		};
		return 0;
	case -EBADMSG:
		*ret_rule = (struct rule){.kind = RULE_BAD};
		return 0;
	default:
		return error;
	}
}
