/* Locations that have no line yet are grouped by the file their mapping names, each file is opened once,
 * and every location gets a line: the demangled symbol that covers it, or "basename+0xADDRESS". Where DWARF
 * knows more, the calls that were inlined there come before it, a line each, and all have files and lines.
 * The message is decoded into an arena, changed in place and packed again, so whatever we do not know of it
 * passes through. */
#include "worker/symbolize/symbolize.h"

#include "ipc/fd.h"
#include "ipc/text.h"
#include "worker/profile/decode.h"
#include "worker/profile/jit_mapping.h"
#include "worker/profile/record_table.h"
#include "worker/profile/string_table.h"
#include "worker/symbolize/address_list.h"
#include "worker/symbolize/demangle.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/inline_chain.h"
#include "worker/symbolize/jit_batch.h"
#include "worker/symbolize/jit_locations.h"
#include "worker/symbolize/kernel_symbols.h"
#include "worker/symbolize/known_files.h"
#include "worker/symbolize/module_names.h"
#include "worker/symbolize/name_cache.h"
#include "worker/symbolize/plt_stubs.h"
#include "worker/symbolize/source_batch.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

typedef Perftools__Profiles__Profile Profile;
typedef Perftools__Profiles__Mapping Mapping;
typedef Perftools__Profiles__Location Location;
typedef Perftools__Profiles__Function Function;
typedef Perftools__Profiles__Line Line;

/* A minute of 64 busy CPUs with all stacks different decodes to about 200 MB. */
#define DECODED_BYTES_MAX ((size_t)768 << 20)
#define NAME_BYTES_MAX ((size_t)256 << 20)

/* What processes say of their own code: the largest perf maps are some 100 MB, a second's work. */
#define JIT_BYTES_MAX ((uint64_t)256 << 20)

#define PATH_SIZE 4096 /* of a source file; what is longer is cut */

struct mapping_record {
	uint64_t id; /* key */
	uint32_t number, zero;
};

/* Mappings of the same file: its segments, and every process that maps it. */
struct file_record {
	int64_t path, build_id;  /* key: string indexes, which are unique per string */
	uint32_t first_location; /* of the chain in job.next_location, END_OF_CHAIN: none */
	uint32_t zero;
};
#define END_OF_CHAIN UINT32_MAX

struct function_record {
	uint32_t name, filename; /* in job.strings */
};

/* What is known of an address, and so can be said of its mapping. */
enum {
	KNOWN_FUNCTION = 1,
	KNOWN_INLINE_FRAMES = 2,
	KNOWN_FILE = 4,
	KNOWN_LINE = 8,
};

/* What the locations of one file are named after. */
struct name_sources {
	const char *path, *base, *build_id;
	bool is_kept;               /* what is found out goes to the cache */
	struct module_names *names; /* NULL: the file cannot be had */
	struct source_batch debug;
	const char *last_symbol; /* neighbouring locations mostly share their function */
	uint32_t last_name;
};

struct job {
	Profile *profile;
	const struct file_finder *finder;
	struct arena arena;
	struct budget budget;
	struct record_table mappings; /* by pprof id */
	struct record_table files;
	uint32_t *next_location;       /* per location */
	uint32_t *mapping_of_location; /* per location: index in profile->mapping */
	struct string_table strings;   /* new ones; in the profile they follow the old ones */
	struct record_table functions; /* new ones, likewise */
	uint64_t first_function_id;
	const struct symbolize_options *options;
	struct debug_budget debug_budget;
	struct known_files known_files;
	unsigned over_budget, changed; /* files */
	struct file_budget jit_budget;
	unsigned jit_over_budget; /* processes */
};

/* Chains every location that lacks a line to the file of its mapping. */
static int
group_location(struct job *job, uint32_t number)
{
	const Location *location = job->profile->location[number];
	const struct mapping_record *mapping;
	struct file_record file = {.first_location = END_OF_CHAIN}, *stored;
	uint32_t found, file_number;
	int error;

	if (location->n_line > 0 || location->mapping_id == 0)
		return 0;
	found = record_table_find(&job->mappings, &location->mapping_id);
	if (found == HASH_INDEX_NONE)
		return 0;
	mapping = record_table_at(&job->mappings, found);
	file.path = job->profile->mapping[mapping->number]->filename;
	file.build_id = job->profile->mapping[mapping->number]->build_id;
	error = record_table_put(&job->files, &job->budget, &file, &file_number);
	if (error)
		return error;
	stored = record_table_at(&job->files, file_number);
	job->mapping_of_location[number] = mapping->number;
	job->next_location[number] = stored->first_location;
	stored->first_location = number;
	return 0;
}

static int
group_locations(struct job *job)
{
	const Profile *profile = job->profile;
	int error = 0;

	job->next_location = arena_allocate_array(&job->arena, profile->n_location, sizeof(uint32_t));
	job->mapping_of_location = arena_allocate_array(&job->arena, profile->n_location, sizeof(uint32_t));
	if (!job->next_location || !job->mapping_of_location)
		return -ENOMEM;
	for (uint32_t i = 0; i < profile->n_mapping && !error; i++) {
		struct mapping_record record = {.id = profile->mapping[i]->id, .number = i};
		uint32_t unused;

		error = record_table_put(&job->mappings, &job->budget, &record, &unused);
	}
	/* Backwards, so that every chain runs forwards. */
	for (size_t i = profile->n_location; i > 0 && !error; i--)
		error = group_location(job, (uint32_t)(i - 1));
	return error;
}

/* The kernel gives every process the same image: ours. */
static int
open_vdso(struct elf_source **ret)
{
	const unsigned char *image = (const unsigned char *)getauxval(AT_SYSINFO_EHDR);
	Elf64_Ehdr header;

	if (!image)
		return -ENOENT;
	memcpy(&header, image, sizeof(header));
	/* Section headers are the last thing in it. */
	return elf_source_open_memory(image, header.e_shoff + (size_t)header.e_shnum * header.e_shentsize,
				      ret);
}

/* Whether what was opened is what was mapped: the names of a file that was replaced, or written over, would
 * be lies. The vdso (no descriptor) is. */
static bool
is_the_file(struct job *job, const char *path, const char *build_id, int fd, struct elf_source *source)
{
	bool is_same = build_id[0] ? source && elf_source_has_build_id(source, build_id)
				   : fd < 0 || known_files_is(&job->known_files, path, fd);

	job->changed += !is_same;
	return is_same;
}

/* The file's names. *fd must outlive them, and is -1 unless the file is the one that was mapped. */
static struct module_names *
open_names(struct job *job, const char *path, const char *build_id, int *fd)
{
	struct elf_source *source = NULL;
	struct module_names *names = NULL;
	int error;

	if (strcmp(path, "[vdso]") == 0) {
		error = open_vdso(&source);
	} else if (path[0] == '/') {
		*fd = job->finder->open_module(job->finder->context, path, build_id);
		error = *fd < 0 ? *fd : elf_source_open(*fd, &source);
	} else {
		return NULL; /* [vsyscall], [anon:...]: nothing to open */
	}
	if (error && *fd < 0)
		return NULL;
	if (!is_the_file(job, path, build_id, *fd, source) || error) {
		elf_source_close(source);
		close_fd(fd);
		return NULL;
	}
	return module_names_open(source, path, build_id, job->finder, &names) == 0 ? names : NULL;
}

/* "memcpy@@GLIBC_2.14" is memcpy, as is "memcpy@plt", the stub that leads there. Anything that does not look
 * like a version stays. */
static size_t
length_without_ending(const char *symbol)
{
	const char *at = strchr(symbol, '@');
	size_t length = strlen(symbol);

	if (!at || at == symbol)
		return length;
	return at[strspn(at, "@")] && !at[strspn(at, "@ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
						     "0123456789._")]
		       ? (size_t)(at - symbol)
		       : length;
}

static int
intern_symbol(struct job *job, const char *symbol, uint32_t *ret)
{
	char plain[SYMBOL_NAME_MAX], name[DEMANGLE_SIZE + sizeof(PLT_STUB_ENDING)];
	size_t length = length_without_ending(symbol);
	bool is_stub = strcmp(symbol + length, PLT_STUB_ENDING) == 0;

	if (length >= sizeof(plain))
		length = sizeof(plain) - 1;
	memcpy(plain, symbol, length);
	plain[length] = '\0';
	demangle(plain, name);
	if (is_stub)
		strcat(name, PLT_STUB_ENDING);
	return string_table_put(&job->strings, &job->budget, name, ret);
}

static int
intern_address(struct job *job, const char *base, uint64_t address, uint32_t *ret)
{
	char plain[SYMBOL_NAME_MAX];

	/* A path component is at most 255 bytes; whatever claims more is shown without. */
	pprof_address_name(plain, strlen(base) + sizeof("+0x0123456789abcdef") <= sizeof(plain) ? base : "",
			   address);
	return string_table_put(&job->strings, &job->budget, plain, ret);
}

/* A function of its own: by its symbol, which is what the linker made of it (a clone, say); else by DWARF. */
static int
intern_function(struct job *job, struct name_sources *sources, const Location *location,
		const char *debug_name, uint32_t *ret)
{
	const char *symbol = sources->names ? module_names_find(sources->names, location->address) : NULL;
	int error = 0;

	if (!symbol)
		symbol = debug_name;
	if (!symbol)
		return intern_address(job, sources->base, location->address, ret);
	if (symbol != sources->last_symbol)
		error = intern_symbol(job, symbol, &sources->last_name);
	sources->last_symbol = symbol;
	*ret = sources->last_name;
	return error;
}

/* Fills one line in; the function gets a number if it is the first of its name and file. */
static int
set_line(struct job *job, uint32_t name, const char *file, uint32_t number, Line *line)
{
	struct function_record function = {.name = name};
	uint32_t function_number;
	int error = string_table_put(&job->strings, &job->budget, file, &function.filename);

	if (!error)
		error = record_table_put(&job->functions, &job->budget, &function, &function_number);
	if (error)
		return error;
	perftools__profiles__line__init(line);
	line->function_id = job->first_function_id + function_number;
	line->line = number;
	return 0;
}

static int
set_source_line(struct job *job, const struct name_sources *sources, uint32_t name,
		const struct source_frame *frame, Line *line)
{
	char path[PATH_SIZE];

	if (!frame->file)
		return set_line(job, name, sources->base, frame->line, line);
	text_escape(path, sizeof(path), frame->file, strlen(frame->file));
	return set_line(job, name, path, frame->line, line);
}

static int
make_lines(struct job *job, Location *location, size_t count)
{
	Line *lines = arena_allocate_array(&job->arena, count, sizeof(*lines));

	location->line = arena_allocate_array(&job->arena, count, sizeof(*location->line));
	if (!lines || !location->line)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		location->line[i] = &lines[i];
	location->n_line = count;
	return 0;
}

static void
tell_mapping(Mapping *mapping, unsigned knowledge)
{
	mapping->has_functions |= (knowledge & KNOWN_FUNCTION) != 0;
	mapping->has_inline_frames |= (knowledge & KNOWN_INLINE_FRAMES) != 0;
	mapping->has_filenames |= (knowledge & KNOWN_FILE) != 0;
	mapping->has_line_numbers |= (knowledge & KNOWN_LINE) != 0;
}

static unsigned
knowledge_of(const struct name_sources *sources, const Location *location,
	     const struct source_location *source)
{
	unsigned knowledge = source ? KNOWN_INLINE_FRAMES : 0;

	if (source ? source->frames[0].function != NULL || source->count > 1 : false)
		knowledge |= KNOWN_FUNCTION;
	if (sources->names && module_names_find(sources->names, location->address))
		knowledge |= KNOWN_FUNCTION;
	if (source && source->frames[0].file)
		knowledge |= KNOWN_FILE;
	if (source && source->frames[0].line)
		knowledge |= KNOWN_LINE;
	return knowledge;
}

static void
keep_names(struct job *job, const struct name_sources *sources, const Location *location, unsigned knowledge)
{
	struct source_frame frames[CHAIN_DEPTH_MAX];
	struct cached_names names = {.frames = frames, .count = location->n_line, .knowledge = knowledge};

	if (!sources->is_kept || location->n_line > CHAIN_DEPTH_MAX)
		return;
	for (size_t i = 0; i < location->n_line; i++) {
		const struct function_record *function = record_table_at(
			&job->functions, (uint32_t)(location->line[i]->function_id - job->first_function_id));

		frames[i] = (struct source_frame){.function = string_table_at(&job->strings, function->name),
						  .file = string_table_at(&job->strings, function->filename),
						  .line = (uint32_t)location->line[i]->line};
	}
	name_cache_put(job->options->cache, sources->path, sources->build_id, location->address, &names);
}

static int
name_location(struct job *job, struct name_sources *sources, Location *location, Mapping *mapping)
{
	static const struct source_frame unknown;
	const struct source_location *source = source_batch_at(&sources->debug, location->address);
	size_t count = source ? source->count : 1;
	unsigned knowledge = knowledge_of(sources, location, source);
	int error = make_lines(job, location, count);

	for (size_t i = 0; i < count && !error; i++) {
		const struct source_frame *frame = source ? &source->frames[i] : &unknown;
		uint32_t name;

		if (i + 1 == count)
			error = intern_function(job, sources, location, frame->function, &name);
		else
			error = intern_symbol(job, frame->function ? frame->function : "[inlined]", &name);
		if (!error)
			error = set_source_line(job, sources, name, frame, location->line[i]);
	}
	if (error)
		return error;
	tell_mapping(mapping, knowledge);
	keep_names(job, sources, location, knowledge);
	return 0;
}

/* As an earlier profile had it. 0; -ENOENT: it did not have it. */
static int
name_location_again(struct job *job, const struct name_sources *sources, Location *location, Mapping *mapping)
{
	struct cached_names names;
	int error;

	if (!name_cache_find(job->options->cache, sources->path, sources->build_id, location->address,
			     &names))
		return -ENOENT;
	error = make_lines(job, location, names.count);
	for (size_t i = 0; i < names.count && !error; i++) {
		uint32_t name;

		error = string_table_put(&job->strings, &job->budget, names.frames[i].function, &name);
		if (!error)
			error = set_line(job, name, names.frames[i].file, names.frames[i].line,
					 location->line[i]);
	}
	if (!error)
		tell_mapping(mapping, names.knowledge);
	return error;
}

/* Takes what is named out of the file's chain. */
static int
name_known_locations(struct job *job, struct file_record *file, const struct name_sources *sources)
{
	uint32_t *link = &file->first_location;

	while (*link != END_OF_CHAIN) {
		uint32_t number = *link;
		int error = name_location_again(job, sources, job->profile->location[number],
						job->profile->mapping[job->mapping_of_location[number]]);

		if (error && error != -ENOENT)
			return error;
		if (error)
			link = &job->next_location[number];
		else
			*link = job->next_location[number];
	}
	return 0;
}

/* malloc'ed; NULL: out of memory. */
static uint64_t *
addresses_of(const struct job *job, const struct file_record *file, size_t *ret_count)
{
	size_t count = 0;
	uint64_t *addresses;

	for (uint32_t i = file->first_location; i != END_OF_CHAIN; i = job->next_location[i])
		count++;
	addresses = calloc(count, sizeof(*addresses));
	if (!addresses)
		return NULL;
	count = 0;
	for (uint32_t i = file->first_location; i != END_OF_CHAIN; i = job->next_location[i])
		addresses[count++] = job->profile->location[i]->address;
	*ret_count = count;
	return addresses;
}

/* By the file itself, whose identity was checked, or by its debug file. */
static int
find_sources(struct job *job, const struct file_record *file, int fd, const struct module_names *names,
	     struct source_batch *ret)
{
	const struct module_files *files = module_names_files(names);
	size_t count;
	uint64_t *addresses = addresses_of(job, file, &count);

	if (!addresses)
		return -ENOMEM;
	job->debug_budget.is_exceeded = false;
	source_batch_find(ret, fd, files, &job->debug_budget, addresses, count);
	if (module_names_go(names))
		source_batch_add_go(ret, module_names_go(names), &job->debug_budget);
	job->over_budget += job->debug_budget.is_exceeded;
	return 0;
}

static int
open_sources(struct job *job, const struct file_record *file, struct name_sources *sources, int *fd)
{
	unsigned over_budget = job->over_budget;
	int error = 0;

	sources->names = open_names(job, sources->path, sources->build_id, fd);
	if (*fd >= 0 && sources->names && job->options->inlined_functions)
		error = find_sources(job, file, *fd, sources->names, &sources->debug);
	/* What could not be had, or not in full, may be had the next time. */
	sources->is_kept = job->options->cache && sources->build_id[0] && sources->names &&
			   job->over_budget == over_budget && !module_names_files(sources->names)->is_late;
	return error;
}

/* Shown as it stands: "LazyCompile:~foo /a.js:12" is what node calls it. ddprof has "jit" where the file
 * would be. */
static int
name_jit_location(struct job *job, const struct jit_batch *batch, Location *location)
{
	static const struct source_frame nameless = {.function = "[anonymous]"};
	const struct source_frame *frame = jit_batch_at(batch, location->address);
	const struct name_sources sources = {.base = frame ? "jit" : "Anonymous"};
	char name[DEMANGLE_SIZE];
	uint32_t number;
	int error = make_lines(job, location, 1);

	frame = frame ? frame : &nameless;
	demangle(frame->function, name);
	if (!error)
		error = string_table_put(&job->strings, &job->budget, name, &number);
	return error ? error : set_source_line(job, &sources, number, frame, location->line[0]);
}

static int
open_jit(const struct job *job, uint32_t pid, enum jit_file file)
{
	return job->finder->open_jit ? job->finder->open_jit(job->finder->context, pid, file) : -ENOENT;
}

/* Nothing of it goes to the cache: what was at an address a minute ago may be another function now. */
static int
name_jit_code(struct job *job, const struct file_record *file, uint32_t pid)
{
	OWNED_FD map = open_jit(job, pid, JIT_PERF_MAP);
	OWNED_FD dump = open_jit(job, pid, JIT_DUMP);
	struct jit_batch batch;
	size_t count;
	uint64_t *addresses = addresses_of(job, file, &count);
	int error = 0;

	if (!addresses)
		return -ENOMEM;
	job->jit_budget.is_exceeded = false;
	jit_batch_find(&batch, map, dump, &job->jit_budget, addresses, count);
	job->jit_over_budget += job->jit_budget.is_exceeded;
	for (uint32_t i = file->first_location; i != END_OF_CHAIN && !error; i = job->next_location[i])
		error = name_jit_location(job, &batch, job->profile->location[i]);
	jit_batch_destroy(&batch);
	return error;
}

/* ---- code of the kernel ---- */

static int
name_kernel_location(struct job *job, const struct name_sources *sources, const struct kernel_symbol *symbol,
		     Location *location)
{
	const struct name_sources place = {.base = symbol && symbol->module[0] ? symbol->module
									       : sources->base};
	const struct source_frame frame = {0};
	uint32_t number;
	int error = make_lines(job, location, 1);

	if (!error)
		error = intern_symbol(job, symbol ? symbol->name : sources->base, &number);
	if (!error)
		error = set_source_line(job, &place, number, &frame, location->line[0]);
	if (!error && symbol)
		keep_names(job, sources, location, KNOWN_FUNCTION);
	return error;
}

static int
name_kernel_locations(struct job *job, const struct file_record *file, const struct name_sources *sources,
		      const struct kernel_symbol *symbols, const uint64_t *addresses, size_t count,
		      uint64_t offset)
{
	int error = 0;

	for (uint32_t i = file->first_location; i != END_OF_CHAIN && !error; i = job->next_location[i]) {
		Location *location = job->profile->location[i];
		size_t index;
		bool is_known = address_list_find(addresses, count, location->address - offset, &index) &&
				symbols[index].address;

		error = name_kernel_location(job, sources, is_known ? &symbols[index] : NULL, location);
	}
	return error;
}

/* Its modules and functions are those of this boot: what is known of an address stays. */
static int
name_kernel_code(struct job *job, struct file_record *file)
{
	const struct name_sources sources = {.path = "[kernel]",
					     .base = "[kernel]",
					     .build_id = "[kernel]",
					     .is_kept = job->options->cache != NULL};
	uint64_t offset = 0, *addresses;
	struct kernel_symbol *symbols;
	size_t count;
	int error = sources.is_kept ? name_known_locations(job, file, &sources) : 0;

	if (error || file->first_location == END_OF_CHAIN)
		return error;
	OWNED_FD kallsyms = job->finder->open_kallsyms
				    ? job->finder->open_kallsyms(job->finder->context, &offset)
				    : -ENOENT;
	addresses = addresses_of(job, file, &count);
	for (size_t i = 0; addresses && i < count; i++)
		addresses[i] -= offset;
	if (addresses)
		count = address_list_sort(addresses, count);
	symbols = addresses ? calloc(count, sizeof(*symbols)) : NULL;
	if (symbols && kallsyms >= 0)
		(void)kernel_symbols_find(kallsyms, addresses, count, symbols); /* what it found, it found */
	error = symbols ? name_kernel_locations(job, file, &sources, symbols, addresses, count, offset)
			: -ENOMEM;
	free(symbols);
	free(addresses);
	return error;
}

static int
name_file(struct job *job, struct file_record *file)
{
	uint32_t pid;

	if (jit_mapping_parse(pprof_string(job->profile, file->path), &pid) && pid == JIT_PID_OF_KERNEL)
		return name_kernel_code(job, file);
	if (jit_mapping_parse(pprof_string(job->profile, file->path), &pid))
		return file->first_location == END_OF_CHAIN ? 0 : name_jit_code(job, file, pid);
	struct name_sources sources = {.path = pprof_string(job->profile, file->path),
				       .build_id = pprof_string(job->profile, file->build_id)};
	OWNED_FD fd = -1;
	int error = 0;

	sources.base = pprof_basename(sources.path);
	if (job->options->cache && sources.build_id[0])
		error = name_known_locations(job, file, &sources);
	if (error || file->first_location == END_OF_CHAIN)
		return error;
	error = open_sources(job, file, &sources, &fd);
	for (uint32_t i = file->first_location; i != END_OF_CHAIN && !error; i = job->next_location[i])
		error = name_location(job, &sources, job->profile->location[i],
				      job->profile->mapping[job->mapping_of_location[i]]);
	source_batch_destroy(&sources.debug);
	module_names_close(sources.names);
	return error;
}

static int
name_files(struct job *job)
{
	int error = 0;

	for (uint32_t i = 0; i < job->files.count && !error; i++)
		error = name_file(job, record_table_at(&job->files, i));
	return error;
}

/* Where a new string will be: after the old ones, except for "", which is there already. */
static int64_t
string_index(const struct job *job, uint32_t number)
{
	return number == 0 ? 0 : (int64_t)(job->profile->n_string_table + number - 1);
}

/* The path served to find the file; what leaves the host is its name, as ddprof has it. */
static int
shorten_mappings(struct job *job)
{
	for (size_t i = 0; i < job->profile->n_mapping; i++) {
		Mapping *mapping = job->profile->mapping[i];
		const char *path = pprof_string(job->profile, mapping->filename);
		const char *base = pprof_basename(path);
		uint32_t number;
		int error;

		if (base == path)
			continue;
		error = string_table_put(&job->strings, &job->budget, base, &number);
		if (error)
			return error;
		mapping->filename = string_index(job, number);
	}
	return 0;
}

/* Says how much was left out, if anything was. */
static int
append_comments(struct job *job)
{
	const struct {
		const char *key;
		unsigned count;
	} counters[] = {
		{"ddprof.debug_info.over_budget", job->over_budget},
		{"ddprof.jit.over_budget", job->jit_over_budget},
		{"ddprof.modules_changed", job->changed},
	};
	const size_t counters_count = sizeof(counters) / sizeof(counters[0]);
	Profile *profile = job->profile;
	int64_t *all = arena_allocate_array(&job->arena, profile->n_comment + counters_count, sizeof(*all));

	if (!all)
		return -ENOMEM;
	if (profile->n_comment)
		memcpy(all, profile->comment, profile->n_comment * sizeof(*all));
	profile->comment = all;
	for (size_t i = 0; i < counters_count; i++) {
		char text[64];
		uint32_t number;

		if (counters[i].count == 0)
			continue;
		snprintf(text, sizeof(text), "%s=%u", counters[i].key, counters[i].count);
		int error = string_table_put(&job->strings, &job->budget, text, &number);
		if (error)
			return error;
		all[profile->n_comment++] = string_index(job, number);
	}
	return 0;
}

/* Says of how many files debug information was left out, and how many are not what was mapped, if any. */
static int
append_functions(struct job *job)
{
	Profile *profile = job->profile;
	size_t count = profile->n_function + job->functions.count;
	Function **all = arena_allocate_array(&job->arena, count + 1, sizeof(*all));
	Function *added = arena_allocate_array(&job->arena, (size_t)job->functions.count + 1, sizeof(*added));

	if (!all || !added)
		return -ENOMEM;
	if (profile->n_function)
		memcpy(all, profile->function, profile->n_function * sizeof(*all));
	for (uint32_t i = 0; i < job->functions.count; i++) {
		const struct function_record *record = record_table_at(&job->functions, i);

		perftools__profiles__function__init(&added[i]);
		added[i].id = job->first_function_id + i;
		added[i].name = string_index(job, record->name);
		added[i].filename = string_index(job, record->filename);
		all[profile->n_function + i] = &added[i];
	}
	profile->function = all;
	profile->n_function = count;
	return 0;
}

/* After this the profile borrows from job->strings, and string_index() must not be asked again. */
static int
append_strings(struct job *job)
{
	Profile *profile = job->profile;
	size_t count = profile->n_string_table;
	char **all = arena_allocate_array(&job->arena, count + job->strings.count, sizeof(*all));

	if (!all)
		return -ENOMEM;
	memcpy(all, profile->string_table, count * sizeof(*all));
	for (uint32_t i = 1; i < job->strings.count; i++)
		all[count++] = job->strings.bytes + job->strings.entries[i].offset;
	profile->string_table = all;
	profile->n_string_table = count;
	return 0;
}

static int
pack(const Profile *profile, uint8_t **ret_out, size_t *ret_size)
{
	size_t size = perftools__profiles__profile__get_packed_size(profile);
	uint8_t *out = malloc(size);

	if (!out)
		return -ENOMEM;
	*ret_size = perftools__profiles__profile__pack(profile, out);
	*ret_out = out;
	return 0;
}

static void
start(struct job *job)
{
	job->mappings = RECORD_TABLE(struct mapping_record, sizeof(uint64_t));
	job->files = RECORD_TABLE(struct file_record, 2 * sizeof(int64_t));
	job->functions = RECORD_TABLE(struct function_record, sizeof(struct function_record));
	for (size_t i = 0; i < job->profile->n_function; i++)
		if (job->profile->function[i]->id >= job->first_function_id)
			job->first_function_id = job->profile->function[i]->id + 1;
}

static void
finish(struct job *job)
{
	string_table_clear(&job->strings, &job->budget);
	record_table_clear(&job->mappings, &job->budget);
	record_table_clear(&job->files, &job->budget);
	record_table_clear(&job->functions, &job->budget);
	arena_destroy(&job->arena);
}

int
symbolize_profile(const uint8_t *in, size_t in_size, const struct file_finder *finder,
		  const struct symbolize_options *options, uint8_t **ret_out, size_t *ret_size)
{
	struct job job = {
		.finder = finder,
		.arena.limit = DECODED_BYTES_MAX,
		.budget.limit = NAME_BYTES_MAX,
		.first_function_id = 1,
		.options = options,
		.debug_budget = DEBUG_BUDGET,
		.jit_budget.bytes_left = JIT_BYTES_MAX,
	};
	int error = pprof_decode(in, in_size, &job.arena, &job.profile);

	if (!error) {
		start(&job);
		error = known_files_take(job.profile, &job.arena, &job.known_files);
	}
	if (!error)
		error = group_locations(&job);
	if (!error)
		error = name_files(&job);
	if (!error)
		error = jit_locations_hide(job.profile, &job.budget);
	if (!error)
		error = shorten_mappings(&job);
	if (!error)
		error = append_comments(&job);
	if (!error)
		error = append_functions(&job);
	if (!error)
		error = append_strings(&job);
	if (!error)
		error = pack(job.profile, ret_out, ret_size);
	finish(&job);
	return error == -ENOSPC ? -ENOMEM : error;
}
