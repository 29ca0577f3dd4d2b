#pragma once
/* The administrator's policy in force as text, or what is wrong with it. */

#include "policy/admin_policy.h"

#include <stdio.h>

/* Loads the policy of this machine. 0, or -errno with one sentence ("line 3: ...") in ret_problem. */
#define POLICY_PROBLEM_MAX 256
int policy_text_load(struct admin_policy *ret, char ret_problem[POLICY_PROBLEM_MAX]);

/* 0, or -errno after printing what is wrong. */
int policy_text_print(FILE *to);
