#pragma once
/* "key=value,key=value" as OpenTelemetry's variables have it: values percent-encoded, blanks around keys and
 * values ignored (W3C Baggage, which OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_HEADERS refer to). */

#include <stddef.h>

#define KEY_VALUE_KEY_MAX 256
#define KEY_VALUE_VALUE_MAX 4096

struct key_value {
	char key[KEY_VALUE_KEY_MAX];     /* visible ASCII, not empty */
	char value[KEY_VALUE_VALUE_MAX]; /* decoded; valid UTF-8 without control characters; may be empty */
};

/* Takes one pair off the front of *text. 1, 0 at the end, -EBADMSG for what is none or too long. Empty
 * members
 * ("a=b,,") are skipped. */
int key_values_next(const char **text, struct key_value *ret);

/* Decodes "%41" and copies the rest. Returns the length, or -EBADMSG: a '%' without two digits, a NUL, or no
 * room for it and the NUL at the end. */
int percent_decode(const char *text, size_t length, char *ret, size_t capacity);
