/* table: a tab-separated text with a line of names as aligned columns, for a terminal or a pipe. No
 * byte that a terminal could obey is printed. */
#ifndef SSTPGATE_CLI_TABLE_H
#define SSTPGATE_CLI_TABLE_H

#include <stddef.h>
#include <stdio.h>

/* Prints text, which is cut into its cells. width: columns of the terminal; 0: no limit, then every
 * column is printed as it is. first: names of columns, with blanks between, that are printed before
 * the others as long as they fit; sizes and durations are printed in a readable form then. lines:
 * rows that fit, besides the names; 0: no limit. */
void table_print(char *text, const char *first, size_t width, size_t lines, FILE *out);

/* Prints text without bytes that a terminal could obey; tabs and line ends stay. */
void table_print_plain(const char *text, size_t n, FILE *out);

#endif
