/* preflight: checks of a configuration for `sstpgate -t`, which opens every file that it names, as
 * a start does; and warnings, which a start and a reload log, too. */
#ifndef SSTPGATE_GATE_PREFLIGHT_H
#define SSTPGATE_GATE_PREFLIGHT_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

struct config;
struct site;

/* Checks the file `path`. Writes every error to problems as "file:line: reason\n", and the warnings
 * of the functions below as "file:line: warning: ...\n". Returns true if there is no error; then
 * the configuration in force is written to print, unless that is NULL. */
bool preflight_config(const char *path, FILE *problems, FILE *print);

/* Writes a warning for each file with a private key or a passphrase that other users of this
 * machine may access. */
void preflight_files(const struct config *c, FILE *to);

/* Writes warnings about likely mistakes, which are allowed: rules that are never reached,
 * crypto-bindings without keys, groups that cost much CPU time, a directory that does not
 * exist. */
void preflight_mistakes(const struct config *c, FILE *to);

/* Writes warnings about certificates: those that expire within 30 days, staples that are not
 * sent, keys that make handshakes expensive. steps: receives a text that changes whenever a new
 * warning is due (30, 7, 1 and 0 days before the end); NULL: not wanted. */
void preflight_expiry(const struct site *site, time_t now, FILE *to, FILE *steps);

#endif
