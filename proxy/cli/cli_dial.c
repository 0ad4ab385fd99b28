#include "cli/cli_dial.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hostname.h"
#include "base/insist.h"
#include "base/memo.h"
#include "cli/dial_report.h"
#include "cli/password.h"
#include "cli/target.h"
#include "cli/usage.h"
#include "client/dial.h"
#include "tls/tls_basics.h"
#include "tls/tls_loaded.h"
#include "wire/ppp_method.h"

enum { PINS_MAX = 16 };

static const struct usage usage = {
    .synopsis = "usage: sstpgate dial [-c CONF] [OPTIONS] --user NAME LISTENER|HOST[:PORT]\n",
    .help =
        "Logs in as a VPN client, up to an address and a ping through the tunnel, and reports "
        "each\n"
        "step with its time. If a step fails: the probable cause, and what to look at. It needs\n"
        "neither root nor PPP in the kernel, and never changes the network of this machine.\n"
        "\n"
        "LISTENER is the name of a listener in CONF, which has its address and certificates. The\n"
        "certificate of HOST is verified with the CAs of the system, unless an option changes\n"
        "that. The password is read from the terminal, or is the first line of standard input.\n"
        "\n"
        "  -u, --user NAME           name, DOMAIN\\name or name@realm\n"
        "      --password-file FILE  file whose first line is the password, as systemd's\n"
        "                            credentials\n"
        "      --method LIST         methods, best first, with commas between: ms-chapv2,\n"
        "                            eap-mschapv2, chap-md5, pap (default: all in this order;\n"
        "                            with --no-verify without pap)\n"
        "      --host NAME           name for Host, SNI and the certificate\n"
        "      --tenant ID           tenantid of the request\n"
        "      --pin SHA256          verify that the certificate has this hash; may be repeated\n"
        "      --ca-file FILE        verify with these certificates\n"
        "      --no-verify           do not verify the certificate\n"
        "      --plain               no TLS, for a server behind a gate with tls = no\n"
        "      --tls-min VERSION     1.0, 1.1, 1.2 (default) or 1.3\n"
        "      --timeout TIME        for the whole call: 500ms, 20s (default)\n"
        "      --no-ping             the tunnel is up after IPCP\n"
        "  -j, --json                the result as JSON\n"
        "  -c, --config CONF         configuration that defines LISTENER\n"
        "  -h, --help                this text\n"
        "\n"
        "Exit codes: 0 the tunnel was up, 1 this machine or its configuration, 2 usage,\n"
        "3 no connection, 4 TLS or the certificate, 5 not SSTP, or refused before the login,\n"
        "6 the login, 7 the crypto-binding, 8 no address or no ping.\n"};

struct words { /* of the command line */
    const char *config;
    bool config_given;
    const char *target, *user, *password_file, *methods, *host, *ca_file, *tls_min, *timeout;
    bool json, no_verify, help;
    FILE *problems; /* why there is no result */
    uint8_t pins[PINS_MAX][DIAL_PIN];
    struct dial_settings dial;
};

static bool complain(const struct words *w, const char *what, const char *word)
{
    fprintf(w->problems, "sstpgate dial: %s: '%s'\n", what, word);
    return false;
}

/* ---- the words ---- */

static bool add_pin(struct words *w, const char *text)
{
    size_t n;

    if (w->dial.pin_count == PINS_MAX ||
        value_hex(text, w->pins[w->dial.pin_count], DIAL_PIN, &n) != ERR_OK || n != DIAL_PIN)
        return complain(w, "--pin needs the SHA256 of a certificate, 64 digits", text);
    w->dial.pins = w->pins;
    w->dial.pin_count++;
    return true;
}

static enum ppp_method method_named(struct span name)
{
    static const enum ppp_method known[] = {PPP_METHOD_MSCHAPV2, PPP_METHOD_EAP_MSCHAPV2,
                                            PPP_METHOD_CHAP_MD5, PPP_METHOD_PAP};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (span_eq_nocase(name, span_str(ppp_method_name(known[i]))))
            return known[i];
    return PPP_METHOD_NONE;
}

/* LCP agrees on EAP, whatever its type. */
static bool read_methods(struct words *w)
{
    struct link_settings *l = &w->dial.link;
    struct span rest = span_str(w->methods != NULL ? w->methods
                                : w->no_verify     ? "ms-chapv2,eap-mschapv2,chap-md5"
                                                   : "ms-chapv2,eap-mschapv2,chap-md5,pap");

    while (rest.n > 0) {
        const uint8_t *comma = memchr(rest.p, ',', rest.n);
        const size_t n = comma == NULL ? rest.n : (size_t)(comma - rest.p);
        const enum ppp_method m = method_named(span_sub(rest, 0, n));
        if (m == PPP_METHOD_NONE || l->method_count == LINK_METHODS_MAX)
            return complain(w, "--method accepts ms-chapv2, eap-mschapv2, chap-md5, pap",
                            w->methods);
        l->methods[l->method_count++] = m == PPP_METHOD_EAP_MSCHAPV2 ? PPP_METHOD_EAP : m;
        rest = span_from(rest, n + 1);
    }
    return l->method_count > 0 || complain(w, "--method is empty", w->methods);
}

static bool read_tls_min(struct words *w)
{
    static const char *const names[] = {"1.0", "1.1", "1.2", "1.3"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(w->tls_min, names[i]) == 0) {
            w->dial.tls.min = (enum tls_version)(TLS_1_0 + i);
            return true;
        }
    return complain(w, "--tls-min accepts 1.0, 1.1, 1.2, 1.3", w->tls_min);
}

static bool read_values(struct words *w)
{
    if (value_duration(w->timeout, &w->dial.timeout_ms) != ERR_OK || w->dial.timeout_ms == 0)
        return complain(w, "--timeout needs a time such as 500ms or 20s", w->timeout);
    if (strlen(w->user) == 0 || strlen(w->user) >= PPP_USER_MAX)
        return complain(w, "--user is empty or longer than 255 bytes", w->user);
    if ((w->dial.pin_count > 0) + (w->ca_file != NULL) + w->no_verify + w->dial.plain > 1)
        return complain(w, "only one of these is possible",
                        "--pin, --ca-file, --no-verify, --plain");
    return read_tls_min(w) && read_methods(w);
}

enum {
    OPT_PASSWORD = 256,
    OPT_METHOD,
    OPT_HOST,
    OPT_TENANT,
    OPT_PIN,
    OPT_CA,
    OPT_NO_VERIFY,
    OPT_PLAIN,
    OPT_TLS_MIN,
    OPT_TIMEOUT,
    OPT_NO_PING
};

static const struct option options[] = {{"user", required_argument, NULL, 'u'},
                                        {"password-file", required_argument, NULL, OPT_PASSWORD},
                                        {"method", required_argument, NULL, OPT_METHOD},
                                        {"host", required_argument, NULL, OPT_HOST},
                                        {"tenant", required_argument, NULL, OPT_TENANT},
                                        {"pin", required_argument, NULL, OPT_PIN},
                                        {"ca-file", required_argument, NULL, OPT_CA},
                                        {"no-verify", no_argument, NULL, OPT_NO_VERIFY},
                                        {"plain", no_argument, NULL, OPT_PLAIN},
                                        {"tls-min", required_argument, NULL, OPT_TLS_MIN},
                                        {"timeout", required_argument, NULL, OPT_TIMEOUT},
                                        {"no-ping", no_argument, NULL, OPT_NO_PING},
                                        {"json", no_argument, NULL, 'j'},
                                        {"config", required_argument, NULL, 'c'},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

/* Takes one option. False: unknown, or its value is wrong. */
static bool take_option(struct words *w, int option)
{
    switch (option) {
    case 'u': w->user = optarg; return true;
    case OPT_PASSWORD: w->password_file = optarg; return true;
    case OPT_METHOD: w->methods = optarg; return true;
    case OPT_HOST: w->host = optarg; return true;
    case OPT_TENANT: w->dial.tenant = optarg; return true;
    case OPT_PIN: return add_pin(w, optarg);
    case OPT_CA: w->ca_file = optarg; return true;
    case OPT_NO_VERIFY: w->no_verify = true; return true;
    case OPT_PLAIN: w->dial.plain = true; return true;
    case OPT_TLS_MIN: w->tls_min = optarg; return true;
    case OPT_TIMEOUT: w->timeout = optarg; return true;
    case OPT_NO_PING: w->dial.ping = false; return true;
    case 'j': w->json = true; return true;
    case 'c':
        w->config = optarg;
        w->config_given = true;
        return true;
    default: return false;
    }
}

/* ---- the call ---- */

/* Chooses the verification and the names. ca: receives what must be freed. */
static bool choose_trust(struct words *w, struct target *t, struct tls_ca **ca)
{
    struct dial_settings *d = &w->dial;
    char error[TLS_ERROR_MAX];

    d->verify = w->no_verify ? DIAL_VERIFY_OFF : DIAL_VERIFY_PIN;
    if (d->plain)
        d->verify = DIAL_VERIFY_OFF;
    if (d->verify == DIAL_VERIFY_OFF || d->pin_count > 0)
        return true;
    if (t->pin_count > 0 && w->ca_file == NULL) {
        d->pins = t->pins;
        d->pin_count = t->pin_count;
        return true;
    }
    d->verify = DIAL_VERIFY_CA;
    *ca = tls_ca_load(w->ca_file == NULL ? "system" : w->ca_file, error);
    d->ca = *ca;
    if (*ca == NULL)
        fprintf(w->problems, "sstpgate dial: %s\n", error);
    return *ca != NULL;
}

static void choose_names(struct words *w, const struct target *t, char field[VALUE_HOST_SIZE + 2])
{
    struct dial_settings *d = &w->dial;

    d->host = t->host;
    d->port = t->port;
    d->name = t->name;
    d->sni = hostname_is_address(t->name) ? NULL : t->name; /* RFC 6066 3 */
    target_host_field(t->name, field);
    d->http_host = field;
}

/* The gate's view of the call, which is read while the tunnel is up, or after a failure. */
struct view {
    const char *socket; /* NULL: no gate is known */
    bool asked;
    struct gate_view gate;
};

static void on_up(void *arg, const struct dial_result *r)
{
    struct view *v = arg;

    if (v->socket != NULL)
        gate_view_tunnel(&v->gate, v->socket, r->local);
    v->asked = v->socket != NULL;
}

static void view_failure(struct view *v, const struct dial_result *r)
{
    if (v->socket == NULL || r->fault == FAULT_NONE || r->local[0] == '\0')
        return;
    gate_view_failure(&v->gate, v->socket, r->local);
    v->asked = true;
}

static int report(const struct words *w, const struct dial_result *result, const struct view *v)
{
    const struct dial_report r = {.target = w->target,
                                  .user = w->user,
                                  .settings = &w->dial,
                                  .result = result,
                                  .gate = v->asked ? &v->gate : NULL,
                                  .exit = fault_exit(result->step, result->fault)};

    if (w->json)
        dial_report_json(&r, stdout);
    else
        dial_report_text(&r, stdout);
    return fflush(stdout) == 0 ? r.exit : EXIT_FAILED;
}

/* Returns the exit code; has_result: whether it was reported. */
static int call(struct words *w, struct target *t, bool *has_result)
{
    char field[VALUE_HOST_SIZE + 2];
    struct tls_ca *ca = NULL;
    struct dial_result result;
    struct view view = {.socket = t->admin};

    choose_names(w, t, field);
    if (!choose_trust(w, t, &ca))
        return EXIT_FAILED;
    struct nthash *md4 = nthash_new(); /* NULL: a login that needs it fails */
    w->dial.link.login.md4 = md4;
    w->dial.on_up = on_up;
    w->dial.arg = &view;
    dial_run(&w->dial, &result);
    view_failure(&view, &result);
    *has_result = true;
    const int code = report(w, &result, &view);
    gate_view_fini(&view.gate);
    dial_fini(&result);
    nthash_free(md4);
    tls_ca_free(ca);
    return code;
}

static bool get_password(const struct words *w, struct password *out)
{
    return w->password_file != NULL ? password_from_file(out, "dial", w->password_file, w->problems)
                                    : password_get(out, "dial", false, w->problems);
}

static int dial(struct words *w, bool *has_result)
{
    struct password password = {.n = 0};
    char error[TLS_BASICS_ERROR_MAX];
    struct target t;

    int code = target_find(&t, w->target, "dial", w->config, w->config_given, w->problems);
    if (code == EXIT_DONE && w->host != NULL && !target_rename(&t, w->host, "dial", w->problems))
        code = EXIT_USAGE;
    if (code == EXIT_DONE && !tls_basics(error)) {
        fprintf(w->problems, "sstpgate dial: %s\n", error);
        code = EXIT_FAILED;
    }
    if (code == EXIT_DONE && !get_password(w, &password))
        code = EXIT_FAILED;
    if (code == EXIT_DONE) {
        w->dial.link.login.user = span_str(w->user);
        w->dial.link.login.password = span_of(password.octets, password.n);
        code = call(w, &t, has_result);
    }
    explicit_bzero(&password, sizeof password);
    target_fini(&t);
    return code;
}

/* Reads the options. Returns false for wrong usage. */
static bool read_options(struct words *w, int argc, char **argv)
{
    bool ok = true;
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "u:jc:h", options, NULL)) != -1) {
        if (option == 'h')
            w->help = true;
        else if (!take_option(w, option))
            ok = false; /* --json may follow */
    }
    w->target = argv[optind];
    return ok && optind == argc - 1 && w->user != NULL && read_values(w);
}

int cli_dial(int argc, char **argv, const char *config)
{
    struct memo problems;
    struct words w = {
        .config = config,
        .tls_min = "1.2",
        .timeout = "20s",
        .problems = memo_open(&problems),
        .dial = {.ping = true, .tls = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1}}};
    bool has_result = false;

    const bool ok = read_options(&w, argc, argv);
    const int code = w.help ? usage_help(&usage) : ok ? dial(&w, &has_result) : EXIT_USAGE;
    if (!w.help && !has_result)
        return usage_failed(&usage, &problems, w.json, code);
    memo_free(&problems);
    return code;
}
