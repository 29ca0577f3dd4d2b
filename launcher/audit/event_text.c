/* A table of what we set and why; whatever a table of policy/events.c sets beyond it, a test finds. */

#include "launcher/audit/event_text.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

/* A bit-field has no address: each row carries an attribute set that has nothing but that bit. */
#define BIT(field, reason)                    \
	{                                     \
#field, {.field = 1 }, reason \
	}
static const struct {
	const char *name;
	struct perf_event_attr mask;
	const char *reason;
} bits[] = {
	BIT(disabled, "counts nothing until ..."),
	BIT(enable_on_exec, "... the exec that makes our process the target"),
	BIT(inherit, "its threads and children too"),
	BIT(exclude_kernel, "no samples in the kernel, unless the policy says kernel_frames = yes"),
	BIT(exclude_hv, "no hypervisor"),
	BIT(exclude_guest, "no virtual machine"),
	BIT(exclude_callchain_kernel,
	    "no addresses of the kernel, unless the caller could see them without us"),
	BIT(exclude_callchain_user, "no walk by the kernel either, but at one level"),
	BIT(freq, "the request chooses a frequency, not a period"),
	BIT(use_clockid, "one clock for the records of all CPUs"),
	BIT(sample_id_all, "every record says whose and when"),
	BIT(watermark, "wake the reader by bytes, not by records"),
	BIT(mmap, "what is mapped where"),
	BIT(mmap2, "with device, inode and protection"),
	BIT(build_id, "with build id (Linux 5.12)"),
	BIT(comm, "names of threads"),
	BIT(comm_exec, "... and which of them come from an exec"),
	BIT(task, "forks and exits"),
};

static const struct {
	unsigned long long mask;
	const char *name;
} sample_types[] = {
	{PERF_SAMPLE_TID, "TID"},
	{PERF_SAMPLE_TIME, "TIME"},
	{PERF_SAMPLE_PERIOD, "PERIOD"},
	{PERF_SAMPLE_CALLCHAIN, "CALLCHAIN"},
	{PERF_SAMPLE_REGS_USER, "REGS_USER"},
	{PERF_SAMPLE_STACK_USER, "STACK_USER"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static bool
has_bits(const struct perf_event_attr *attributes, const struct perf_event_attr *mask)
{
	const uint8_t *have = (const void *)attributes, *wanted = (const void *)mask;

	for (size_t i = 0; i < sizeof(*mask); i++)
		if ((have[i] & wanted[i]) != wanted[i])
			return false;
	return true;
}

static void
clear_bits(struct perf_event_attr *attributes, const struct perf_event_attr *mask)
{
	uint8_t *have = (void *)attributes;
	const uint8_t *unwanted = (const void *)mask;

	for (size_t i = 0; i < sizeof(*mask); i++)
		have[i] &= (uint8_t)~unwanted[i];
}

static const char *
config_name(const struct perf_event_attr *attributes)
{
	return attributes->config == PERF_COUNT_SW_DUMMY        ? "DUMMY"
	       : attributes->config == PERF_COUNT_SW_TASK_CLOCK ? "TASK_CLOCK"
								: "?";
}

static void
print_field(FILE *to, const char *name, const char *value, const char *reason)
{
	if (*reason)
		fprintf(to, "  %-26s %-38s %s\n", name, value, reason);
	else
		fprintf(to, "  %-26s %s\n", name, value);
}

static void
print_sample_type(const struct perf_event_attr *attributes, FILE *to)
{
	char text[128] = "";

	for (size_t i = 0; i < COUNT_OF(sample_types); i++) {
		if (!(attributes->sample_type & sample_types[i].mask))
			continue;
		strcat(text, text[0] ? " " : "");
		strcat(text, sample_types[i].name);
	}
	print_field(to, "sample_type", text, "what a record carries: nothing of the kernel");
}

static void
print_numbers(const struct perf_event_attr *attributes, FILE *to)
{
	char text[64];

	print_field(to, "type", "SOFTWARE", "no hardware counter, no tracepoint, no breakpoint");
	print_field(to, "config", config_name(attributes), "");
	print_sample_type(attributes, to);
	if (attributes->read_format & PERF_FORMAT_LOST)
		print_field(to, "read_format", "LOST", "how many samples the kernel dropped (Linux 6.0)");
	if (attributes->sample_regs_user) {
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)attributes->sample_regs_user);
		print_field(to, "sample_regs_user", text, "the general registers and the program counter");
		print_field(to, "sample_freq", "of the request", "within the limits below");
		print_field(to, "sample_stack_user", "of the level",
			    "or of the request, within the limits below");
	}
	print_field(to, "clockid", "MONOTONIC", "user space can read it too");
	if (attributes->wakeup_watermark) {
		snprintf(text, sizeof(text), "%u bytes", attributes->wakeup_watermark);
		print_field(to, "wakeup_watermark", text, "");
	}
}

void
event_text_print(const struct event_policy *event, FILE *to)
{
	fprintf(to, "event %s: %s\n", event->name, event->reason);
	print_numbers(&event->attributes, to);
	for (size_t i = 0; i < COUNT_OF(bits); i++)
		if (has_bits(&event->attributes, &bits[i].mask))
			print_field(to, bits[i].name, "1", bits[i].reason);
	if (!event_text_is_complete(&event->attributes))
		print_field(to, "and more", "", "this program is older than the table");
}

bool
event_text_is_complete(const struct perf_event_attr *attributes)
{
	static const struct perf_event_attr none;
	struct perf_event_attr rest = *attributes;

	for (size_t i = 0; i < COUNT_OF(bits); i++)
		clear_bits(&rest, &bits[i].mask);
	for (size_t i = 0; i < COUNT_OF(sample_types); i++)
		rest.sample_type &= ~sample_types[i].mask;
	if (rest.type != PERF_TYPE_SOFTWARE || rest.clockid != CLOCK_MONOTONIC ||
	    config_name(attributes)[0] == '?')
		return false;
	rest.read_format &= ~(unsigned long long)PERF_FORMAT_LOST;
	rest.type = rest.size = rest.wakeup_watermark = 0;
	rest.config = rest.sample_regs_user = 0;
	rest.clockid = 0;
	return memcmp(&rest, &none, sizeof(rest)) == 0;
}
