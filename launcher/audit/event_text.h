#pragma once
/* A perf event's attributes as text: every field and bit that is set, each with its reason. */

#include "policy/events.h"

#include <stdbool.h>
#include <stdio.h>

void event_text_print(const struct event_policy *event, FILE *to);

/* Whether event_text_print() names everything that is set: nothing may hide from the auditor. */
bool event_text_is_complete(const struct perf_event_attr *attributes);
