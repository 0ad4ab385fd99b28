/* preflight: checks of a configuration for `sstpgate -t`, which opens every file that it names, as
 * a start does; and warnings, which a start and a reload log, too. */
#ifndef SSTPGATE_GATE_PREFLIGHT_H
#define SSTPGATE_GATE_PREFLIGHT_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

struct config;
struct site;

enum preflight_result { PREFLIGHT_GOOD, PREFLIGHT_WARNINGS, PREFLIGHT_ERRORS };

/* Checks the file `path`. Writes every error to problems as "file:line: reason\n", and the warnings
 * of the functions below, of gate/machine.h and of gate/mistakes.h as "file:line: warning: ...\n".
 * Unless there is an error, the configuration in force is written to print; NULL: not wanted. */
enum preflight_result preflight_config(const char *path, FILE *problems, FILE *print);

/* Writes likely mistakes, which are allowed: gate/mistakes.h, the directories of gate/machine.h,
 * and certificates that clients may refuse. now: seconds since 1970. */
void preflight_mistakes(const struct site *site, time_t now, FILE *to);

/* Writes warnings about certificates that expire within 30 days, staples that are not sent,
 * keys that make handshakes expensive, and lines of users files as mistakes_of_time. steps:
 * receives a text that changes whenever a new warning is due (of a certificate 30, 7, 1 and 0 days
 * before the end); NULL: not wanted. */
void preflight_expiry(const struct site *site, time_t now, FILE *to, FILE *steps);

#endif
