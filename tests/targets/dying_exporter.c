/* In place of ddprof-uploader: dies while it handles a profile, as one with a bug would, until it is told to
 * leave that one out; then it says of everything that it is delivered. Says nothing to anybody else. */

#include "ipc/channel.h"
#include "ipc/delivery.h"

#include <stdlib.h>
#include <string.h>

#define PROFILE 42 /* its hash */

static void
say(enum message_kind kind, const void *body, size_t size)
{
	if (channel_send(FD_CONTROL, kind, body, size, NULL, 0) < 0)
		exit(1);
}

static void
work_on(uint64_t profile)
{
	struct working_message working = {profile};

	say(MESSAGE_WORKING, &working, sizeof(working));
}

static void
deliver(uint64_t sequence)
{
	struct accepted_message accepted = {.sequence = sequence, .is_own = 1};
	struct profile_reference settled = {sequence};

	say(MESSAGE_ACCEPTED, &accepted, sizeof(accepted));
	say(MESSAGE_SETTLED, &settled, sizeof(settled));
}

int
main(void)
{
	static const struct destination_message destination = {.kind = DESTINATION_OTLP, .name = "nowhere"};
	static struct message message;
	struct exporter_start start;
	struct status_message status = {0};

	if (channel_receive(FD_CONTROL, &message, 5000) < 0)
		return 1;
	memcpy(&start, message.body, sizeof(start));
	message_discard(&message);
	say(MESSAGE_DESTINATION, &destination, sizeof(destination));
	say(MESSAGE_READY, NULL, 0);
	while (channel_receive(FD_CONTROL, &message, -1) == 0) {
		const struct profile_message *head = (const void *)message.body;

		message_discard(&message);
		if (message.kind == MESSAGE_PROFILE && head->sequence == 0 && start.left_out[0] != PROFILE) {
			work_on(PROFILE);
			abort();
		}
		if (message.kind == MESSAGE_PROFILE && head->sequence > 0) {
			work_on(head->sequence);
			deliver(head->sequence);
			work_on(0);
		}
		status.taken++;
		say(MESSAGE_STATUS, &status, sizeof(status));
	}
	return 0;
}
