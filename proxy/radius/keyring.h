/* keyring: keys that a RADIUS server gave for logins of the last seconds, on their way from the
 * thread that proxies RADIUS to the workers, whose calls find theirs by the client's own MAC; and,
 * the other way, from which client a login comes. Any thread may call anything here (a lock is held
 * for moments), but keyring_free. Nothing grows: of too many the oldest go first. Names and proofs
 * are kept as hashes only; keys are wiped when they are spent, replaced or too old.
 *
 * now_ms: uv_hrtime() / 1000000, which worker_now is too. */
#ifndef SSTPGATE_RADIUS_KEYRING_H
#define SSTPGATE_RADIUS_KEYRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/span.h"
#include "binding/hlak.h"

enum {
    KEYRING_MAX = 1024,      /* logins with keys */
    KEYRING_PER_LOGIN = 4,   /* FreeRADIUS may send them twice (PROTOCOL.md 5.5) */
    KEYRING_SEEN_MAX = 4096, /* logins on their way: EAP takes several packets for one */
    KEYRING_MS = 10000,      /* how long either is kept */
};

/* A login as both sides see it: PPP at the gate, attributes at the RADIUS proxy. */
struct keyring_login {
    struct span user;  /* as sent; may be empty; letter case does not count (in ASCII) */
    struct span proof; /* octets that both carry: NT-Response (24), CHAP-MD5's response (16), or the
                          client's whole last EAP packet; empty: none (PAP) */
};

struct keyring;

struct keyring *keyring_new(void);
void keyring_free(struct keyring *k); /* NULL is fine; no other thread uses it any more */

/* Called by keyring_put in its thread, each time, holding no lock. Set before threads run. */
void keyring_on_put(struct keyring *k, void (*fn)(void *arg), void *arg);

/* The server of [radius NAME] accepted a login and gave n keys for it, HLAK_RADIUS; those above
 * KEYRING_PER_LOGIN are left out. */
void keyring_put(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct hlak *keys, size_t n, uint64_t now_ms);

/* Copies of the keys of [radius NAME] that may be this login's; of each kind the newest first, at
 * most max:
 * - of the same user and proof, or of the same proof under another name;
 * - of the same user, where one of them has no proof that tells them apart. Short ones do not:
 * EAP-TLS and EAP-MSCHAPv2 end with the same six octets for everybody. The domain or realm of a
 * name does not count where the other one has none. Others' keys are not for this login whatever
 * its MAC: everybody who has an account can get one, and make it fit.
 *
 * Only logins that were put later than *latest, which is then the latest of all: with 0 at first
 * and the same variable again later, no key comes twice. id[i]: for keyring_spend. Returns how
 * many; the caller wipes them. */
size_t keyring_find(struct keyring *k, const char *radius, const struct keyring_login *login,
                    uint64_t now_ms, uint64_t *latest, struct hlak *keys, uint64_t *id, size_t max);

/* The login with this id has its tunnel. */
void keyring_spend(struct keyring *k, uint64_t id);

/* This login, towards a server that asks [radius NAME], comes from this client. */
void keyring_saw(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct addr *client, uint64_t now_ms);

/* Where does it come from? By the same kinds, but by the user alone only if neither has a proof.
 * False: not known, or from more than one address at once; their ports do not count, the latest
 * one's is in *client. */
bool keyring_whence(struct keyring *k, const char *radius, const struct keyring_login *login,
                    uint64_t now_ms, struct addr *client);

/* Wipes what is too old. To be called now and then: without it that waits for the next use. */
void keyring_sweep(struct keyring *k, uint64_t now_ms);

#endif
