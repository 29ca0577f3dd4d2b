#pragma once
/* How much is said, least important first. */

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFORMATIONAL,
	LOG_LEVEL_NOTICE,
	LOG_LEVEL_WARN,
	LOG_LEVEL_ERROR,
};
