/* Locations that have no line yet are grouped by the file their mapping names, each file is opened once,
 * and every location gets one line: the demangled symbol that covers it, or "basename+0xADDRESS". The
 * message is decoded into an arena, changed in place and packed again, so whatever we do not know of it
 * passes through. */
#include "worker/symbolize/symbolize.h"

#include "ipc/fd.h"
#include "ipc/text.h"
#include "worker/profile/decode.h"
#include "worker/profile/record_table.h"
#include "worker/profile/string_table.h"
#include "worker/symbolize/demangle.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/module_names.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
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

/* The file's names, if it can be had and is the file that was mapped. *fd must outlive them. */
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
	if (error)
		return NULL;
	/* A file that was replaced since: its names would be lies. */
	if (build_id[0] && !elf_source_has_build_id(source, build_id)) {
		elf_source_close(source);
		return NULL;
	}
	return module_names_open(source, path, build_id, job->finder, &names) == 0 ? names : NULL;
}

/* "memcpy@@GLIBC_2.14" is memcpy. Anything that does not look like a version stays. */
static size_t
length_without_version(const char *symbol)
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
	char plain[SYMBOL_NAME_MAX], name[DEMANGLE_SIZE];
	size_t length = length_without_version(symbol);

	if (length >= sizeof(plain))
		length = sizeof(plain) - 1;
	memcpy(plain, symbol, length);
	plain[length] = '\0';
	demangle(plain, name);
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

/* Gives the location its one line, and the function a number if it is the first of its name. */
static int
set_function(struct job *job, Location *location, const struct function_record *function)
{
	Line *line = arena_allocate(&job->arena, sizeof(*line));
	Line **lines = arena_allocate(&job->arena, sizeof(*lines));
	uint32_t number;
	int error;

	if (!line || !lines)
		return -ENOMEM;
	error = record_table_put(&job->functions, &job->budget, function, &number);
	if (error)
		return error;
	perftools__profiles__line__init(line);
	line->function_id = job->first_function_id + number;
	lines[0] = line;
	location->line = lines;
	location->n_line = 1;
	return 0;
}

/* Neighbouring locations mostly share their function, so the last symbol's name is kept. */
static int
name_locations(struct job *job, const struct file_record *file, const struct module_names *names)
{
	const char *base = pprof_basename(pprof_string(job->profile, file->path)), *last = NULL;
	struct function_record function;
	uint32_t last_name = 0;
	int error = string_table_put(&job->strings, &job->budget, base, &function.filename);

	for (uint32_t i = file->first_location; i != END_OF_CHAIN && !error; i = job->next_location[i]) {
		Location *location = job->profile->location[i];
		const char *symbol = names ? module_names_find(names, location->address) : NULL;

		if (!symbol) {
			error = intern_address(job, base, location->address, &function.name);
		} else {
			if (symbol != last)
				error = intern_symbol(job, symbol, &last_name);
			last = symbol;
			function.name = last_name;
			job->profile->mapping[job->mapping_of_location[i]]->has_functions = true;
		}
		if (!error)
			error = set_function(job, location, &function);
	}
	return error;
}

static int
name_files(struct job *job)
{
	int error = 0;

	for (uint32_t i = 0; i < job->files.count && !error; i++) {
		const struct file_record *file = record_table_at(&job->files, i);
		OWNED_FD fd = -1;
		struct module_names *names = open_names(job, pprof_string(job->profile, file->path),
							pprof_string(job->profile, file->build_id), &fd);

		error = name_locations(job, file, names);
		module_names_close(names);
	}
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
symbolize_profile(const uint8_t *in, size_t in_size, const struct file_finder *finder, uint8_t **ret_out,
		  size_t *ret_size)
{
	struct job job = {
		.finder = finder,
		.arena.limit = DECODED_BYTES_MAX,
		.budget.limit = NAME_BYTES_MAX,
		.first_function_id = 1,
	};
	int error = pprof_decode(in, in_size, &job.arena, &job.profile);

	if (!error) {
		start(&job);
		error = group_locations(&job);
	}
	if (!error)
		error = name_files(&job);
	if (!error)
		error = shorten_mappings(&job);
	if (!error)
		error = append_functions(&job);
	if (!error)
		error = append_strings(&job);
	if (!error)
		error = pack(job.profile, ret_out, ret_size);
	finish(&job);
	return error == -ENOSPC ? -ENOMEM : error;
}
