/* target: the server that `sstpgate dial` and `sstpgate probe` connect to: HOST[:PORT], or a
 * listener of a configuration. */
#ifndef SSTPGATE_CLI_TARGET_H
#define SSTPGATE_CLI_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/value.h"

enum { TARGET_PORT = 443, TARGET_PIN = 32 };

struct target {
    char host[VALUE_HOST_SIZE]; /* a name or an address, without brackets */
    uint16_t port;
    char name[VALUE_HOST_SIZE]; /* that clients request: the host without the dot at its end and
                                   without a zone, or a name of the listener */
    /* Of a listener; otherwise empty. */
    char *admin;                 /* the socket of its gate; NULL: none */
    uint8_t (*pins)[TARGET_PIN]; /* SHA256 of its certificates */
    size_t pin_count;
};

/* Finds word: a listener of the configuration, or a host. If there is a configuration, a host has a
 * dot or a colon, because another word is probably a misspelt listener. command: the sub-command,
 * for messages. explicit_config: the user has named the configuration, so its errors
 * are reported. Returns the exit code; if it is not EXIT_DONE, the reason was written to problems.
 * The caller calls target_fini in any case. */
int target_find(struct target *out, const char *word, const char *command, const char *config,
                bool explicit_config, FILE *problems);

/* Reads HOST[:PORT]. False: the reason was written to problems. */
bool target_host(struct target *out, const char *word, const char *command, FILE *problems);

/* Replaces the name, for --host. False: it is neither a name nor an address; the reason was
 * written to problems. */
bool target_rename(struct target *t, const char *name, const char *command, FILE *problems);

void target_fini(struct target *t);

/* Writes the value of the Host field for a host: an address of IPv6 in brackets. */
void target_host_field(const char *host, char out[VALUE_HOST_SIZE + 2]);

#endif
