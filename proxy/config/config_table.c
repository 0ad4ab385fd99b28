#include "config/config_table.h"

#include <stddef.h>
#include <string.h>

#include "config/config_sections.h"
#include "config/config_type_net.h"
#include "config/config_type_rules.h"
#include "config/config_type_server.h"
#include "config/config_type_tls.h"

/* ---- sections ---- */

const struct config_section_kind config_sections[SECTION_COUNT] = {
    [GATE] = {.word = "gate", .title = "[gate]", .items = offsetof(struct config, gate)},
    [LISTENER] = {.word = "listener",
                  .title = "[listener NAME]",
                  .named = true,
                  .items = offsetof(struct config, listener),
                  .count = offsetof(struct config, listener_count),
                  .size = sizeof(struct config_listener)},
    [BACKEND] = {.word = "backend",
                 .title = "[backend NAME]",
                 .named = true,
                 .items = offsetof(struct config, backend),
                 .count = offsetof(struct config, backend_count),
                 .size = sizeof(struct config_backend)},
    [RADIUS] = {.word = "radius",
                .title = "[radius NAME]",
                .named = true,
                .items = offsetof(struct config, radius),
                .count = offsetof(struct config, radius_count),
                .size = sizeof(struct config_radius)},
};

/* What config_section_add and its company take for granted of every named section. */
#define BEGINS_WITH_HEAD(type)                                                                     \
    _Static_assert(offsetof(struct type, name) == offsetof(struct config_head, name) &&            \
                       offsetof(struct type, line) == offsetof(struct config_head, line),          \
                   "begins as a config_head")
BEGINS_WITH_HEAD(config_listener);
BEGINS_WITH_HEAD(config_backend);
BEGINS_WITH_HEAD(config_radius);

size_t config_section_count(const struct config *c, enum config_section in)
{
    const struct config_section_kind *kind = &config_sections[in];
    return kind->named ? *(const size_t *)((const char *)c + kind->count) : 1;
}

/* Not const, as strchr() does it: both reading and printing ask here, and printing only looks. */
void *config_section_at(const struct config *c, enum config_section in, size_t index)
{
    const struct config_section_kind *kind = &config_sections[in];
    const char *at = (const char *)c + kind->items;
    char *items;

    if (!kind->named)
        return (void *)at;
    memcpy(&items, at, sizeof items); /* pointers to structs are all of one kind */
    return items == NULL ? NULL : items + index * kind->size;
}

/* That of [gate] is made up. */
static struct config_head head_of(const struct config *c, enum config_section in, size_t index)
{
    struct config_head head = {.name = NULL, .line = c->gate.line};
    if (config_sections[in].named)
        memcpy(&head, config_section_at(c, in, index), sizeof head);
    return head;
}

const char *config_section_name(const struct config *c, enum config_section in, size_t index)
{
    return head_of(c, in, index).name;
}

unsigned config_section_line(const struct config *c, enum config_section in, size_t index)
{
    return head_of(c, in, index).line;
}

void config_section_add(struct config *c, enum config_section in, char *name, unsigned line)
{
    const struct config_section_kind *kind = &config_sections[in];
    const struct config_head head = {.name = name, .line = line};
    size_t *count = (size_t *)((char *)c + kind->count);
    char *items;

    memcpy(&items, (char *)c + kind->items, sizeof items);
    items = config_grow(items, *count, kind->size);
    memcpy((char *)c + kind->items, &items, sizeof items);
    char *at = items + *count * kind->size;
    memset(at, 0, kind->size);
    memcpy(at, &head, sizeof head);
    ++*count;
}

/* ---- keys ---- */

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
static const struct config_choice keep_or_client[] = {{"keep", false}, {"client", true}, {NULL, 0}};
static const struct config_choice none_or_eap[] = {{"none", false}, {"eap", true}, {NULL, 0}};
static const struct config_choice claim_or_verified[] = {
    {"claim", false}, {"verified", true}, {NULL, 0}};
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

static const struct config_choice balances[] = {{"first", BACKENDS_FIRST},
                                                {"roundrobin", BACKENDS_ROUNDROBIN},
                                                {"leastconn", BACKENDS_LEASTCONN},
                                                {"source", BACKENDS_SOURCE},
                                                {NULL, 0}};
static const struct config_choice checks[] = {
    {"no", CONFIG_CHECK_NO},     {"tcp", CONFIG_CHECK_TCP},   {"tls", CONFIG_CHECK_TLS},
    {"http", CONFIG_CHECK_HTTP}, {"sstp", CONFIG_CHECK_SSTP}, {NULL, 0},
};

#define GATE_KEY(key, field) .in = GATE, .name = key, .at = offsetof(struct config_gate, field)
#define LISTENER_KEY(key, field)                                                                   \
    .in = LISTENER, .name = key, .at = offsetof(struct config_listener, field)
#define BACKEND_KEY(key, field)                                                                    \
    .in = BACKEND, .name = key, .at = offsetof(struct config_backend, field)
/* Values that fill more than one field: their types get the whole struct. */
#define LISTENER_ALL(key) .in = LISTENER, .name = key, .at = 0
#define BACKEND_ALL(key) .in = BACKEND, .name = key, .at = 0
#define RADIUS_KEY(key, field)                                                                     \
    .in = RADIUS, .name = key, .at = offsetof(struct config_radius, field)

/* clang-format off */
const struct config_key config_keys[] = {
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
    {GATE_KEY("handshakes-at-once", handshakes_at_once), .type = &config_type_number, .min = 1,
     .max = 1000000, .initial = "1000",
     .help = "TLS handshakes with clients in progress at a time, in each worker; more wait in order."},
    {GATE_KEY("country-file", country_file), .type = &config_type_path, .otherwise = "none",
     .help = "MaxMind database (GeoLite2-Country.mmdb) for rules with `country`."},
    {GATE_KEY("timeout-handshake", timeout_handshake), .type = &config_type_duration, .initial = "10s",
     .help = "For the client's first bytes, and again for its TLS handshake."},
    {GATE_KEY("timeout-request", timeout_request), .type = &config_type_duration, .initial = "10s",
     .help = "For the client's HTTP request, from the end of the handshake."},
    {GATE_KEY("timeout-connect", timeout_connect), .type = &config_type_duration, .initial = "5s",
     .help = "For TCP and TLS to each address of a backend, before the next is tried."},
    {GATE_KEY("timeout-answer", timeout_answer), .type = &config_type_duration, .initial = "30s",
     .help = "For the backend's answer to the HTTP request."},
    {GATE_KEY("timeout-negotiate", timeout_negotiate), .type = &config_type_duration, .initial = "90s",
     .help = "For SSTP and PPP, from the backend's answer until the tunnel is up."},
    {GATE_KEY("timeout-key", timeout_key), .type = &config_type_duration, .initial = "3s",
     .help = "For the keys of a login to come from RADIUS, from the client's Call Connected."},
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
     .help = "Tunnels at a time of one user name that a login has proved; more are disconnected."},
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
     .help = "Points at which an address is banned: a failed login counts 10, malformed SSTP and a forged "
             "binding 5. Where many clients share one address, one offender bans all of them."},
    {GATE_KEY("ban-time", limits.ban_time), .type = &config_type_duration, .initial = "10m",
     .help = "How long a ban lasts; tunnels that are up stay."},
    {GATE_KEY("ban-reset", limits.ban_reset), .type = &config_type_duration, .initial = "10m",
     .help = "How long a point counts."},
    {GATE_KEY("ban-exempt", limits.ban_exempt), .type = &config_type_cidrs, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "Addresses that get no points and are never banned, besides trusted-proxies."},
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
     .help = "Ciphers for TLS 1.2 and older, as `openssl ciphers` takes them. Suites without "
             "a certificate, without encryption and with DHE are removed from any list."},
    {LISTENER_KEY("ciphersuites", ciphersuites), .type = &config_type_ciphers, .flags = KEY_REPEAT,
     .otherwise = "those of OpenSSL", .help = "Cipher suites for TLS 1.3."},
    {LISTENER_KEY("groups", groups), .type = &config_type_ciphers, .flags = KEY_REPEAT,
     .otherwise = "X25519:P-256:X448:P-521:P-384",
     .help = "Groups of the key exchange, in order of preference. With a finite field (ffdhe) in the "
             "list, one packet of a stranger costs up to 150 ms of CPU time."},
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
    {LISTENER_ALL("use-backend"), .type = &config_type_route, .flags = KEY_REPEAT,
     .otherwise = "all calls go to `backend`",
     .help = "Another backend for some: its name, and conditions as in `allow` that must all hold "
             "(without user and action). The first line that matches decides."},
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
     .help = "SSTP server, port 443 unless written (80 with tls = no). weight: its part of the calls, "
             "1 to 256, default 1; max-tunnels: calls at a time; backup: for when none of the others "
             "can take a call. When one fails before its answer the call goes to the next."},
    {BACKEND_KEY("balance", servers.balance), .type = &config_type_choice, .choices = balances,
     .initial = "first",
     .help = "Which server gets a call: the first, in their order, that is up and not full; each in "
             "its turn; the one with the fewest calls; or by the client's address, the same as long "
             "as it is up."},
    {BACKEND_KEY("slow-start", servers.slow_start), .type = &config_type_duration, .flags = KEY_NONE,
     .initial = "none",
     .help = "How long the weight of a server that has come up, or is ready again, grows to its full "
             "value."},
    {BACKEND_KEY("fall", servers.fall), .type = &config_type_number, .min = 1, .max = 100, .initial = "3",
     .help = "Failures in a row, of calls and checks, at which a server is down."},
    {BACKEND_KEY("rise", servers.rise), .type = &config_type_number, .min = 1, .max = 100, .initial = "2",
     .help = "Good checks in a row at which it is up again."},
    {BACKEND_KEY("down-time", servers.down_time), .type = &config_type_duration, .initial = "10s",
     .help = "Without checks: how long a server that is down is left alone, before one call tries it. "
             "When no other is left all calls do."},
    {BACKEND_KEY("check", check), .type = &config_type_choice, .choices = checks, .initial = "no",
     .help = "Ask the servers from time to time: tcp connects; tls looks at the certificate, too; "
             "http sends a HEAD for the URI of SSTP; sstp the request of a call, and ends behind the "
             "answer. Each within timeout-connect."},
    {BACKEND_KEY("check-interval", check_interval), .type = &config_type_duration, .initial = "10s",
     .help = "Time from one check of a server to the next, give or take a tenth; at least 1s."},
    {BACKEND_KEY("check-statuses", check_statuses), .type = &config_type_statuses,
     .flags = KEY_REPEAT, .otherwise = "200 for sstp; 200-499 and 501 for http",
     .help = "HTTP statuses that are a good answer to a check, such as 200 401-404."},
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
     .help = "Ciphers for TLS 1.2 and older, as `openssl ciphers` takes them. Suites without "
             "a certificate, without encryption and with DHE are removed from any list."},
    {BACKEND_KEY("ciphersuites", ciphersuites), .type = &config_type_ciphers,
     .flags = KEY_REPEAT | KEY_TLS, .otherwise = "those of OpenSSL",
     .help = "Cipher suites for TLS 1.3."},
    {BACKEND_KEY("groups", groups), .type = &config_type_ciphers, .flags = KEY_REPEAT | KEY_TLS,
     .otherwise = "X25519:P-256:X448:P-521:P-384",
     .help = "Groups of the key exchange, in order of preference; as in a listener."},
    {BACKEND_KEY("send-proxy", send_proxy), .type = &config_type_choice, .choices = send_proxy_ways,
     .initial = "no",
     .help = "Begin each connection with a PROXY header: v1, or v2 with TLS version, cipher and "
             "server name."},
    {BACKEND_KEY("pass-tenant", pass_tenant), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "yes: the request names the tenant that the client has named (?tenantid=)."},
    {BACKEND_KEY("crypto-binding", binding), .type = &config_type_choice, .choices = binding_ways,
     .initial = "rewrite",
     .help = "rewrite: verify the client's, make it again for the server; auto: pass it on where "
             "the key is not known; passthrough: compare the hash only; off: do not look."},
    {BACKEND_ALL("binding-cert-hash"), .type = &config_type_cert_hash, .flags = KEY_REPEAT,
     .otherwise = "that of the certificate the server shows",
     .help = "SHA1 or SHA256 of the certificate the server expects in the crypto-binding; one of "
             "each may stand."},
    {BACKEND_KEY("zero-key", zero_key_eap), .type = &config_type_flag, .choices = none_or_eap,
     .initial = "none",
     .help = "eap: accept a binding made with zeros inside EAP although a key of the login is known, "
             "because some Windows clients are said to make such bindings."},
    {BACKEND_KEY("outer-name", outer_name_verified), .type = &config_type_flag,
     .choices = claim_or_verified, .initial = "claim",
     .help = "claim: rules and max-tunnels-per-user ignore the outer name of EAP-TLS, PEAP and the "
             "like; verified: they use it, because the server compares it with the inner name."},
    {BACKEND_KEY("users-file", users_file), .type = &config_type_path, .otherwise = "none",
     .help = "NAME:HASH-HASH lines, as `sstpgate user` prints: keys of MS-CHAPv2."},
    {BACKEND_KEY("radius", radius_name), .type = &config_type_reference, .otherwise = "none",
     .help = "The [radius NAME] that the server asks about its users: keys of their logins come from "
             "there."},

    {RADIUS_KEY("listen", listen), .type = &config_type_places, .flags = KEY_REQUIRED | KEY_REPEAT,
     .min = 1812, .help = "Address where VPN servers ask, port 1812 unless written."},
    {RADIUS_KEY("accounting-listen", accounting_listen), .type = &config_type_places,
     .flags = KEY_REPEAT, .min = 1813, .otherwise = "accounting is not taken",
     .help = "The same for accounting, which is passed on as it is; port 1813 unless written."},
    {RADIUS_KEY("clients", clients), .type = &config_type_cidrs, .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "The VPN servers; what others send is dropped."},
    {RADIUS_KEY("secret-file", secret_file), .type = &config_type_path, .flags = KEY_REQUIRED,
     .help = "File whose first line is the secret shared with the VPN servers."},
    {RADIUS_KEY("server", server), .type = &config_type_hosts_and_ports,
     .flags = KEY_REQUIRED | KEY_REPEAT, .min = 1812,
     .help = "RADIUS server, port 1812 unless written; the next one is for when it is silent."},
    {RADIUS_KEY("accounting-server", accounting_server), .type = &config_type_hosts_and_ports,
     .flags = KEY_REPEAT, .min = 1813, .otherwise = "none",
     .help = "The same for accounting, port 1813 unless written."},
    {RADIUS_KEY("server-secret-file", server_secret_file), .type = &config_type_path,
     .otherwise = "that of `secret-file`",
     .help = "File whose first line is the secret shared with the RADIUS servers."},
    {RADIUS_KEY("require-message-authenticator", require_message_authenticator),
     .type = &config_type_flag, .choices = yes_or_no, .initial = "no",
     .help = "yes: drop Access-Requests and answers without a Message-Authenticator (Blast-RADIUS), "
             "which EAP must have in any case. no: the gate signs an unsigned request from an address "
             "in clients for the server."},
    {RADIUS_KEY("calling-station-id", calling_station_client), .type = &config_type_flag,
     .choices = keep_or_client, .initial = "keep",
     .help = "client: Calling-Station-Id becomes the address of the VPN client, which the VPN server "
             "does not see."},
    {RADIUS_KEY("timeout-server", timeout_server), .type = &config_type_duration, .initial = "3s",
     .help = "For an answer of a RADIUS server; what the VPN server sends again then goes to the next "
             "one."},
};
/* clang-format on */
const size_t config_key_count = sizeof config_keys / sizeof *config_keys;

const struct config_key *config_key_find(enum config_section in, const char *name)
{
    for (size_t i = 0; i < config_key_count; i++)
        if (config_keys[i].in == in && strcmp(config_keys[i].name, name) == 0)
            return &config_keys[i];
    return NULL;
}

/* ---- the table for readers ---- */

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
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (i == 0 || config_keys[i - 1].in != k->in)
            fprintf(out, "%s%s\n", i == 0 ? "" : "\n", config_sections[k->in].title);
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
