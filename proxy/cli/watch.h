/* watch: repeats an output until the user ends it, as top does: on a terminal in place, with q or
 * ^C as the end; otherwise one output after the other, for another program. */
#ifndef SSTPGATE_CLI_WATCH_H
#define SSTPGATE_CLI_WATCH_H

#include <stdbool.h>
#include <stddef.h>

/* Returns the columns of the terminal that is standard output; 0: it is none. lines: receives its
 * rows; may be NULL. */
size_t watch_columns(size_t *lines);

/* Calls draw(arg, columns, lines) every `ms`, with 0 columns and lines if standard output is no
 * terminal. title: the first line of the screen. Ends when draw returns false, on q, ^C, SIGTERM or
 * SIGHUP, or when standard output cannot be written. The terminal is as before then. Returns
 * whether draw has never returned false. */
bool watch_run(const char *title, unsigned ms,
               bool (*draw)(void *arg, size_t columns, size_t lines), void *arg);

#endif
