/* setup_config: the configuration that `sstpgate setup` writes, with comments. Of what a server has
 * sent, only numbers, hashes and the program's own words are written. */
#ifndef SSTPGATE_CLI_SETUP_CONFIG_H
#define SSTPGATE_CLI_SETUP_CONFIG_H

#include "cli/probe_report.h"
#include "cli/setup_answers.h"

struct setup_config {
    const struct setup_answers *answers; /* complete */
    const struct probe_report *probe;    /* of the server; NULL: it has not answered */
    const char *path;                    /* of the configuration */
    const char *certificate, *key;       /* files; key NULL: in certificate */
    const char *user;                    /* that the service runs as; NULL: none */
    const char *admin;                   /* path of the admin socket; NULL: none */
};

void setup_config_write(const struct setup_config *c, FILE *out);

#endif
