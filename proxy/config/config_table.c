#include "config/config_table.h"

#include <stddef.h>
#include <string.h>

#include "config/config_sections.h"
#include "config/config_type_net.h"
#include "config/config_type_rules.h"
#include "config/config_type_server.h"
#include "config/config_type_shared.h"
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

/* The config_section functions rely on this for every named section. */
#define BEGINS_WITH_HEAD(type)                                                                     \
    _Static_assert(offsetof(struct type, name) == offsetof(struct config_head, name) &&            \
                       offsetof(struct type, line) == offsetof(struct config_head, line) &&        \
                       offsetof(struct type, file) == offsetof(struct config_head, file),          \
                   "begins as a config_head")
BEGINS_WITH_HEAD(config_listener);
BEGINS_WITH_HEAD(config_backend);
BEGINS_WITH_HEAD(config_radius);

size_t config_section_count(const struct config *c, enum config_section in)
{
    const struct config_section_kind *kind = &config_sections[in];
    return kind->named ? *(const size_t *)((const char *)c + kind->count) : 1;
}

/* Returns a pointer without const, as strchr() does: config_load changes the section,
 * config_print() only reads it. */
void *config_section_at(const struct config *c, enum config_section in, size_t index)
{
    const struct config_section_kind *kind = &config_sections[in];
    const char *at = (const char *)c + kind->items;
    char *items;

    if (!kind->named)
        return (void *)at;
    memcpy(&items, at, sizeof items); /* all pointers to structs have the same representation */
    return items == NULL ? NULL : items + index * kind->size;
}

/* Returns the name and line of a section; [gate] has no config_head. */
static struct config_head head_of(const struct config *c, enum config_section in, size_t index)
{
    struct config_head head = {.name = NULL, .line = c->gate.line, .file = c->gate.file};
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

const char *config_section_file(const struct config *c, enum config_section in, size_t index)
{
    return head_of(c, in, index).file;
}

void config_section_add(struct config *c, enum config_section in, char *name, unsigned line,
                        const char *file)
{
    const struct config_section_kind *kind = &config_sections[in];
    const struct config_head head = {.name = name, .line = line, .file = file};
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

static const struct config_choice log_words[] = {
    {"stderr", 0}, {"stdout", 1}, {"syslog", 2}, {NULL, 0}};
static const struct config_choice auto_or_number[] = {{"auto", 0}, {NULL, 0}};
static const struct config_choice auto_or_level[] = {{"auto", -1}, {NULL, 0}};
static const struct config_choice system_or_file[] = {{"system", 0}, {NULL, 0}};
static const struct config_choice log_formats[] = {
    {"text", CONFIG_LOG_TEXT}, {"json", CONFIG_LOG_JSON}, {NULL, 0}};
static const struct config_choice log_levels[] = {
    {"error", CONFIG_LOG_ERROR},
    {"warning", CONFIG_LOG_WARNING},
    {"info", CONFIG_LOG_INFO},
    {"debug", CONFIG_LOG_DEBUG},
    {NULL, 0},
};
static const struct config_choice admin_modes[] = {
    {"0600", 0600}, {"0660", 0660}, {"600", 0600}, {"660", 0660}, {NULL, 0}};
static const struct config_choice status_modes[] = {{"0600", 0600}, {"0660", 0660}, {"0666", 0666},
                                                    {"600", 0600},  {"660", 0660},  {"666", 0666},
                                                    {NULL, 0}};
static const struct config_choice sandboxes[] = {{"no", CONFIG_SANDBOX_NO},
                                                 {"auto", CONFIG_SANDBOX_AUTO},
                                                 {"require", CONFIG_SANDBOX_REQUIRE},
                                                 {NULL, 0}};
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
static const struct config_choice auto_or_openssl[] = {
    {"auto", true}, {"openssl", false}, {NULL, 0}};
static const struct config_choice local_or_refuse[] = {
    {"local", false}, {"refuse", true}, {NULL, 0}};
static const struct config_choice packet_or_full[] = {{"packet", false}, {"full", true}, {NULL, 0}};
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
/* For values that fill several fields: their types get the whole struct. */
#define LISTENER_ALL(key) .in = LISTENER, .name = key, .at = 0
#define BACKEND_ALL(key) .in = BACKEND, .name = key, .at = 0
#define RADIUS_KEY(key, field)                                                                     \
    .in = RADIUS, .name = key, .at = offsetof(struct config_radius, field)

/* clang-format off */
const struct config_key config_keys[] = {
    {GATE_KEY("workers", workers), .type = &config_type_number, .flags = KEY_FIXED, .min = 1, .max = 64,
     .choices = auto_or_number, .initial = "auto",
     .help = "Threads that carry calls; auto: one for each CPU that the process may use, within the "
             "CPU quota of its control group."},
    {.in = GATE, .name = "include", .type = &config_type_include, .flags = KEY_REPEAT,
     .otherwise = "no other file",
     .help = "File with more sections, or a pattern such as conf.d/*.conf: any number of files, in the "
             "order of their names. Also in other sections, and before the first. An included file "
             "includes no other."},
    {GATE_KEY("log", log), .type = &config_type_log, .flags = KEY_FIXED, .choices = log_words,
     .initial = "stderr",
     .help = "Where log lines are written; syslog: /dev/log, by default as facility daemon and tag sstpgate; "
             "a file is reopened on SIGUSR1."},
    {GATE_KEY("log-format", log_format), .type = &config_type_choice, .flags = KEY_FIXED,
     .choices = log_formats, .initial = "text",
     .help = "Form of a line: time, level, event and key=value (logfmt); or an object of JSON with the "
             "same fields."},
    {GATE_KEY("log-level", log_level), .type = &config_type_choice, .choices = log_levels,
     .initial = "info",
     .help = "Least severe level that is logged; `sstpgate ctl log-level` changes it until the next "
             "reload."},
    {GATE_KEY("admin", admin), .type = &config_type_socket, .flags = KEY_FIXED,
     .otherwise = "no socket",
     .help = "Socket for `sstpgate ctl`, for its owner and root; see admin-mode."},
    {GATE_KEY("admin-group", admin_group), .type = &config_type_group, .flags = KEY_FIXED,
     .otherwise = "that of the process", .help = "Group of the socket in `admin`."},
    {GATE_KEY("admin-mode", admin_mode), .type = &config_type_choice, .flags = KEY_FIXED,
     .choices = admin_modes, .initial = "0600",
     .help = "Permissions of the socket in `admin`; 0660: its group may give every command, too."},
    {GATE_KEY("status", status), .type = &config_type_sockets, .flags = KEY_FIXED | KEY_REPEAT,
     .otherwise = "no status listener",
     .help = "Address for metrics, health checks, the API and the status page (HTTP, without TLS)."},
    {GATE_KEY("status-allow", status_allow), .type = &config_type_cidrs, .flags = KEY_REPEAT,
     .otherwise = "only this host",
     .help = "Networks that may connect to `status`, besides loopback. For a Unix socket set "
             "status-group and status-mode instead."},
    {GATE_KEY("status-group", status_group), .type = &config_type_group, .flags = KEY_FIXED,
     .otherwise = "that of the process", .help = "Group of the Unix sockets in `status`."},
    {GATE_KEY("status-mode", status_mode), .type = &config_type_choice, .flags = KEY_FIXED,
     .choices = status_modes, .initial = "0660",
     .help = "Permissions of the Unix sockets in `status`. Actions require the token in any case."},
    {GATE_KEY("status-host", status_host), .type = &config_type_hosts, .flags = KEY_REPEAT,
     .otherwise = "addresses and localhost",
     .help = "Name that the URL of a request to `status` may have; other names are refused (DNS "
             "rebinding)."},
    {GATE_KEY("status-token-file", status_token_file), .type = &config_type_path,
     .otherwise = "the status listener is read-only",
     .help = "File whose first line is the token for actions: end, ban, unban, drain, resume, reload."},
    {GATE_KEY("drain-time", drain_time), .type = &config_type_duration, .flags = KEY_NONE,
     .initial = "none",
     .help = "A drain ends the tunnels that remain, spread evenly over this time; none: it waits until "
             "they end by themselves."},
    {GATE_KEY("user", user), .type = &config_type_account, .flags = KEY_FIXED,
     .otherwise = "the user that starts the gate",
     .help = "User that a gate started by root becomes, for good, once it has bound its addresses and "
             "read its files; the user must be able to read them again for a reload."},
    {GATE_KEY("group", group), .type = &config_type_account, .flags = KEY_FIXED,
     .otherwise = "the group of user",
     .help = "Main group of `user`, instead of the group in the user database."},
    {GATE_KEY("sandbox", sandbox), .type = &config_type_choice, .flags = KEY_FIXED,
     .choices = sandboxes, .initial = "auto",
     .help = "Whether the gate gives up the capabilities, new privileges, system calls (seccomp) and "
             "write access to files (Landlock) that it does not need; auto: as far as the kernel can; "
             "require: all of it, or the start fails."},
    {GATE_KEY("max-tunnels", max_tunnels), .type = &config_type_number, .min = 1, .max = 1000000,
     .initial = "10000", .help = "Simultaneous connections, in any state; more wait."},
    {GATE_KEY("handshakes-at-once", handshakes_at_once), .type = &config_type_number, .min = 1,
     .max = 1000000, .initial = "1000",
     .help = "Simultaneous TLS handshakes with clients, in each worker; more wait in order."},
    {GATE_KEY("tls-records", own_records), .type = &config_type_flag, .choices = auto_or_openssl,
     .initial = "auto",
     .help = "Code that protects TLS records after a handshake. auto: the gate's own for AES-GCM and "
             "ChaCha20-Poly1305 in TLS 1.2 and 1.3, OpenSSL's for the rest; openssl: always OpenSSL's. A "
             "reload applies to new calls."},
    {GATE_KEY("key-log", key_log), .type = &config_type_path, .otherwise = "none",
     .help = "File that gets the keys of all TLS connections, in the format of SSLKEYLOGFILE, for Wireshark. "
             "Only its owner may have access to it (mode 0600). An attacker with the file can read what "
             "clients and servers send: set it only to find a fault."},
    {GATE_KEY("country-file", country_file), .type = &config_type_path, .otherwise = "none",
     .help = "MaxMind database (GeoLite2-Country.mmdb) for rules with `country`."},
    {GATE_KEY("timeout-handshake", timeout_handshake), .type = &config_type_duration, .initial = "10s",
     .help = "For the client's first bytes, and again for its TLS handshake."},
    {GATE_KEY("timeout-request", timeout_request), .type = &config_type_duration, .initial = "10s",
     .help = "For the client's HTTP request, from the end of the handshake."},
    {GATE_KEY("timeout-connect", timeout_connect), .type = &config_type_duration, .initial = "5s",
     .help = "For TCP and TLS to each address of a backend, before the next address is tried."},
    {GATE_KEY("timeout-answer", timeout_answer), .type = &config_type_duration, .initial = "30s",
     .help = "For the backend's response to the HTTP request."},
    {GATE_KEY("timeout-negotiate", timeout_negotiate), .type = &config_type_duration, .initial = "90s",
     .help = "For SSTP and PPP, from the backend's response until the tunnel is up."},
    {GATE_KEY("timeout-key", timeout_key), .type = &config_type_duration, .initial = "3s",
     .help = "For the keys of a login to arrive from RADIUS, from the client's Call Connected."},
    {GATE_KEY("timeout-idle", timeout_idle), .type = &config_type_duration, .flags = KEY_NONE,
     .initial = "none", .help = "For a tunnel without any packet of either side, not even echo messages. A peer "
             "that has vanished is noticed within two minutes without it."},
    {GATE_KEY("timeout-drain", timeout_drain), .type = &config_type_duration, .initial = "5s",
     .help = "For a peer to receive what is queued when its call has ended."},
    {GATE_KEY("timeout-web", timeout_web), .type = &config_type_duration, .initial = "60s",
     .help = "For a connection to the fallback web site without any data."},

    {GATE_KEY("max-tunnels-per-address", limits.tunnels_per_address), .type = &config_type_number,
     .min = 0, .max = 1000000, .choices = none_or_number, .initial = "none",
     .help = "Simultaneous connections from one address (or one prefix, see address-prefix-ipv6); more "
             "are reset."},
    {GATE_KEY("max-tunnels-per-user", limits.tunnels_per_user), .type = &config_type_number,
     .min = 0, .max = 1000000, .choices = none_or_number, .initial = "none",
     .help = "Simultaneous tunnels of one user, by the name that a login has proved; more are disconnected."},
    {GATE_KEY("address-prefix-ipv4", limits.prefix_ipv4), .type = &config_type_number,
     .flags = KEY_FIXED, .min = 8, .max = 32, .initial = "32",
     .help = "Length of the IPv4 prefix that counts as one address for limits and bans."},
    {GATE_KEY("address-prefix-ipv6", limits.prefix_ipv6), .type = &config_type_number,
     .flags = KEY_FIXED, .min = 16, .max = 128, .initial = "64",
     .help = "The same for IPv6, where one host commonly has a /64."},
    {GATE_KEY("handshake-rate", limits.rate), .type = &config_type_rate, .choices = none_or_number,
     .initial = "none",
     .help = "New connections in all, such as 20/s: up to 20 at once, and 20 in each second."},
    {GATE_KEY("handshake-rate-per-address", limits.rate_per_address), .type = &config_type_rate,
     .choices = none_or_number, .initial = "none", .help = "The same for each address."},
    {GATE_KEY("ban-points", limits.ban_points), .type = &config_type_number, .min = 0, .max = 10000,
     .choices = none_or_number, .initial = "none",
     .help = "Points at which an address is banned: a failed login counts 10, malformed SSTP and a forged "
             "binding 5. If many clients share one address, one offender bans all of them."},
    {GATE_KEY("ban-time", limits.ban_time), .type = &config_type_duration, .initial = "10m",
     .help = "How long a ban lasts; tunnels that are up stay."},
    {GATE_KEY("ban-reset", limits.ban_reset), .type = &config_type_duration, .initial = "10m",
     .help = "How long a point counts."},
    {GATE_KEY("ban-exempt", limits.ban_exempt), .type = &config_type_cidrs, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "Addresses that get no points and are never banned, besides trusted-proxies."},
    {GATE_KEY("ban-file", limits.ban_file), .type = &config_type_path,
     .otherwise = "a restart ends all bans", .help = "File that keeps the bans across restarts."},

    {GATE_KEY("shared", shared), .type = &config_type_stores, .flags = KEY_FIXED | KEY_REPEAT,
     .otherwise = "no store",
     .help = "Redis or Valkey through which several gates share bans, points, max-tunnels-per-user, "
             "max-tunnels-per-address and handshake-rate-per-address. Of several, the gate uses the first "
             "that answers and is no replica. redis+sentinel and rediss+sentinel: a Sentinel, which is "
             "asked for the store with this NAME."},
    {GATE_KEY("shared-password-file", shared_password_file), .type = &config_type_path,
     .flags = KEY_FIXED, .otherwise = "no password",
     .help = "File whose first line is the password for `shared`."},
    {GATE_KEY("shared-sentinel-password-file", sentinel_password_file), .type = &config_type_path,
     .flags = KEY_FIXED, .otherwise = "no password",
     .help = "File whose first line is the password of the Sentinels in `shared`."},
    {GATE_KEY("shared-secret-file", shared_secret_file), .type = &config_type_path,
     .flags = KEY_FIXED, .otherwise = "keys and addresses are not shared",
     .help = "File whose first line, of at least 32 bytes, is a secret that only the gates have: it seals "
             "the keys of RADIUS logins and the addresses for calling-station-id in the store."},
    {GATE_KEY("shared-prefix", shared_prefix), .type = &config_type_shared_prefix, .flags = KEY_FIXED,
     .initial = "sstpgate:",
     .help = "Beginning of each key in the store; gates with the same prefix act as one."},
    {GATE_KEY("shared-name", shared_name), .type = &config_type_shared_name, .flags = KEY_FIXED,
     .otherwise = "the host name", .help = "Name of this gate for the other gates."},
    {GATE_KEY("shared-ca-file", shared_ca_file), .type = &config_type_path, .flags = KEY_FIXED,
     .choices = system_or_file, .initial = "system",
     .help = "CAs (PEM) of the certificate of a store with rediss; it must have the name in `shared`."},
    {GATE_KEY("shared-pin-sha256", shared_pin), .type = &config_type_shared_pin,
     .flags = KEY_FIXED | KEY_REPEAT, .otherwise = "shared-ca-file decides",
     .help = "SHA256 fingerprint of a certificate that a store with rediss may present, instead of "
             "shared-ca-file."},
    {GATE_KEY("shared-timeout", shared_timeout), .type = &config_type_duration, .flags = KEY_FIXED,
     .initial = "50ms",
     .help = "How long a call waits for an answer of the store; then shared-fail decides."},
    {GATE_KEY("shared-fail", shared_refuse), .type = &config_type_flag, .flags = KEY_FIXED,
     .choices = local_or_refuse, .initial = "local",
     .help = "What decides while the store does not answer. local: the counts of this gate; refuse: a "
             "call with a limit over all gates is refused."},

    {LISTENER_ALL("listen"), .type = &config_type_listen, .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "Address to listen on, default port 443; all addresses only as *:443, 0.0.0.0:443 or "
             "[::]:443."},
    {LISTENER_ALL("listen-http"), .type = &config_type_listen_http, .flags = KEY_REPEAT,
     .otherwise = "no plain HTTP",
     .help = "Address for plain HTTP, default port 80: each request is redirected to https, except those "
             "for acme-http."},
    {LISTENER_KEY("interface", interface), .type = &config_type_interface,
     .otherwise = "any",
     .help = "Accept only connections that arrive on this interface (Linux before 5.7: needs CAP_NET_RAW)."},
    {LISTENER_KEY("v6only", v6only), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "yes", .help = "no: an IPv6 wildcard address also accepts IPv4 clients."},
    {LISTENER_KEY("freebind", freebind), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "yes: listen also on an address that the machine does not have yet, such as one that a "
             "VRRP partner holds."},
    {LISTENER_ALL("certificate"), .type = &config_type_certificate,
     .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "PEM file (the certificate and the intermediate CAs) or PKCS#12 file. With several "
             "certificates, a client gets one for the name that it requests, or else the first."},
    {LISTENER_ALL("key"), .type = &config_type_key, .flags = KEY_REPEAT,
     .otherwise = "in the file of `certificate`",
     .help = "PEM file of the private key of the certificate above it, or the URI of a key in hardware, "
             "such as pkcs11:token=NAME;object=NAME;type=private or handle:0x81000001, for a provider of "
             "openssl.cnf. A file with a colon: ./NAME."},
    {LISTENER_ALL("passphrase-file"), .type = &config_type_passphrase_file, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "File whose first line is the passphrase of the certificate above it, or the PIN of the "
             "hardware that has its key."},
    {LISTENER_ALL("ocsp-file"), .type = &config_type_ocsp_file, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "OCSP response (DER) for the certificate above it, stapled for clients that request it."},
    {LISTENER_KEY("strict-sni", strict_sni), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "yes: refuse (with a TLS alert) clients that request a name without a certificate, or no "
             "name."},
    {LISTENER_KEY("tls-min", tls_min), .type = &config_type_choice, .choices = tls_versions,
     .initial = "1.2", .help = "Oldest TLS version for clients."},
    {LISTENER_KEY("tls-max", tls_max), .type = &config_type_choice, .choices = tls_versions,
     .initial = "1.3", .help = "Newest TLS version for clients."},
    {LISTENER_KEY("ciphers", ciphers), .type = &config_type_ciphers, .flags = KEY_REPEAT,
     .otherwise = "the defaults of OpenSSL",
     .help = "Ciphers for TLS 1.2 and older, in the syntax of `openssl ciphers`. Suites without "
             "a certificate, without encryption and with DHE are always removed."},
    {LISTENER_KEY("ciphersuites", ciphersuites), .type = &config_type_ciphers, .flags = KEY_REPEAT,
     .otherwise = "the defaults of OpenSSL", .help = "Cipher suites for TLS 1.3."},
    {LISTENER_KEY("groups", groups), .type = &config_type_ciphers, .flags = KEY_REPEAT,
     .otherwise = "X25519:P-256:X448:P-521:P-384",
     .help = "Groups of the key exchange, in order of preference. With a finite field (ffdhe) in the "
             "list, one packet of an attacker costs up to 150 ms of CPU time."},
    {LISTENER_KEY("key-update", key_update), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "yes: send a KeyUpdate of TLS 1.3 before one key of AES-GCM has protected as many records as "
             "RFC 8446 5.5 permits, some 33 GB of a tunnel. no: never, as OpenSSL, because it is unknown "
             "how each SSTP client handles a KeyUpdate."},
    {LISTENER_KEY("records", full_records), .type = &config_type_flag, .choices = packet_or_full,
     .initial = "packet",
     .help = "TLS records for clients. packet: one for each SSTP packet, because sstpc stalls if a record "
             "has several. full: packets that arrive together share records; set it only if all clients "
             "are known to read such records."},
    {LISTENER_KEY("allow", rules), .type = &config_type_allow, .flags = KEY_REPEAT,
     .otherwise = "no rules: `default` decides",
     .help = "Clients that may connect: NETWORK, or conditions that must all be true: address NETWORK, "
             "file PATH, country CC or any; user PATTERN; host NAME; sni NAME; tenant VALUE; time DAYS "
             "HOURS ZONE. The first allow or deny line that matches decides."},
    {LISTENER_KEY("deny", rules), .type = &config_type_deny, .flags = KEY_REPEAT,
     .otherwise = "no rules: `default` decides",
     .help = "Clients that may not connect: as allow, and `action reset`, `drop` or `decoy` instead of "
             "deny-action."},
    {LISTENER_KEY("allow-file", rules), .type = &config_type_allow_file, .flags = KEY_REPEAT,
     .otherwise = "none",
     .help = "Same as `allow = file PATH`: a file of networks, one on each line, comments after #."},
    {LISTENER_KEY("deny-file", rules), .type = &config_type_deny_file, .flags = KEY_REPEAT,
     .otherwise = "none", .help = "Same as `deny = file PATH`."},
    {LISTENER_KEY("default", rules.default_allow), .type = &config_type_flag, .choices = allow_or_deny,
     .otherwise = "deny if there is an allow or allow-file, else allow",
     .help = "Verdict for clients that match no rule."},
    {LISTENER_KEY("deny-action", rules.deny_action), .type = &config_type_choice,
     .choices = deny_actions, .initial = "reset",
     .help = "What happens to denied clients whose rule has no `action`: reset resets the connection; "
             "drop discards it without an answer; decoy answers like a web site without SSTP."},
    {LISTENER_KEY("mode", dry_run), .type = &config_type_flag, .choices = enforce_or_dry_run,
     .initial = "enforce",
     .help = "dry-run: log which clients the rules would deny, but admit all."},
    {LISTENER_KEY("recheck-tunnels", recheck_tunnels), .type = &config_type_flag,
     .choices = yes_or_no, .initial = "no",
     .help = "yes: a reload, a new list of networks, or the end of a time window ends tunnels that the "
             "rules deny."},
    {LISTENER_KEY("max-session", max_session), .type = &config_type_duration, .flags = KEY_NONE,
     .initial = "none",
     .help = "Ends each tunnel after this time. The client may dial again."},
    {LISTENER_KEY("host", host), .type = &config_type_hosts, .flags = KEY_REPEAT,
     .otherwise = "any name",
     .help = "Name or address that the client must request (Host and TLS server name)."},
    {LISTENER_KEY("backend", backend_name), .type = &config_type_reference,
     .otherwise = "the only backend of the file",
     .help = "Backend that gets the calls."},
    {LISTENER_ALL("use-backend"), .type = &config_type_route, .flags = KEY_REPEAT,
     .otherwise = "all calls go to `backend`",
     .help = "Another backend for some calls: its name, and conditions as in `allow` (without user and "
             "action). The first line that matches decides."},
    {LISTENER_KEY("accept-proxy", accept_proxy), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "yes: trusted proxies begin each connection with a PROXY header, version 1 or 2."},
    {LISTENER_KEY("trusted-proxies", trusted_proxies), .type = &config_type_cidrs,
     .flags = KEY_REPEAT, .otherwise = "none",
     .help = "Proxies whose header contains the client's address; other peers are clients."},
    {LISTENER_KEY("fallback", fallback_name), .type = &config_type_reference,
     .otherwise = "a built-in 404",
     .help = "Backend with a web site, for requests that are not SSTP or that are denied."},
    {LISTENER_KEY("health-path", health_path), .type = &config_type_url_path, .otherwise = "none",
     .help = "Path, such as /healthz, whose GET and HEAD the gate answers with 200: for load balancers "
             "and monitors. Such requests have a line `call` only at log-level debug."},
    {LISTENER_KEY("acme", acme), .type = &config_type_address, .min = 8443, .otherwise = "none",
     .help = "ACME client that answers tls-alpn-01. A connection that offers the protocol acme-tls/1 "
             "alone (ALPN) is passed to it unchanged; allow and deny do not apply to it."},
    {LISTENER_KEY("acme-http", acme_http), .type = &config_type_address, .min = 8080,
     .otherwise = "none",
     .help = "ACME client that answers http-01: requests at listen-http for "
             "/.well-known/acme-challenge/ go to it; allow and deny do not apply to them."},

    {BACKEND_ALL("server"), .type = &config_type_server, .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "SSTP server, default port 443 (80 with tls = no). weight: share of the calls, 1 to 256, "
             "default 1; max-tunnels: simultaneous calls; backup: only if no other server can take a call. "
             "If a server fails before its response, the next one gets the call."},
    {BACKEND_KEY("balance", servers.balance), .type = &config_type_choice, .choices = balances,
     .initial = "first",
     .help = "Which server gets a call. first: the first that is up and not full; roundrobin: each in "
             "turn; leastconn: the one with the fewest calls; source: by the client's address, the "
             "same as long as it is up."},
    {BACKEND_KEY("slow-start", servers.slow_start), .type = &config_type_duration, .flags = KEY_NONE,
     .initial = "none",
     .help = "Time in which the weight of a server grows to its full value after it has come up or is "
             "ready again."},
    {BACKEND_KEY("fall", servers.fall), .type = &config_type_number, .min = 1, .max = 100, .initial = "3",
     .help = "Consecutive failures, of calls and checks, after which a server is down."},
    {BACKEND_KEY("rise", servers.rise), .type = &config_type_number, .min = 1, .max = 100, .initial = "2",
     .help = "Consecutive successful checks after which it is up again."},
    {BACKEND_KEY("down-time", servers.down_time), .type = &config_type_duration, .initial = "10s",
     .help = "Without checks: how long a server that is down gets no calls, until one call tries it. If "
             "no other server is left, all calls try it."},
    {BACKEND_KEY("check", check), .type = &config_type_choice, .choices = checks, .initial = "no",
     .help = "Health checks of the servers: tcp connects; tls also verifies the certificate; http sends "
             "a HEAD for the URI of SSTP; sstp sends the request of a call and closes after the "
             "response. Each within timeout-connect."},
    {BACKEND_KEY("check-interval", check_interval), .type = &config_type_duration, .initial = "10s",
     .help = "Time between checks of a server, plus or minus a tenth; at least 1s."},
    {BACKEND_KEY("check-statuses", check_statuses), .type = &config_type_statuses,
     .flags = KEY_REPEAT, .otherwise = "200 for sstp; 200-499 and 501 for http",
     .help = "HTTP statuses with which a check succeeds, such as 200 401-404."},
    {BACKEND_KEY("tls", tls), .type = &config_type_flag, .choices = yes_or_no, .initial = "yes",
     .help = "no: plain HTTP, for a server behind a TLS terminator."},
    {BACKEND_KEY("verify", verify), .type = &config_type_choice, .flags = KEY_TLS, .choices = verify_ways,
     .otherwise = "pin with pin-sha256, ca with ca-file; one of the three must be set",
     .help = "How the server's certificate is verified; off: not at all."},
    {BACKEND_ALL("pin-sha256"), .type = &config_type_pin, .flags = KEY_REPEAT | KEY_TLS,
     .otherwise = "none",
     .help = "SHA256 fingerprint of a certificate that the server may present (verify = pin)."},
    {BACKEND_KEY("ca-file", ca_file), .type = &config_type_path, .flags = KEY_TLS,
     .choices = system_or_file, .otherwise = "none",
     .help = "PEM file of the CAs that may sign the server's certificate (verify = ca); system: the CAs "
             "that the machine trusts."},
    {BACKEND_KEY("verify-host", verify_host), .type = &config_type_host, .flags = KEY_TLS,
     .otherwise = "the name in `sni`, else the server's",
     .help = "Name or address that the server's certificate must contain (verify = ca)."},
    {BACKEND_KEY("sni", sni), .type = &config_type_server_name, .flags = KEY_TLS,
     .otherwise = "the server's name; none if it is an address",
     .help = "Server name in the TLS handshake."},
    {BACKEND_KEY("backend-host", backend_host), .type = &config_type_authority,
     .otherwise = "the name in `sni`, else the server's", .help = "Host field of the request."},
    {BACKEND_KEY("tls-min", tls_min), .type = &config_type_choice, .flags = KEY_TLS,
     .choices = tls_versions, .initial = "1.2",
     .help = "Oldest TLS version for the server."},
    {BACKEND_KEY("tls-max", tls_max), .type = &config_type_choice, .flags = KEY_TLS,
     .choices = tls_versions, .initial = "1.3",
     .help = "Newest TLS version for the server."},
    {BACKEND_KEY("security-level", security_level), .type = &config_type_number, .flags = KEY_TLS,
     .min = 0, .max = 5, .choices = auto_or_level, .initial = "auto",
     .help = "OpenSSL's security level; auto: 0 if tls-min is below 1.2, else OpenSSL's default."},
    {BACKEND_KEY("ciphers", ciphers), .type = &config_type_ciphers, .flags = KEY_REPEAT | KEY_TLS,
     .otherwise = "the defaults of OpenSSL",
     .help = "Ciphers for TLS 1.2 and older, in the syntax of `openssl ciphers`. Suites without "
             "a certificate, without encryption and with DHE are always removed."},
    {BACKEND_KEY("ciphersuites", ciphersuites), .type = &config_type_ciphers,
     .flags = KEY_REPEAT | KEY_TLS, .otherwise = "the defaults of OpenSSL",
     .help = "Cipher suites for TLS 1.3."},
    {BACKEND_KEY("groups", groups), .type = &config_type_ciphers, .flags = KEY_REPEAT | KEY_TLS,
     .otherwise = "X25519:P-256:X448:P-521:P-384",
     .help = "Groups of the key exchange, in order of preference; as in a listener."},
    {BACKEND_KEY("key-update", key_update), .type = &config_type_flag, .flags = KEY_TLS,
     .choices = yes_or_no, .initial = "no",
     .help = "As in a listener, for the connections to the servers."},
    {BACKEND_KEY("resume", resume), .type = &config_type_flag, .flags = KEY_TLS,
     .choices = yes_or_no, .initial = "yes",
     .help = "yes: calls resume the TLS session of the server's last health check (check = tls, http or "
             "sstp); pins and the binding use the certificate of that check. no: each call makes a full "
             "handshake."},
    {BACKEND_KEY("send-proxy", send_proxy), .type = &config_type_choice, .choices = send_proxy_ways,
     .initial = "no",
     .help = "Begin each connection with a PROXY header: v1, or v2 with TLS version, cipher and "
             "server name."},
    {BACKEND_KEY("pass-tenant", pass_tenant), .type = &config_type_flag, .choices = yes_or_no,
     .initial = "no",
     .help = "yes: the request includes the client's tenant (?tenantid=)."},
    {BACKEND_KEY("crypto-binding", binding), .type = &config_type_choice, .choices = binding_ways,
     .initial = "rewrite",
     .help = "rewrite: verify the client's binding and re-sign it for the server; auto: the same, but "
             "forward it unchanged if the key is not known; passthrough: verify only nonce and hash, and "
             "forward it unchanged; off: do not verify it."},
    {BACKEND_ALL("binding-cert-hash"), .type = &config_type_cert_hash, .flags = KEY_REPEAT,
     .otherwise = "the hash of the server's certificate",
     .help = "SHA1 or SHA256 hash of the certificate that the server expects in the crypto-binding; at "
             "most one of each."},
    {BACKEND_KEY("zero-key", zero_key_eap), .type = &config_type_flag, .choices = none_or_eap,
     .initial = "none",
     .help = "eap: accept a binding made with a key of zeros for a login with EAP although its key is "
             "known, because some Windows clients are said to make such bindings."},
    {BACKEND_KEY("outer-name", outer_name_verified), .type = &config_type_flag,
     .choices = claim_or_verified, .initial = "claim",
     .help = "claim: rules and max-tunnels-per-user ignore the outer name of EAP-TLS, PEAP and "
             "similar methods; verified: they use it, because the server compares it with the inner name."},
    {BACKEND_KEY("users-file", users_file), .type = &config_type_path, .otherwise = "none",
     .help = "File of NAME:HASH-HASH lines, written by `sstpgate user`: keys of MS-CHAPv2."},
    {BACKEND_KEY("radius", radius_name), .type = &config_type_reference, .otherwise = "none",
     .help = "The [radius NAME] through which the server authenticates its users: it provides the keys of "
             "their logins."},

    {RADIUS_KEY("listen", listen), .type = &config_type_places, .flags = KEY_REQUIRED | KEY_REPEAT,
     .min = 1812, .help = "Address for requests of VPN servers, default port 1812."},
    {RADIUS_KEY("accounting-listen", accounting_listen), .type = &config_type_places,
     .flags = KEY_REPEAT, .min = 1813, .otherwise = "no accounting",
     .help = "The same for accounting, which is forwarded unchanged; default port 1813."},
    {RADIUS_KEY("clients", clients), .type = &config_type_cidrs, .flags = KEY_REQUIRED | KEY_REPEAT,
     .help = "Addresses of the VPN servers; datagrams of others are dropped."},
    {RADIUS_KEY("secret-file", secret_file), .type = &config_type_path, .flags = KEY_REQUIRED,
     .help = "File whose first line is the secret shared with the VPN servers."},
    {RADIUS_KEY("server", server), .type = &config_type_hosts_and_ports,
     .flags = KEY_REQUIRED | KEY_REPEAT, .min = 1812,
     .help = "RADIUS server, default port 1812; the next one is used if it does not answer."},
    {RADIUS_KEY("accounting-server", accounting_server), .type = &config_type_hosts_and_ports,
     .flags = KEY_REPEAT, .min = 1813, .otherwise = "none",
     .help = "The same for accounting, default port 1813."},
    {RADIUS_KEY("server-secret-file", server_secret_file), .type = &config_type_path,
     .otherwise = "the secret of `secret-file`",
     .help = "File whose first line is the secret shared with the RADIUS servers."},
    {RADIUS_KEY("require-message-authenticator", require_message_authenticator),
     .type = &config_type_flag, .choices = yes_or_no, .initial = "no",
     .help = "yes: drop Access-Requests and responses without a Message-Authenticator (Blast-RADIUS), "
             "which EAP always requires. no: the gate signs unsigned requests of its clients for the "
             "server."},
    {RADIUS_KEY("calling-station-id", calling_station_client), .type = &config_type_flag,
     .choices = keep_or_client, .initial = "keep",
     .help = "client: set Calling-Station-Id and Tunnel-Client-Endpoint, also in accounting, to the "
             "address of the VPN client, which the VPN server does not see."},
    {RADIUS_KEY("timeout-server", timeout_server), .type = &config_type_duration, .initial = "3s",
     .help = "For a response of a RADIUS server; after it, retransmissions of the VPN server go to the "
             "next one."},
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
