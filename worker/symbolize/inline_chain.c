/* Entries are a tree in preorder: an inlined call comes after what it was inlined into. So every entry whose
 * ranges hold an address becomes that address's innermost one, and at the end the chains are complete:
 *
 *     subprogram   main   [0x10, 0x90)      0x20: main    0x40: main    0x40: main
 *       inlined    sort   [0x30, 0x80)                          sort          sort
 *         inlined  swap   [0x38, 0x48)                                        swap
 *
 * Only functions, and calls inside of functions that were hit, have their attributes read; what else there is
 * (types, variables) is passed over. Where the compiler says what comes after an entry's children (gcc does),
 * functions that were not hit, and classes, are passed over as a whole, unless that leaves addresses without
 * a function: some languages have functions inside of functions, gcc writes those of C++ lambdas inside of
 * their classes, and then every entry is looked at. The pass ends when nothing can come that is still asked
 * for. No function index is kept: addresses come by the batch, and are few compared with functions. */
#include "worker/symbolize/inline_chain.h"

#include "worker/base/leb128.h"

#include <dwarf.h>
#include <errno.h>

enum {
	ENTRY_ROOM = 4 << 10, /* that an entry mostly needs */
	WINDOW = 64 << 10,
	SCOPES_MAX = 16, /* functions inside functions */
	WORK_BATCH = 1 << 16,
};

struct scope {
	uint64_t function; /* its entry; 0: no address of ours is in it */
	uint32_t depth;    /* of its children */
};

struct walk {
	struct debug_names *names;
	const struct debug_unit *unit;
	struct abbreviations *abbreviations;
	struct cursor in;     /* over a window of the unit's entries */
	const uint8_t *start; /* of the window, and where that is in .debug_info: */
	uint64_t start_offset;
	size_t window; /* its size, if the unit has so much */
	bool is_quick; /* functions without hits, and classes, are passed over */
	bool has_jumped;
	struct chain_hit *hits;
	size_t count;
	size_t missing; /* hits without a function */
	uint32_t depth;
	struct scope scopes[SCOPES_MAX];
	size_t scope_count;
	uint64_t work;
	/* The entry being looked at. */
	const struct debug_entry *entry;
	uint64_t offset;
	struct chain_node *node; /* the last one made for it */
	const char *name;
	bool is_named, is_hit;
};

static size_t
first_hit(const struct walk *walk, uint64_t start)
{
	size_t low = 0, high = walk->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (walk->hits[middle].address < start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static const struct scope *
current_scope(const struct walk *walk)
{
	static const struct scope none;

	return walk->scope_count ? &walk->scopes[walk->scope_count - 1] : &none;
}

/* All addresses of an entry share its node, as all are inside the same outer one (unless the file lies). */
static struct chain_node *
node_inside(struct walk *walk, const struct chain_node *outer)
{
	struct chain_node *node = walk->node;

	if (node && node->outer == outer)
		return node;
	if (!walk->is_named)
		walk->name = debug_names_of(walk->names, walk->unit, walk->entry);
	walk->is_named = true;
	node = arena_allocate(walk->names->arena, sizeof(*node));
	if (!node)
		return NULL;
	*node = (struct chain_node){
		.outer = outer,
		.name = walk->name,
		.entry = walk->offset,
		.has_call_file = walk->entry->values[ENTRY_CALL_FILE].kind == VALUE_CONSTANT,
		.call_file = walk->entry->values[ENTRY_CALL_FILE].number,
		.call_line = (uint32_t)walk->entry->values[ENTRY_CALL_LINE].number,
		.depth = outer ? outer->depth + 1 : 1,
	};
	walk->node = node;
	return node;
}

static int
charge(struct walk *walk)
{
	bool is_paid = debug_sections_charge(walk->names->file->sections, walk->work);

	walk->work = 0;
	return is_paid ? 0 : -ERANGE;
}

/* A debug_range_visit, of the entry being looked at. */
static int
visit_range(void *context, size_t is_function, uint64_t start, uint64_t limit)
{
	struct walk *walk = context;
	uint64_t function = is_function ? walk->offset : current_scope(walk)->function;

	for (size_t i = first_hit(walk, start); i < walk->count && walk->hits[i].address < limit; i++) {
		struct chain_hit *hit = &walk->hits[i];
		const struct chain_node *innermost = hit->innermost;

		walk->work++;
		if (is_function ? innermost != NULL : hit->function != function)
			continue; /* two functions claim it: the first one has it */
		if (innermost && (innermost->entry == walk->offset || innermost->depth == CHAIN_DEPTH_MAX))
			continue;
		hit->innermost = node_inside(walk, innermost);
		if (!hit->innermost)
			return -ENOMEM;
		walk->missing -= innermost == NULL;
		hit->function = function;
		walk->is_hit = true;
	}
	return walk->work >= WORK_BATCH ? charge(walk) : 0;
}

/* ---- the window ---- */

static uint64_t
offset_now(const struct walk *walk)
{
	return walk->start_offset + (uint64_t)(walk->in.at - walk->start);
}

/* Goes on at `offset`, inside of the unit. */
static bool
go_to(struct walk *walk, uint64_t offset, size_t window)
{
	uint64_t left = walk->unit->end - offset;
	size_t size = left < window ? (size_t)left : window;
	const uint8_t *bytes = debug_section_view(walk->names->file->sections, DEBUG_INFO, offset, size);

	walk->window = window;
	if (!bytes)
		return false;
	walk->in = cursor_over(bytes, size);
	walk->start = bytes;
	walk->start_offset = offset;
	return true;
}

static bool
is_at_end(const struct walk *walk)
{
	return cursor_left(&walk->in) == 0 && offset_now(walk) >= walk->unit->end;
}

/* An entry that was cut by the window is tried once more with a larger one. */
static bool
has_more_room(struct walk *walk)
{
	return walk->offset + walk->window < walk->unit->end && walk->window < DEBUG_VIEW_MAX &&
	       go_to(walk, walk->offset, walk->window * 8);
}

/* Continues behind the children of the entry just read. False: there is no telling where that is. */
static bool
jump(struct walk *walk, const struct debug_value *sibling)
{
	uint64_t target;

	if (!debug_unit_reference(walk->unit, sibling, &target) || target > walk->unit->end ||
	    target < walk->unit->first_entry)
		return false;
	if (target <= offset_now(walk))
		return false; /* back is no way to go */
	if (target - walk->start_offset <= (uint64_t)(walk->in.end - walk->start))
		walk->in.at = walk->start + (target - walk->start_offset);
	else
		return go_to(walk, target, WINDOW);
	return true;
}

static int
push_scope(struct walk *walk, bool is_hit)
{
	if (walk->scope_count == SCOPES_MAX)
		return -EBADMSG;
	walk->scopes[walk->scope_count++] =
		(struct scope){.function = is_hit ? walk->offset : 0, .depth = walk->depth};
	return 0;
}

/* A function, or an inlined call. */
static int
walk_code(struct walk *walk, const struct abbreviation *abbreviation)
{
	bool is_function = abbreviation->tag == DW_TAG_subprogram;
	struct debug_entry entry;
	int error;

	if (!debug_entry_read(&walk->in, walk->unit->format, walk->abbreviations, abbreviation, &entry))
		return -EBADMSG;
	walk->entry = &entry;
	walk->node = NULL;
	walk->is_named = walk->is_hit = false;
	error = debug_unit_ranges(walk->names->file->sections, walk->unit, &entry, visit_range, walk,
				  is_function);
	if (error || !abbreviation->has_children)
		return error;
	/* What is inside of an inlined call is part of it; a function may hold others that are elsewhere. */
	if ((walk->is_quick || !is_function) && !walk->is_hit && jump(walk, &entry.values[ENTRY_SIBLING])) {
		walk->has_jumped |= is_function;
		return 0;
	}
	walk->depth++;
	return is_function ? push_scope(walk, walk->is_hit) : 0;
}

/* Other types have no code inside. */
static bool
is_class(uint16_t tag)
{
	return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

static bool
is_without_code(uint16_t tag)
{
	return tag == DW_TAG_enumeration_type || tag == DW_TAG_subroutine_type || tag == DW_TAG_array_type;
}

static int
walk_other(struct walk *walk, const struct abbreviation *abbreviation)
{
	bool is_function = abbreviation->tag == DW_TAG_subprogram;
	bool may_have_code = is_function || is_class(abbreviation->tag);
	bool may_jump = abbreviation->has_children && abbreviation->has_sibling &&
			(is_without_code(abbreviation->tag) || (walk->is_quick && may_have_code));
	struct debug_value sibling = {0};

	if (!debug_entry_skip(&walk->in, walk->unit->format, walk->abbreviations, abbreviation,
			      may_jump ? &sibling : NULL))
		return -EBADMSG;
	if (!abbreviation->has_children)
		return 0;
	if (may_jump && jump(walk, &sibling)) {
		walk->has_jumped |= may_have_code;
		return 0;
	}
	walk->depth++;
	/* A function that is only declared, or only there to be inlined. */
	return is_function ? push_scope(walk, false) : 0;
}

static void
end_children(struct walk *walk)
{
	walk->depth--;
	while (walk->scope_count && walk->scopes[walk->scope_count - 1].depth > walk->depth)
		walk->scope_count--;
}

static int
walk_entry(struct walk *walk)
{
	const struct abbreviation *abbreviation;
	uint64_t code;

	walk->offset = offset_now(walk);
	if (cursor_left(&walk->in) < ENTRY_ROOM && walk->unit->end - walk->offset > cursor_left(&walk->in) &&
	    !go_to(walk, walk->offset, WINDOW))
		return -EBADMSG;
	code = cursor_uleb128(&walk->in);
	if (code == 0) {
		if (walk->in.failed || walk->depth == 0)
			return -EBADMSG;
		end_children(walk);
		return 0;
	}
	abbreviation = abbreviations_find(walk->abbreviations, code);
	if (!abbreviation)
		return -EBADMSG;
	walk->work += 1 + abbreviation->count;
	if (abbreviation->has_code &&
	    (abbreviation->tag == DW_TAG_subprogram ||
	     (abbreviation->tag == DW_TAG_inlined_subroutine && current_scope(walk)->function)))
		return walk_code(walk, abbreviation);
	return walk_other(walk, abbreviation);
}

/* The unit's own entry: the root of the tree. */
static int
walk_root(struct walk *walk, const char **ret_folder)
{
	const struct abbreviation *abbreviation =
		abbreviations_find(walk->abbreviations, cursor_uleb128(&walk->in));
	struct debug_entry entry;
	const char *folder;
	char *copy;

	if (!abbreviation ||
	    !debug_entry_read(&walk->in, walk->unit->format, walk->abbreviations, abbreviation, &entry))
		return -EBADMSG;
	folder = debug_unit_text(walk->names->file->sections, walk->unit, &entry.values[ENTRY_FOLDER]);
	copy = folder ? arena_allocate(walk->names->arena, strlen(folder) + 1) : NULL;
	if (folder && !copy)
		return -ENOMEM;
	*ret_folder = copy ? strcpy(copy, folder) : NULL;
	walk->depth = abbreviation->has_children;
	return 0;
}

/* Whether what is to come can say anything: chains end with the function that they are in. */
static bool
is_finished(const struct walk *walk)
{
	return walk->depth == 0 || (walk->missing == 0 && walk->scope_count == 0) || is_at_end(walk);
}

static int
walk_unit(struct walk *walk, const char **ret_folder)
{
	int error;

	walk->depth = 0;
	walk->scope_count = 0;
	walk->offset = walk->unit->first_entry;
	if (!go_to(walk, walk->unit->first_entry, WINDOW))
		return -EBADMSG;
	do
		error = walk_root(walk, ret_folder);
	while (error == -EBADMSG && has_more_room(walk));
	while (!error && !is_finished(walk)) {
		error = walk_entry(walk);
		if (error == -EBADMSG && has_more_room(walk))
			error = 0;
		if (!error && walk->work >= WORK_BATCH)
			error = charge(walk);
	}
	return error ? error : charge(walk);
}

int
inline_chains_find(struct debug_names *names, const struct debug_unit *unit, struct chain_hit *hits,
		   size_t count, const char **ret_folder)
{
	struct walk walk = {.names = names,
			    .unit = unit,
			    .hits = hits,
			    .count = count,
			    .missing = count,
			    .is_quick = true};
	int error;

	*ret_folder = NULL;
	error = abbreviations_read(names->file->sections, unit->abbreviations, unit->format, 0,
				   &walk.abbreviations);
	if (!error)
		error = walk_unit(&walk, ret_folder);
	if (!error && walk.missing > 0 && walk.has_jumped) {
		walk.is_quick = false;
		error = walk_unit(&walk, ret_folder);
	}
	abbreviations_free(walk.abbreviations);
	return error;
}
