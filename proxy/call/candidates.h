/* candidates: the keys that may have made a client's Compound MAC: derived from its MS-CHAP
 * response and the users file, given by RADIUS, or zeros. Each candidate is checked against the MAC
 * itself, so an unnecessary candidate does no harm (PROTOCOL.md 4.4). */
#ifndef SSTPGATE_CALL_CANDIDATES_H
#define SSTPGATE_CALL_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "binding/hlak.h"
#include "radius/keyring.h"
#include "wire/ppp.h"

struct users;

struct candidates {
    const struct users *users; /* NULL: none */
    int64_t time;              /* wall clock; a line that has expired by then gives no key */
    struct keyring *keyring; /* NULL: the backend's server uses no RADIUS server through the gate */
    const char *radius;      /* name of the [radius NAME] whose keys count */
    bool zero_key_eap; /* zero-key = eap: zeros may be the key inside EAP beside a known key */
    uint64_t latest;   /* as in struct keyring_search */
    bool key_seen;     /* RADIUS had a key of the login when the login ended */
    uint64_t ended_ms; /* time of the server's Success; 0: none yet */
    struct keyring_marks accepted; /* of the login that RADIUS had accepted by then */
    struct {
        size_t users_file, radius, zeros; /* number of keys tried so far */
    } tried;
};

/* Finds the key that made the MAC of msg, a Call Connected that has passed binding_check.
 * False: no candidate made it. Later calls try only RADIUS keys that have arrived since. login:
 * the login that the keyring searches for; a key of the keyring that matches is spent. The
 * caller wipes *key. */
bool candidates_find(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                     const struct keyring_login *login, uint64_t now_ms, struct hlak *key);

/* Returns whether the key of a login that has ended made the MAC: the key of the response that the
 * server has confirmed, of RADIUS, or zeros. */
bool candidates_fit_login(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                          const struct keyring_login *login, uint64_t now_ms);

/* Records, when the server has accepted the login, whether RADIUS has a key of it. The keyring
 * keeps a key for some seconds only, and a client must not gain an advantage by a Call Connected
 * that comes later. */
void candidates_login_ended(struct candidates *c, const struct keyring_login *login,
                            uint64_t now_ms);

/* Asks the other gates for the outcome of a login at RADIUS, unless this gate knows it, or no
 * outcome can count any more. It arrives as one of this gate's RADIUS proxy would. */
void candidates_ask_others(struct candidates *c, const struct keyring_login *login,
                           uint64_t now_ms);

/* Returns whether the gate would know a key of this login from RADIUS, if there were one. With
 * several gates the Accept, with the key, may have passed through another one, and a store that
 * withholds it must gain nothing. */
bool candidates_would_know_key(const struct candidates *c, const struct keyring_login *login,
                               uint64_t now_ms);

/* Returns whether a key of the login is known, in the users file or from RADIUS, or was known
 * at the latest search. */
static inline bool candidates_have_key(const struct candidates *c)
{
    return c->key_seen || c->tried.users_file + c->tried.radius > 0;
}

/* Returns whether the MAC was made with zeros, even if zeros are not a candidate. */
bool candidates_zeros_fit(struct span msg);

#endif
