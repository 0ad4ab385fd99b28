/* config_sections: the structs that the sections of a configuration file become. config_table.c
 * has their keys, config.h the functions. */
#ifndef SSTPGATE_CONFIG_CONFIG_SECTIONS_H
#define SSTPGATE_CONFIG_CONFIG_SECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "policy/backends.h"
#include "policy/limits.h"
#include "policy/rules.h"

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
enum config_log_format { CONFIG_LOG_TEXT, CONFIG_LOG_JSON };
enum config_sandbox { CONFIG_SANDBOX_NO, CONFIG_SANDBOX_AUTO, CONFIG_SANDBOX_REQUIRE };
enum config_log_level { CONFIG_LOG_ERROR, CONFIG_LOG_WARNING, CONFIG_LOG_INFO, CONFIG_LOG_DEBUG };

struct config_strings { /* a repeatable key, in the order written */
    char **item;
    size_t count;
};

struct config_pin {
    uint8_t sha256[32];
};

struct config_status_range {
    uint16_t first, last;
};

struct config_statuses { /* ranges of HTTP statuses, first and last included */
    struct config_status_range *item;
    size_t count;
};

/* A use-backend line: another backend than the listener's. Its conditions are a rule in routes. */
struct config_route {
    unsigned line;
    char *backend_name;
    const struct config_backend *backend;
};

struct config_places { /* local addresses */
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

struct config_socket { /* an address to listen on, or a Unix socket */
    unsigned line;
    char *path; /* NULL: addr */
    struct addr addr;
};

/* A store of several gates (Redis or Valkey): a server, a Unix socket, or a Sentinel, which knows
 * the address of the server. */
struct config_store {
    unsigned line;
    char *path;    /* NULL: host and port */
    char *host;    /* an address or a name, without brackets */
    char *user;    /* NULL: the default user */
    char *service; /* a Sentinel, and its name of the store; NULL: no */
    uint16_t port;
    uint16_t database;
    bool tls;
};

struct config_stores {
    struct config_store *item;
    size_t count;
};

struct config_pins {
    struct config_pin *item;
    size_t count;
};

enum { CONFIG_SOCKETS_MAX = 8, CONFIG_STORES_MAX = 8 };

struct config_sockets {
    struct config_socket *item;
    size_t count;
};

struct config_gate {
    unsigned line;
    const char *file; /* the file that has the section; owned by config.sources */
    unsigned workers; /* 0: auto, one for each CPU this process may use */
    char *log;        /* "stderr", "syslog" or an absolute path */
    enum config_log_format log_format;
    enum config_log_level log_level;
    char *admin;         /* path of a Unix socket; NULL: none */
    char *admin_group;   /* its group; NULL: that of the process */
    int admin_mode;      /* its permissions */
    uint32_t drain_time; /* ms; 0: calls end by themselves */
    char *user, *group;  /* to become after the start, names or numbers; NULL: unchanged */
    enum config_sandbox sandbox;
    struct config_sockets status;
    char *status_group;                /* of its Unix sockets; NULL: that of the process */
    int status_mode;                   /* permissions of its Unix sockets */
    struct cidrs status_allow;         /* besides loopback */
    struct config_strings status_host; /* names of this host in requests */
    char *status_token_file;           /* NULL: the status listener is read-only */
    unsigned max_tunnels;              /* calls at a time, in any state */
    unsigned handshakes_at_once;       /* client TLS handshakes at a time, for each worker */
    bool own_records;                  /* the gate protects TLS records itself where it can */
    char *key_log;                     /* file for the keys of all connections; NULL: none */
    char *country_file;                /* MaxMind database; NULL: none */
    /* ms; 0: none (only for keys with KEY_NONE) */
    uint32_t timeout_handshake, timeout_request, timeout_connect, timeout_answer, timeout_negotiate,
        timeout_key, timeout_idle, timeout_drain, timeout_web;
    struct limits_settings limits;
    struct config_stores shared;   /* stores to try, in order; none: no store */
    char *shared_password_file;    /* NULL: no password */
    char *sentinel_password_file;  /* NULL: no password */
    char *shared_secret_file;      /* NULL: keys of logins are not shared */
    char *shared_prefix;           /* of each key in the store */
    char *shared_name;             /* of this gate; NULL: the host name */
    char *shared_ca_file;          /* for rediss; "system": that of the system */
    struct config_pins shared_pin; /* for rediss, instead of the CAs; none: the CAs */
    uint32_t shared_timeout;       /* ms */
    bool shared_refuse;            /* without an answer of the store, refuse; false: decide alone */
};

struct config_certificate {
    unsigned line;
    char *file;
    char *key;                                     /* path or URI; NULL: the key is in file */
    char *passphrase_file;                         /* NULL: none */
    char *ocsp_file;                               /* NULL: none */
    unsigned key_line, passphrase_line, ocsp_line; /* of the three above */
};

struct config_listener {
    char *name;
    unsigned line;
    const char *file; /* as in config_gate */
    struct addr *listen;
    unsigned *listen_line; /* the line of each address */
    bool *listen_plain;    /* whether it is an address of listen-http */
    size_t listen_count;
    char *interface; /* NULL: any */
    bool v6only;
    bool freebind; /* listen on an address that the machine does not have (yet) */
    struct config_certificate *certificate; /* at least one; the first is the default */
    size_t certificate_count;
    bool strict_sni; /* refuse clients that request no name with a certificate */
    enum config_tls tls_min, tls_max;
    char *ciphers;      /* OpenSSL list for TLS 1.2 and older; NULL: the library's */
    char *ciphersuites; /* for TLS 1.3; NULL: the library's */
    char *groups;       /* of the key exchange; NULL: the default of tls/tls_ctx.h */
    bool key_update;    /* send a KeyUpdate before the limit of RFC 8446 5.5 */
    struct rules rules;
    bool dry_run; /* rules are evaluated and logged, not enforced */
    bool
        recheck_tunnels; /* a reload, or the end of a time window, ends calls that the rules deny */
    bool full_records;   /* packets for clients share TLS records */
    uint32_t max_session;       /* ms; tunnels end after this time; 0: no limit */
    struct config_strings host; /* names admitted in Host and SNI; none: all names */
    char *backend_name;
    const struct config_backend *backend;
    struct config_route *route; /* the first whose rule matches replaces backend */
    size_t route_count;
    struct rules routes; /* one for each route, all `allow` */
    bool accept_proxy;
    struct cidrs trusted_proxies;
    char *fallback_name; /* web site for everything but SSTP; NULL: a built-in 404 */
    const struct config_backend *fallback;
    char *health_path;     /* a path that the gate answers with 200; NULL: none */
    struct addr acme;      /* the ACME client that answers tls-alpn-01; family 0: none */
    struct addr acme_http; /* that answers http-01; family 0: none */
};

struct config_backend {
    char *name;
    unsigned line;
    const char *file; /* as in config_gate */
    struct backends_settings servers;
    enum config_check check;
    uint32_t check_interval;               /* ms */
    struct config_statuses check_statuses; /* not empty with CONFIG_CHECK_HTTP and _SSTP */
    bool pass_tenant;                      /* the request to the server names the tenant */
    bool tls;
    enum config_verify verify;
    struct config_pin *pin;
    size_t pin_count;
    char *ca_file;
    char *verify_host;  /* name or address in the certificate; NULL: sni, else the server */
    char *sni;          /* NULL: the server's name, or no SNI if it is an address */
    char *backend_host; /* Host field of the request; NULL: sni, else the server */
    enum config_tls tls_min, tls_max;
    int security_level; /* OpenSSL's; -1: 0 if tls_min is below 1.2, else the library's */
    char *ciphers, *ciphersuites, *groups; /* as in a listener */
    bool key_update;                       /* as in a listener */
    bool resume;                           /* TLS sessions of health checks, by calls */
    enum config_send_proxy send_proxy;
    enum config_binding binding;
    bool binding_sha1_known, binding_sha256_known; /* set by binding-cert-hash */
    uint8_t binding_sha1[20], binding_sha256[32];
    bool zero_key_eap;        /* accept a zero-key MAC of an EAP login although a key is known */
    bool outer_name_verified; /* the server compares the outer EAP name with the inner one */
    char *users_file;
    char *radius_name;
    const struct config_radius
        *radius; /* the section that relays the server's requests; NULL: none */
};

/* A RADIUS proxy (RFC 2865) between VPN servers and RADIUS servers. */
struct config_radius {
    char *name;
    unsigned line;
    const char *file; /* as in config_gate */
    struct config_places listen, accounting_listen;
    struct cidrs clients; /* the VPN servers */
    char *secret_file;
    struct config_hosts server, accounting_server;
    char *server_secret_file; /* NULL: secret_file */
    bool require_message_authenticator;
    bool calling_station_client; /* set the VPN client's address, also in accounting */
    uint32_t timeout_server;     /* ms */
};

struct config_mark;
struct config_sources;

struct config {
    char *path;
    struct config_sources *sources;
    struct config_gate gate;
    struct config_listener *listener;
    size_t listener_count;
    struct config_backend *backend;
    size_t backend_count;
    struct config_radius *radius;
    size_t radius_count;
    bool sound;               /* false: it had a problem, use it only to find more of them */
    struct config_mark *mark; /* the lines of the keys: see config_line() */
    size_t mark_count;
};

#endif
