/* preflight: what -t does beyond reading the file: opens every file it names, as a start would. */
#ifndef SSTPGATE_GATE_PREFLIGHT_H
#define SSTPGATE_GATE_PREFLIGHT_H

#include <stdbool.h>
#include <stdio.h>

/* Every error goes to problems as "file:line: reason\n", and what the functions below have to say
 * as "file:line: warning: ...\n". True when there was no error; then, and if print is not NULL, the
 * configuration in force is written there. */
bool preflight_config(const char *path, FILE *problems, FILE *print);

struct config;
struct site;

/* Writes to `to` which files with private keys and passphrases every user of the machine may read
 * or write. */
void preflight_files(const struct config *c, FILE *to);

/* Writes to `to` what is allowed and hardly meant: rules that are never reached, bindings that have
 * no keys to be made with, a ban-file without a folder. */
void preflight_doubts(const struct config *c, FILE *to);

/* Writes to `to` what is right today and will not be so for long: certificates that end within 30
 * days, staples that are not sent. steps: NULL, or what changes when there is something new to warn
 * of: 30, 7, 1 and 0 days ahead. */
void preflight_expiry(const struct site *site, FILE *to, FILE *steps);

#endif
