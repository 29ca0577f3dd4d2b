/* Decodes the one fixed-size request and checks it: what passes is possible and the policy allows it. */

#include "launcher/opener.h"

#include "ipc/channel.h"
#include "policy/events.h"
#include "policy/levels.h"
#include "policy/limits.h"

#include <errno.h>
#include <stdbool.h>

#include "launcher/forbidden.h"

#define REQUEST_TIMEOUT_MS 5000

static bool
is_possible(const struct launch_request *request)
{
	return request->event != EVENT_SIDEBAND && event_policy(request->event) &&
	       request->frequency_hz >= 1 && request->frequency_hz <= FREQUENCY_MAX_HZ &&
	       request->levels > 0 && request->levels <= LEVELS_ALL &&
	       request->kernel_frames <= KERNEL_FRAMES_NAMED &&
	       (request->stack_bytes == 0 ||
		(request->stack_bytes >= STACK_MIN_BYTES && request->stack_bytes <= STACK_MAX_BYTES &&
		 request->stack_bytes % 8 == 0));
}

/* The caller hears the limit: it is no secret, and the next request can be right. Levels beyond it are left
 * out, if others stay, and so is the kernel. */
static void
require_allowed(struct launch_request *request, const struct admin_policy *policy)
{
	if (!policy->kernel_frames)
		request->kernel_frames = KERNEL_FRAMES_NONE;
	if (!(policy->events & 1u << request->event))
		die(FAILURE_POLICY_EVENT, 0);
	if (request->frequency_hz > policy->max_frequency_hz)
		die(FAILURE_POLICY_FREQUENCY, (int)policy->max_frequency_hz);
	uint32_t levels = levels_within(request->levels, request->stack_bytes, policy->max_stack_bytes);
	if (levels == 0)
		die(FAILURE_POLICY_STACK, (int)policy->max_stack_bytes);
	request->levels = levels;
}

void
receive_request(struct opening *opening)
{
	static struct message message;
	int result = channel_receive(FD_LAUNCH, &message, REQUEST_TIMEOUT_MS);

	if (result < 0)
		die(FAILURE_REQUEST, -result);
	const struct launch_request *request = (const void *)message.body;
	if (message.kind != MESSAGE_LAUNCH || message.size != sizeof(*request) ||
	    request->present >= 1u << LAUNCH_FD_COUNT ||
	    message.fd_count != (uint32_t)__builtin_popcount(request->present) || !is_possible(request))
		die(FAILURE_REQUEST, EINVAL);

	opening->request = *request; /* for the audit line, allowed or not */
	require_allowed(&opening->request, &opening->policy);
	for (unsigned i = 0, next = 0; i < LAUNCH_FD_COUNT; i++)
		opening->launcher_fd[i] = request->present & 1u << i ? message_take_fd(&message, next++) : -1;
}
