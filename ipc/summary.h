#pragma once
/* The closing lines, the same whether the launcher (--wait) or the worker says it. `output` and `spool` are
 * the folders as the caller named them; "" without. */

#include "ipc/log.h"
#include "ipc/protocol.h"

void summary_log(const struct log *log, const struct summary_message *summary, const char *output,
		 const char *spool);
