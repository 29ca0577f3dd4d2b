/* OpenSSL's SHA-256 and SHA-512 for AVX2 save the stack pointer in their frame, which is aligned, then work
 * downwards through it and carry a copy along at rsp - 8:
 *
 *   rsp - 8   | saved rsp |  what the tables name
 *   rsp       | data      |
 *             | saved rsp |  what is found: the lowest word that points to a return address
 *             | ...       |
 *   saved rsp | return address, CFA = saved rsp + 8 */

#include "worker/unwind/red_zone.h"

#include "worker/unwind/module.h"

#include <string.h>

#define FRAME_BYTES_MAX 4096 /* SHA-512 needs 0x520, aligned to 0x800 */

/* DW_OP_breg7 (rsp) -8; DW_OP_deref; DW_OP_plus_uconst 8 */
static const uint8_t saved_below_sp[] = {0x77, 0x78, 0x06, 0x23, 0x08};

enum { CALL_BYTES_MAX = 7, CALL_REGISTER_BYTES = 2, CALL_DIRECT_BYTES = 5 };

/* call rel32, or call *operand (ff /2), which takes 2 to 7 bytes. */
static bool
ends_in_call(const uint8_t bytes[static CALL_BYTES_MAX])
{
	if (bytes[CALL_BYTES_MAX - CALL_DIRECT_BYTES] == 0xe8)
		return true;
	for (size_t i = 0; i <= CALL_BYTES_MAX - CALL_REGISTER_BYTES; i++)
		if (bytes[i] == 0xff && (bytes[i + 1] & 0x38) == 0x10)
			return true;
	return false;
}

static bool
is_return_address(uint64_t address, code_lookup *lookup, void *context)
{
	uint8_t bytes[CALL_BYTES_MAX];
	struct code_place place;

	lookup(context, address - 1, &place);
	return place.kind == CODE_MODULE &&
	       unwind_module_read_code(place.module, place.address + 1, sizeof(bytes), bytes,
				       sizeof(bytes)) &&
	       ends_in_call(bytes);
}

void
red_zone_mend_row(const struct frame_state *state, code_lookup *lookup, void *context, struct cfi_row *row)
{
	const struct cfi_rule *cfa = &row->cfa;
	uint64_t sp = state->registers.value[REGISTER_SP], saved, address;

	if (cfa->kind != CFI_IS_EXPRESSION || cfa->expression_size != sizeof(saved_below_sp) ||
	    memcmp(cfa->expression, saved_below_sp, sizeof(saved_below_sp)) != 0)
		return;
	for (uint64_t at = sp; at < sp + FRAME_BYTES_MAX && stack_view_u64(state->stack, at, &saved);
	     at += 8) {
		if (saved <= at || saved % 8 != 0 || !stack_view_u64(state->stack, saved, &address) ||
		    !is_return_address(address, lookup, context))
			continue;
		row->cfa = (struct cfi_rule){
			.kind = CFI_REGISTER, .number = REGISTER_SP, .offset = (int64_t)(saved + 8 - sp)};
		return;
	}
}
