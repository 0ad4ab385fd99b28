#include "cli/cli_certificates.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/memo.h"
#include "base/suggest.h"
#include "base/value.h"
#include "cli/certificates_report.h"
#include "cli/usage.h"
#include "config/config_load.h"

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
    bool json;
};

static const struct config_listener *find_listener(const struct config *c, const char *name)
{
    struct suggest s = suggest_init(name);

    for (size_t i = 0; i < c->listener_count; i++) {
        if (strcmp(c->listener[i].name, name) == 0)
            return &c->listener[i];
        suggest_offer(&s, c->listener[i].name);
    }
    fprintf(stderr, "sstpgate certificates: no [listener %s]%s%s%s\n", name,
            s.best == NULL ? "" : "; did you mean '", s.best == NULL ? "" : s.best,
            s.best == NULL ? "" : "'?");
    return NULL;
}

static int report(const struct words *w, const struct config *c)
{
    static const int codes[] = {
        [TLS_REMARK] = EXIT_DONE, [TLS_WARNING] = EXIT_WARNING, [TLS_REFUSED] = EXIT_CRITICAL};
    const struct config_listener *l = w->listener == NULL ? NULL : find_listener(c, w->listener);

    if (w->listener != NULL && l == NULL)
        return EXIT_CRITICAL;
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
    struct memo problems;
    struct config *c = config_load(w->config, memo_open(&problems));
    int code = EXIT_CRITICAL;

    if (c != NULL && c->sound)
        code = report(w, c);
    else
        fprintf(stderr, "%s", memo_text(&problems));
    config_free(c);
    memo_free(&problems);
    return code;
}

int cli_certificates(int argc, char **argv, const char *config)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"days", required_argument, NULL, 'd'},
                                            {"json", no_argument, NULL, 'j'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    struct words w = {.config = config, .days = DAYS};
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:d:jh", options, NULL)) != -1) {
        switch (option) {
        case 'c': w.config = optarg; break;
        case 'd':
            if (value_number(optarg, 0, DAYS_MAX, &w.days) != ERR_OK)
                return usage_wrong(&usage);
            break;
        case 'j': w.json = true; break;
        case 'h': return usage_help(&usage);
        default: return usage_wrong(&usage);
        }
    }
    w.listener = argv[optind];
    return argc - optind > 1 ? usage_wrong(&usage) : run(&w);
}
