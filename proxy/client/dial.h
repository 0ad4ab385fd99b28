/* dial: a whole call as a client: name, TCP, TLS, SSTP, login, IPCP, a ping and an orderly end,
 * with the time of each step. Blocks until its deadline at most. */
#ifndef SSTPGATE_CLIENT_DIAL_H
#define SSTPGATE_CLIENT_DIAL_H

#include "base/addr.h"
#include "client/session.h"
#include "tls/tls_error.h"
#include "tls/tls_settings.h"

struct tls_ca;

enum dial_verify { DIAL_VERIFY_CA, DIAL_VERIFY_PIN, DIAL_VERIFY_OFF };

enum { DIAL_CORRELATION = 38, DIAL_PIN = 32 };

struct dial_result;

struct dial_settings {
    const char *host; /* a name or an address, without brackets */
    uint16_t port;
    const char *sni;  /* NULL: none */
    const char *name; /* that the certificate must have, with DIAL_VERIFY_CA */
    const char *http_host;
    const char *tenant; /* NULL: none */
    bool plain;         /* no TLS */
    enum dial_verify verify;
    const struct tls_ca *ca; /* with DIAL_VERIFY_CA */
    uint8_t (*pins)[DIAL_PIN];
    size_t pin_count;
    struct tls_settings tls;
    struct link_settings link; /* random values are set here */
    bool ping;
    uint32_t timeout_ms; /* for all steps */
    /* Called when the tunnel is up, before its end; NULL: not called. */
    void (*on_up)(void *arg, const struct dial_result *r);
    void *arg;
};

struct dial_result {
    enum step step; /* STEP_UP: all were done; otherwise the one that failed */
    enum fault fault;
    char detail[TLS_ERROR_MAX];    /* about the fault; "": none */
    uint32_t step_ms[STEP_UP + 1]; /* duration of each step */
    bool step_done[STEP_UP + 1];
    uint32_t total_ms;
    char address[ADDR_TEXT_MAX], local[ADDR_TEXT_MAX]; /* of the connection; "": none */
    char tls_version[16], cipher[64];
    bool has_leaf;
    struct binding_leaf leaf;
    struct span leaf_der; /* freed by dial_fini */
    char correlation[DIAL_CORRELATION +
                     1]; /* SSTPCORRELATIONID, which identifies the call in logs */
    /* Data of the server, without secrets. */
    unsigned status;
    char server[SESSION_SERVER_MAX];
    size_t head_n;
    uint8_t head[SESSION_HEAD_MAX]; /* the beginning of the answer */
    uint8_t mask, hash;
    uint8_t options[LINK_OPTIONS_MAX]; /* as in link.h */
    size_t option_count;
    bool magic_rejected;
    struct link_auth offered[LINK_METHODS_MAX];
    size_t offered_count;
    uint16_t mru;
    enum ppp_method method;
    bool connected; /* Call Connected was sent */
    bool ppp_open;  /* LCP is open without a login, in a survey */
    bool has_address, has_peer, has_dns;
    uint8_t client_ip[ECHO_IP], peer_ip[ECHO_IP], dns_ip[ECHO_IP];
};

/* Makes the call. The caller calls dial_fini in any case. */
void dial_run(const struct dial_settings *settings, struct dial_result *out);

void dial_fini(struct dial_result *r);

#endif
