/* config: what a file of keys becomes (config_table.h has the keys). A config is immutable once
 * read, so every thread may read it. */
#ifndef SSTPGATE_CONFIG_CONFIG_H
#define SSTPGATE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/err.h"
#include "policy/backends.h"
#include "policy/limits.h"
#include "policy/rules.h"
#include "policy/sources.h"

/* Values of the enumerated keys. The names are in config_table.c. */
enum config_tls { CONFIG_TLS_1_0, CONFIG_TLS_1_1, CONFIG_TLS_1_2, CONFIG_TLS_1_3 };
enum config_verify { CONFIG_VERIFY_PIN, CONFIG_VERIFY_CA, CONFIG_VERIFY_OFF };
enum config_binding {
    CONFIG_BINDING_REWRITE,
    CONFIG_BINDING_AUTO,
    CONFIG_BINDING_PASSTHROUGH,
    CONFIG_BINDING_OFF,
};
enum config_send_proxy { CONFIG_SEND_PROXY_NO, CONFIG_SEND_PROXY_V1, CONFIG_SEND_PROXY_V2 };
enum config_check {
    CONFIG_CHECK_NO,
    CONFIG_CHECK_TCP,
    CONFIG_CHECK_TLS,
    CONFIG_CHECK_HTTP,
    CONFIG_CHECK_SSTP,
};
enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARNING, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };

struct config_strings { /* a repeatable key, in the order written */
    char **item;
    size_t count;
};

struct config_pin {
    uint8_t sha256[32];
};

struct config_statuses { /* of HTTP: those from first to last are among them */
    struct config_status_range {
        uint16_t first, last;
    } * item;
    size_t count;
};

/* Where calls go instead of the listener's backend; the conditions are a rule. */
struct config_route {
    unsigned line;
    char *backend_name;
    const struct config_backend *backend;
};

struct config_places { /* addresses of this machine */
    struct addr *item;
    size_t count;
};

struct config_host {
    char *host; /* an address or a name, without brackets */
    uint16_t port;
};

struct config_hosts {
    struct config_host *item;
    size_t count;
};

struct config_gate {
    unsigned line;
    unsigned workers; /* 0: auto, one for each CPU this process may use */
    char *log;        /* "stderr", "syslog" or an absolute path */
    enum config_log_level log_level;
    char *admin;                 /* path of a unix socket; NULL: none */
    unsigned max_tunnels;        /* calls in all, whatever their state */
    unsigned handshakes_at_once; /* TLS handshakes in progress with clients, for each worker */
    char *country_file;          /* MaxMind database; NULL: none */
    /* milliseconds; 0: none (only where the table says that 0 is allowed) */
    uint32_t timeout_handshake, timeout_request, timeout_connect, timeout_answer, timeout_negotiate,
        timeout_key, timeout_idle, timeout_drain, timeout_web;
    struct limits_settings limits;
};

struct config_certificate {
    unsigned line;
    char *file;
    char *key;                                     /* NULL: in file */
    char *passphrase_file;                         /* NULL: none */
    char *ocsp_file;                               /* NULL: none */
    unsigned key_line, passphrase_line, ocsp_line; /* where these stand */
};

struct config_listener {
    char *name;
    unsigned line;
    struct addr *listen;
    unsigned *listen_line; /* where each of them was written */
    size_t listen_count;
    char *interface; /* NULL: any */
    bool v6only;
    struct config_certificate *certificate; /* at least one; the first is the default */
    size_t certificate_count;
    bool strict_sni; /* nobody gets the default */
    enum config_tls tls_min, tls_max;
    char *ciphers;      /* OpenSSL list for TLS 1.2 and older; NULL: the library's */
    char *ciphersuites; /* for TLS 1.3; NULL: the library's */
    char *groups;       /* of the key exchange; NULL: the default of tls/tls_ctx.h */
    struct rules rules;
    bool dry_run;               /* rules decide and are logged, and everybody is let in */
    bool recheck_tunnels;       /* a reload ends calls that its rules deny */
    struct config_strings host; /* names admitted in Host and SNI; none: every name */
    char *backend_name;
    const struct config_backend *backend;
    struct config_route *route; /* the first whose rule in routes holds goes before backend */
    size_t route_count;
    struct rules routes; /* as many, all of them `allow` */
    bool accept_proxy;
    struct cidrs trusted_proxies;
    char *fallback_name; /* the web site for everybody else; NULL: a built-in 404 */
    const struct config_backend *fallback;
};

struct config_backend {
    char *name;
    unsigned line;
    struct backends_settings servers;
    enum config_check check;
    uint32_t check_interval;               /* ms */
    struct config_statuses check_statuses; /* with CONFIG_CHECK_HTTP and _SSTP at least one */
    bool pass_tenant;                      /* the request names the tenant */
    bool tls;
    enum config_verify verify;
    struct config_pin *pin;
    size_t pin_count;
    char *ca_file;
    char *verify_host;  /* name or address the certificate must carry; NULL: sni, else the server */
    char *sni;          /* NULL: the server's name, nothing where that is an address */
    char *backend_host; /* Host field towards the backend; NULL: sni, else the server */
    enum config_tls tls_min, tls_max;
    int security_level; /* OpenSSL's; -1: 0 where tls_min is below 1.2, else the library's */
    char *ciphers, *ciphersuites, *groups; /* as in a listener */
    enum config_send_proxy send_proxy;
    enum config_binding binding;
    bool binding_sha1_known, binding_sha256_known; /* binding-cert-hash was given */
    uint8_t binding_sha1[20], binding_sha256[32];
    bool zero_key_eap;        /* accept a MAC made with zeros inside EAP although a key is known */
    bool outer_name_verified; /* the server compares the outer name of EAP with the inner one */
    char *users_file;
    char *radius_name;
    const struct config_radius *radius; /* that the server asks; NULL: none that we know of */
};

/* RADIUS between VPN servers and the servers they ask (RFC 2865): the gate is a proxy there. */
struct config_radius {
    char *name;
    unsigned line;
    struct config_places listen, accounting_listen;
    struct cidrs clients; /* the VPN servers */
    char *secret_file;
    struct config_hosts server, accounting_server;
    char *server_secret_file; /* NULL: secret_file */
    bool require_message_authenticator;
    bool calling_station_client; /* Calling-Station-Id becomes the VPN client's address */
    uint32_t timeout_server;     /* ms */
};

struct config_mark;

struct config {
    char *path;
    struct config_gate gate;
    struct config_listener *listener;
    size_t listener_count;
    struct config_backend *backend;
    size_t backend_count;
    struct config_radius *radius;
    size_t radius_count;
    bool sound;               /* false: there was a problem; good for finding more of them only */
    struct sources sources;   /* what the rules of the listeners look into */
    struct config_mark *mark; /* where each key was written: ask config_line() */
    size_t mark_count;
};

/* Reads path. Every error, not only the first, is written to problems as
 * "path:line: reason\n" (with a suggestion for a misspelt key, section or value). What could be
 * read is returned all the same, and then is not sound: the files it names may have problems too,
 * and all are wanted at once. NULL when path itself cannot be read. Files that it names are not
 * opened: config_open() does it for those of rules, gate/preflight.h for others. Relative paths in
 * the file are taken relative to the directory of the file. */
struct config *config_load(const char *path, FILE *problems);

/* The same from octets in memory; path is used for messages and relative paths only. */
struct config *config_parse(const char *path, const char *text, size_t len, FILE *problems);

/* Opens what the rules of a parsed configuration name: files of networks, time zones, the country
 * database. Before that, rules that name one cannot be asked. False: each problem was written as
 * above. */
bool config_open(struct config *c, FILE *problems) MUST_CHECK;

void config_free(struct config *c);

/* The admin of path alone, to be freed, whatever else may be wrong with the file: a running gate
 * can be reached while its file is being worked on. NULL: there is none, as told to problems. */
char *config_find_admin(const char *path, FILE *problems);

/* The effective configuration, every key with its value in force, in a form that config_load takes
 * again. Secrets are not in it: it only names their files. */
void config_print(const struct config *c, FILE *out);

/* Whether some listener sends calls there, or might. */
bool config_has_calls(const struct config *c, const struct config_backend *b);

/* Where a key of a section was written, for messages of those who open the file it names: the line
 * of its last appearance, the section's own line when it stands nowhere. section is the
 * config_gate, config_listener, config_backend or config_radius. */
unsigned config_line(const struct config *c, const void *section, const char *key);

/* The table, for the manual page: each key with section, type, default and its line of help. */
void config_print_reference(FILE *out);

#endif
