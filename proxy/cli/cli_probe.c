#include "cli/cli_probe.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/memo.h"
#include "cli/probe_report.h"
#include "cli/target.h"
#include "cli/usage.h"
#include "tls/tls_basics.h"
#include "tls/tls_loaded.h"

static const struct usage usage = {
    .synopsis = "usage: sstpgate probe [OPTIONS] HOST[:PORT]\n",
    .help =
        "Reports what an SSTP server supports and requires: TLS versions and groups, the\n"
        "certificate and whether the CAs of this system verify it, SNI, the answer to the request\n"
        "of SSTP, hash protocols, methods of authentication, and which program it probably is.\n"
        "Prints a section [backend NAME] that connects to it. Makes some twenty connections, one\n"
        "at a time, and never logs in.\n"
        "\n"
        "      --host NAME     name for Host, SNI and the certificate, if HOST is an address\n"
        "      --plain         no TLS, for a server behind a gate with tls = no\n"
        "      --section       print the section alone\n"
        "      --timeout TIME  for all connections: 500ms, 30s (default)\n"
        "  -j, --json          the result as JSON\n"
        "  -h, --help          this text\n"
        "\n"
        "Exit codes: 0 an SSTP server, 1 this machine, 2 usage, 3 no connection, 4 TLS,\n"
        "5 another server, or SSTP is refused.\n"};

struct words { /* of the command line */
    const char *target, *host, *timeout;
    bool json, section, plain, help;
};

enum { OPT_HOST = 256, OPT_PLAIN, OPT_SECTION, OPT_TIMEOUT };

static const struct option options[] = {{"host", required_argument, NULL, OPT_HOST},
                                        {"plain", no_argument, NULL, OPT_PLAIN},
                                        {"section", no_argument, NULL, OPT_SECTION},
                                        {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                        {"json", no_argument, NULL, 'j'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

static bool take_option(struct words *w, int option)
{
    switch (option) {
    case OPT_HOST: w->host = optarg; return true;
    case OPT_PLAIN: w->plain = true; return true;
    case OPT_SECTION: w->section = true; return true;
    case OPT_TIMEOUT: w->timeout = optarg; return true;
    case 'j': w->json = true; return true;
    default: return false;
    }
}

static int report(const struct words *w, const struct probe_settings *s,
                  const struct probe_result *result)
{
    const enum fault fault = probe_fault(result);
    const struct probe_report r = {.target = w->target,
                                   .settings = s,
                                   .result = result,
                                   .now = time(NULL),
                                   .exit = fault_exit(result->call.step, fault)};

    if (w->json)
        probe_report_json(&r, stdout);
    else if (w->section && fault == FAULT_NONE)
        probe_report_section(&r, stdout);
    else
        probe_report_text(&r, w->section ? stderr : stdout);
    return fflush(stdout) == 0 ? r.exit : EXIT_FAILED;
}

static int probe(const struct words *w, const struct target *t, uint32_t timeout_ms)
{
    char field[VALUE_HOST_SIZE + 2], error[TLS_ERROR_MAX];
    struct probe_result result;
    struct tls_ca *ca = tls_ca_load("system", error);
    const struct probe_settings s = {.host = t->host,
                                     .port = t->port,
                                     .name = t->name,
                                     .http_host = field,
                                     .plain = w->plain,
                                     .ca = ca,
                                     .ca_error = ca == NULL ? error : NULL,
                                     .timeout_ms = timeout_ms};

    target_host_field(t->name, field);
    probe_run(&s, &result);
    const int code = report(w, &s, &result);
    probe_fini(&result);
    tls_ca_free(ca);
    return code;
}

/* Reads the options. Returns false for wrong usage. */
static bool read_options(struct words *w, int argc, char **argv)
{
    bool ok = true;
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
        if (option == 'h')
            w->help = true;
        else if (!take_option(w, option))
            ok = false; /* --json may follow */
    }
    w->target = argv[optind];
    return ok && optind == argc - 1;
}

/* Returns the exit code; if it is not EXIT_DONE, the reason was written to problems. */
static int check(const struct words *w, struct target *t, uint32_t *timeout_ms, FILE *problems)
{
    char error[TLS_BASICS_ERROR_MAX];

    if (value_duration(w->timeout, timeout_ms) != ERR_OK || *timeout_ms == 0) {
        fprintf(problems, "sstpgate probe: --timeout needs a time such as 500ms or 30s: '%s'\n",
                w->timeout);
        return EXIT_USAGE;
    }
    if (!target_host(t, w->target, "probe", problems) ||
        (w->host != NULL && !target_rename(t, w->host, "probe", problems)))
        return EXIT_USAGE;
    if (tls_basics(error))
        return EXIT_DONE;
    fprintf(problems, "sstpgate probe: %s\n", error);
    return EXIT_FAILED;
}

int cli_probe(int argc, char **argv, const char *config)
{
    struct words w = {.timeout = "30s"};
    struct memo problems;
    struct target t;
    uint32_t timeout_ms = 0;

    (void)config;
    const bool ok = read_options(&w, argc, argv);
    if (w.help)
        return usage_help(&usage);
    FILE *f = memo_open(&problems);
    const int code = ok ? check(&w, &t, &timeout_ms, f) : EXIT_USAGE;
    if (code != EXIT_DONE)
        return usage_failed(&usage, &problems, w.json, code);
    memo_free(&problems);
    return probe(&w, &t, timeout_ms);
}
