/* shared_link: one connection to one of several stores: connects, logs in, loads the scripts, sends
 * commands without waiting for the answers before them, and connects again after each failure, with
 * a growing pause. The thread of `worker` only.
 *
 * A store that answers nothing for SHARED_PATIENCE_MS has failed; a store that reports to be a
 * replica has failed, too. A failure moves on to the next place of the list. A place may be a
 * Sentinel, which is asked for the address of the store before each connection to it, because the
 * address is another one after a failover. */
#ifndef SSTPGATE_SHARED_SHARED_LINK_H
#define SSTPGATE_SHARED_SHARED_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/value.h"
#include "net/stream.h"
#include "shared/shared_reply.h"
#include "shared/shared_scripts.h"

struct dial;
struct tls_ctx;

enum {
    SHARED_PIPELINE = 4096, /* commands without an answer, 16 bytes each */
    SHARED_QUEUE = 4 << 20, /* bytes that the kernel has not taken: a store that reads nothing */
    SHARED_PATIENCE_MS = 2000,
    SHARED_PAUSE_MS = 100,       /* after the first failure */
    SHARED_PAUSE_MAX_MS = 10000, /* the longest pause */
    SHARED_WHY_MAX = 256,
    SHARED_ARGS_MAX = 320, /* arguments of a script */
};

struct shared_pin {
    uint8_t sha256[32];
};

struct shared_place {
    const char *path; /* NULL: host and port */
    const char *host, *user;
    const char *service; /* name of the store at a Sentinel; NULL: the place is no Sentinel */
    uint16_t port, database;
    struct tls_ctx *tls; /* NULL: plain */
};

/* All of it outlives the link. */
struct shared_link_settings {
    const struct shared_place *place;
    size_t count;                  /* at least one */
    struct span password;          /* of the store; n 0: none */
    struct span sentinel_password; /* n 0: none */
    const struct shared_pin *pin;
    size_t pin_count; /* 0: the TLS context has verified the chain */
};

struct shared_link_ops {
    void (*on_ready)(void *arg);
    /* The connection is lost, or none could be made. The answers of all commands that were sent are
     * lost: each tag is handed to on_answer with NULL before this call. why: valid during the
     * call. */
    void (*on_lost)(void *arg, const char *why);
    /* NULL: no answer will come. The answer is valid during the call. */
    void (*on_answer)(void *arg, void *tag, const struct shared_reply *answer);
    void (*on_stopped)(void *arg); /* after shared_link_stop: nothing is left of the connection */
};

struct shared_sent {
    void *tag;
    uint64_t at_ms;
};

struct shared_link {
    const struct shared_link_settings *c;
    const struct shared_link_ops *ops;
    void *arg;
    struct worker *worker;
    struct stream stream;
    struct dial *dial;
    struct shared_replies *replies;
    enum {
        SHARED_WAITING,    /* for the end of the pause */
        SHARED_RESOLVING,  /* a name */
        SHARED_CONNECTING, /* TCP and TLS */
        SHARED_LOGIN,      /* AUTH, SELECT, ROLE, SCRIPT LOAD; or the question to a Sentinel */
        SHARED_READY,
        SHARED_CLOSING, /* libuv's close callback */
        SHARED_STOPPED,
    } state;
    bool stopping;
    size_t at;                   /* the place in use, or to try next */
    char found[VALUE_HOST_SIZE]; /* the store's address, from its Sentinel; "": not asked yet */
    uint16_t found_port;
    unsigned failures;
    uint64_t due_ms; /* of the state: the end of the pause, or of the patience */
    unsigned login;  /* commands of the login without an answer */
    char why[SHARED_WHY_MAX];
    char sha[SHARED_SCRIPTS][41]; /* of the scripts; "": not loaded */
    struct shared_sent *sent;     /* SHARED_PIPELINE places, a ring */
    size_t first, count;
};

void shared_link_init(struct shared_link *l, struct worker *w, const struct shared_link_settings *c,
                      const struct shared_link_ops *ops, void *arg);
void shared_link_fini(struct shared_link *l);

/* Handles timeouts and begins connections, also the first. Call it a few times in a second. */
void shared_link_tick(struct shared_link *l, uint64_t now_ms);

/* Runs a script with its arguments. Returns false if the store is not ready, or a queue is
 * full; then on_answer will not be called. as_text: send the script itself, because the store has
 * forgotten it (the error NOSCRIPT). */
bool shared_link_run(struct shared_link *l, enum shared_script script, bool as_text, int argc,
                     const char **argv, const size_t *len, void *tag);

/* Returns the age of the oldest command without an answer, in ms; 0: none. */
uint64_t shared_link_waits(const struct shared_link *l, uint64_t now_ms);

bool shared_link_ready(const struct shared_link *l);

/* Reports that the store is of use, so that the pause after its next failure is short. Until then a
 * store that permits the login, and then fails, counts as one more failure. */
void shared_link_works(struct shared_link *l);

/* Writes the store or the Sentinel in use, or to be tried next, as host:port or path. */
void shared_link_name(const struct shared_link *l, char out[SHARED_WHY_MAX]);

/* Ends the connection as failed, because the store cannot be used. why: for on_lost. */
void shared_link_drop(struct shared_link *l, const char *why);

/* Ends the connection for good, behind the commands that were sent; their answers are lost.
 * on_stopped will be called, perhaps at once. */
void shared_link_stop(struct shared_link *l);

/* Returns the pause before the next attempt after this many failures, at least one: it doubles, and
 * `chance` randomizes it, so that the gates do not reconnect to a store all at once. */
uint32_t shared_link_pause(unsigned failures, uint32_t chance);

#endif
