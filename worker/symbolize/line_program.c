/* The program is a list of instructions for a machine whose registers are an address, a file and a line
 * (DWARF 5, 6.2). Every "row" holds until the next one of its sequence:
 *
 *     set_address 0x1000, row, +4 bytes +2 lines, row, ..., end_sequence
 *
 * Sequences come in any order, rows of one in ascending order; so each sequence searches once for the first
 * address of the batch that it can hold, and every row then compares with that one only. */
#include "worker/symbolize/line_program.h"

#include "worker/base/leb128.h"

#include <dwarf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FORMATS_MAX = 16,
	FILES_MAX = 1 << 18,
};

struct file_entry {
	struct debug_value name;
	uint64_t folder;
};

struct file_list {
	struct file_entry *entries; /* folders are entries without a folder */
	size_t count, capacity;
};

struct line_program {
	struct debug_sections *sections;
	const struct debug_unit *unit;
	struct debug_format format;
	struct cursor instructions;
	uint8_t instruction_size, line_range, opcode_base;
	int8_t line_base;
	uint8_t operand_counts[256];
	struct file_list folders, files;
};

static int
add_entry(struct file_list *list, const struct file_entry *entry)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? list->capacity * 2 : 32;
		struct file_entry *grown =
			capacity > FILES_MAX ? NULL : realloc(list->entries, capacity * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		list->entries = grown;
		list->capacity = capacity;
	}
	list->entries[list->count++] = *entry;
	return 0;
}

/* DWARF 2 to 4: strings, up to an empty one. Numbers begin at 1; folder 0 is the unit's. */
static int
read_old_list(struct cursor *in, bool is_of_files, struct file_list *list)
{
	struct file_entry entry = {0};
	int error = add_entry(list, &entry);

	while (!error) {
		struct debug_format format = {0};

		if (!debug_value_read(in, format, DW_FORM_string, 0, &entry.name))
			return -EBADMSG;
		if (entry.name.text[0] == '\0')
			return 0;
		if (is_of_files) {
			entry.folder = cursor_uleb128(in);
			(void)cursor_uleb128(in); /* time */
			(void)cursor_uleb128(in); /* size */
		}
		error = add_entry(list, &entry);
	}
	return error;
}

/* DWARF 5: a description of the entries, then the entries. Numbers begin at 0. */
static int
read_list(struct line_program *program, struct cursor *in, struct file_list *list)
{
	struct {
		uint64_t content, form;
	} columns[FORMATS_MAX];
	size_t column_count = cursor_u8(in);
	uint64_t count;
	int error = 0;

	if (column_count > FORMATS_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < column_count; i++) {
		columns[i].content = cursor_uleb128(in);
		columns[i].form = cursor_uleb128(in);
		if (columns[i].form > UINT16_MAX)
			return -EBADMSG;
	}
	count = cursor_uleb128(in);
	if (in->failed || count > cursor_left(in)) /* also ends lists of nothing at all */
		return -EBADMSG;
	for (; count > 0 && !error; count--) {
		struct file_entry entry = {0};

		for (size_t i = 0; i < column_count; i++) {
			struct debug_value value = {0};

			if (!debug_value_read(in, program->format, (uint16_t)columns[i].form, 0, &value))
				return -EBADMSG;
			if (columns[i].content == DW_LNCT_path)
				entry.name = value;
			else if (columns[i].content == DW_LNCT_directory_index)
				entry.folder = value.number;
		}
		error = add_entry(list, &entry);
	}
	return error;
}

static int
read_lists(struct line_program *program, struct cursor *in)
{
	int error;

	if (program->format.version >= 5) {
		error = read_list(program, in, &program->folders);
		return error ? error : read_list(program, in, &program->files);
	}
	error = read_old_list(in, false, &program->folders);
	return error ? error : read_old_list(in, true, &program->files);
}

static int
read_header(struct line_program *program, struct cursor in)
{
	uint64_t header_length;
	const uint8_t *bytes;
	struct cursor header;

	program->format.version = cursor_u16(&in);
	if (program->format.version < 2 || program->format.version > 5)
		return -EBADMSG;
	if (program->format.version >= 5 && (cursor_u8(&in) != 8 || cursor_u8(&in) != 0))
		return -EBADMSG; /* size of addresses, of segment selectors */
	header_length = program->format.offset_size == 8 ? cursor_u64(&in) : cursor_u32(&in);
	bytes = cursor_bytes(&in, header_length);
	if (!bytes)
		return -EBADMSG;
	program->instructions = in;
	header = cursor_over(bytes, header_length);
	program->instruction_size = cursor_u8(&header);
	if (program->format.version >= 4)
		(void)cursor_u8(&header); /* operations per instruction: 1 on our machines */
	(void)cursor_u8(&header);         /* is a row a statement at first: we take all */
	program->line_base = (int8_t)cursor_u8(&header);
	program->line_range = cursor_u8(&header);
	program->opcode_base = cursor_u8(&header);
	for (unsigned opcode = 1; opcode < program->opcode_base; opcode++)
		program->operand_counts[opcode] = cursor_u8(&header);
	if (header.failed || program->line_range == 0 || program->opcode_base == 0)
		return -EBADMSG;
	return read_lists(program, &header);
}

/* All of the program as one view: its length comes first, in 4 bytes or in 12. */
static int
view_program(struct line_program *program, uint64_t offset, struct cursor *ret)
{
	struct cursor in = debug_section_cursor(program->sections, DEBUG_LINE, offset, 12);
	uint64_t length = cursor_u32(&in), prefix = 4;
	const uint8_t *bytes;

	program->format.offset_size = length == UINT32_MAX ? 8 : 4;
	if (length == UINT32_MAX) {
		length = cursor_u64(&in);
		prefix = 12;
	}
	if (in.failed || offset > UINT64_MAX - prefix)
		return -EBADMSG;
	bytes = debug_section_view(program->sections, DEBUG_LINE, offset + prefix, length);
	if (!bytes)
		return -EBADMSG;
	if (!debug_sections_charge(program->sections, length))
		return -ERANGE;
	*ret = cursor_over(bytes, length);
	return 0;
}

int
line_program_open(struct debug_sections *sections, const struct debug_unit *unit, struct line_program **ret)
{
	struct line_program *program;
	struct cursor in;
	int error;

	if (!unit->has_statements)
		return -ENOENT;
	program = calloc(1, sizeof(*program));
	if (!program)
		return -ENOMEM;
	program->sections = sections;
	program->unit = unit;
	error = view_program(program, unit->statements, &in);
	if (!error)
		error = read_header(program, in);
	if (error) {
		line_program_close(program);
		return error;
	}
	*ret = program;
	return 0;
}

void
line_program_close(struct line_program *program)
{
	if (!program)
		return;
	free(program->folders.entries);
	free(program->files.entries);
	free(program);
}

struct row {
	uint64_t address, file;
	uint32_t line;
};

struct machine {
	const struct line_program *program;
	struct cursor in;
	struct row now;
	struct row last; /* the row before */
	bool has_last;   /* in this sequence */
	bool is_dropped; /* the linker left the code of this sequence out */
	struct line_hit *hits;
	size_t count, next; /* the first hit this sequence may still hold */
	size_t passes_left; /* of hits by rows: one each in a true program */
	size_t missing;     /* hits that are not found yet */
	struct {
		uint32_t bytes, lines;
	} special[256];
};

static void
start_sequence(struct machine *m)
{
	m->now = (struct row){.file = 1, .line = 1};
	m->has_last = false;
	m->is_dropped = true; /* at address 0, until told otherwise */
}

static void
find_first_hit(struct machine *m)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->hits[middle].address < m->now.address)
			low = middle + 1;
		else
			high = middle;
	}
	m->next = low;
}

/* The row before now has an end. */
static void
end_row(struct machine *m)
{
	while (m->next < m->count && m->hits[m->next].address < m->now.address) {
		struct line_hit *hit = &m->hits[m->next++];

		if (m->passes_left-- == 0) {
			cursor_fail(&m->in);
			return;
		}
		if (hit->address < m->last.address || hit->is_found)
			continue;
		hit->file = m->last.file;
		hit->line = m->last.line;
		hit->is_found = true;
		m->missing--;
	}
}

static void
append_row(struct machine *m)
{
	if (m->is_dropped)
		return;
	if (!m->has_last || m->now.address < m->last.address)
		find_first_hit(m);
	else if (m->next < m->count && m->hits[m->next].address < m->now.address)
		end_row(m);
	m->last = m->now;
	m->has_last = true;
}

static void
run_extended(struct machine *m)
{
	uint64_t length = cursor_uleb128(&m->in);
	const uint8_t *bytes = cursor_bytes(&m->in, length);
	struct cursor in = cursor_over(bytes ? bytes : (const uint8_t *)"", bytes ? length : 0);

	switch (cursor_u8(&in)) {
	case DW_LNE_end_sequence:
		append_row(m);
		start_sequence(m);
		break;
	case DW_LNE_set_address:
		m->now.address = cursor_u64(&in);
		m->is_dropped = m->now.address <= 1 || m->now.address >= UINT64_MAX - 1;
		break;
	default: /* a file nobody else defines, discriminators, vendors' own: nothing to us */
		break;
	}
}

static void
advance_address(struct machine *m, uint64_t instructions)
{
	m->now.address += instructions * m->program->instruction_size;
}

static void
run_standard(struct machine *m, uint8_t opcode)
{
	const struct line_program *program = m->program;

	switch (opcode) {
	case DW_LNS_copy:
		append_row(m);
		break;
	case DW_LNS_advance_pc:
		advance_address(m, cursor_uleb128(&m->in));
		break;
	case DW_LNS_advance_line:
		m->now.line += (uint32_t)cursor_sleb128(&m->in);
		break;
	case DW_LNS_set_file:
		m->now.file = cursor_uleb128(&m->in);
		break;
	case DW_LNS_const_add_pc:
		advance_address(m, (255u - program->opcode_base) / program->line_range);
		break;
	case DW_LNS_fixed_advance_pc:
		m->now.address += cursor_u16(&m->in);
		break;
	default: /* columns, statement and block marks, and what is yet to be invented */
		for (unsigned i = 0; i < program->operand_counts[opcode]; i++)
			(void)cursor_uleb128(&m->in);
		break;
	}
}

/* What special opcodes do is computed once: they are most of a program, and dividing is slow. */
static void
prepare_special(struct machine *m)
{
	const struct line_program *program = m->program;

	for (unsigned opcode = program->opcode_base; opcode < 256; opcode++) {
		unsigned adjusted = opcode - program->opcode_base;

		m->special[opcode].bytes = adjusted / program->line_range * program->instruction_size;
		m->special[opcode].lines =
			(uint32_t)(program->line_base + (int)(adjusted % program->line_range));
	}
}

static void
run_special(struct machine *m, uint8_t opcode)
{
	m->now.address += m->special[opcode].bytes;
	m->now.line += m->special[opcode].lines;
	append_row(m);
}

void
line_program_run(struct line_program *program, struct line_hit *hits, size_t count)
{
	struct machine m = {.program = program,
			    .in = program->instructions,
			    .hits = hits,
			    .count = count,
			    .missing = count};

	prepare_special(&m);
	m.passes_left = cursor_left(&m.in) + count;
	start_sequence(&m);
	while (cursor_left(&m.in) > 0 && m.missing > 0) {
		uint8_t opcode = cursor_u8(&m.in);

		if (opcode >= program->opcode_base)
			run_special(&m, opcode);
		else if (opcode == 0)
			run_extended(&m);
		else
			run_standard(&m, opcode);
	}
}

static const char *
entry_text(struct line_program *program, const struct file_list *list, uint64_t number)
{
	const char *text = number < list->count ? debug_unit_text(program->sections, program->unit,
								  &list->entries[number].name)
						: NULL;
	return text ? text : "";
}

/* Strings are borrowed until the next of their section, so each is taken as soon as it is there. */
bool
line_program_path(struct line_program *program, uint64_t file, const char *unit_folder, char *ret,
		  size_t size)
{
	char name[DEBUG_STRING_MAX];
	const char *folder;
	int length;

	snprintf(name, sizeof(name), "%s", entry_text(program, &program->files, file));
	if (name[0] == '\0')
		return false;
	folder = entry_text(program, &program->folders, program->files.entries[file].folder);
	if (name[0] == '/')
		length = snprintf(ret, size, "%s", name);
	else if (folder[0] == '/' || !unit_folder)
		length = snprintf(ret, size, "%s%s%s", folder, folder[0] ? "/" : "", name);
	else
		length = snprintf(ret, size, "%s/%s%s%s", unit_folder, folder, folder[0] ? "/" : "", name);
	return length >= 0 && (size_t)length < size;
}
