#pragma once
/* UUIDs as text: 36 characters and the NUL, lower-case. */

#define UUID_TEXT_MAX 37

/* A random one, version 4 (RFC 9562). */
void uuid_make(char *ret);

/* 0, or -EINVAL: not a UUID. */
int uuid_copy(const char *text, char *ret);
