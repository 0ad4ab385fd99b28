#include "policy/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "policy/config_read.h"
#include "policy/config_type.h"
#include "policy/config_value.h"
#include "policy/suggest.h"

/* ---- a configuration while it is being read ------------------------------------------------- */

static const struct section_kind {
    const char *word;
    const char *title; /* as it is written */
    bool named;
} sections[SECTION_COUNT] = {
    [GATE] = {"gate", "[gate]", false},
    [LISTENER] = {"listener", "[listener NAME]", true},
    [BACKEND] = {"backend", "[backend NAME]", true},
};

struct config_mark {
    size_t index; /* which listener or backend; by number, since their array moves while it grows */
    const struct config_key *key;
    unsigned line;
    bool refused; /* the value was no good */
};

struct builder {
    struct config *c;
    struct config_input input;
    bool section_lost; /* some header could not be read: what seems missing may stand below it */
    bool any_section;
    enum config_section in; /* the section being read, and which one of its kind */
    size_t index;
    bool skip; /* keys up to the next header belong to nothing */
};

static char *copy(const char *text)
{
    return check_alloc(strdup(text));
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct config_choice log_words[] = {{"stderr", 0}, {"syslog", 1}, {NULL, 0}};
static const struct config_choice auto_or_number[] = {{"auto", 0}, {NULL, 0}};
static const struct config_choice auto_or_level[] = {{"auto", -1}, {NULL, 0}};
static const struct config_choice system_or_file[] = {{"system", 0}, {NULL, 0}};
static const struct config_choice log_levels[] = {
    {"error", CONFIG_LOG_ERROR},
    {"warning", CONFIG_LOG_WARNING},
    {"info", CONFIG_LOG_INFO},
    {"debug", CONFIG_LOG_DEBUG},
    {NULL, 0},
};
static const struct config_choice none_or_number[] = {{"none", 0}, {NULL, 0}};
static const struct config_choice yes_or_no[] = {{"yes", true}, {"no", false}, {NULL, 0}};
static const struct config_choice deny_actions[] = {
    {"reset", RULES_RESET}, {"drop", RULES_DROP}, {"decoy", RULES_DECOY}, {NULL, 0}};
static const struct config_choice enforce_or_dry_run[] = {
    {"enforce", false}, {"dry-run", true}, {NULL, 0}};
static const struct config_choice allow_or_deny[] = {{"allow", true}, {"deny", false}, {NULL, 0}};
static const struct config_choice tls_versions[] = {
    {"1.0", CONFIG_TLS_1_0},     {"1.1", CONFIG_TLS_1_1},
    {"1.2", CONFIG_TLS_1_2},     {"1.3", CONFIG_TLS_1_3},
    {"TLSv1", CONFIG_TLS_1_0},   {"TLSv1.0", CONFIG_TLS_1_0},
    {"TLSv1.1", CONFIG_TLS_1_1}, {"TLSv1.2", CONFIG_TLS_1_2},
    {"TLSv1.3", CONFIG_TLS_1_3}, {NULL, 0},
};
static const struct config_choice verify_ways[] = {
    {"pin", CONFIG_VERIFY_PIN}, {"ca", CONFIG_VERIFY_CA}, {"off", CONFIG_VERIFY_OFF}, {NULL, 0}};
static const struct config_choice send_proxy_ways[] = {{"no", CONFIG_SEND_PROXY_NO},
                                                       {"v1", CONFIG_SEND_PROXY_V1},
                                                       {"v2", CONFIG_SEND_PROXY_V2},
                                                       {NULL, 0}};
static const struct config_choice binding_ways[] = {
    {"rewrite", CONFIG_BINDING_REWRITE},
    {"auto", CONFIG_BINDING_AUTO},
    {"passthrough", CONFIG_BINDING_PASSTHROUGH},
    {"off", CONFIG_BINDING_OFF},
    {NULL, 0},
};

#define GATE_KEY(key, field) .in = GATE, .name = key, .at = offsetof(struct config_gate, field)
#define LISTENER_KEY(key, field)                                                                   \
    .in = LISTENER, .name = key, .at = offsetof(struct config_listener, field)
#define BACKEND_KEY(key, field)                                                                    \
    .in = BACKEND, .name = key, .at = offsetof(struct config_backend, field)
/* Values that fill more than one field: their types get the whole struct. */
#define LISTENER_ALL(key) .in = LISTENER, .name = key, .at = 0
#define BACKEND_ALL(key) .in = BACKEND, .name = key, .at = 0

/* clang-format off */
static const struct config_key keys[] = {
    {GATE_KEY("workers", workers), .type = &config_type_number, .flags = KEY_FIXED, .min = 1, .max = 64,
     .choices = auto_or_number, .initial = "auto",
     .help = "Threads that carry calls; auto: one for each CPU that the process may use."},
    {GATE_KEY("log", log), .type = &config_type_path, .flags = KEY_FIXED, .choices = log_words,
     .initial = "stderr",
     .help = "Where log lines go; a file is opened again on SIGUSR1."},
    {GATE_KEY("log-level", log_level), .type = &config_type_choice, .flags = KEY_FIXED,
     .choices = log_levels, .initial = "info", .help = "The least important lines that are logged."},
    {GATE_KEY("admin", admin), .type = &config_type_socket, .flags = KEY_FIXED,
     .otherwise = "there is no socket",
     .help = "Socket for `sstpgate ctl`, for its owner and root only (mode 0600)."},
    {GATE_KEY("max-tunnels", max_tunnels), .type = &config_type_number, .min = 1, .max = 1000000,
     .initial = "10000", .help = "Connections at a time, whatever their state; more wait."},
    {GATE_KEY("country-file", country_file), .type = &config_type_path, .otherwise = "none",
     .help = "MaxMind database (GeoLite2-Country.mmdb) for rules with `country`."},
    {GATE_KEY("timeout-handshake", timeout_handshake), .type = &config_type_duration, .initial = "10s",
     .help = "For the client's TLS handshake."},
    {GATE_KEY("timeout-request", timeout_request), .type = &config_type_duration, .initial = "10s",
     .help = "For the client's HTTP request, from the end of the handshake."},
    {GATE_KEY("timeout-connect", timeout_connect), .type = &config_type_duration, .initial = "5s",
     .help = "For TCP and TLS to each address of a backend, before the next is tried."},
    {GATE_KEY("timeout-answer", timeout_answer), .type = &config_type_duration, .initial = "30s",
     .help = "For the backend's answer to the HTTP request."},
    {GATE_KEY("timeout-negotiate", timeout_negotiate), .type = &config_type_duration, .initial = "90s",
     .help = "For SSTP and PPP, from the backend's answer to Call Connected."},
    {GATE_KEY("timeout-idle", timeout_idle), .type = &config_type_duration, .flags = KEY_NONE,
     .initial = "none", .help = "For a tunnel on which nothing moves, echo messages included."},
    {GATE_KEY("timeout-drain", timeout_drain), .type = &config_type_duration, .initial = "5s",
     .help = "For a peer to take what is queued when its call has ended."},
    {GATE_KEY("timeout-web", timeout_web), .type = &config_type_duration, .initial = "60s",
     .help = "For a connection to the fallback web site on which nothing moves."},

    {GATE_KEY("max-tunnels-per-address", limits.tunnels_per_address), .type = &config_type_number,
     .min = 0, .max = 1000000, .choices = none_or_number, .initial = "none",
     .help = "Connections at a time from one address (or one prefix: see address-prefix-ipv6); more "
             "are reset."},
    {GATE_KEY("max-tunnels-per-user", limits.tunnels_per_user), .type = &config_type_number,
     .min = 0, .max = 1000000, .choices = none_or_number, .initial = "none",
     .help = "Tunnels at a time of one user name, as the client sends it; more are disconnected."},
    {GATE_KEY("address-prefix-ipv4", limits.prefix_ipv4), .type = &config_type_number,
     .flags = KEY_FIXED, .min = 8, .max = 32, .initial = "32",
     .help = "Bits of an IPv4 address that count as one address for limits and bans."},
    {GATE_KEY("address-prefix-ipv6", limits.prefix_ipv6), .type = &config_type_number,
     .flags = KEY_FIXED, .min = 16, .max = 128, .initial = "64",
     .help = "The same for IPv6, where one host commonly has a /64."},
    {GATE_KEY("handshake-rate", limits.rate), .type = &config_type_rate, .choices = none_or_number,
     .initial = "none",
     .help = "New connections in all, such as 20/s: as many at once, and as many in each second."},
    {GATE_KEY("handshake-rate-per-address", limits.rate_per_address), .type = &config_type_rate,
     .choices = none_or_number, .initial = "none", .help = "The same for each address."},
    {GATE_KEY("ban-points", limits.ban_points), .type = &config_type_number, .min = 0, .max = 10000,
     .choices = none_or_number, .initial = "none",
     .help = "Points at which an address is banned: a failed login counts 10, a refused request 5, "
             "a broken handshake 1."},
    {GATE_KEY("ban-time", limits.ban_time), .type = &config_type_duration, .initial = "10m",
     .help = "How long a ban lasts; tunnels that are up stay."},
    {GATE_KEY("ban-reset", limits.ban_reset), .type = &config_type_duration, .initial = "10m",
     .help = "How long a point counts."},
    {GATE_KEY("ban-exempt", limits.ban_exempt), .type = &config_type_cidrs, .flags = KEY_REPEAT,
     .otherwise = "none", .help = "Addresses that get no points and are never banned."},
    {GATE_KEY("ban-file", limits.ban_file), .type = &config_type_path,
     .otherwise = "a restart ends all bans", .help = "File that keeps the bans across restarts."},

    {LISTENER_ALL("listen"), .type = &config_type_listen, .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "Address to accept on, port 443 unless written; every address only as *:443, "
             "0.0.0.0:443 or [::]:443."},
    {LISTENER_KEY("interface", interface), .type = &config_type_interface,
     .otherwise = "any",
     .help = "Accept only what arrives on this interface (Linux before 5.7: with CAP_NET_RAW only)."},
    {LISTENER_KEY("v6only", v6only), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "yes", .help = "no: an IPv6 wildcard address takes IPv4 clients, too."},
    {LISTENER_ALL("certificate"), .type = &config_type_certificate,
     .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "PEM file (the certificate first, then those between it and its CA) or PKCS#12 file. Of "
             "more than one, clients get one for the name they ask for; the first is for the others."},
    {LISTENER_ALL("key"), .type = &config_type_key, .flags = KEY_REPEAT,
     .otherwise = "in the file of `certificate`",
     .help = "PEM file of the private key of the certificate above it."},
    {LISTENER_ALL("passphrase-file"), .type = &config_type_passphrase_file, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "File whose first line is the passphrase of the certificate above it."},
    {LISTENER_ALL("ocsp-file"), .type = &config_type_ocsp_file, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "OCSP response (DER) about the certificate above it, for clients that ask for one."},
    {LISTENER_KEY("strict-sni", strict_sni), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "yes: TLS ends with an alert for clients that ask for a name that no certificate is "
             "for, or for none."},
    {LISTENER_KEY("tls-min", tls_min), .type = &config_type_choice, .choices = tls_versions,
     .initial = "1.2", .help = "Oldest version of TLS that clients may use."},
    {LISTENER_KEY("tls-max", tls_max), .type = &config_type_choice, .choices = tls_versions,
     .initial = "1.3", .help = "Newest version of TLS that clients may use."},
    {LISTENER_KEY("ciphers", ciphers), .type = &config_type_ciphers, .flags = KEY_REPEAT,
     .otherwise = "those of OpenSSL",
     .help = "Ciphers for TLS 1.2 and older, as `openssl ciphers` takes them."},
    {LISTENER_KEY("ciphersuites", ciphersuites), .type = &config_type_ciphers, .flags = KEY_REPEAT,
     .otherwise = "those of OpenSSL", .help = "Cipher suites for TLS 1.3."},
    {LISTENER_KEY("allow", rules), .type = &config_type_allow, .flags = KEY_REPEAT,
     .otherwise = "no rules: `default` decides",
     .help = "Who may connect: NETWORK, or conditions that must all hold, of address NETWORK, file "
             "PATH, country CC, any; user PATTERN; host NAME; sni NAME; tenant VALUE; time DAYS "
             "HOURS ZONE. Of all allow and deny lines, in their order, the first that matches "
             "decides."},
    {LISTENER_KEY("deny", rules), .type = &config_type_deny, .flags = KEY_REPEAT,
     .otherwise = "no rules: `default` decides",
     .help = "Who may not: as allow, and `action reset`, `drop` or `decoy` for those it matches."},
    {LISTENER_KEY("allow-file", rules), .type = &config_type_allow_file, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "As `allow = file PATH`: a file of networks, one in each line, comments behind #."},
    {LISTENER_KEY("deny-file", rules), .type = &config_type_deny_file, .flags = KEY_REPEAT,
     .otherwise = "none", .help = "As `deny = file PATH`."},
    {LISTENER_KEY("default", rules.default_allow), .type = &config_type_flag, .choices = allow_or_deny,
     .otherwise = "deny if any allow or allow-file is written, else allow",
     .help = "What those get whom no rule matches."},
    {LISTENER_KEY("deny-action", rules.deny_action), .type = &config_type_choice,
     .choices = deny_actions, .initial = "reset",
     .help = "What denied clients get whose rule has no `action`: reset ends the connection; drop "
             "forgets it without a word; decoy answers like a web site without SSTP."},
    {LISTENER_KEY("mode", dry_run), .type = &config_type_flag, .choices = enforce_or_dry_run,
     .initial = "enforce",
     .help = "dry-run: rules decide and the log says what they would refuse, but all are let in."},
    {LISTENER_KEY("recheck-tunnels", recheck_tunnels), .type = &config_type_flag,
     .choices = yes_or_no, .initial = "no",
     .help = "yes: a reload ends the tunnels that its rules would not allow any more."},
    {LISTENER_KEY("host", host), .type = &config_type_hosts, .flags = KEY_REPEAT,
     .otherwise = "every name is admitted",
     .help = "Name or address that the client must ask for (Host and TLS server name)."},
    {LISTENER_KEY("backend", backend_name), .type = &config_type_reference,
     .otherwise = "the backend, where the file has exactly one",
     .help = "Backend that gets the calls."},
    {LISTENER_KEY("accept-proxy", accept_proxy), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "Trusted proxies begin each connection with a PROXY header, version 1 or 2."},
    {LISTENER_KEY("trusted-proxies", trusted_proxies), .type = &config_type_cidrs,
     .flags = KEY_REPEAT, .otherwise = "none",
     .help = "Proxies whose header says who the client is; others are clients themselves."},
    {LISTENER_KEY("fallback", fallback_name), .type = &config_type_reference,
     .otherwise = "a built-in 404",
     .help = "Backend, a web server, that gets what is not SSTP or not admitted to it."},

    {BACKEND_ALL("server"), .type = &config_type_server, .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "SSTP server, port 443 unless written (80 with tls = no); tried in their order."},
    {BACKEND_KEY("tls", tls), .type = &config_type_flag, .choices = yes_or_no, .initial = "yes",
     .help = "no: plain HTTP, for a server that leaves TLS to others."},
    {BACKEND_KEY("verify", verify), .type = &config_type_choice, .flags = KEY_TLS, .choices = verify_ways,
     .otherwise = "pin with pin-sha256, ca with ca-file; one of the three must be written",
     .help = "How the server's certificate is verified; off: not at all."},
    {BACKEND_ALL("pin-sha256"), .type = &config_type_pin, .flags = KEY_REPEAT | KEY_TLS,
     .otherwise = "none",
     .help = "SHA256 fingerprint of a certificate the server may show (verify = pin)."},
    {BACKEND_KEY("ca-file", ca_file), .type = &config_type_path, .flags = KEY_TLS,
     .choices = system_or_file, .otherwise = "none",
     .help = "PEM file of the CAs that may sign for the server (verify = ca); system: those that "
             "the machine trusts."},
    {BACKEND_KEY("verify-host", verify_host), .type = &config_type_host, .flags = KEY_TLS,
     .otherwise = "the name in `sni`, else the server's",
     .help = "Name or address the server's certificate must carry (verify = ca)."},
    {BACKEND_KEY("sni", sni), .type = &config_type_server_name, .flags = KEY_TLS,
     .otherwise = "the server's name, none where it is an address",
     .help = "Server name that TLS asks for."},
    {BACKEND_KEY("backend-host", backend_host), .type = &config_type_authority,
     .otherwise = "the name in `sni`, else the server's", .help = "Host field of the request."},
    {BACKEND_KEY("tls-min", tls_min), .type = &config_type_choice, .flags = KEY_TLS,
     .choices = tls_versions, .initial = "1.2",
     .help = "Oldest version of TLS that is spoken with the server."},
    {BACKEND_KEY("tls-max", tls_max), .type = &config_type_choice, .flags = KEY_TLS,
     .choices = tls_versions, .initial = "1.3",
     .help = "Newest version of TLS that is spoken with the server."},
    {BACKEND_KEY("security-level", security_level), .type = &config_type_number, .flags = KEY_TLS,
     .min = 0, .max = 5, .choices = auto_or_level, .initial = "auto",
     .help = "OpenSSL's security level; auto: 0 where tls-min is below 1.2, else OpenSSL's own."},
    {BACKEND_KEY("ciphers", ciphers), .type = &config_type_ciphers, .flags = KEY_REPEAT | KEY_TLS,
     .otherwise = "those of OpenSSL",
     .help = "Ciphers for TLS 1.2 and older, as `openssl ciphers` takes them."},
    {BACKEND_KEY("ciphersuites", ciphersuites), .type = &config_type_ciphers,
     .flags = KEY_REPEAT | KEY_TLS, .otherwise = "those of OpenSSL",
     .help = "Cipher suites for TLS 1.3."},
    {BACKEND_KEY("send-proxy", send_proxy), .type = &config_type_choice, .choices = send_proxy_ways,
     .initial = "no",
     .help = "Begin each connection with a PROXY header: v1, or v2 with TLS version, cipher and "
             "server name."},
    {BACKEND_KEY("crypto-binding", binding), .type = &config_type_choice, .choices = binding_ways,
     .initial = "rewrite",
     .help = "rewrite: verify the client's, make it again for the server; auto: pass it on where "
             "the key is not known; passthrough: compare the hash only; off: do not look."},
    {BACKEND_ALL("binding-cert-hash"), .type = &config_type_cert_hash, .flags = KEY_REPEAT,
     .otherwise = "that of the certificate the server shows",
     .help = "SHA1 or SHA256 of the certificate the server expects in the crypto-binding; one of "
             "each may stand."},
    {BACKEND_KEY("users-file", users_file), .type = &config_type_path, .otherwise = "none",
     .help = "NAME:HASH-HASH lines, as `sstpgate user` prints: keys of MS-CHAPv2."},
};
/* clang-format on */
enum { KEY_COUNT = sizeof keys / sizeof *keys };

static const struct config_key *find_key(enum config_section in, const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (keys[i].in == in && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

/* ---- sections and marks --------------------------------------------------------------------- */

static size_t section_count(const struct config *c, enum config_section in)
{
    switch (in) {
    case LISTENER: return c->listener_count;
    case BACKEND: return c->backend_count;
    default: return 1;
    }
}

/* Not const, as strchr() does it: both reading and printing ask here, and printing only looks. */
static void *section_at(const struct config *c, enum config_section in, size_t index)
{
    switch (in) {
    case LISTENER: return &c->listener[index];
    case BACKEND: return &c->backend[index];
    default: return (void *)&c->gate;
    }
}

/* NULL for [gate]. */
static const char *section_name(const struct config *c, enum config_section in, size_t index)
{
    switch (in) {
    case LISTENER: return c->listener[index].name;
    case BACKEND: return c->backend[index].name;
    default: return NULL;
    }
}

static unsigned section_line(const struct config *c, enum config_section in, size_t index)
{
    switch (in) {
    case LISTENER: return c->listener[index].line;
    case BACKEND: return c->backend[index].line;
    default: return c->gate.line;
    }
}

static void *field_of(void *section, const struct config_key *k)
{
    return (char *)section + k->at;
}

/* Where k stands in this section: the first place, or the last; NULL when nowhere. */
static const struct config_mark *find_mark(const struct config *c, size_t index,
                                           const struct config_key *k, bool last)
{
    const struct config_mark *found = NULL;
    for (size_t i = 0; i < c->mark_count; i++) {
        const struct config_mark *m = &c->mark[i];
        if (m->key != k || m->index != index)
            continue;
        found = m;
        if (!last)
            break;
    }
    return found;
}

/* ---- reading -------------------------------------------------------------------------------- */

static void on_problem(void *user, unsigned line, const char *reason)
{
    struct builder *b = user;
    config_problem(&b->input, line, "%s", reason);
}

/* What looks like no key or section of ours is not repeated: the file may be a private key that was
 * named by mistake, and messages go to logs. */
static bool is_showable(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static void unknown_section(struct builder *b, const char *word)
{
    struct suggest s = suggest_init(word);
    for (int i = 0; i < SECTION_COUNT; i++)
        suggest_offer(&s, sections[i].word);
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (s.best == sections[i].word) {
            config_problem(&b->input, b->input.line, "unknown section '%s'; did you mean %s?", word,
                           sections[i].title);
            return;
        }
    }
    const bool show = is_showable(word);
    config_problem(&b->input, b->input.line,
                   "unknown section%s%s%s: there are [gate], [listener NAME], [backend NAME]",
                   show ? " '" : "", show ? word : "", show ? "'" : "");
}

/* Makes the section `name` of this kind the one that keys go to. A second one of the same name
 * is an error, but its keys are read as those of a section of its own. */
static void open_section(struct builder *b, enum config_section in, const char *name)
{
    struct config *c = b->c;
    for (size_t i = 0; in != GATE && *name != '\0' && i < section_count(c, in); i++) {
        if (strcmp(section_name(c, in, i), name) == 0) {
            config_problem(&b->input, b->input.line, "[%s %s] stands already on line %u",
                           sections[in].word, name, section_line(c, in, i));
            break;
        }
    }
    b->in = in;
    b->index = section_count(c, in);
    if (in == LISTENER) {
        c->listener = config_grow(c->listener, c->listener_count, sizeof *c->listener);
        c->listener[c->listener_count++] =
            (struct config_listener){.name = copy(name), .line = b->input.line};
    } else if (in == BACKEND) {
        c->backend = config_grow(c->backend, c->backend_count, sizeof *c->backend);
        c->backend[c->backend_count++] =
            (struct config_backend){.name = copy(name), .line = b->input.line};
    } else {
        b->index = 0;
        if (c->gate.line != 0)
            config_problem(&b->input, b->input.line, "[gate] stands already on line %u",
                           c->gate.line);
        else
            c->gate.line = b->input.line;
    }
}

static void on_section(void *user, unsigned line, const char *header)
{
    struct builder *b = user;
    char word[CONFIG_LINE_MAX + 1];

    b->input.line = line;
    b->any_section = true;
    b->skip = true;
    if (header == NULL) {
        b->section_lost = true;
        return;
    }
    size_t n = strcspn(header, " \t");
    CHECK(n < sizeof word);
    memcpy(word, header, n);
    word[n] = '\0';
    const char *name = header + n + strspn(header + n, " \t");
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        if (strcmp(word, sections[in].word) != 0)
            continue;
        if (sections[in].named && *name == '\0')
            config_problem(&b->input, line, "[%s] needs a name: %s", word, sections[in].title);
        else if (sections[in].named && !value_is_name(name))
            config_problem(&b->input, line,
                           "'%s': a name is 1 to 32 letters, digits, '_', '.', '-'", name);
        else if (!sections[in].named && *name != '\0')
            config_problem(&b->input, line, "[%s] takes no name", word);
        b->skip = false;
        open_section(b, in, name);
        return;
    }
    unknown_section(b, word);
    b->section_lost = true;
}

/* An unknown key: it may stand in the wrong section, or be a slip for one of this section, or of
 * another. */
static void unknown_key(struct builder *b, const char *name)
{
    const char *title = sections[b->in].title;
    struct suggest here = suggest_init(name), elsewhere = suggest_init(name);
    const char *elsewhere_title = "";
    char owners[64] = "";

    for (size_t i = 0; i < KEY_COUNT; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            size_t n = strlen(owners);
            snprintf(owners + n, sizeof owners - n, "%s%s", n == 0 ? "" : " or ",
                     sections[keys[i].in].title);
        }
        suggest_offer(keys[i].in == b->in ? &here : &elsewhere, keys[i].name);
        if (elsewhere.best == keys[i].name)
            elsewhere_title = sections[keys[i].in].title;
    }
    if (*owners != '\0')
        config_problem(&b->input, b->input.line, "'%s' belongs in %s, not in %s", name, owners,
                       title);
    else if (here.best != NULL)
        config_problem(&b->input, b->input.line, "unknown key '%s'; did you mean '%s'?", name,
                       here.best);
    else if (elsewhere.best != NULL)
        config_problem(&b->input, b->input.line,
                       "unknown key '%s'; did you mean '%s', which belongs in %s?", name,
                       elsewhere.best, elsewhere_title);
    else if (is_showable(name))
        config_problem(&b->input, b->input.line, "unknown key '%s' in %s", name, title);
    else
        config_problem(&b->input, b->input.line, "unknown key in %s", title);
}

static void on_key(void *user, unsigned line, const char *name, const char *value)
{
    struct builder *b = user;
    b->input.line = line;
    if (!b->any_section) {
        if (is_showable(name))
            config_problem(&b->input, line, "'%s' stands before any [section]", name);
        else
            config_problem(&b->input, line, "a key stands before any [section]");
        return;
    }
    if (b->skip)
        return;
    const struct config_key *k = find_key(b->in, name);
    if (k == NULL) {
        unknown_key(b, name);
        return;
    }
    const struct config_mark *before = find_mark(b->c, b->index, k, false);
    if (before != NULL && !(k->flags & KEY_REPEAT)) {
        config_problem(&b->input, line, "'%s' stands already on line %u", name, before->line);
        return;
    }
    bool good = false;
    if (*value == '\0')
        config_problem(&b->input, line, "%s: there is no value", name);
    else
        good = k->type->parse(&b->input, k, field_of(section_at(b->c, b->in, b->index), k), value);
    b->c->mark = config_grow(b->c->mark, b->c->mark_count, sizeof *b->c->mark);
    b->c->mark[b->c->mark_count++] =
        (struct config_mark){.index = b->index, .key = k, .line = line, .refused = !good};
}

/* ---- what only the whole file shows --------------------------------------------------------- */

static bool written(struct builder *b, enum config_section in, size_t index, const char *name)
{
    const struct config_key *k = find_key(in, name);
    CHECK(k != NULL);
    return find_mark(b->c, index, k, false) != NULL;
}

/* True where the value was refused: nothing can be concluded from what is in force instead. */
static bool refused(struct builder *b, enum config_section in, size_t index, const char *name)
{
    const struct config_key *k = find_key(in, name);
    CHECK(k != NULL);
    const struct config_mark *m = find_mark(b->c, index, k, true);
    return m != NULL && m->refused;
}

static unsigned line_of(struct builder *b, enum config_section in, size_t index, const char *name)
{
    return config_line(b->c, section_at(b->c, in, index), name);
}

/* Defaults for what is not written (or was refused), and what must not be missing. */
static void complete_section(struct builder *b, enum config_section in, size_t index)
{
    void *section = section_at(b->c, in, index);
    b->input.line = section_line(b->c, in, index);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *k = &keys[i];
        if (k->in != in)
            continue;
        const struct config_mark *m = find_mark(b->c, index, k, false);
        if (k->initial != NULL && (m == NULL || m->refused))
            CHECK(k->type->parse(&b->input, k, field_of(section, k), k->initial));
        if ((k->flags & KEY_REQUIRED) && m == NULL)
            config_problem(&b->input, b->input.line, "[%s %s] lacks `%s`", sections[in].word,
                           section_name(b->c, in, index), k->name);
    }
}

static void check_tls_range(struct builder *b, enum config_section in, size_t index,
                            enum config_tls min, enum config_tls max)
{
    if (min <= max || refused(b, in, index, "tls-min") || refused(b, in, index, "tls-max"))
        return;
    const char *key = written(b, in, index, "tls-max") ? "tls-max" : "tls-min";
    config_problem(&b->input, line_of(b, in, index, key),
                   "tls-min is %s, which is more than tls-max, %s",
                   config_choice_of(find_key(in, "tls-min"), (int)min)->word,
                   config_choice_of(find_key(in, "tls-max"), (int)max)->word);
}

/* A web site has no binding, so nothing about one is asked of it. */
static bool is_web_only(const struct config *c, const struct config_backend *be)
{
    bool web = false;
    for (size_t i = 0; i < c->listener_count; i++) {
        if (c->listener[i].backend == be)
            return false;
        web |= c->listener[i].fallback == be;
    }
    return web;
}

/* With tls = no there is nothing that these keys could do, and whoever wrote one thinks there is.
 */
static void finish_plain(struct builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *k = &keys[i];
        if (k->in != BACKEND || !(k->flags & KEY_TLS))
            continue;
        const struct config_mark *m = find_mark(b->c, index, k, false);
        if (m != NULL)
            config_problem(&b->input, m->line, "%s has no meaning with tls = no", k->name);
    }
    be->verify = CONFIG_VERIFY_OFF;
    bool wants_hash = be->binding == CONFIG_BINDING_REWRITE || be->binding == CONFIG_BINDING_AUTO;
    if (wants_hash && !is_web_only(b->c, be) && !refused(b, BACKEND, index, "crypto-binding") &&
        !written(b, BACKEND, index, "binding-cert-hash"))
        config_problem(
            &b->input, line_of(b, BACKEND, index, "tls"),
            "with tls = no the server shows no certificate: crypto-binding = %s needs "
            "binding-cert-hash",
            config_choice_of(find_key(BACKEND, "crypto-binding"), (int)be->binding)->word);
}

/* How the server is verified, and that nothing is written that would not be used for it: whoever
 * pinned a certificate believes that it is checked. */
static void finish_verify(struct builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    bool pin = written(b, BACKEND, index, "pin-sha256");
    bool ca = written(b, BACKEND, index, "ca-file");

    if (refused(b, BACKEND, index, "verify"))
        return;
    if (!written(b, BACKEND, index, "verify")) {
        if (pin && ca) {
            config_problem(
                &b->input, line_of(b, BACKEND, index, "ca-file"),
                "both pin-sha256 and ca-file: write verify = pin or verify = ca, and only "
                "what belongs to it");
            return;
        }
        if (!pin && !ca) {
            config_problem(&b->input, be->line,
                           "[backend %s] does not say how to verify the server: write pin-sha256 = "
                           "FINGERPRINT, or ca-file = FILE (or `system`), or verify = off to trust "
                           "whoever answers",
                           be->name);
            return;
        }
        be->verify = pin ? CONFIG_VERIFY_PIN : CONFIG_VERIFY_CA;
    }
    if (be->verify == CONFIG_VERIFY_PIN && !pin)
        config_problem(&b->input, line_of(b, BACKEND, index, "verify"),
                       "verify = pin needs pin-sha256");
    if (be->verify == CONFIG_VERIFY_CA && !ca)
        config_problem(&b->input, line_of(b, BACKEND, index, "verify"),
                       "verify = ca needs ca-file (a file, or `system`)");
    if (pin && be->verify != CONFIG_VERIFY_PIN)
        config_problem(&b->input, line_of(b, BACKEND, index, "pin-sha256"),
                       "pin-sha256 is used with verify = pin only");
    if (ca && be->verify != CONFIG_VERIFY_CA)
        config_problem(&b->input, line_of(b, BACKEND, index, "ca-file"),
                       "ca-file is used with verify = ca only");
    if (written(b, BACKEND, index, "verify-host") && be->verify != CONFIG_VERIFY_CA)
        config_problem(&b->input, line_of(b, BACKEND, index, "verify-host"),
                       "verify-host is used with verify = ca only");
}

static void finish_backend(struct builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    for (size_t i = 0; i < be->server_count; i++)
        if (be->server[i].port == 0)
            be->server[i].port = be->tls ? 443 : 80;
    if (!refused(b, BACKEND, index, "tls")) {
        if (be->tls)
            finish_verify(b, index);
        else
            finish_plain(b, index);
    }
    check_tls_range(b, BACKEND, index, be->tls_min, be->tls_max);
    if (be->binding == CONFIG_BINDING_PASSTHROUGH || be->binding == CONFIG_BINDING_OFF) {
        if (written(b, BACKEND, index, "binding-cert-hash"))
            config_problem(&b->input, line_of(b, BACKEND, index, "binding-cert-hash"),
                           "binding-cert-hash is used with crypto-binding = rewrite or auto only");
    }
}

/* The backend with this name, or a problem at line. */
static const struct config_backend *find_backend(struct builder *b, const char *key,
                                                 const char *name, unsigned line)
{
    struct suggest s = suggest_init(name);
    for (size_t i = 0; i < b->c->backend_count; i++) {
        suggest_offer(&s, b->c->backend[i].name);
        if (strcmp(b->c->backend[i].name, name) == 0)
            return &b->c->backend[i];
    }
    if (b->section_lost) /* a header that could not be read may have been the backend's */
        return NULL;
    if (s.best != NULL)
        config_problem(&b->input, line, "%s: there is no [backend %s]; did you mean '%s'?", key,
                       name, s.best);
    else
        config_problem(&b->input, line, "%s: there is no [backend %s]", key, name);
    return NULL;
}

/* The one backend there is, not counting the web site: that need not be named. */
static void find_only_backend(struct builder *b, struct config_listener *l, unsigned line)
{
    struct config *c = b->c;
    size_t others = 0;

    for (size_t i = 0; i < c->backend_count; i++) {
        if (&c->backend[i] == l->fallback)
            continue;
        others++;
        l->backend = &c->backend[i];
    }
    if (others == 1) {
        l->backend_name = copy(l->backend->name);
        return;
    }
    l->backend = NULL;
    if (b->section_lost)
        return;
    if (others == 0)
        config_problem(&b->input, line, "[listener %s] has nowhere to send calls: %s", l->name,
                       c->backend_count == 0 ? "write a [backend NAME]"
                                             : "the only backend is its fallback");
    else
        config_problem(&b->input, line,
                       "[listener %s] lacks `backend`, and the file has more than one", l->name);
}

static void find_backends(struct builder *b, size_t index)
{
    struct config_listener *l = &b->c->listener[index];
    unsigned line = line_of(b, LISTENER, index, "backend");

    if (l->fallback_name != NULL)
        l->fallback = find_backend(b, "fallback", l->fallback_name,
                                   line_of(b, LISTENER, index, "fallback"));
    if (refused(b, LISTENER, index, "backend"))
        return;
    if (l->backend_name != NULL)
        l->backend = find_backend(b, "backend", l->backend_name, line);
    else
        find_only_backend(b, l, line);
}

static void check_proxies(struct builder *b, size_t index)
{
    const struct config_listener *l = &b->c->listener[index];

    if (l->accept_proxy && l->trusted_proxies.count == 0 &&
        !refused(b, LISTENER, index, "trusted-proxies"))
        config_problem(&b->input, line_of(b, LISTENER, index, "accept-proxy"),
                       "accept-proxy needs trusted-proxies: a header is as good as its sender");
    if (!l->accept_proxy && l->trusted_proxies.count > 0 &&
        !refused(b, LISTENER, index, "accept-proxy"))
        config_problem(&b->input, line_of(b, LISTENER, index, "trusted-proxies"),
                       "trusted-proxies has no meaning without accept-proxy = yes");
}

static void finish_listener(struct builder *b, size_t index)
{
    struct config_listener *l = &b->c->listener[index];
    /* Who lists those that may come in means that others may not. */
    if (!written(b, LISTENER, index, "default"))
        l->rules.default_allow = !written(b, LISTENER, index, "allow") &&
                                 !written(b, LISTENER, index, "allow-file");
    const unsigned country = rules_country_line(&l->rules);
    if (country != 0 && !written(b, GATE, 0, "country-file"))
        config_problem(&b->input, country,
                       "country: [gate] has no country-file in which to look it up");
    check_tls_range(b, LISTENER, index, l->tls_min, l->tls_max);
    find_backends(b, index);
    check_proxies(b, index);
}

static bool same_interface(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* An address may stand once for each interface it is bound to. The places were noted in the order of
 * the listeners that they belong to. */
static void check_places(struct builder *b)
{
    const struct config *c = b->c;
    const struct config_listen_place *place = b->input.listens;
    size_t n = 0;
    const char **interface =
        check_alloc(calloc(b->input.listen_count + 1, sizeof *interface));

    for (size_t i = 0; i < c->listener_count; i++)
        for (size_t k = 0; k < c->listener[i].listen_count; k++)
            interface[n++] = c->listener[i].interface;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i && place[i].addr.port != 0; k++) {
            char text[ADDR_TEXT_MAX];
            if (!addr_equal(&place[i].addr, &place[k].addr) ||
                !same_interface(interface[i], interface[k]))
                continue;
            config_problem(&b->input, place[i].line, "listen: '%s' stands already on line %u",
                           addr_format(&place[i].addr, text), place[k].line);
            break;
        }
    free(interface);
}

static void finish(struct builder *b)
{
    struct config *c = b->c;
    for (enum config_section in = GATE; in < SECTION_COUNT; in++)
        for (size_t i = 0; i < section_count(c, in); i++)
            complete_section(b, in, i);
    for (size_t i = 0; i < c->listener_count; i++)
        finish_listener(b, i);
    for (size_t i = 0; i < c->backend_count; i++)
        finish_backend(b, i);
    check_places(b);
    if (c->listener_count == 0 && !b->section_lost)
        config_problem(&b->input, 1, "there is no [listener NAME]: nothing would be accepted");
}

/* The absolute path of the folder that path is in; NULL with the problem reported. */
static char *folder_of(const char *path, FILE *problems)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    char *dir = NULL, *here = NULL;

    if (*path == '/')
        return check_alloc(strndup(path, n));
    here = getcwd(NULL, 0);
    if (here == NULL) {
        fprintf(problems, "%s: the current folder is not known: %s\n", path, strerror(errno));
        return NULL;
    }
    if (asprintf(&dir, "%s%s%.*s", here, n == 0 ? "" : "/", (int)n, path) < 0)
        dir = NULL;
    check_alloc(dir);
    free(here);
    return dir;
}

/* What stands in the text, key by key; what follows from all of it is for finish(). */
static struct builder build(const char *path, const char *dir, const char *text, size_t len,
                            FILE *problems)
{
    struct builder b = {.c = NEW(struct config),
                        .input = {.path = path, .dir = dir, .problems = problems}};
    const struct config_events to = {
        .user = &b, .on_section = on_section, .on_key = on_key, .on_problem = on_problem};

    b.c->path = copy(path);
    config_read(span_of(text, len), &to);
    return b;
}

struct config *config_parse(const char *path, const char *text, size_t len, FILE *problems)
{
    char *dir = folder_of(path, problems);
    if (dir == NULL)
        return NULL;
    struct builder b = build(path, dir, text, len, problems);

    finish(&b);
    free(dir);
    free(b.input.listens);
    if (b.input.failed) {
        config_free(b.c);
        return NULL;
    }
    return b.c;
}

struct config *config_load(const char *path, FILE *problems)
{
    size_t len;
    char *text = config_read_file(path, &len, problems);
    if (text == NULL)
        return NULL;
    struct config *c = config_parse(path, text, len, problems);
    free(text);
    return c;
}

bool config_open(struct config *c, FILE *problems)
{
    bool good = true;
    if (c->gate.country_file != NULL) {
        c->sources.country = country_open(c->gate.country_file, problems);
        good = c->sources.country != NULL;
        if (!good)
            fprintf(problems, "%s:%u: country-file cannot be used\n", c->path,
                    config_line(c, &c->gate, "country-file"));
    }
    for (size_t i = 0; i < c->listener_count; i++)
        good &= rules_open(&c->listener[i].rules, &c->sources, c->path, problems);
    return good;
}

char *config_find_admin(const char *path, FILE *problems)
{
    char *admin = NULL, *others = NULL;
    size_t len, others_len;
    char *text = config_read_file(path, &len, problems);
    char *dir = text == NULL ? NULL : folder_of(path, problems);

    if (dir != NULL) {
        FILE *f = check_alloc(open_memstream(&others, &others_len));
        struct builder b = build(path, dir, text, len, f);
        fclose(f);
        check_alloc(others);
        if (b.c->gate.admin != NULL)
            admin = copy(b.c->gate.admin);
        else
            fprintf(problems, "%s%s: no `admin` in [gate]: there is no socket to talk to\n", others,
                    path);
        config_free(b.c);
        free(b.input.listens);
        free(others);
    }
    free(dir);
    free(text);
    return admin;
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    for (enum config_section in = GATE; in < SECTION_COUNT; in++)
        for (size_t i = 0; i < section_count(c, in); i++)
            for (size_t k = 0; k < KEY_COUNT; k++)
                if (keys[k].in == in && keys[k].type->fini != NULL)
                    keys[k].type->fini(field_of(section_at(c, in, i), &keys[k]));
    for (size_t i = 0; i < c->listener_count; i++)
        free(c->listener[i].name);
    for (size_t i = 0; i < c->backend_count; i++)
        free(c->backend[i].name);
    free(c->listener);
    free(c->backend);
    sources_fini(&c->sources);
    free(c->mark);
    free(c->path);
    free(c);
}

/* ---- printing ------------------------------------------------------------------------------- */

static void print_section(const struct config *c, enum config_section in, size_t index, FILE *out)
{
    const char *name = section_name(c, in, index);
    bool plain = in == BACKEND && !c->backend[index].tls;

    fprintf(out, name == NULL ? "[%s]\n" : "[%s %s]\n", sections[in].word, name);
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *k = &keys[i];
        if (k->in != in || (plain && (k->flags & KEY_TLS)))
            continue;
        if (!k->type->print(out, k, field_of(section_at(c, in, index), k)))
            fprintf(out, "; %s: %s\n", k->name, k->otherwise);
    }
}

void config_print(const struct config *c, FILE *out)
{
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        for (size_t i = 0; i < section_count(c, in); i++) {
            if (in != GATE)
                fputc('\n', out);
            print_section(c, in, i, out);
        }
    }
}

unsigned config_line(const struct config *c, const void *section, const char *key)
{
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        for (size_t i = 0; i < section_count(c, in); i++) {
            if (section_at(c, in, i) != section)
                continue;
            const struct config_key *k = find_key(in, key);
            CHECK(k != NULL);
            const struct config_mark *m = find_mark(c, i, k, true);
            return m == NULL ? section_line(c, in, i) : m->line;
        }
    }
    check_failed("a section of this configuration", __FILE__, __LINE__);
}

static void print_syntax(FILE *out, const struct config_key *k)
{
    const char *between = "";
    if (k->type->syntax != NULL) {
        fprintf(out, "%s%s", k->type->syntax, k->flags & KEY_NONE ? " | none" : "");
        between = " | ";
    }
    for (const struct config_choice *c = k->choices; c != NULL && c->word != NULL; c++) {
        if (config_choice_of(k, c->value) != c)
            continue;
        fprintf(out, "%s%s", between, c->word);
        between = " | ";
    }
    if (k->type == &config_type_number)
        fprintf(out, "%s%u..%u", between, (unsigned)k->min, (unsigned)k->max);
}

void config_print_reference(FILE *out)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *k = &keys[i];
        if (i == 0 || keys[i - 1].in != k->in)
            fprintf(out, "%s%s\n", i == 0 ? "" : "\n", sections[k->in].title);
        fprintf(out, "%s = ", k->name);
        print_syntax(out, k);
        fprintf(out, "\n    %s\n    ", k->help);
        if (k->flags & KEY_REQUIRED)
            fputs("required", out);
        else
            fprintf(out, "default: %s", k->initial != NULL ? k->initial : k->otherwise);
        fprintf(out, "%s%s\n", k->flags & KEY_REPEAT ? "; may be repeated" : "",
                k->flags & KEY_FIXED ? "; a reload does not change it" : "");
    }
}
