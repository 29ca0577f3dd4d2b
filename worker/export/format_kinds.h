#pragma once
/* The formats behind format_request.h; nobody else's business. Each fills the zeroed *ret, which is destroyed
 * when it fails. Returns as format_request. */

#include "worker/export/format.h"

int format_datadog(const struct format_input *input, struct format_output *ret);
int format_otlp(const struct format_input *input, struct format_output *ret);
int format_pyroscope(const struct format_input *input, struct format_output *ret);

/* Adds "Name: value"; 0 or -ENOMEM (also: too many). An empty value adds nothing. */
int format_add_header(struct format_output *output, const char *name, const char *value);

/* Of the run that made the profile, which may be an earlier one (from the spool). */
const char *format_runtime_id(const struct format_input *input);
