/* Columns of numbers on the left, as wide as they must be; names on the right, which alone give way when the
 * terminal is narrow. */
#include "worker/report/table.h"

#include "ipc/text.h"
#include "worker/report/quantity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS = 4, NAME_WIDTH_MIN = 8 };

struct row {
	char cells[COLUMNS][QUANTITY_SIZE]; /* flat, flat%, cum, cum% */
	const char *name;
};

static size_t
count_characters(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

/* Bytes of the first `count` characters. */
static size_t
bytes_of(const char *text, size_t count)
{
	const char *at = text;

	for (; *at && count > 0; count--)
		at += text_character(at, strlen(at)) ? text_character(at, strlen(at)) : 1;
	return (size_t)(at - text);
}

void
table_cut_middle(char *ret, const char *text, size_t width)
{
	size_t characters = count_characters(text), head, tail;

	if (width < 1)
		width = 1;
	if (characters <= width) {
		strcpy(ret, text);
		return;
	}
	/* A name says who it belongs to at its head and what it does at its tail. */
	tail = (width - 1) / 2;
	head = bytes_of(text, width - 1 - tail);
	memcpy(ret, text, head);
	strcpy(ret + head, "\xe2\x80\xa6");
	strcat(ret, text + bytes_of(text, characters - tail));
}

static void
print_pair(FILE *out, const char *label, const char *value)
{
	if (value[0])
		fprintf(out, "%-9s %s\n", label, value);
}

static void
format_time(char *ret, size_t size, int64_t time_ns)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm local;

	ret[0] = '\0';
	if (time_ns != INT64_MAX && localtime_r(&seconds, &local))
		strftime(ret, size, "%Y-%m-%d %H:%M:%S %z", &local);
}

void
table_print_header(FILE *out, const struct account *account, const char *path)
{
	char text[128], total[QUANTITY_SIZE], percent[QUANTITY_SIZE], printable[4096];
	char cost[PROFILE_COST_TEXT];

	text_escape(printable, sizeof(printable), path, strlen(path));
	print_pair(out, "File", printable);
	format_time(text, sizeof(text), account->start_ns);
	print_pair(out, "Time", text);
	if (account->duration_ns > 0) {
		quantity_format(text, account->duration_ns, "nanoseconds");
		print_pair(out, "Duration", text);
	}
	snprintf(text, sizeof(text), "%" PRId64, account->sample_count);
	print_pair(out, "Samples", text);

	quantity_format(total, account->total, account->unit);
	snprintf(text, sizeof(text), "%s", total);
	/* CPU time against the clock: 200% is two busy CPUs. */
	if (account->duration_ns > 0 && strcmp(account->unit, "nanoseconds") == 0) {
		quantity_percent(percent, account->total, account->duration_ns);
		snprintf(text, sizeof(text), "%s (%s of the duration)", total, percent);
	}
	print_pair(out, "Total", text);
	profile_cost_format(cost, &account->cost);
	print_pair(out, "Profiler", cost);
}

static void
fill_row(struct row *row, const struct account *account, const struct account_function *function)
{
	quantity_format(row->cells[0], function->flat, account->unit);
	quantity_percent(row->cells[1], function->flat, account->total);
	quantity_format(row->cells[2], function->cumulative, account->unit);
	quantity_percent(row->cells[3], function->cumulative, account->total);
	row->name = account_name(account, function);
}

/* `indent`: columns before the name; `width` 0: unlimited. */
static void
print_name(FILE *out, const char *name, size_t indent, size_t width)
{
	char *cut = width ? malloc(strlen(name) + 4) : NULL;

	if (cut) {
		table_cut_middle(cut, name,
				 width > indent + NAME_WIDTH_MIN ? width - indent : NAME_WIDTH_MIN);
		name = cut;
	}
	fprintf(out, "  %s\n", name);
	free(cut);
}

static void
print_rows(FILE *out, const struct row *rows, size_t count, size_t width)
{
	size_t widths[COLUMNS] = {0}, indent = COLUMNS - 1 + 2;

	for (size_t i = 0; i < count; i++)
		for (size_t c = 0; c < COLUMNS; c++)
			if (count_characters(rows[i].cells[c]) > widths[c])
				widths[c] = count_characters(rows[i].cells[c]);
	for (size_t c = 0; c < COLUMNS; c++)
		indent += widths[c];
	for (size_t i = 0; i < count; i++) {
		for (size_t c = 0; c < COLUMNS; c++) {
			/* printf pads by bytes; the micro sign has two. */
			size_t extra = strlen(rows[i].cells[c]) - count_characters(rows[i].cells[c]);

			fprintf(out, "%s%*s", c ? " " : "", (int)(widths[c] + extra), rows[i].cells[c]);
		}
		print_name(out, rows[i].name, indent, width);
	}
}

int
table_print(FILE *out, const struct account *account, enum account_order order, size_t top, size_t width)
{
	const struct account_function *list;
	int64_t count = account_sort(account, order, &list);
	struct row *rows;
	int error;

	if (count < 0)
		return (int)count;
	if (top > (size_t)count)
		top = (size_t)count;
	rows = calloc(top + 1, sizeof(*rows));
	error = rows ? 0 : -ENOMEM;
	if (rows) {
		fprintf(out, "\nTop %zu of %" PRId64 " functions by %s\n", top, count,
			order == BY_FLAT ? "flat (in the function itself)" : "cum (with what it calls)");
		rows[0] = (struct row){.cells = {"flat", "flat%", "cum", "cum%"}, .name = "function"};
		for (size_t i = 0; i < top; i++)
			fill_row(&rows[i + 1], account, &list[i]);
		print_rows(out, rows, top + 1, width);
	}
	free(rows);
	free((void *)list);
	return error;
}
