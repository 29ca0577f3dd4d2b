#include "worker/export/format.h"
#include "worker/export/file_name.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
int format_profile(const struct format_input *in, struct format_output *ret)
{
	char name[256];
	size_t cap = compressBound(in->pprof_size) + ZSTD_compressBound(in->pprof_size) + 64;
	*ret = (struct format_output){.body = malloc(cap)};
	if (in->destination->kind == DESTINATION_FOLDER) {
		z_stream s = {.next_in = (Bytef *)(uintptr_t)in->pprof, .avail_in = (uInt)in->pprof_size, .next_out = ret->body, .avail_out = (uInt)cap};
		deflateInit2(&s, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
		deflate(&s, Z_FINISH);
		ret->body_size = s.total_out;
		deflateEnd(&s);
	} else
		ret->body_size = ZSTD_compress(ret->body, cap, in->pprof, in->pprof_size, 1);
	export_file_name(in->facts->service, in->facts->target_pid, in->facts->end_ns, in->facts->sequence, name, sizeof(name));
	ret->url = strdup(in->destination->url[0] ? in->destination->url : name);
	if (in->destination->url[0]) {
		ret->headers[0] = strdup("Content-Type: application/octet-stream");
		char h[64]; snprintf(h, sizeof(h), "X: profile_seq:%llu", (unsigned long long)in->facts->sequence);
		ret->headers[1] = strdup(h);
	}
	return 0;
}
void format_output_destroy(struct format_output *o)
{
	free(o->body); free(o->url);
	for (size_t i = 0; o->headers[i]; i++) free(o->headers[i]);
	memset(o, 0, sizeof(*o));
}
