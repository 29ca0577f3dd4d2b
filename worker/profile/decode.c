/* protobuf-c does the parsing; the arena bounds what a small message can be inflated to. */
#include "worker/profile/decode.h"

#include <errno.h>
#include <string.h>

static void *
allocate(void *arena, size_t size)
{
	return arena_allocate(arena, size);
}

static void
keep(void *arena, void *block)
{
	(void)arena; /* everything goes when the arena goes */
	(void)block;
}

/* Fields that are not in our schema would be written again as they came. protobuf-c reads a field number 0
 * when it is spelled in two bytes, writes it in one, and nobody reads that. The recursion is as deep as the
 * schema. */
static void
forget_unknown_fields(ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *descriptor = message->descriptor;
	char *start = (char *)message;

	message->n_unknown_fields = 0;
	for (unsigned i = 0; i < descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &descriptor->fields[i];

		if (field->type != PROTOBUF_C_TYPE_MESSAGE)
			continue;
		if (field->label == PROTOBUF_C_LABEL_REPEATED) {
			size_t count = *(size_t *)(start + field->quantifier_offset);
			ProtobufCMessage **list = *(ProtobufCMessage ***)(start + field->offset);

			for (size_t at = 0; at < count; at++)
				forget_unknown_fields(list[at]);
		} else if (*(ProtobufCMessage **)(start + field->offset)) {
			forget_unknown_fields(*(ProtobufCMessage **)(start + field->offset));
		}
	}
}

int
pprof_decode(const uint8_t *bytes, size_t size, struct arena *arena, Perftools__Profiles__Profile **ret)
{
	ProtobufCAllocator allocator = {.alloc = allocate, .free = keep, .allocator_data = arena};
	Perftools__Profiles__Profile *profile = perftools__profiles__profile__unpack(&allocator, size, bytes);

	if (!profile)
		return arena->exhausted ? -ENOMEM : -EBADMSG;
	/* Almost any bytes are some protobuf message; every pprof has sample types and starts its strings
	 * with the empty one. */
	if (profile->n_sample_type == 0 || profile->n_string_table == 0 || profile->string_table[0][0])
		return -EBADMSG;
	forget_unknown_fields(&profile->base);
	*ret = profile;
	return 0;
}

const char *
pprof_string(const Perftools__Profiles__Profile *profile, int64_t index)
{
	if (index < 0 || (uint64_t)index >= profile->n_string_table)
		return "";
	return profile->string_table[index];
}

const char *
pprof_basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

void
pprof_address_name(char *ret, const char *base, uint64_t address)
{
	size_t length = strlen(base);
	int shift = 60;

	memcpy(ret, base, length);
	ret += length;
	if (length)
		*ret++ = '+';
	*ret++ = '0';
	*ret++ = 'x';
	while (shift > 0 && (address >> shift & 15) == 0)
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		*ret++ = "0123456789abcdef"[address >> shift & 15];
	*ret = '\0';
}
