/* Names of a stripped file from wherever they went: held against those of the whole file. Debug files that do
 * not belong to it, whatever they are called, and archives that grow name nothing. */
#include "ipc/fd.h"
#include "tests/support/descriptors.h"
#include "tests/support/folder.h"
#include "tests/symbolize/support.h"
#include "worker/base/debug_paths.h"
#include "worker/symbolize/elf_source.h"
#include "worker/symbolize/mini_debug_info.h"
#include "worker/symbolize/module_names.h"
#include "worker/symbolize/symbols.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_folder folder;
static int asked, asked_elsewhere; /* on this host; of a server */
static size_t descriptors_before;

static int
start(void **state)
{
	(void)state;
	descriptors_before = count_descriptors();
	test_folder_make(&folder);
	asked = asked_elsewhere = 0;
	return 0;
}

static int
finish(void **state)
{
	(void)state;
	test_folder_remove(&folder);
	return count_descriptors() == descriptors_before ? 0 : -1;
}

/* In the test's folder, with $F for the whole program. */
static void
run(const char *script)
{
	char command[4096];

	assert_true((size_t)snprintf(command, sizeof(command), "cd %s && F=" FIXTURE " && set -e && %s",
				     folder.path, script) < sizeof(command));
	assert_int_equal(system(command), 0);
}

/* The broker's answer, with the test's folder for "/". */
static int
open_debug(void *context, const struct open_debug *request, uint32_t *ret_candidate)
{
	char path[3 * MAX_PATH_BYTES], below[2 * MAX_PATH_BYTES];

	(void)context;
	if (!debug_request_is_sane(request))
		return -EINVAL;
	if (request->first_candidate == DEBUG_CANDIDATE_FETCHED) {
		asked_elsewhere++;
		return -ENOENT;
	}
	asked++;
	for (uint32_t i = request->first_candidate; i < DEBUG_PLACES; i++) {
		if (debug_path_format(request, request->module.path, i, sizeof(below), below) < 0)
			continue;
		snprintf(path, sizeof(path), "%s%s", folder.path, below);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			*ret_candidate = i;
			return fd;
		}
	}
	return -ENOENT;
}

struct opened_module {
	int fd;
	struct module_names *names;
};

static struct opened_module
open_module(const char *name)
{
	const struct file_finder finder = {.open_debug = open_debug};
	struct opened_module ret;
	struct elf_source *source;
	char path[128], build_id[ELF_SOURCE_ID_HEX] = "";

	snprintf(path, sizeof(path), "%s/%s", folder.path, name);
	ret.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_source_open(ret.fd, &source), 0);
	(void)elf_source_build_id(source, build_id);
	snprintf(path, sizeof(path), "/opt/%s", name);
	assert_int_equal(module_names_open(source, path, build_id, &finder, &ret.names), 0);
	return ret;
}

static void
close_module(struct opened_module *module)
{
	module_names_close(module->names);
	close_fd(&module->fd);
}

/* Every address of the code: how many have a name that the whole file gives them too, and how many another.
 */
static void
compare(const char *name, size_t *ret_same, size_t *ret_other)
{
	OWNED_FD fd = open(FIXTURE, O_RDONLY | O_CLOEXEC);
	struct opened_module module = open_module(name);
	struct elf_source *source;
	struct symbols *whole;

	*ret_same = *ret_other = 0;
	assert_int_equal(elf_source_open(fd, &source), 0);
	assert_int_equal(symbols_new(source, &whole), 0);
	for (uint64_t address = 0; address < 0x3000; address++) {
		const char *wanted = symbols_find(whole, address);
		const char *found = module_names_find(module.names, address);

		if (found && strstr(found, "@plt"))
			continue; /* no symbol has those */
		if (found && wanted && strcmp(found, wanted) == 0)
			++*ret_same;
		else if (found || wanted)
			++*ret_other;
	}
	symbols_free(whole);
	close_module(&module);
}

static void
expect_all_names(const char *name)
{
	size_t same, other;

	compare(name, &same, &other);
	assert_true(same > 500);
	assert_int_equal(other, 0);
}

/* What .dynsym has is all there is. */
static void
expect_few_names(const char *name)
{
	size_t same, other;

	compare(name, &same, &other);
	assert_true(other > 200);
}

#define SPLIT "objcopy --only-keep-debug $F svc.debug && strip -o svc $F"
#define BY_ID                                                               \
	"id=$(readelf -n $F | sed -n 's/.*Build ID: //p') && "              \
	"d=usr/lib/debug/.build-id/$(echo $id | cut -c1-2) && mkdir -p $d " \
	"&& f=$d/$(echo $id | cut -c3-).debug"

static void
test_stripped(void **state)
{
	(void)state;
	run(SPLIT);
	expect_few_names("svc");
	assert_int_equal(asked, 1); /* by build id; there is no link */
	assert_int_equal(asked_elsewhere, 1);
}

/* What a linker writes: the stubs as objdump names them, all of each. */
static void
check_stubs(const char *options)
{
	char command[1024], wanted[256];
	unsigned long address;
	size_t count = 0;

	snprintf(command, sizeof(command),
		 "echo 'int main(int c, char **v) { return puts(v[0]) + c + abs(c) + atoi(v[0]); }' | "
		 "cc -w -fno-builtin %s -x c - -o whole && strip -o svc whole && "
		 "" OBJDUMP " -d svc | sed -n 's/^\\([0-9a-f]*\\) <\\(.*@plt\\)>:/\\1 \\2/p' > wanted",
		 options);
	run(command);
	struct opened_module module = open_module("svc");
	snprintf(command, sizeof(command), "%s/wanted", folder.path);
	FILE *file = fopen(command, "r");
	assert_non_null(file);
	while (fscanf(file, "%lx %255s", &address, wanted) == 2) {
		for (unsigned i = 0; i < 8; i++) {
			const char *found = module_names_find(module.names, address + i);

			assert_non_null(found);
			assert_string_equal(found, wanted);
		}
		count++;
	}
	fclose(file);
	close_module(&module);
	assert_true(count >= 3);
}

static void
test_stubs(void **state)
{
	(void)state;
	if (!OBJDUMP[0])
		skip();
	check_stubs("");
	check_stubs("-fcf-protection -Wl,-z,ibtplt -Wl,-z,now");
	check_stubs("-no-pie -fuse-ld=lld");
}

/* A static program's stubs lead to functions of its own, as its relocations say. */
static void
test_stubs_of_static_program(void **state)
{
	struct elf_source *source;
	struct elf_region stubs;
	bool is_found = false;

	(void)state;
	run("echo 'int main(int c, char **v) { return strlen(v[0]) + c; }' | "
	    "cc -w -fno-builtin -static -x c - -o svc");
	struct opened_module module = open_module("svc");
	assert_int_equal(elf_source_open(module.fd, &source), 0);
	assert_int_equal(elf_source_region(source, ".plt", &stubs), 0);
	for (uint64_t i = 0; i < stubs.size; i++) {
		const char *found = module_names_find(module.names, stubs.address + i);

		is_found |= found && strcmp(found, "strlen@plt") == 0;
	}
	assert_true(is_found);
	elf_source_close(source);
	close_module(&module);
}

static void
test_whole_file_needs_nothing(void **state)
{
	(void)state;
	run("echo 'int main(void) { return 0; }' | cc -g -x c - -o svc");
	struct opened_module module = open_module("svc");
	close_module(&module);
	assert_int_equal(asked + asked_elsewhere, 0);
}

static void
test_by_build_id(void **state)
{
	(void)state;
	run(SPLIT " && " BY_ID " && cp svc.debug $f");
	expect_all_names("svc");
	struct opened_module module = open_module("svc");
	assert_true(module_names_files(module.names)->debug_fd >= 0);
	assert_int_equal(module_names_files(module.names)->alt_fd, -1);
	close_module(&module);
}

static void
test_by_link(void **state)
{
	static const char *const places[] = {"opt", "opt/.debug", "usr/lib/debug/opt"};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char script[512];

		snprintf(script, sizeof(script),
			 SPLIT " && objcopy --add-gnu-debuglink=svc.debug svc && rm -rf opt usr && "
			       "mkdir -p %s && cp svc.debug %s",
			 places[i], places[i]);
		run(script);
		expect_all_names("svc");
		assert_int_equal(asked_elsewhere, 0); /* what is here is not asked for elsewhere */
	}
}

/* Without build id the checksum decides; a wrong file in one place does not hide the right one in another. */
static void
test_by_checksum(void **state)
{
	(void)state;
	run("objcopy --remove-section .note.gnu.build-id $F whole && objcopy --only-keep-debug whole "
	    "svc.debug && "
	    "strip -o svc whole && objcopy --add-gnu-debuglink=svc.debug svc && mkdir -p opt/.debug && "
	    "cp svc.debug opt/.debug && (cat svc.debug; echo) > opt/svc.debug");
	expect_all_names("svc");
	assert_int_equal(asked, 2);
	run("echo >> opt/.debug/svc.debug");
	expect_few_names("svc");
}

/* A file of the right name and the wrong build: its names would be lies. */
static void
test_debug_file_of_another_build(void **state)
{
	(void)state;
	run(SPLIT
	    " && " BY_ID
	    " && perl -0777 -pe 's/\\x03\\0\\0\\0GNU\\0\\K./x/s' svc.debug > $f && ! cmp -s svc.debug $f");
	expect_few_names("svc");
	run(BY_ID " && mkdir opt && mv $f opt/svc.debug && objcopy --add-gnu-debuglink=svc.debug svc");
	expect_few_names("svc");
	run("cp svc.debug opt/svc.debug");
	expect_all_names("svc");
}

static void
test_link_that_leads_elsewhere(void **state)
{
	static const char *const names[] = {"../../etc/passwd", "/etc/passwd", "..", ".", "a/b", ""};

	(void)state;
	run(SPLIT);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char script[512];

		snprintf(script, sizeof(script),
			 "printf '%s\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0' > link && "
			 "objcopy --add-section .gnu_debuglink=link svc tricked",
			 names[i]);
		run(script);
		expect_few_names("tricked");
	}
	run("head -c 5000 /dev/zero | tr '\\0' a > link && objcopy --add-section .gnu_debuglink=link svc "
	    "tricked");
	expect_few_names("tricked");
}

/* The file of what several debug files share, by dwz's own name for it, and only of the build id it gives. */
static void
test_alt_file(void **state)
{
	(void)state;
	run(SPLIT " && " BY_ID
		  " && bytes=$(echo $id | sed 's/../\\\\x&/g') && mkdir -p usr/lib/debug/.dwz/arch && "
		  "/bin/bash -c \"printf '../../.dwz/arch/shared.debug\\0$bytes' > alt\" && "
		  "objcopy --add-section .gnu_debugaltlink=alt svc.debug $f && "
		  "cp svc.debug usr/lib/debug/.dwz/arch/shared.debug");
	struct opened_module module = open_module("svc");
	assert_true(module_names_files(module.names)->debug_fd >= 0);
	assert_true(module_names_files(module.names)->alt_fd >= 0);
	close_module(&module);
	run("rm usr/lib/debug/.build-id -r; " BY_ID " && "
	    "/bin/bash -c \"printf '../../.dwz/arch/shared.debug\\0\\x12\\x34' > alt\" && "
	    "objcopy --add-section .gnu_debugaltlink=alt svc.debug $f");
	module = open_module("svc");
	assert_true(module_names_files(module.names)->debug_fd >= 0);
	assert_int_equal(module_names_files(module.names)->alt_fd, -1);
	close_module(&module);
}

#define MINI "xz --check=crc32 -c svc.debug > mini.xz && objcopy --add-section .gnu_debugdata=mini.xz svc"

static void
test_mini_debug_info(void **state)
{
	(void)state;
	run(SPLIT " && " MINI);
	expect_all_names("svc");
}

/* Every byte of the archive changed in turn, and every length: an error, or what it was. */
static void
test_damaged_archives(void **state)
{
	size_t size, good = 0, bad = 0;
	char path[128];

	(void)state;
	run(SPLIT " && xz --check=crc32 -c svc.debug > mini.xz");
	snprintf(path, sizeof(path), "%s/mini.xz", folder.path);
	uint8_t *archive = read_file(path, &size);
	for (size_t i = 0; i < 2 * size; i += 41) {
		uint8_t *out;
		size_t out_size;
		size_t at = i % size;
		bool is_cut = i >= size;

		archive[at] ^= is_cut ? 0 : 0x55;
		int error = mini_debug_info_inflate(archive, is_cut ? at : size, &out, &out_size);
		archive[at] ^= is_cut ? 0 : 0x55;
		if (error == 0)
			free(out);
		good += error == 0;
		bad += error != 0;
	}
	assert_int_equal(good, 0);
	assert_true(bad > 30);
	free(archive);
}

/* A kilobyte that stands for gigabytes, and a dictionary that would take all memory. */
static void
test_bombs(void **state)
{
	enum { MIB = 1 << 20, BLOCKS = 1024 };
	static uint8_t zeros[MIB];
	size_t capacity = 4 * MIB, used = 0, size;
	uint8_t *archive = malloc(capacity), *out;
	lzma_stream stream = LZMA_STREAM_INIT;
	struct rusage before, after;

	(void)state;
	assert_int_equal(lzma_easy_encoder(&stream, 0, LZMA_CHECK_NONE), LZMA_OK);
	stream.next_out = archive;
	stream.avail_out = capacity;
	for (int i = 0; i < BLOCKS; i++) {
		stream.next_in = zeros;
		stream.avail_in = MIB;
		assert_int_equal(lzma_code(&stream, LZMA_RUN), LZMA_OK);
	}
	assert_int_equal(lzma_code(&stream, LZMA_FINISH), LZMA_STREAM_END);
	used = capacity - stream.avail_out;
	lzma_end(&stream);
	getrusage(RUSAGE_SELF, &before);
	assert_int_equal(mini_debug_info_inflate(archive, used, &out, &size), -ERANGE);
	getrusage(RUSAGE_SELF, &after);
	assert_true(after.ru_maxrss - before.ru_maxrss <
		    3 * (MINI_DEBUG_INFO_MAX >> 10)); /* KiB; blocks it grew out of may still be there */

	lzma_options_lzma options;
	lzma_lzma_preset(&options, 9);
	options.dict_size = 512u << 20;
	lzma_filter filters[] = {{LZMA_FILTER_LZMA2, &options}, {LZMA_VLI_UNKNOWN, NULL}};
	used = 0;
	assert_int_equal(lzma_stream_buffer_encode(filters, LZMA_CHECK_NONE, NULL, (const uint8_t *)"x", 1,
						   archive, &used, capacity),
			 LZMA_OK);
	assert_int_equal(mini_debug_info_inflate(archive, used, &out, &size), -ERANGE);
	free(archive);
}

#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, start, finish)

/* What compilers write for one that was started in /build, and what could be made up. */
static void
test_paths_of_units(void **state)
{
	static const struct {
		const char *folder, *name, *path; /* NULL: none */
	} cases[] = {
		{"/build", "a.dwo", "/build/a.dwo"},
		{"/build/", "./objects//a.dwo", "/build/objects/a.dwo"},
		{"/build/./x", "../a.dwo", "/build/a.dwo"},
		{"/build", "../../../etc/a.dwo", "/etc/a.dwo"},
		{"/build", "/elsewhere/../a.dwo", "/a.dwo"},
		{"relative", "/a.dwo", "/a.dwo"},
		{"relative", "a.dwo", NULL},
		{"", "a.dwo", NULL},
		{"/build", "..", NULL},
		{"/", "", NULL},
		{"/build", "0123456789012345678901234.dwo", "/build/0123456789012345678901234.dwo"},
		{"/build", "01234567890123456789012345678901234567890.dwo", NULL}, /* too long */
	};
	char path[48];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool is_path = module_files_join(cases[i].folder, cases[i].name, sizeof(path), path);

		assert_int_equal(is_path, cases[i].path != NULL);
		if (is_path)
			assert_string_equal(path, cases[i].path);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_of_units),
		cmocka_unit_test(test_bombs), /* first: it compares the peak of memory */
		FOLDER_TEST(test_stripped),
		FOLDER_TEST(test_whole_file_needs_nothing),
		FOLDER_TEST(test_by_build_id),
		FOLDER_TEST(test_by_link),
		FOLDER_TEST(test_by_checksum),
		FOLDER_TEST(test_debug_file_of_another_build),
		FOLDER_TEST(test_link_that_leads_elsewhere),
		FOLDER_TEST(test_alt_file),
		FOLDER_TEST(test_stubs),
		FOLDER_TEST(test_stubs_of_static_program),
		FOLDER_TEST(test_mini_debug_info),
		FOLDER_TEST(test_damaged_archives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
