#pragma once
/* Walks copied stacks: registers and stack bytes in, frames and the reason each ended out.
 * Pure: no syscall except the pread of unwind tables on a first-seen PC; no allocation per frame. */

#include "worker/unwind/architecture.h"
#include "worker/unwind/stack_view.h"

#include <stddef.h>
#include <stdint.h>

struct unwind_module;

/* In DWARF's numbering. */
struct user_registers {
	uint64_t value[REGISTER_COUNT];
};

/* What the address space knows of an address. */
enum code_kind {
	CODE_MODULE,     /* in a file whose unwind tables can be read: module and address are set */
	CODE_ANONYMOUS,  /* executable memory without a file (JIT): unwound by frame pointer */
	CODE_UNREADABLE, /* in a file that could not be opened or is not the file that was mapped */
	CODE_UNMAPPED,   /* in no executable mapping we know of */
	CODE_LEFT_OUT,   /* frames only: stands for `address` frames that were left out here */
};

struct code_place {
	enum code_kind kind;
	uint32_t file;    /* caller's number of the mapped file; carried through to the frame (0: none) */
	uint64_t address; /* ELF virtual address (no load bias); for CODE_ANONYMOUS/UNMAPPED the raw pc */
	struct unwind_module *module; /* CODE_MODULE only; borrowed, outlives the call */
	/* Where else, during this call, the answer is the same but for the address, which moves with pc; size
	 * 0 promises nothing. */
	uint64_t start, size;
};

/* Provided by the caller: what is mapped at pc. Must not fail; CODE_UNMAPPED is an answer. The walk asks for
 * return addresses minus 1, so that the answer's address goes into the frame as it is. Called whenever a
 * walk leaves the range of the answer before. */
typedef void code_lookup(void *context, uint64_t pc, struct code_place *ret);

struct frame {
	enum code_kind kind;
	uint32_t file;
	/* Like code_place.address, minus 1 for return addresses (the call instruction). Not for the leaf, nor
	 * for a frame interrupted by a signal, nor for the stub that a signal handler returns to: no call
	 * stands in front of __restore_rt. */
	uint64_t address;
};

/* How a stack ended; each is also a counter. The order is part of the profile's comments. */
enum unwind_end {
	/* The outermost frame's own CFI says so (RA undefined), or a zero RA / zero FP. */
	END_ROOT,
	/* The next word needed lies beyond the copied bytes. */
	END_COPY_SHORT,
	/* Return address in no known executable mapping: it makes no frame. (A leaf there does.) */
	END_UNMAPPED,
	/* Code in a file we cannot read: the last frame is in it. */
	END_UNREADABLE,
	/* Malformed or unsupported unwind rule, or one that asks for a register nobody can know; the CFA did
	 * not move up; a frame pointer that is none. */
	END_BAD_CFI,
	/* As END_ROOT, but there are more than UNWIND_MAX_FRAMES frames: both ends are there, and between
	 * them one of kind CODE_LEFT_OUT. (A deep stack that ends otherwise is counted as that.) */
	END_DEPTH,
	/* The next frame lies on another stack, of which nothing was copied: it switched stacks (Go's
	 * runtime, gcc's split stacks, longjmp out of a coroutine), or a signal came on a stack of its own.
	 * In code without unwind tables, whatever looks like a place for a stack counts as one. */
	END_OTHER_STACK,
	UNWIND_END_COUNT,
};

#define UNWIND_MAX_FRAMES 512 /* the depth Datadog's backend accepts; even */

struct unwinder; /* holds the caches and working memory, 500 KB; one per draining thread */

struct unwinder *unwinder_new(void); /* NULL: out of memory */
void unwinder_free(struct unwinder *unwinder);

/* The outermost frame of a walk: what would be needed to go on from there. */
struct walk_stop {
	uint64_t pc; /* minus 1 for a return address */
	uint64_t sp, fp;
	bool fp_known;
};

/* One sample to walk, and what came of it. */
struct unwind_job {
	const struct user_registers *registers;
	const struct stack_view *stack; /* nothing outside of it is read */
	void *context;                  /* the lookup's */
	uint64_t space; /* stands for the lookup's answers: a number for them only; 0: they are never the same
			 */
	struct frame *frames; /* leaf first; room for UNWIND_MAX_FRAMES */
	size_t count;         /* of the frames found: at least 1 (the leaf) */
	enum unwind_end end;
	struct walk_stop stop;
};

/* Walks all of them, a frame of each in turn: while one waits for memory the others go on. What is found does
 * not depend on the company. */
#define UNWIND_JOBS_MAX 16
void unwinder_walk_together(struct unwinder *unwinder, code_lookup *lookup, struct unwind_job *jobs,
			    size_t count);

/* One alone. */
enum unwind_end unwinder_walk(struct unwinder *unwinder, const struct user_registers *registers,
			      const struct stack_view *stack, code_lookup *lookup, void *context,
			      struct frame *frames, size_t *ret_count);

/* The same, and where it stopped. */
enum unwind_end unwinder_walk_to(struct unwinder *unwinder, const struct user_registers *registers,
				 const struct stack_view *stack, code_lookup *lookup, void *context,
				 struct frame *frames, size_t *ret_count, struct walk_stop *ret_stop);

/* FDE bytes one walk may interpret: thousands of ordinary FDEs, a few milliseconds of hostile ones. */
#define CFI_BYTES_PER_WALK (512u << 10)

/* What unwinding does at a place that a lookup answered; RULE_UNREADABLE where no rule can be read. What it
 * costs is taken off *cfi_bytes_left. */
struct rule unwinder_rule_at(struct unwinder *unwinder, const struct code_place *place,
			     size_t *cfi_bytes_left);

/* One ELF file's unwind tables (.eh_frame_hdr, .eh_frame). The image is borrowed and outlives the module;
 * nothing is read until a PC needs it. `id` (non-zero, never reused, even after a free) keys the PC cache, so
 * all processes that map the file share its entries; ids from 2^24 on work but are not cached. A module is
 * used by one thread at a time. NULL: out of memory. */
struct elf_image;
struct unwind_module *unwind_module_new(struct elf_image *image, uint32_t id);
void unwind_module_free(struct unwind_module *module);
