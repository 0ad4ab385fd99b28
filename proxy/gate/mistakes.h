/* mistakes: warnings about likely mistakes that are not errors: keys and sections without effect,
 * calls that return to the gate, files without content. Each is written as "file:line: warning:
 * ...\n". Nothing is resolved and nothing is sent. */
#ifndef SSTPGATE_GATE_MISTAKES_H
#define SSTPGATE_GATE_MISTAKES_H

#include <stdint.h>
#include <stdio.h>

struct config;
struct site;

/* Checks the configuration alone; its files need not be open. */
void mistakes_in_config(const struct config *c, FILE *to);

/* Checks the loaded files: rules, users, secrets, names and pins of certificates. */
void mistakes_in_files(const struct site *site, FILE *to);

/* Writes which lines of users files have expired, or will expire within 14 days. now: seconds since
 * 1970. steps: receives a text that changes whenever a line comes within 14 days of its end, or
 * expires; NULL: not wanted. */
void mistakes_of_time(const struct site *site, int64_t now, FILE *to, FILE *steps);

#endif
