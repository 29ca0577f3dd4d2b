/* A whole walk. Input: where the tables are found and how much stack there is, registers, words that the
 * stack repeats, code, then the tables. Whatever they say: the walk ends within its budgets, the frames are
 * where code is, and they are the same with a warm cache, without a cache, and when the stack wraps in its
 * ring. */

#include "tests/fuzz/fuzz.h"

#include "tests/fuzz/table_image.h"
#include "worker/unwind/cfi.h"
#include "worker/unwind/unwind.h"

#include <string.h>

enum {
	WORDS_MAX = 2048,
	RING_BYTES = 32768,
	LOOKUPS_MAX = 2 * 10000, /* WALK_MAX_FRAMES, and once more with all registers */
	UNCACHED = 1 << 24,      /* the first module number that the cache has no key for */
	ANONYMOUS = FRAME_CODE + 0x2000,
	UNREADABLE = FRAME_CODE + 0x3000,
};

static struct table_image tables;
static struct unwinder *unwinder;
static uint64_t ring[RING_BYTES / 8];
static bool may_cross_signals; /* where sp may go anywhere */
static uint64_t lookups;
static uint32_t next_id;

static void
lookup(void *context, uint64_t pc, struct code_place *ret)
{
	lookups++;
	*ret = (struct code_place){.kind = CODE_UNMAPPED, .address = pc};
	if (pc < FRAME_CODE || pc >= FRAME_CODE_END)
		return;
	ret->kind = pc < ANONYMOUS ? CODE_MODULE : pc < UNREADABLE ? CODE_ANONYMOUS : CODE_UNREADABLE;
	ret->file = ret->kind != CODE_ANONYMOUS;
	ret->module = ret->kind == CODE_MODULE ? context : NULL;
}

struct outcome {
	struct frame frames[UNWIND_MAX_FRAMES];
	size_t count;
	enum unwind_end end;
};

/* Each frame takes a word of the stack, the leaf and what lies behind the last word excepted. */
static void
check_progress(const struct outcome *o, uint64_t stack_size)
{
	uint64_t total = o->count;

	if (o->count == UNWIND_MAX_FRAMES && o->frames[UNWIND_MAX_FRAMES / 2].kind == CODE_LEFT_OUT)
		total += o->frames[UNWIND_MAX_FRAMES / 2].address - 1;
	CHECK(may_cross_signals || total <= stack_size / 8 + 3);
}

static void
check_outcome(const struct outcome *o)
{
	CHECK(o->end < UNWIND_END_COUNT && o->count >= 1 && o->count <= UNWIND_MAX_FRAMES);
	CHECK(o->end != END_DEPTH || o->count == UNWIND_MAX_FRAMES);
	for (size_t i = 0; i < o->count; i++) {
		const struct frame *frame = &o->frames[i];

		CHECK(frame->kind != CODE_LEFT_OUT ||
		      (i == UNWIND_MAX_FRAMES / 2 && o->count == UNWIND_MAX_FRAMES && frame->address > 0));
		CHECK(i == 0 || frame->kind != CODE_UNMAPPED);
		CHECK(i == o->count - 1 || frame->kind != CODE_UNREADABLE);
		if (frame->kind == CODE_MODULE) /* a signal's stub may begin where this code ends */
			CHECK(frame->address >= FRAME_CODE && frame->address <= ANONYMOUS);
	}
}

static void
walk(struct unwind_module *module, const struct user_registers *registers, const struct stack_view *stack,
     struct outcome *ret)
{
	struct frame *frames = malloc(sizeof(ret->frames)); /* exactly: a sanitizer sees one too many */

	memset(ret, 0, sizeof(*ret));
	lookups = 0;
	memset(&table_work, 0, sizeof(table_work));
	ret->end = unwinder_walk(unwinder, registers, stack, lookup, module, frames, &ret->count);
	CHECK(ret->count <= UNWIND_MAX_FRAMES);
	memcpy(ret->frames, frames, ret->count * sizeof(*frames));
	free(frames);
	check_outcome(ret);
	check_progress(ret, stack->size);
	/* The index of a file without a sorted table is made once, within four times its size. The bytes of
	 * each length are not counted by the budget; there are never more of them than of reads. */
	CHECK(lookups <= LOOKUPS_MAX);
	CHECK(table_work.bytes <= CFI_BYTES_PER_WALK + 4 * table_work.reads + 8 * FRAME_CODE);
	CHECK(table_work.reads <= 4 * lookups + 2 * FRAME_CODE);
	CHECK(table_work.other_bytes <=
	      CFI_BYTES_PER_WALK + 2048 * lookups + 8 * FRAME_CODE); /* a header may point anywhere */
	CHECK(table_work.failed <= 200 * lookups);
	CHECK(table_work.steps <= CFI_BYTES_PER_WALK);
}

static void
check_same(const struct outcome *a, const struct outcome *b)
{
	CHECK(a->end == b->end && a->count == b->count);
	CHECK(memcmp(a->frames, b->frames, a->count * sizeof(a->frames[0])) == 0);
}

static void
check_walks(const struct user_registers *registers, const uint64_t *words, uint64_t stack_size,
	    uint64_t ring_at)
{
	static struct outcome cold, warm, uncached, wrapped;
	struct stack_view linear = {
		.bytes = (const uint8_t *)words, .mask = UINT64_MAX, .sp = TABLE_STACK, .size = stack_size};
	struct stack_view in_ring = linear;
	struct unwind_module *module = unwind_module_new(tables.image, ++next_id % UNCACHED);
	struct unwind_module *other = unwind_module_new(tables.image, UNCACHED);

	in_ring.bytes = (uint8_t *)ring;
	in_ring.mask = RING_BYTES - 1;
	in_ring.at = ring_at;
	for (uint64_t at = 0; at < stack_size; at++)
		((uint8_t *)ring)[(ring_at + at) % RING_BYTES] = linear.bytes[at];

	walk(module, registers, &linear, &cold);
	bool within_budget =
		table_work.bytes < CFI_BYTES_PER_WALK / 2; /* else a warm cache gets further, and may */
	walk(module, registers, &linear, &warm);
	walk(module, registers, &in_ring, &wrapped);
	check_same(&warm, &wrapped);
	walk(other, registers, &linear, &uncached);
	if (within_budget && table_work.bytes < CFI_BYTES_PER_WALK / 2) {
		check_same(&cold, &warm);
		check_same(&cold, &uncached);
	}
	unwind_module_free(module);
	unwind_module_free(other);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", size);
	uint8_t kind = cursor_u8(&in), pattern_size = cursor_u8(&in);
	uint16_t stack_bytes = cursor_u16(&in), code_size = cursor_u16(&in), header_size = cursor_u16(&in);
	struct user_registers registers;
	uint64_t pattern[256] = {0}, *words;

	if (!unwinder)
		unwinder = unwinder_new();
	for (unsigned i = 0; i < REGISTER_COUNT; i++)
		registers.value[i] = take_word(&in);
	registers.value[REGISTER_SP] = TABLE_STACK + (kind & 0x80 ? 8 : 0);
	for (unsigned i = 0; i < pattern_size; i++)
		pattern[i] = take_word(&in);
	uint64_t stack_size = stack_bytes % (8 * WORDS_MAX + 1);
	words = malloc(stack_size);
	for (unsigned i = 0; i < stack_size / 8; i++)
		words[i] = pattern[pattern_size ? i % pattern_size : 0];
	memset((uint8_t *)words + stack_size / 8 * 8, 0x41, stack_size % 8);
	struct cursor code = take_part(&in, code_size), header = take_part(&in, header_size);

	table_image_open(&tables, (kind & 0x7f) % TABLE_KINDS, header, code, in);
	may_cross_signals = code_size > 0 || memchr(in.at, 'S', cursor_left(&in));
	check_walks(&registers, words, stack_size, 8 * (uint64_t)stack_bytes);
	free(words);
	elf_image_free(tables.image);
	return 0;
}
