/* record: the facts about a call for its log lines. Contains no secret. */
#ifndef SSTPGATE_CALL_RECORD_H
#define SSTPGATE_CALL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/log.h"
#include "base/span.h"
#include "call/reason.h"

enum record_binding {
    RECORD_BINDING_NONE,     /* no Call Connected was judged */
    RECORD_BINDING_VERIFIED, /* the client's binding was correct, and it was re-signed for the
                                backend */
    RECORD_BINDING_PASSED,   /* nonce and leaf were correct; the message was forwarded unchanged */
    RECORD_BINDING_OFF,      /* not checked */
    RECORD_BINDING_FAILED,
};

struct record_flow {
    uint64_t octets, packets; /* of the forwarded SSTP packets */
};

/* The totals of a tunnel at a time, from which its rates are computed. */
struct record_sample {
    uint64_t ms, up, down;
};

struct record {
    unsigned worker;
    struct log_limit *binding_lines; /* limit of advice's lines; of the worker */
    struct advice_logged *logged;    /* the same for its steps; NULL: no steps are logged */
    struct log_limit *debug_lines;   /* limit of the lines `state` and `ppp`; of the worker */
    uint64_t number;
    uint64_t started;     /* ms, worker_now */
    const char *listener; /* lives as long as the worker: the tally has it */
    struct addr client;   /* the real address, if a trusted proxy has sent it; family 0: no client,
                             the connection is the proxy's own (so far) */
    struct addr local;    /* the address that the client has dialled */
    struct addr proxy;    /* the trusted proxy; family 0: none */
    char *host, *sni, *tenant, *correlation, *user; /* owned; as the client sent them */
    const char *tls_version, *tls_cipher;           /* NULL: no handshake was completed */
    const char *client_records, *server_records;    /* tls_conn_records; NULL: no handshake was
                                                       completed, or no TLS */
    const char *tls_offered;                        /* of a handshake that failed; NULL: unknown */
    bool user_is_claim; /* the login did not prove user: rules and limits ignore the name */
    const char *method; /* NULL: none was used */
    char *backend;      /* owned */
    char *server;       /* owned; address of the backend's server, once connected */
    enum record_binding binding;
    const char *hash;        /* the client's hash protocol */
    const char *key;         /* kind of the key that made the MAC; NULL: none */
    unsigned failures;       /* number of logins that the server has refused */
    bool rejected;           /* RADIUS has rejected the latest failed login */
    unsigned refusal;        /* as in struct ppp_observer: the login was refused; 0: it was not */
    unsigned frames_dropped; /* PPP frames that were not forwarded before the tunnel was up */
    bool forged;             /* the binding is one that no honest client makes */
    uint8_t acked;           /* phases of PPP that are open, for trace.c */
    bool leaf_unknown;       /* the client saw a certificate that is not known here */
    bool weak;               /* verified with zeros although the method gives keys */
    bool resumed;            /* the server has resumed the TLS session of a health check */
    char *detail;            /* owned; details of the reason */
    struct record_flow up, down;
    uint8_t assigned[4]; /* IPv4 address that the server has assigned in IPCP; 0.0.0.0: unknown */
    struct record_sample last, before; /* of a tunnel: at least RECORD_SAMPLE_MS apart */
};

void record_fini(struct record *s);

/* Returns whether a client is known. False: a trusted proxy has connected for itself (LOCAL,
 * UNKNOWN), or has not yet sent its header. */
static inline bool record_has_client(const struct record *s)
{
    return s->client.family != 0;
}

/* Replaces *field, which is owned, by a copy of at most 256 bytes of value; NULL if value is empty.
 * A NUL becomes another control character, so that the text does not end there. */
void record_keep(char **field, struct span value);

/* Begins a log line about this call, with its id, listener and client. The caller continues it
 * with log_str and the like, and ends it with log_end. */
void record_line(const struct record *s, struct log_line *l, enum log_level level,
                 const char *event);

/* Begins a line as record_line does, at most per_second times in one second. Returns false if the
 * line must not be written. */
bool record_line_limited(const struct record *s, struct log_line *l, enum log_level level,
                         const char *event, struct log_limit *limit, uint64_t now_ms,
                         unsigned per_second) MUST_CHECK;

/* The end of a call. */
struct record_end {
    enum reason reason;
    enum reason_outcome outcome; /* not OUTCOME_BY_STATE */
    const char *stage;
    bool is_check; /* a health check, whose line has the level debug */
};

enum { RECORD_SAMPLE_MS = 2000 };

/* Notes the totals at the time when the tunnel comes up, and then from time to time. */
void record_sample_begin(struct record *s, uint64_t now_ms);
void record_sample_take(struct record *s, uint64_t now_ms);

/* Notes the totals if the last ones are old. Inline because it runs for each read of a tunnel. */
static inline void record_sample(struct record *s, uint64_t now_ms)
{
    if (now_ms - s->last.ms >= RECORD_SAMPLE_MS)
        record_sample_take(s, now_ms);
}

/* Computes the bytes per second of the last seconds; 0 for a tunnel that is silent. */
void record_rates(const struct record *s, uint64_t now_ms, uint64_t *up, uint64_t *down);

/* Returns the word of the log for a binding; NULL: none was judged. */
const char *record_binding_word(enum record_binding b);

/* Logs the line `up` of a tunnel that is up. */
void record_up(const struct record *s);

/* Logs the line `call` at the end of a call. limit: bounds the number of lines; NULL: no bound. */
void record_end(const struct record *s, const struct record_end *end, uint64_t now_ms,
                struct log_limit *limit);

#endif
