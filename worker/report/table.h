#pragma once
/* The report itself: a header and tables of functions, as wide as asked for. */

#include "worker/report/account.h"

#include <stdio.h>

/* `path` is the file, or says how many there are. Times are local. */
void table_print_header(FILE *out, const struct account *account, const char *path);

/* The `top` first functions in that order; width 0: names are not cut. 0 or -ENOMEM. */
int table_print(FILE *out, const struct account *account, enum account_order order, size_t top, size_t width);

/* Cuts printable UTF-8 to `width` columns, keeping head and tail around "…". `ret` has room for
 * strlen(text) + 4. */
void table_cut_middle(char *ret, const char *text, size_t width);
