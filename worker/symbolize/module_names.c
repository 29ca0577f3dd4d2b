/* At most two tables: MiniDebugInfo leaves out what .dynsym has. */

#include "worker/symbolize/module_names.h"

#include "ipc/fd.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/go_pclntab.h"
#include "worker/symbolize/mini_debug_info.h"
#include "worker/symbolize/plt_stubs.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
#include <stdlib.h>

#define COMPRESSED_BYTES_MAX (32u << 20)
#define TABLES 2

struct module_names {
	struct module_files files;
	struct elf_source *module;
	uint8_t *mini; /* inflated; the first table's names are in it */
	struct symbols *table[TABLES];
	struct plt_stubs *stubs;
	struct go_pclntab
		*go; /* asked first: the tables say "runtime.memmove.abi0", and have the C functions */
};

/* Takes the source. An error costs this source of names. */
static struct symbols *
read_table(struct elf_source *source, uint32_t type)
{
	struct symbols *symbols;

	return symbols_new_of(source, type, &symbols) == 0 ? symbols : NULL;
}

static struct symbols *
read_debug_file(const struct module_files *files)
{
	struct elf_source *source;

	if (files->debug_fd < 0 || elf_source_open(files->debug_fd, &source) != 0)
		return NULL;
	return read_table(source, SHT_SYMTAB);
}

static struct symbols *
read_mini_debug_info(struct module_names *names)
{
	struct elf_source *source;
	struct elf_bytes compressed;
	size_t size;

	if (elf_source_section(names->module, ".gnu_debugdata", COMPRESSED_BYTES_MAX, &compressed) != 0 ||
	    mini_debug_info_inflate(compressed.bytes, compressed.size, &names->mini, &size) != 0 ||
	    elf_source_open_memory(names->mini, size, &source) != 0)
		return NULL;
	return read_table(source, SHT_SYMTAB);
}

int
module_names_open(struct elf_source *module, const char *path, const char *build_id,
		  const struct file_finder *finder, struct module_names **ret)
{
	struct module_names *names = calloc(1, sizeof(*names));

	if (!names) {
		elf_source_close(module);
		return -ENOMEM;
	}
	names->module = module;
	module_files_find(module, path, build_id, finder, &names->files);
	elf_source_share(module);
	names->table[0] = read_table(module, SHT_SYMTAB);
	if (!names->table[0])
		names->table[0] = read_debug_file(&names->files);
	if (!names->table[0]) {
		names->table[0] = read_mini_debug_info(names);
		elf_source_share(module);
		names->table[1] = read_table(module, SHT_DYNSYM);
	}
	/* An error costs this source of names. */
	(void)plt_stubs_open(module, names->table[0], &names->stubs);
	(void)go_pclntab_open(module, &names->go);
	*ret = names;
	return 0;
}

void
module_names_close(struct module_names *names)
{
	if (!names)
		return;
	for (size_t i = 0; i < TABLES; i++)
		symbols_free(names->table[i]);
	plt_stubs_close(names->stubs);
	go_pclntab_close(names->go);
	elf_source_close(names->module);
	free(names->mini);
	module_files_close(&names->files);
	free(names);
}

const char *
module_names_find(const struct module_names *names, uint64_t address)
{
	const char *name = names->go ? go_pclntab_find(names->go, address) : NULL;

	for (size_t i = 0; i < TABLES && !name; i++)
		if (names->table[i])
			name = symbols_find(names->table[i], address);
	return name || !names->stubs ? name : plt_stubs_find(names->stubs, address);
}

struct go_pclntab *
module_names_go(const struct module_names *names)
{
	return names->go;
}

const struct module_files *
module_names_files(const struct module_names *names)
{
	return &names->files;
}
