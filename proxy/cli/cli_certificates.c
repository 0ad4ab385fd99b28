#include "cli/cli_certificates.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/memo.h"
#include "base/value.h"
#include "cli/certificates_report.h"
#include "cli/usage.h"
#include "config/config_load.h"
#include "tls/tls_basics.h"

enum { EXIT_WARNING = 1, EXIT_CRITICAL = 2, DAYS = 30, DAYS_MAX = 3650 };

static const struct usage usage = {
    .synopsis = "usage: sstpgate certificates [-c FILE] [--json] [--days N] [LISTENER]\n",
    .help =
        "Reports each certificate of a configuration as browsers and Windows see it: names, days\n"
        "left, key, chain, OCSP response, and what is wrong with it; whether a certificate has "
        "each\n"
        "name of `host`; and how the backends verify their servers. It connects to nothing, and\n"
        "does not open a key in hardware. A running gate reports what it serves: sstpgate ctl\n"
        "certificates.\n"
        "\n"
        "  -c, --config FILE    configuration\n"
        "  -d, --days N         warn N days before a certificate expires (default 30), or when a\n"
        "                       third of its validity is left, if that is later\n"
        "  -j, --json           the result as JSON\n"
        "  -h, --help           this text\n"
        "\n"
        "Exit codes, as of a monitoring plugin: 0 nothing to do, 1 a warning, 2 usual clients "
        "refuse a\n"
        "certificate, the configuration cannot be used, or usage.\n"};

struct words {
    const char *config, *listener; /* listener NULL: all */
    uint32_t days;
    bool json, help;
};

static const struct config_listener *find_listener(const struct config *c, const char *name,
                                                   FILE *problems)
{
    char suggestion[SUGGEST_TEXT];
    const struct config_listener *l = config_find_listener(c, name, suggestion);

    if (l == NULL)
        fprintf(problems, "sstpgate certificates: no [listener %s]%s\n", name, suggestion);
    return l;
}

/* l NULL: all listeners. */
static int report(const struct words *w, const struct config *c, const struct config_listener *l)
{
    static const int codes[] = {
        [TLS_REMARK] = EXIT_DONE, [TLS_WARNING] = EXIT_WARNING, [TLS_REFUSED] = EXIT_CRITICAL};
    struct certificates_report *r = certificates_report_new(c, l, time(NULL), (int)w->days);

    if (w->json)
        certificates_report_json(r, stdout);
    else
        certificates_report_text(r, stdout);
    const int code = codes[certificates_report_level(r)];
    certificates_report_free(r);
    return fflush(stdout) == 0 ? code : EXIT_CRITICAL;
}

static int run(const struct words *w)
{
    char error[TLS_BASICS_ERROR_MAX];
    const struct config_listener *l = NULL;
    struct memo problems;
    FILE *f = memo_open(&problems);
    struct config *c = NULL;
    int code;

    if (!tls_basics(error))
        fprintf(f, "sstpgate certificates: %s\n", error);
    else
        c = config_load(w->config, f);
    bool ok = c != NULL && c->sound;
    if (ok && w->listener != NULL)
        ok = (l = find_listener(c, w->listener, f)) != NULL;
    if (ok) {
        code = report(w, c, l);
        memo_free(&problems);
    } else {
        code = usage_failed(&usage, &problems, w->json, EXIT_CRITICAL);
    }
    config_free(c);
    return code;
}

/* Reads the options. Returns false for wrong usage. */
static bool read_options(struct words *w, int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"days", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    bool ok = true; /* --json may follow */
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:d:jh", options, NULL)) != -1) {
        switch (option) {
        case 'c': w->config = optarg; break;
        case 'd': ok = ok && value_number(optarg, 0, DAYS_MAX, &w->days) == ERR_OK; break;
        case 'j': w->json = true; break;
        case 'h': w->help = true; break;
        default: ok = false; break;
        }
    }
    w->listener = argv[optind];
    return ok && argc - optind <= 1;
}

int cli_certificates(int argc, char **argv, const char *config)
{
    struct words w = {.config = config, .days = DAYS};
    struct memo problems;

    const bool ok = read_options(&w, argc, argv);
    if (w.help)
        return usage_help(&usage);
    if (ok)
        return run(&w);
    memo_open(&problems);
    return usage_failed(&usage, &problems, w.json, EXIT_USAGE);
}
