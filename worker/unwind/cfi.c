/* .eh_frame is a list of entries; each FDE points back to a CIE that starts its row:
 *
 *   CIE  length 0    version "zR" code*4 data*-8 ra 16 | def_cfa rsp+8; rip at CFA-8
 *   FDE  length ->CIE  begin size                      | advance 1; def_cfa_offset 16; rbp at CFA-16; ...
 *
 * .debug_frame, which debuggers use, has the same entries with other ids, and plain addresses.
 *
 * The row machine runs the CIE's instructions once (the row is kept with the CIE), then the FDE's until
 * the location passes the address asked for. Each instruction takes at least a byte, so the byte limits
 * also limit the steps. */

#include "worker/unwind/cfi.h"

#include "worker/elf/image.h"
#include "worker/unwind/encoding.h"

#include <errno.h>

enum {
	LENGTH_SIZE = 4, /* the 64-bit form (length 0xffffffff) is for sections over 4 GB: rejected */
	ID_SIZE = 4,
	AUGMENTATION_MAX = 8,
};

#define DEBUG_FRAME_CIE UINT32_MAX /* the id of a CIE there; in .eh_frame it is 0 */

/* DW_CFA_*: the upper two bits, or else the whole byte. */
enum {
	OP_ADVANCE = 0x40,
	OP_OFFSET = 0x80,
	OP_RESTORE = 0xc0,
	OP_NOP = 0x00,
	OP_SET_LOCATION = 0x01,
	OP_ADVANCE1 = 0x02,
	OP_ADVANCE2 = 0x03,
	OP_ADVANCE4 = 0x04,
	OP_OFFSET_EXTENDED = 0x05,
	OP_RESTORE_EXTENDED = 0x06,
	OP_UNDEFINED = 0x07,
	OP_SAME_VALUE = 0x08,
	OP_REGISTER = 0x09,
	OP_REMEMBER_STATE = 0x0a,
	OP_RESTORE_STATE = 0x0b,
	OP_DEF_CFA = 0x0c,
	OP_DEF_CFA_REGISTER = 0x0d,
	OP_DEF_CFA_OFFSET = 0x0e,
	OP_DEF_CFA_EXPRESSION = 0x0f,
	OP_EXPRESSION = 0x10,
	OP_OFFSET_EXTENDED_SF = 0x11,
	OP_DEF_CFA_SF = 0x12,
	OP_DEF_CFA_OFFSET_SF = 0x13,
	OP_VAL_OFFSET = 0x14,
	OP_VAL_OFFSET_SF = 0x15,
	OP_VAL_EXPRESSION = 0x16,
	OP_AARCH64_NEGATE_RA_STATE_WITH_PC = 0x2c,
	OP_AARCH64_NEGATE_RA_STATE = 0x2d,
	OP_GNU_ARGS_SIZE = 0x2e,
	OP_GNU_NEGATIVE_OFFSET = 0x2f,
};

struct machine {
	struct cursor in;
	uint64_t in_address; /* ELF address of the byte `in` started at, for pc-relative set_loc */
	const uint8_t *in_start;
	const struct cie *cie;
	const struct cfi_row *initial; /* NULL while the CIE itself runs: nothing to restore to */
	struct cfi_row *row;
	struct cfi_row *saved;
	unsigned saved_count;
	uint64_t location, target;
	bool arrived; /* the next row starts beyond the target */
};

/* Rules for registers we do not track (xmm, x87) are read and forgotten. */
static void
set_rule(struct machine *m, uint64_t number, struct cfi_rule rule)
{
	if (number < REGISTER_COUNT)
		m->row->registers[number] = rule;
}

static void
set_offset(struct machine *m, uint64_t number, enum cfi_kind kind, int64_t factored)
{
	struct cfi_rule rule = {.kind = (uint8_t)kind};

	if (__builtin_mul_overflow(factored, m->cie->data_factor, &rule.offset))
		cursor_fail(&m->in);
	set_rule(m, number, rule);
}

/* Unsigned factored offsets come as ULEB128; one that does not fit a signed number is rejected. */
static int64_t
read_unsigned(struct machine *m)
{
	uint64_t value = cursor_uleb128(&m->in);

	if (value > INT64_MAX) {
		cursor_fail(&m->in);
		return 0;
	}
	return (int64_t)value;
}

static struct cfi_rule
read_expression(struct machine *m, enum cfi_kind kind)
{
	uint64_t size = cursor_uleb128(&m->in);
	struct cfi_rule rule = {.kind = (uint8_t)kind};

	if (size > UINT16_MAX)
		cursor_fail(&m->in);
	else
		rule.expression = cursor_bytes(&m->in, size);
	rule.expression_size = (uint16_t)size;
	return rule;
}

static void
restore_rule(struct machine *m, uint64_t number)
{
	if (!m->initial)
		cursor_fail(&m->in);
	else if (number < REGISTER_COUNT)
		m->row->registers[number] = m->initial->registers[number];
}

static void
define_cfa(struct machine *m, uint64_t number, int64_t offset)
{
	if (number >= REGISTER_COUNT)
		cursor_fail(&m->in);
	m->row->cfa = (struct cfi_rule){.kind = CFI_REGISTER, .number = (uint8_t)number, .offset = offset};
}

/* Changing only half of "register + offset" is meaningless while the CFA is an expression. */
static void
redefine_cfa(struct machine *m, uint64_t number, int64_t offset)
{
	if (m->row->cfa.kind != CFI_REGISTER)
		cursor_fail(&m->in);
	define_cfa(m, number, offset);
}

static int64_t
read_signed_factored(struct machine *m)
{
	int64_t offset = 0;

	if (__builtin_mul_overflow(cursor_sleb128(&m->in), m->cie->data_factor, &offset))
		cursor_fail(&m->in);
	return offset;
}

static void
move_to(struct machine *m, uint64_t location)
{
	if (location > m->target)
		m->arrived = true;
	else if (location < m->location)
		cursor_fail(&m->in); /* rows go upwards; this also ends what would wrap around */
	else
		m->location = location;
}

static void
advance(struct machine *m, uint64_t delta)
{
	uint64_t bytes, location;

	if (__builtin_mul_overflow(delta, m->cie->code_factor, &bytes) ||
	    __builtin_add_overflow(m->location, bytes, &location))
		cursor_fail(&m->in);
	else
		move_to(m, location);
}

static void
set_location(struct machine *m)
{
	uint64_t here = m->in_address + (uint64_t)(m->in.at - m->in_start);
	uint64_t location = cursor_pointer(&m->in, m->cie->pointer_encoding, here);

	if (!m->in.failed)
		move_to(m, location);
}

static void
remember_state(struct machine *m)
{
	if (m->saved_count == CFI_STATES_MAX)
		cursor_fail(&m->in);
	else
		m->saved[m->saved_count++] = *m->row;
}

static void
restore_state(struct machine *m)
{
	if (m->saved_count == 0)
		cursor_fail(&m->in);
	else
		*m->row = m->saved[--m->saved_count];
}

/* Operands are read into locals first: C does not order the evaluation of arguments. */
static void
run_extended(struct machine *m, uint8_t op)
{
	struct cursor *in = &m->in;
	uint64_t number;
	int64_t offset;

	switch (op) {
	case OP_NOP:
		return;
	case OP_SET_LOCATION:
		set_location(m);
		return;
	case OP_ADVANCE1:
		advance(m, cursor_u8(in));
		return;
	case OP_ADVANCE2:
		advance(m, cursor_u16(in));
		return;
	case OP_ADVANCE4:
		advance(m, cursor_u32(in));
		return;
	case OP_REMEMBER_STATE:
		remember_state(m);
		return;
	case OP_RESTORE_STATE:
		restore_state(m);
		return;
	case OP_DEF_CFA_OFFSET:
		redefine_cfa(m, m->row->cfa.number, read_unsigned(m));
		return;
	case OP_DEF_CFA_OFFSET_SF:
		redefine_cfa(m, m->row->cfa.number, read_signed_factored(m));
		return;
	case OP_DEF_CFA_EXPRESSION:
		m->row->cfa = read_expression(m, CFI_IS_EXPRESSION);
		return;
	case OP_AARCH64_NEGATE_RA_STATE_WITH_PC:
	case OP_AARCH64_NEGATE_RA_STATE: /* every return address has its signature stripped, this tells us
					    nothing */
		if (!CFI_HAS_SIGNED_RETURNS)
			cursor_fail(in);
		return;
	case OP_GNU_ARGS_SIZE: /* for exception handlers, not for us */
		(void)cursor_uleb128(in);
		return;
	}

	number = cursor_uleb128(in);
	switch (op) {
	case OP_OFFSET_EXTENDED:
		set_offset(m, number, CFI_AT_OFFSET, read_unsigned(m));
		return;
	case OP_OFFSET_EXTENDED_SF:
		set_offset(m, number, CFI_AT_OFFSET, cursor_sleb128(in));
		return;
	case OP_GNU_NEGATIVE_OFFSET:
		set_offset(m, number, CFI_AT_OFFSET, -read_unsigned(m));
		return;
	case OP_VAL_OFFSET:
		set_offset(m, number, CFI_IS_OFFSET, read_unsigned(m));
		return;
	case OP_VAL_OFFSET_SF:
		set_offset(m, number, CFI_IS_OFFSET, cursor_sleb128(in));
		return;
	case OP_RESTORE_EXTENDED:
		restore_rule(m, number);
		return;
	case OP_UNDEFINED:
		set_rule(m, number, (struct cfi_rule){.kind = CFI_UNDEFINED});
		return;
	case OP_SAME_VALUE:
		set_rule(m, number, (struct cfi_rule){.kind = CFI_SAME});
		return;
	case OP_REGISTER: {
		uint64_t source = cursor_uleb128(in);

		if (source >= REGISTER_COUNT)
			cursor_fail(in);
		set_rule(m, number, (struct cfi_rule){.kind = CFI_REGISTER, .number = (uint8_t)source});
		return;
	}
	case OP_EXPRESSION:
		set_rule(m, number, read_expression(m, CFI_AT_EXPRESSION));
		return;
	case OP_VAL_EXPRESSION:
		set_rule(m, number, read_expression(m, CFI_IS_EXPRESSION));
		return;
	case OP_DEF_CFA:
		offset = read_unsigned(m);
		define_cfa(m, number, offset);
		return;
	case OP_DEF_CFA_SF:
		offset = read_signed_factored(m);
		define_cfa(m, number, offset);
		return;
	case OP_DEF_CFA_REGISTER:
		redefine_cfa(m, number, m->row->cfa.offset);
		return;
	default:
		cursor_fail(in);
	}
}

/* Runs until the row for m->target is complete. False: rejected. */
static bool
run(struct machine *m)
{
	while (!m->arrived && cursor_left(&m->in) > 0) {
		uint8_t op = cursor_u8(&m->in), operand = op & 0x3f;

		switch (op & 0xc0) {
		case OP_ADVANCE:
			advance(m, operand);
			break;
		case OP_OFFSET:
			set_offset(m, operand, CFI_AT_OFFSET, read_unsigned(m));
			break;
		case OP_RESTORE:
			restore_rule(m, operand);
			break;
		default:
			run_extended(m, op);
		}
	}
	return !m->in.failed;
}

/* Reads what 'z' announces: one letter of the string, one item of the data. */
static bool
read_augmentation(struct cie *cie, struct cursor *in, const char *letters)
{
	uint64_t size = cursor_uleb128(in);
	const uint8_t *bytes = size <= CFI_CIE_BYTES_MAX ? cursor_bytes(in, size) : NULL;
	struct cursor data;
	uint8_t encoding;

	if (!bytes)
		return false;
	cie->has_augmentation_data = true;
	data = cursor_over(bytes, size);
	for (; *letters; letters++) {
		switch (*letters) {
		case 'R':
			cie->pointer_encoding = cursor_u8(&data);
			break;
		case 'P': /* personality routine: only its size matters */
			encoding = cursor_u8(&data);
			if (encoding != POINTER_OMITTED)
				(void)cursor_encoded(&data, encoding);
			break;
		case 'L': /* encoding of the language specific pointer, which we skip */
			(void)cursor_u8(&data);
			break;
		case 'S':
			cie->initial.signal_frame = true;
			break;
		case 'B': /* return addresses are signed with the other key; frames hold memory tags */
		case 'G':
			if (!CFI_HAS_SIGNED_RETURNS)
				return false;
			break;
		default:
			return false;
		}
	}
	return !data.failed;
}

/* Parses cie->bytes (everything after the length field) and runs its instructions. */
static bool
parse_cie(struct cie *cie, size_t size, bool is_debug_frame, struct cfi_scratch *scratch)
{
	struct cursor in = cursor_over(cie->bytes, size);
	uint32_t id = cursor_u32(&in);
	uint8_t version = cursor_u8(&in);
	char letters[AUGMENTATION_MAX + 1];
	uint64_t return_column;
	unsigned length = 0;

	do {
		letters[length] = (char)cursor_u8(&in);
	} while (letters[length] && ++length <= AUGMENTATION_MAX);
	if (in.failed || id != (is_debug_frame ? DEBUG_FRAME_CIE : 0) || length > AUGMENTATION_MAX)
		return false;
	if (version == 4 && is_debug_frame && (cursor_u8(&in) != sizeof(uint64_t) || cursor_u8(&in) != 0))
		return false; /* the sizes of addresses and segment selectors */
	if (version != 1 && version != 3 && (version != 4 || !is_debug_frame))
		return false;
	cie->code_factor = cursor_uleb128(&in);
	cie->data_factor = cursor_sleb128(&in);
	return_column = version == 1 ? cursor_u8(&in) : cursor_uleb128(&in);
	if (in.failed || return_column != REGISTER_RETURN)
		return false;
	cie->pointer_encoding = 0;
	cie->has_augmentation_data = false;
	cie->initial = (struct cfi_row){0};
	if (letters[0] && (letters[0] != 'z' || !read_augmentation(cie, &in, letters + 1)))
		return false;

	struct machine m = {
		.in = in,
		.cie = cie,
		.row = &cie->initial,
		.saved = scratch->saved,
		.target = UINT64_MAX,
	};
	return run(&m);
}

static bool
is_within_budget(struct cfi_scratch *scratch, uint32_t size)
{
	if (size > scratch->budget)
		return false;
	scratch->budget -= size;
	return true;
}

static struct cie *
find_kept_cie(struct cie_cache *cies, uint64_t address)
{
	for (unsigned i = 0; i < CFI_CIES_KEPT; i++)
		if (cies->cies[i].address == address)
			return &cies->cies[i];
	return NULL;
}

/* Parses the CIE at an ELF address in place of the oldest one. A rejected one is kept too, so that a bad file
 * costs its reading once. */
static int
read_cie(struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch, uint64_t address,
	 struct cie **ret_cie)
{
	struct cie *cie = &cies->cies[cies->next];
	uint32_t length;
	int error = elf_image_read_address(image, address, &length, sizeof(length));

	if (!error && (length < ID_SIZE || length > CFI_CIE_BYTES_MAX))
		return -EBADMSG;
	cie->usable = false;
	cie->address = 0; /* no entry is at 0: that is the ELF header */
	if (!error)
		error = elf_image_read_address(image, address + LENGTH_SIZE, cie->bytes, length);
	if (error)
		return error == -ERANGE ? -EBADMSG : error;
	cies->next = (cies->next + 1) % CFI_CIES_KEPT;
	cie->address = address;
	cie->size = length;
	cie->usable = parse_cie(cie, length, cies->debug_frame != 0, scratch);
	*ret_cie = cie;
	return 0;
}

/* Each use costs its bytes, for a row runs the CIE's expressions again even when the CIE is kept. */
static int
find_cie(struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch, uint64_t address,
	 const struct cie **ret_cie)
{
	struct cie *cie = find_kept_cie(cies, address);
	int error = cie ? 0 : read_cie(image, cies, scratch, address, &cie);

	if (error)
		return error;
	if (!is_within_budget(scratch, cie->size))
		return -ENOBUFS;
	*ret_cie = cie;
	return cie->usable ? 0 : -EBADMSG;
}

struct fde {
	const struct cie *cie;
	struct fde_range range;
	struct cursor instructions;
};

/* Where a byte of the entry in scratch->bytes lies in the ELF image. */
static uint64_t
address_in(const struct cfi_scratch *scratch, uint64_t entry, const uint8_t *at)
{
	return entry + LENGTH_SIZE + (uint64_t)(at - scratch->bytes);
}

/* Reads the entry at `entry` into scratch. Size 0: the terminator. */
static int
load_entry(struct elf_image *image, struct cfi_scratch *scratch, uint64_t entry, struct cursor *ret_body)
{
	uint32_t length;
	int error = elf_image_read_address(image, entry, &length, sizeof(length));

	if (!error && length > CFI_FDE_BYTES_MAX)
		return -EBADMSG;
	if (!error && !is_within_budget(scratch, length))
		return -ENOBUFS;
	if (!error && length > 0)
		error = elf_image_read_address(image, entry + LENGTH_SIZE, scratch->bytes, length);
	if (error)
		return error == -ERANGE ? -EBADMSG : error;
	*ret_body = cursor_over(scratch->bytes, length);
	return 0;
}

static int
parse_fde(struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch, uint64_t entry,
	  struct cursor in, struct fde *ret_fde)
{
	uint32_t cie_pointer = cursor_u32(&in);
	struct fde fde;
	int error;

	if (in.failed || (!cies->debug_frame && (cie_pointer == 0 || cie_pointer > entry + LENGTH_SIZE)))
		return -EBADMSG;
	error = find_cie(image, cies, scratch,
			 cies->debug_frame ? cies->debug_frame + cie_pointer
					   : entry + LENGTH_SIZE - cie_pointer,
			 &fde.cie);
	if (error)
		return error;
	fde.range.begin = cursor_pointer(&in, fde.cie->pointer_encoding, address_in(scratch, entry, in.at));
	fde.range.size = cursor_encoded(&in, fde.cie->pointer_encoding);
	if (fde.cie->has_augmentation_data) {
		uint64_t size = cursor_uleb128(&in);

		if (size > cursor_left(&in))
			return -EBADMSG;
		(void)cursor_bytes(&in, size);
	}
	if (in.failed || fde.range.size > INT64_MAX) /* a negative size in a signed encoding */
		return -EBADMSG;
	fde.instructions = in;
	*ret_fde = fde;
	return 0;
}

int
cfi_find_row(struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch,
	     uint64_t fde_address, uint64_t address, struct cfi_row *ret_row)
{
	struct cursor body;
	struct fde fde;
	int error = load_entry(image, scratch, fde_address, &body);

	if (!error)
		error = parse_fde(image, cies, scratch, fde_address, body, &fde);
	if (error)
		return error;
	if (address - fde.range.begin >= fde.range.size)
		return -ENOENT;

	*ret_row = fde.cie->initial;
	struct machine m = {
		.in = fde.instructions,
		.in_address = address_in(scratch, fde_address, fde.instructions.at),
		.in_start = fde.instructions.at,
		.cie = fde.cie,
		.initial = &fde.cie->initial,
		.row = ret_row,
		.saved = scratch->saved,
		.location = fde.range.begin,
		.target = address,
	};
	return run(&m) ? 0 : -EBADMSG;
}

int
cfi_read_entry(struct elf_image *image, struct cie_cache *cies, struct cfi_scratch *scratch, uint64_t entry,
	       uint64_t *ret_size, bool *ret_is_fde, struct fde_range *ret_range)
{
	struct cursor body;
	struct fde fde;
	uint32_t id;
	int error = load_entry(image, scratch, entry, &body);

	if (error)
		return error;
	if (cursor_left(&body) == 0)
		return -ENOENT;
	*ret_size = LENGTH_SIZE + cursor_left(&body);
	id = cursor_u32(&(struct cursor){.at = body.at, .end = body.end});
	*ret_is_fde = false;
	if (id == (cies->debug_frame ? DEBUG_FRAME_CIE : 0))
		return 0;
	error = parse_fde(image, cies, scratch, entry, body, &fde);
	if (error == -EBADMSG)
		return 0; /* one bad FDE costs that FDE: the next one starts at a known place */
	if (error)
		return error;
	*ret_is_fde = true;
	*ret_range = fde.range;
	return 0;
}
