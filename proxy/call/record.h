/* record: what is known of a call, for the log. Holds no secret. */
#ifndef SSTPGATE_CALL_RECORD_H
#define SSTPGATE_CALL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/span.h"
#include "call/reason.h"

enum record_binding {
    RECORD_BINDING_NONE,     /* did not come that far */
    RECORD_BINDING_VERIFIED, /* the client's was right and the backend got one of its own */
    RECORD_BINDING_PASSED,   /* nonce and leaf were right; the message went on unchanged */
    RECORD_BINDING_OFF,      /* not looked at */
    RECORD_BINDING_FAILED,
};

struct record_flow {
    uint64_t octets, packets; /* of SSTP, as forwarded */
};

struct record {
    unsigned worker;
    struct log_limit *binding_lines; /* the worker's */
    uint64_t number;
    uint64_t started; /* ms, worker_now */
    const char *listener;
    struct addr client; /* the real one, where a trusted proxy told it */
    struct addr local;  /* what it has dialled */
    struct addr proxy;  /* who told so; family 0: nobody */
    char *host, *sni, *tenant, *correlation, *user; /* owned; as the client sent them */
    const char *tls_version, *tls_cipher;           /* NULL: no handshake was completed */
    bool user_is_claim; /* the login did not prove user: rules and limits ignore the name */
    const char *method; /* NULL: none seen */
    const char *backend;
    char *server; /* owned; address of the backend's server, once connected */
    enum record_binding binding;
    const char *hash;        /* the client's hash protocol */
    const char *key;         /* kind of the key that verified; NULL: none */
    unsigned failures;       /* logins the server has refused */
    unsigned frames_dropped; /* PPP frames that were not forwarded before the tunnel was up */
    bool forged;             /* the client's binding is none that an honest client makes */
    bool weak;               /* verified with zeros where the method gives keys */
    char *detail;            /* owned; more about the reason */
    struct record_flow up, down;
};

void record_fini(struct record *s);

/* Keeps a copy of at most 256 octets; replaces what was there. NULs are kept out. */
void record_keep(char **field, struct span value);

/* A line about this call, which begins with its id, listener and client. Goes on with log_str and
 * friends, ends with log_end. */
void record_line(const struct record *s, struct log_line *l, enum log_level level,
                 const char *event);

/* The one line that ends each call. */
void record_end(const struct record *s, enum reason reason, uint64_t now_ms, unsigned missed);

#endif
