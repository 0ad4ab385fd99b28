/* machine: the addresses, interfaces, syslog daemon and directories that the configuration needs of
 * this machine. For `-t`, which binds nothing. */
#ifndef SSTPGATE_GATE_MACHINE_H
#define SSTPGATE_GATE_MACHINE_H

#include <stdbool.h>
#include <stdio.h>

struct addr;
struct config;

/* Returns whether a socket could be bound to this address now, whatever its port. */
bool machine_has_address(const struct addr *a);

/* Writes "file:line: warning: ...\n" for each address and interface that this machine does not
 * have, although it may have them later. */
void machine_check_places(const struct config *c, FILE *to);

/* Writes such a warning if the log goes to a syslog daemon that cannot be reached. */
void machine_check_log(const struct config *c, FILE *to);

/* Writes such a warning for each file that the program creates, if its directory is missing. */
void machine_check_directories(const struct config *c, FILE *to);

#endif
