/* candidates: the keys that may have made a client's Compound MAC: of its MS-CHAP response and the
 * users file, of RADIUS, and zeros. The MAC itself is the judge, so one too many does no harm
 * (PROTOCOL.md 4.4). */
#ifndef SSTPGATE_CALL_CANDIDATES_H
#define SSTPGATE_CALL_CANDIDATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "binding/hlak.h"
#include "wire/ppp.h"

struct keyring;
struct keyring_login;
struct users;

struct candidates {
    const struct users *users; /* NULL: none */
    struct keyring *keyring; /* NULL: the backend's server asks no RADIUS server that we know of */
    const char *radius;      /* whose keys of it */
    bool zero_key_eap;       /* zero-key = eap: zeros count inside EAP although a key is known */
    uint64_t latest;         /* of keyring_find */
    bool key_seen;           /* RADIUS had a key of the login when that ended */
    struct {
        size_t users_file, radius, zeros; /* so many, so far */
    } tried;
};

/* The key that made the MAC of msg, a Call Connected that passed binding_check; false: none of
 * those there are. Called again, of RADIUS only what came meanwhile is tried. login: for the
 * keyring, where a key that fits is spent. The caller wipes *key. */
bool candidates_find(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                     const struct keyring_login *login, uint64_t now_ms, struct hlak *key);

/* The same for a login that has ended, and for its key alone: of the response that the server was
 * content with, of RADIUS, or zeros. */
bool candidates_fit_login(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                          const struct keyring_login *login, uint64_t now_ms);

/* The server has let the login in: notes whether RADIUS has a key of it. The keyring keeps a key
 * for some seconds, and a client that sends its Call Connected later must not gain by that. */
void candidates_login_ended(struct candidates *c, const struct keyring_login *login,
                            uint64_t now_ms);

/* Returns whether a key of the login is known, in the users file or from RADIUS, or was when keys
 * were last looked for. */
static inline bool candidates_have_key(const struct candidates *c)
{
    return c->key_seen || c->tried.users_file + c->tried.radius > 0;
}

/* Returns whether the MAC was made with zeros, whether or not they are a candidate. */
bool candidates_zeros_fit(struct span msg);

#endif
