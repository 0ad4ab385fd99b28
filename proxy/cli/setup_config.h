/* setup_config: the configuration that `sstpgate setup` writes, with comments. It contains no text
 * of a server, because a hostile one could add lines: only numbers, hashes and constant texts. */
#ifndef SSTPGATE_CLI_SETUP_CONFIG_H
#define SSTPGATE_CLI_SETUP_CONFIG_H

#include "cli/probe_report.h"
#include "cli/setup_answers.h"

struct setup_config {
    const struct setup_answers *answers; /* complete */
    const struct probe_report *probe;    /* of the server; NULL: it has not answered */
    const char *path;                    /* of the configuration */
    const char *certificate, *key;       /* files; key NULL: in certificate */
    const char *user;                    /* of the service; NULL: none */
    const char *admin;                   /* path of the admin socket; NULL: none */
};

/* Writes the configuration. */
void setup_config_write(const struct setup_config *c, FILE *out);

#endif
