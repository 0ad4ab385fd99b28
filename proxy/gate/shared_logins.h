/* shared_logins: exchanges what gates know about logins at RADIUS (radius/keyring.h) through the
 * store of several gates, sealed (binding/vault.h).
 *
 * Nothing that the store does can vouch for a call. An entry is bound to the marks of one login, so
 * it is of no use for another one; each gate takes it once; and it is refused when it is older than
 * SHARED_LOGINS_AGE_MS by this gate's clock. The store can only withhold it. */
#ifndef SSTPGATE_GATE_SHARED_LOGINS_H
#define SSTPGATE_GATE_SHARED_LOGINS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/log.h"
#include "radius/keyring.h"
#include "radius/radius_memory.h"
#include "shared/shared.h"

struct vault;

enum {
    SHARED_LOGINS_PRINT = 17, /* text of the fingerprint of the secret, with its NUL */
    /* The store removes an entry after KEYRING_MS. The clocks of two gates may be a minute apart.
     */
    SHARED_LOGINS_AGE_MS = KEYRING_MS + 60000,
    SHARED_LOGINS_TAKEN_MAX = 16384, /* names of entries that are not taken again */
};

enum shared_logins_count {
    SHARED_LOGINS_GIVEN,   /* outcomes put into the store */
    SHARED_LOGINS_FOUND,   /* outcomes of other gates that were taken */
    SHARED_LOGINS_CLIENTS, /* addresses put into the store */
    SHARED_LOGINS_SEEN,    /* addresses of other gates that were taken */
    SHARED_LOGINS_FOREIGN, /* entries that are not sealed with this secret, or were altered */
    SHARED_LOGINS_OLD,     /* entries that are too old, or of a clock that is too far away */
    SHARED_LOGINS_AGAIN,   /* entries that were taken before */
    SHARED_LOGINS_COUNTS
};

/* All zeros: the gate has no shared-secret-file. */
struct shared_logins {
    struct vault *vault; /* NULL: nothing is exchanged */
    struct keyring *keyring;
    struct shared *shared;
    uint32_t timeout_ms; /* of a search for a client */
    char print[SHARED_LOGINS_PRINT];
    atomic_ullong count[SHARED_LOGINS_COUNTS];
    /* in the thread of `shared`: */
    struct radius_memory taken;
    struct log_limit limit_refused;
    bool refused_logged; /* since the last good entry */
    struct {
        char gate[SHARED_INFO_MAX + 1];
    } stranger[SHARED_GATES_MAX]; /* gates with another secret that were logged */
    size_t strangers;
    struct log_limit limit_strangers;
};

/* secret: at least VAULT_SECRET_MIN bytes; not used after the call. */
void shared_logins_init(struct shared_logins *l, struct span secret);
void shared_logins_fini(struct shared_logins *l);

/* Makes the keyring exchange logins. Before any thread runs. */
void shared_logins_start(struct shared_logins *l, struct keyring *keyring, struct shared *shared,
                         uint32_t timeout_ms);

/* Implement on_entry and on_gate of struct shared_ops. The thread of `shared`. */
bool shared_logins_entry(struct shared_logins *l, const char *name, struct span text);
void shared_logins_gate(struct shared_logins *l, const char *gate, const char *info);

/* Returns a word for the log, metrics and `sstpgate ctl status`. */
const char *shared_logins_word(enum shared_logins_count c);

#endif
