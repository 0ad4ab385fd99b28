#include "cli/cli.h"

#include <stddef.h>
#include <string.h>

#include "cli/cli_binding.h"
#include "cli/cli_certificates.h"
#include "cli/cli_ctl.h"
#include "cli/cli_dial.h"
#include "cli/cli_explain.h"
#include "cli/cli_probe.h"
#include "cli/cli_setup.h"
#include "cli/cli_user.h"

static const struct cli_command commands[] = {
    {"setup", cli_setup, "[--out DIR] [OPTIONS]", "ask a few questions and write a configuration"},
    {"user", cli_user, "[-f USERS] NAME", "lines of a users file: make, import, check, list"},
    {"binding", cli_binding, "LISTENER|FILE", "print the hashes of a certificate"},
    {"certificates", cli_certificates, "[LISTENER]",
     "report each certificate as clients see it, and its problems"},
    {"probe", cli_probe, "HOST[:PORT]",
     "what an SSTP server is and needs, and its [backend] section"},
    {"dial", cli_dial, "--user NAME LISTENER|HOST", "log in as a VPN client and report each step"},
    {"explain", cli_explain, "OPTIONS", "what the rules would do with a client"},
    {"ctl", cli_ctl, "[-c FILE] COMMAND", "control a running gate"},
};

const struct cli_command *cli_find(const char *word)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].word, word) == 0)
            return &commands[i];
    return NULL;
}

void cli_words(FILE *out)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(out, "%s%s", i == 0 ? "" : " ", commands[i].word);
}

void cli_print(FILE *out, int column)
{
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        const int n =
            fprintf(out, "       sstpgate %s %s", commands[i].word, commands[i].arguments);
        fprintf(out, "%*s%s\n", n < column ? column - n : 1, "", commands[i].help);
    }
}
