/* The policy file's grammar as one table: a line is "key = value", and whatever is not in the table is
 * refused with its line. No setting can give more than policy/limits.h and policy/events.c do. */

#include "policy/accounts.h"
#include "policy/admin_policy.h"
#include "policy/limits.h"

#define ALL_EVENTS (((1u << EVENT_COUNT) - 1) & ~(1u << EVENT_SIDEBAND)) /* the sideband is not asked for */

const struct admin_policy admin_policy_defaults = {
	.events = ALL_EVENTS,
	.max_frequency_hz = FREQUENCY_POLICY_HZ,
	.max_stack_bytes = STACK_MAX_BYTES,
	.max_ring_bytes = SAMPLE_RING_MAX_BYTES,
};

struct parser {
	int root;
	uid_t owner;
	uint32_t seen; /* bit i: keys[i] was given */
	struct admin_policy policy;
};

enum number_kind {
	ANY_NUMBER,
	MULTIPLE_OF_8,
	POWER_OF_TWO,
};

struct key {
	const char *name;
	int (*parse)(struct parser *parser, const struct key *key, struct span value); /* 0 or -errno */
	size_t target;                                                                 /* in admin_policy */
	uint32_t least, most;                                                          /* of a number */
	enum number_kind kind;
	const char *words[2]; /* of a choice: 0 and 1 */
};

static int
parse_groups(struct parser *parser, const struct key *key, struct span value)
{
	struct admin_policy *policy = &parser->policy;

	(void)key;
	do {
		struct span name = span_trim(span_take(&value, ','));
		gid_t gid;

		if (name.length == 0)
			return -EINVAL;
		if (policy->group_count == ADMIN_POLICY_MAX_GROUPS)
			return -E2BIG;
		int result = accounts_find_group(parser->root, parser->owner, name, &gid);
		if (result < 0)
			return result;
		policy->group[policy->group_count++] = gid;
	} while (value.at);
	return 0;
}

static uint32_t
event_bit(struct span name)
{
	for (unsigned id = 0; id < EVENT_COUNT; id++)
		if (span_is(name, event_policy(id)->name))
			return 1u << id & ALL_EVENTS;
	return 0;
}

static int
parse_events(struct parser *parser, const struct key *key, struct span value)
{
	(void)key;
	parser->policy.events = 0;
	do {
		uint32_t bit = event_bit(span_trim(span_take(&value, ',')));

		if (!bit)
			return -EINVAL;
		parser->policy.events |= bit;
	} while (value.at);
	return 0;
}

static int
parse_number(struct parser *parser, const struct key *key, struct span value)
{
	uint32_t number;
	int result = span_number(value, &number);

	if (result < 0)
		return result;
	if (number < key->least || number > key->most)
		return -ERANGE;
	if ((key->kind == MULTIPLE_OF_8 && number % 8) ||
	    (key->kind == POWER_OF_TWO && (number & (number - 1))))
		return -ERANGE;
	memcpy((char *)&parser->policy + key->target, &number, sizeof(number));
	return 0;
}

/* One of two words; the first is the default. */
static int
parse_choice(struct parser *parser, const struct key *key, struct span value)
{
	uint32_t choice = span_is(value, key->words[1]);

	if (!choice && !span_is(value, key->words[0]))
		return -EINVAL;
	memcpy((char *)&parser->policy + key->target, &choice, sizeof(choice));
	return 0;
}

static int
parse_worker_user(struct parser *parser, const struct key *key, struct span value)
{
	struct admin_policy *policy = &parser->policy;

	(void)key;
	if (span_is(value, "caller"))
		return 0;
	int result = accounts_find_user(parser->root, parser->owner, value, &policy->worker_uid,
					&policy->worker_gid);
	if (result < 0)
		return result;
	if (policy->worker_uid == 0 || policy->worker_gid == 0)
		return -EPERM; /* the process that reads hostile files must not be able to read root's */
	policy->has_worker_user = true;
	return 0;
}

#define TARGET(member) offsetof(struct admin_policy, member)

/* clang-format off */
static const struct key keys[] = {
	{"groups", parse_groups},
	{"events", parse_events},
	{"max_frequency", parse_number, TARGET(max_frequency_hz), 1, FREQUENCY_MAX_HZ, ANY_NUMBER},
	{"max_stack", parse_number, TARGET(max_stack_bytes), STACK_MIN_BYTES, STACK_MAX_BYTES, MULTIPLE_OF_8},
	{"max_ring", parse_number, TARGET(max_ring_bytes), SAMPLE_RING_MIN_BYTES, SAMPLE_RING_MAX_BYTES, POWER_OF_TWO},
	{"kernel_frames", parse_choice, TARGET(kernel_frames), .words = {"no", "yes"}},
	{"attach", parse_choice, TARGET(attach), .words = {"nobody", "root"}},
	{"system_wide", parse_choice, TARGET(system_wide), .words = {"nobody", "root"}},
	{"worker_user", parse_worker_user},
};
/* clang-format on */
#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

/* A carriage return, a NUL or an escape sequence is not what the administrator sees in an editor. */
static bool
has_control_character(struct span line)
{
	for (size_t i = 0; i < line.length; i++)
		if (((unsigned char)line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 0x7f)
			return true;
	return false;
}

static int
parse_line(struct parser *parser, struct span line)
{
	if (has_control_character(line))
		return -EINVAL;
	struct span value = span_trim(span_take(&line, '#')); /* the rest is a comment */
	if (value.length == 0)
		return 0;
	struct span name = span_trim(span_take(&value, '='));
	value = span_trim(value);
	if (value.length == 0)
		return -EINVAL;
	for (unsigned i = 0; i < KEY_COUNT; i++) {
		if (!span_is(name, keys[i].name))
			continue;
		if (parser->seen & 1u << i)
			return -EEXIST;
		parser->seen |= 1u << i;
		return keys[i].parse(parser, &keys[i], value);
	}
	return -EINVAL;
}

int
admin_policy_parse(const char *text, size_t size, int root, uid_t owner, struct admin_policy *ret,
		   struct admin_policy_problem *ret_problem)
{
	struct parser parser = {.root = root, .owner = owner, .policy = admin_policy_defaults};
	struct span rest = {text, size};
	unsigned number = 0;

	do {
		int result = parse_line(&parser, span_take(&rest, '\n'));

		number++;
		if (result < 0) {
			*ret_problem = (struct admin_policy_problem){.line = number, .error = -result};
			return -EINVAL;
		}
	} while (rest.at);
	*ret = parser.policy;
	return 0;
}
