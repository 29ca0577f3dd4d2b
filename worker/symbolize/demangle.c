/* libiberty does the work; this file bounds it. Compression in mangled names (substitutions, back
 * references) lets 100 bytes describe gigabytes of output, so C++ and Rust go through the callback
 * interface, which builds everything on the stack and can be left by longjmp once our buffer is full. Its
 * recursion limit stays on: it also refuses C++ names of more than 1024 bytes, which remain mangled. */
#include "worker/symbolize/demangle.h"

#include "ipc/text.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPTIONS = DMGL_PARAMS | DMGL_ANSI,
	/* libiberty's D demangler has neither a recursion limit nor callbacks. Depth is at most the
	 * length. Each 'Q' may be a back reference; r levels of n/r references make r^(n/r) copies,
	 * at worst 3^8 for 24, times the length: a few megabytes. */
	D_LENGTH_MAX = 1024,
	D_REFERENCES_MAX = 24,
};

struct output {
	char bytes[DEMANGLE_SIZE + 1]; /* one more than fits, so that the cut is seen */
	size_t used;
	jmp_buf full;
};

static void
append(const char *piece, size_t size, void *context)
{
	struct output *output = context;
	size_t room = sizeof(output->bytes) - output->used;
	size_t part = size < room ? size : room;

	if (part > 0) /* an empty piece may come as a null pointer */
		memcpy(output->bytes + output->used, piece, part);
	output->used += part;
	if (output->used == sizeof(output->bytes))
		longjmp(output->full, 1);
}

typedef int callback_demangler(const char *, int, demangle_callbackref, void *);

static bool
try_callback(callback_demangler *demangler, const char *symbol, struct output *output)
{
	output->used = 0;
	if (setjmp(output->full))
		return true;
	return demangler(symbol, OPTIONS, append, output) != 0 && output->used > 0;
}

static bool
try_d(const char *symbol, struct output *output)
{
	size_t references = 0, length = strlen(symbol);
	char *name;

	if (symbol[0] != '_' || symbol[1] != 'D' || length > D_LENGTH_MAX)
		return false;
	for (const char *at = symbol; (at = strchr(at, 'Q')); at++)
		references++;
	if (references > D_REFERENCES_MAX)
		return false;
	name = dlang_demangle(symbol, OPTIONS);
	if (!name)
		return false;
	length = strlen(name);
	output->used = length < sizeof(output->bytes) ? length : sizeof(output->bytes);
	memcpy(output->bytes, name, output->used);
	free(name);
	return output->used > 0;
}

size_t
demangle(const char *symbol, char ret[static DEMANGLE_SIZE])
{
	struct output output;

	/* Rust first: a legacy Rust name is also a valid C++ one, with a hash at its end. */
	if (symbol[0] == '_' &&
	    (try_callback(rust_demangle_callback, symbol, &output) ||
	     try_callback(cplus_demangle_v3_callback, symbol, &output) || try_d(symbol, &output)))
		return text_escape(ret, DEMANGLE_SIZE, output.bytes, output.used);
	return text_escape(ret, DEMANGLE_SIZE, symbol, strnlen(symbol, DEMANGLE_SIZE + 1));
}
