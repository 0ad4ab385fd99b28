/* probe: examines an SSTP server: TLS, certificate, HTTP, SSTP and the methods of its LCP. One
 * connection at a time; never logs in. Blocks until its deadline at most. */
#ifndef SSTPGATE_CLIENT_PROBE_H
#define SSTPGATE_CLIENT_PROBE_H

#include "client/dial.h"
#include "client/kind.h"
#include "tls/tls_facts.h"

enum { PROBE_VERSIONS = 4, PROBE_GROUPS = 8, PROBE_ERROR_MAX = 160 };

/* The server's answer to a handshake with certain settings. */
enum probe_answer { PROBE_UNKNOWN, PROBE_NO, PROBE_YES };

struct probe_settings {
    const char *host; /* a name or an address, without brackets */
    uint16_t port;
    const char *name;        /* for SNI, Host and the certificate; the host, or another name */
    const char *http_host;   /* value of the Host field */
    bool plain;              /* no TLS */
    const struct tls_ca *ca; /* the CAs that might verify the server; NULL: unknown */
    const char *ca_error;    /* why ca is NULL */
    uint32_t timeout_ms;
};

struct probe_result {
    /* The call, up to the choice of a method in LCP. Its fault is FAULT_NO_METHOD if all
     * methods of the server are known. */
    struct dial_result call;
    enum probe_answer version[PROBE_VERSIONS]; /* TLS 1.0 to 1.3 */
    enum probe_answer group[PROBE_GROUPS];
    enum probe_answer backend;    /* a handshake with the default settings of a backend, or with: */
    enum tls_version backend_min; /* its tls-min */
    int backend_level;            /* its security-level; -1: the default */
    enum probe_answer without_sni; /* a handshake without SNI */
    bool other_leaf;               /* which has shown another certificate */
    enum probe_answer verified;    /* by ca, for the name */
    char why_not[PROBE_ERROR_MAX]; /* printable */
    bool has_facts;
    struct tls_facts facts; /* of the certificate */
    bool named;             /* it is valid for the name */
    unsigned head_status;   /* as in struct kind_facts */
    struct kind_verdict kind;
    unsigned connections;
};

/* Examines the server. The caller calls probe_fini in any case. */
void probe_run(const struct probe_settings *settings, struct probe_result *out);
void probe_fini(struct probe_result *r);

/* Returns the name of a version or a group; NULL: there is none with this index. */
const char *probe_version_name(size_t i);
const char *probe_group_name(size_t i);

/* Returns the fault because of which the server is not an SSTP server; FAULT_NONE: it has sent an
 * Ack. */
enum fault probe_fault(const struct probe_result *r);

/* Returns the oldest and the newest version that the server accepts; PROBE_VERSIONS: none. */
size_t probe_oldest(const struct probe_result *r);
size_t probe_newest(const struct probe_result *r);

#endif
