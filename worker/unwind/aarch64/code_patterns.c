/* What is left of a function when it was interrupted tells where its caller is, with tables or without:
 * clang's tables (before version 15) describe function bodies, not what happens while a frame is built or
 * taken down, and code without tables has only its frame pointer, which is the caller's still (or again) at
 * both ends.
 *
 *   function:  | paciasp | stp x29,x30,[sp,#-32]! | mov x29,sp   ...   | ldp x29,x30,[sp],#32 | autiasp | ret
 *   RA in         lr                lr                lr, [sp+8]  [x29+8]    [sp+8]                lr      lr
 *
 * Only instructions whose effect on sp, x29 and x30 is known are looked through; any other ends the attempt.
 */

#include "worker/unwind/code_patterns.h"

#include "worker/unwind/module.h"
#include "worker/unwind/stack_view.h"

#include <errno.h>
#include <string.h>

enum { BEFORE = 12, AFTER = 20 }; /* instructions looked at; the first AFTER is the one at the pc */

/* struct rt_sigframe at the stub's sp: siginfo (128 bytes), then a struct ucontext whose sigcontext
 * (asm/sigcontext.h) starts 176 bytes in: fault_address, x0 to x30, sp, pc, pstate, 4 KB for other state. */
enum { SIGFRAME_REGISTERS = 128 + 176 + 8, SIGFRAME_SIZE = 128 + 176 + 288 + 4096 };

enum instruction_kind {
	OTHER,
	NOTHING, /* of no consequence here */
	ENTRY,   /* only a function's entry has it: bti c, paciasp */
	STORE,   /* to the stack, possibly moving sp down */
	LOAD,    /* from the stack, possibly moving sp up */
	MOVE_SP, /* sp += sp_change */
	SET_FP,  /* x29 = sp + n */
	AUTHENTICATE,
	RETURN,
	JUMP,
};

struct instruction {
	enum instruction_kind kind;
	int64_t at;           /* STORE, LOAD: offset of the first register from the old sp */
	int64_t sp_change;    /* sp afterwards minus before */
	uint8_t registers[2]; /* general registers stored or loaded; 31: none that matters */
};

/* Arm Architecture Reference Manual, C4.1 and C6.2. */
static const struct {
	uint32_t mask, word;
	enum instruction_kind kind;
} plain[] = {
	{0xffffffff, 0xd503201f, NOTHING},      /* nop */
	{0xffffffff, 0xd503245f, ENTRY},        /* bti c */
	{0xffffffff, 0xd503233f, ENTRY},        /* paciasp */
	{0xffffffff, 0xd503237f, ENTRY},        /* pacibsp */
	{0xffc003ff, 0x910003fd, SET_FP},       /* add x29, sp, #n */
	{0xffffffff, 0xd50323bf, AUTHENTICATE}, /* autiasp */
	{0xffffffff, 0xd50323ff, AUTHENTICATE}, /* autibsp */
	{0xffffffff, 0xd65f03c0, RETURN},       /* ret */
	{0xffffffff, 0xd65f0bff, RETURN},       /* retaa */
	{0xffffffff, 0xd65f0fff, RETURN},       /* retab */
	{0xfc000000, 0x14000000, JUMP},         /* b */
};

enum form { PAIR, PAIR_WRITEBACK, SINGLE, SINGLE_WRITEBACK };

static const struct {
	uint32_t mask, word;
	enum instruction_kind kind;
	enum form form;
	uint8_t size; /* bytes of one register; general ones have 8 and bit 26 clear */
} accesses[] = {
	{0xffc00000, 0xa9800000, STORE, PAIR_WRITEBACK, 8},   /* stp x, x, [sp, #-n]! */
	{0xffc00000, 0x6d800000, STORE, PAIR_WRITEBACK, 8},   /* stp d, d, [sp, #-n]! */
	{0xffc00000, 0xad800000, STORE, PAIR_WRITEBACK, 16},  /* stp q, q, [sp, #-n]! */
	{0xffc00000, 0xa9000000, STORE, PAIR, 8},             /* stp x, x, [sp, #n] */
	{0xffc00000, 0x6d000000, STORE, PAIR, 8},             /* stp d, d, [sp, #n] */
	{0xffc00000, 0xad000000, STORE, PAIR, 16},            /* stp q, q, [sp, #n] */
	{0xffe00c00, 0xf8000c00, STORE, SINGLE_WRITEBACK, 8}, /* str x, [sp, #-n]! */
	{0xffe00c00, 0xfc000c00, STORE, SINGLE_WRITEBACK, 8}, /* str d, [sp, #-n]! */
	{0xffc00000, 0xf9000000, STORE, SINGLE, 8},           /* str x, [sp, #n] */
	{0xffc00000, 0xfd000000, STORE, SINGLE, 8},           /* str d, [sp, #n] */
	{0xffc00000, 0xa8c00000, LOAD, PAIR_WRITEBACK, 8},    /* ldp x, x, [sp], #n */
	{0xffc00000, 0x6cc00000, LOAD, PAIR_WRITEBACK, 8},    /* ldp d, d, [sp], #n */
	{0xffc00000, 0xacc00000, LOAD, PAIR_WRITEBACK, 16},   /* ldp q, q, [sp], #n */
	{0xffc00000, 0xa9400000, LOAD, PAIR, 8},              /* ldp x, x, [sp, #n] */
	{0xffc00000, 0x6d400000, LOAD, PAIR, 8},              /* ldp d, d, [sp, #n] */
	{0xffc00000, 0xad400000, LOAD, PAIR, 16},             /* ldp q, q, [sp, #n] */
	{0xffe00c00, 0xf8400400, LOAD, SINGLE_WRITEBACK, 8},  /* ldr x, [sp], #n */
	{0xffe00c00, 0xfc400400, LOAD, SINGLE_WRITEBACK, 8},  /* ldr d, [sp], #n */
	{0xffc00000, 0xf9400000, LOAD, SINGLE, 8},            /* ldr x, [sp, #n] */
	{0xffc00000, 0xfd400000, LOAD, SINGLE, 8},            /* ldr d, [sp, #n] */
};

static int64_t
signed_field(uint32_t word, unsigned low, unsigned bits)
{
	return (int32_t)(word << (32 - low - bits)) >> (32 - bits);
}

static struct instruction
decode_access(uint32_t word, enum instruction_kind kind, enum form form, uint8_t size)
{
	struct instruction result = {.kind = kind, .registers = {31, 31}};
	bool writeback = form == PAIR_WRITEBACK || form == SINGLE_WRITEBACK, general = !(word >> 26 & 1);
	int64_t offset;

	if ((word >> 5 & 31) != 31) /* not relative to sp: may do anything */
		return (struct instruction){.kind = OTHER};
	if (form == SINGLE)
		offset = (int64_t)(word >> 10 & 0xfff) * size;
	else if (form == SINGLE_WRITEBACK)
		offset = signed_field(word, 12, 9);
	else
		offset = signed_field(word, 15, 7) * size;
	if (writeback)
		result.sp_change = offset;
	if (!writeback || kind == STORE) /* loads move sp afterwards */
		result.at = offset;
	if (general)
		result.registers[0] = word & 31;
	if (general && (form == PAIR || form == PAIR_WRITEBACK))
		result.registers[1] = word >> 10 & 31;
	return result;
}

static struct instruction
decode(uint32_t word)
{
	int64_t immediate = (int64_t)(word >> 10 & 0xfff) << (word >> 22 & 1 ? 12 : 0);

	if ((word & 0xff8003ff) == 0x910003ff) /* add sp, sp, #n */
		return (struct instruction){.kind = MOVE_SP, .sp_change = immediate};
	if ((word & 0xff8003ff) == 0xd10003ff) /* sub sp, sp, #n */
		return (struct instruction){.kind = MOVE_SP, .sp_change = -immediate};
	for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if ((word & plain[i].mask) == plain[i].word)
			return (struct instruction){.kind = plain[i].kind};
	for (size_t i = 0; i < sizeof(accesses) / sizeof(accesses[0]); i++)
		if ((word & accesses[i].mask) == accesses[i].word)
			return decode_access(word, accesses[i].kind, accesses[i].form, accesses[i].size);
	return (struct instruction){.kind = OTHER};
}

/* Where the frame's record is, as far as the instructions tell. */
struct frame_facts {
	int64_t cfa;        /* CFA - sp */
	int64_t fp, lr;     /* offset from sp of where x29 and x30 are saved; -1: not */
	bool entry, fp_set; /* ENTRY, SET_FP seen */
};

static void
note_access(struct frame_facts *facts, const struct instruction *access, int64_t sp)
{
	for (unsigned i = 0; i < 2; i++) {
		if (access->registers[i] == REGISTER_FP)
			facts->fp = sp + access->at + 8 * i;
		if (access->registers[i] == REGISTER_LR)
			facts->lr = sp + access->at + 8 * i;
	}
}

/* False: the facts do not fit the compact form. */
static bool
make_rule(const struct frame_facts *facts, struct rule *ret_rule)
{
	int64_t fp = facts->fp - facts->cfa, lr = facts->lr - facts->cfa;
	int64_t slot = facts->fp >= 0 ? fp : facts->lr >= 0 ? lr : -8;
	struct rule rule = {.kind = RULE_SP, .from_code = 1};

	if (facts->cfa < 0 || facts->cfa > INT32_MAX || slot >= 0 || slot % 8 != 0 || slot / 8 < INT16_MIN ||
	    (facts->fp >= 0 && facts->lr >= 0 && lr != fp + 8))
		return false;
	rule.saved = (facts->fp >= 0 ? SAVED_FP : 0) | (facts->lr >= 0 ? SAVED_RETURN : 0);
	rule.slot_words = rule.saved ? (int16_t)(slot / 8) : 0;
	rule.cfa_offset = (int32_t)facts->cfa;
	*ret_rule = rule;
	return true;
}

/* From here straight to the return: what is still loaded was saved, and where sp ends up is the CFA. A jump
 * only counts as a tail call when the return address has just come back. */
static bool
in_epilogue(const uint32_t *code, struct rule *ret_rule)
{
	struct frame_facts facts = {.fp = -1, .lr = -1};
	struct instruction before = decode(code[-1]);
	bool restored = before.kind == AUTHENTICATE ||
			(before.kind == LOAD &&
			 (before.registers[0] == REGISTER_LR || before.registers[1] == REGISTER_LR));

	for (unsigned i = 0; i < AFTER; i++) {
		struct instruction now = decode(code[i]);

		switch (now.kind) {
		case LOAD:
			note_access(&facts, &now, facts.cfa);
			break;
		case MOVE_SP:
			if (now.sp_change < 0)
				return false;
			break;
		case AUTHENTICATE:
			restored = true;
			break;
		case NOTHING:
			break;
		case RETURN:
			return make_rule(&facts, ret_rule);
		case JUMP:
			return (restored || facts.lr >= 0) && make_rule(&facts, ret_rule);
		default:
			return false;
		}
		facts.cfa += now.sp_change;
	}
	return false;
}

/* What the instructions in front of this one have built of a frame. */
static struct frame_facts
built_so_far(const uint32_t *code)
{
	struct frame_facts facts = {.fp = -1, .lr = -1};

	for (int i = 1; i <= BEFORE; i++) {
		struct instruction past = decode(code[-i]);
		int64_t sp = facts.cfa - past.sp_change; /* before it, relative to sp now */

		if (past.kind == STORE)
			note_access(&facts, &past, sp);
		else if (past.kind == SET_FP)
			facts.fp_set = true;
		else if (past.kind == ENTRY)
			facts.entry = true;
		else if (past.kind != MOVE_SP || past.sp_change > 0)
			break;
		facts.cfa = sp;
	}
	return facts;
}

/* Whether a frame record is stored after this, before anything else happens. */
static bool
will_store_record(const uint32_t *code)
{
	for (unsigned i = 0; i < AFTER; i++) {
		struct instruction next = decode(code[i]);

		if (next.kind == STORE && next.registers[0] == REGISTER_FP &&
		    next.registers[1] == REGISTER_LR)
			return true;
		if (next.kind != STORE && next.kind != ENTRY && next.kind != NOTHING &&
		    (next.kind != MOVE_SP || next.sp_change > 0))
			return false;
	}
	return false;
}

/* While a frame is built, the return address is in lr. Tables that say nothing of a frame yet say so too,
 * only their CFA is late; without tables, the stored record or the entry must prove it. */
static bool
in_prologue(const uint32_t *code, bool has_tables, struct rule *ret_rule)
{
	struct frame_facts facts = built_so_far(code);
	bool has_record = facts.fp >= 0 && facts.lr == facts.fp + 8;

	if (!has_tables && !has_record && !facts.entry && decode(code[0]).kind != ENTRY &&
	    !will_store_record(code))
		return false;
	if (!has_record || !facts.fp_set) /* saved already, but nothing has overwritten them yet */
		facts.fp = facts.lr = -1;
	return make_rule(&facts, ret_rule);
}

/* A PLT has no tables: it loads x17, with a word of its table, and jumps there. Its head first pushes x16,
 * x30: stp x16, x30, [sp, #-16]!. */
static bool
in_plt(const uint32_t *code, struct rule *ret_rule)
{
	static const struct {
		uint32_t mask, word;
	} plt[] = {
		{0x9f00001f, 0x90000010}, /* adrp x16, page */
		{0xffc003ff, 0xf9400211}, /* ldr x17, [x16, #n] */
		{0xff8003ff, 0x91000210}, /* add x16, x16, #n */
		{0xffffffff, 0xd503219f}, /* autia1716 */
		{0xffffffff, 0xd503245f}, /* bti c */
		{0xffffffff, 0xd503201f}, /* nop */
	};
	struct frame_facts facts = {.fp = -1, .lr = -1};
	unsigned i = 0;

	for (int from = 0; code[i] != 0xd61f0220 && from < 6; from++, i++) { /* br x17 */
		bool known = i == 0 && code[0] == 0xa9bf7bf0;

		for (size_t k = 0; !known && k < sizeof(plt) / sizeof(plt[0]); k++)
			known = (code[i] & plt[k].mask) == plt[k].word;
		if (!known)
			return false;
	}
	if (code[i] != 0xd61f0220)
		return false;
	for (int back = 1; back <= 4 && code[-back] != 0xd61f0220 && !facts.cfa; back++)
		if (code[-back] == 0xa9bf7bf0)
			facts.cfa = 16;
	return make_rule(&facts, ret_rule);
}

static bool
is_sigreturn(const uint32_t *code)
{
	return code[0] == 0xd2801168 && code[1] == 0xd4000001; /* mov x8, #139; svc #0 */
}

/* Instructions around `address`, those that are not in the file as zeros (which are none). */
static void
read_around(struct unwind_module *module, uint64_t address, uint32_t ret_code[static BEFORE + AFTER])
{
	size_t size = (BEFORE + AFTER) * sizeof(*ret_code);

	memset(ret_code, 0, size);
	if (unwind_module_read_code(module, address, BEFORE * sizeof(*ret_code), (uint8_t *)ret_code, size))
		return;
	for (int i = 0; i < BEFORE + AFTER; i++)
		if (!unwind_module_read_code(module, address + 4 * (uint64_t)(int64_t)(i - BEFORE), 0,
					     (uint8_t *)&ret_code[i], sizeof(*ret_code)))
			ret_code[i] = 0;
}

struct rule
code_leaf_rule(struct unwind_module *module, uint64_t address, struct rule from_tables)
{
	uint32_t words[BEFORE + AFTER], *code = words + BEFORE;
	bool gap = from_tables.kind == RULE_GAP;
	struct rule rule;

	if (!gap && from_tables.kind != RULE_SP && from_tables.kind != RULE_FP)
		return from_tables;
	read_around(module, address, words);
	if (gap && (is_sigreturn(code) || is_sigreturn(code - 1)))
		return (struct rule){.kind = RULE_SIGRETURN};
	if (in_epilogue(code, &rule)) {
		bool same = rule.kind == from_tables.kind && rule.saved == from_tables.saved &&
			    rule.slot_words == from_tables.slot_words &&
			    rule.cfa_offset == from_tables.cfa_offset;

		return same ? from_tables : rule; /* the tables know more registers */
	}
	if (gap && in_plt(code, &rule))
		return rule;
	if (!gap && (from_tables.kind != RULE_SP || from_tables.saved || from_tables.cfa_offset))
		return from_tables;
	if (!in_prologue(code, !gap, &rule) || (!gap && rule.cfa_offset == 0))
		return from_tables;
	return rule;
}

bool
code_is_sigreturn(struct unwind_module *module, uint64_t address)
{
	uint32_t code[2];

	return unwind_module_read_code(module, address, 0, (uint8_t *)code, sizeof(code)) &&
	       is_sigreturn(code);
}

/* bl, blr, and blr with a signed address */
bool
code_ends_in_call(struct unwind_module *module, uint64_t address)
{
	uint32_t code;

	return unwind_module_read_code(module, address, sizeof(code), (uint8_t *)&code, sizeof(code)) &&
	       ((code & 0xfc000000) == 0x94000000 || (code & 0xfefff000) == 0xd63f0000);
}

static int
restore_from(const struct stack_view *stack, uint64_t sp, struct register_file *ret_registers,
	     uint64_t *ret_missing)
{
	for (unsigned number = REGISTER_X0; number <= REGISTER_PC; number++) {
		uint64_t address = sp + SIGFRAME_REGISTERS + 8 * number, value;

		if (!stack_view_u64(stack, address, &value)) {
			*ret_missing = address;
			return -EFAULT;
		}
		register_set(ret_registers, number, value);
	}
	return 0;
}

/* Where only the frame pointer is known: the kernel puts a frame record behind its own, of what was in x29
 * and x30. (With more vector state than fits the usual size, it lies further away.) */
int
code_restore_signal_context(const struct stack_view *stack, const struct register_file *stub,
			    struct register_file *ret_registers, uint64_t *ret_missing)
{
	uint64_t sp = stub->value[REGISTER_SP], record = stub->value[REGISTER_FP], fp, lr;
	bool sp_known = register_is_known(stub, REGISTER_SP);
	int error;

	if (!sp_known)
		sp = record - SIGFRAME_SIZE;
	error = restore_from(stack, sp, ret_registers, ret_missing);
	if (error || sp_known)
		return error;
	if (!stack_view_u64(stack, record, &fp) || !stack_view_u64(stack, record + 8, &lr) ||
	    fp != ret_registers->value[REGISTER_FP] || lr != ret_registers->value[REGISTER_LR])
		return -EBADMSG;
	return 0;
}
