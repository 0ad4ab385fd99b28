/* keyring: passes the keys that a RADIUS server gave for logins of the last seconds from the thread
 * that proxies RADIUS to the workers, whose calls find their keys by the marks of the login; and,
 * in the other direction, the client that a login comes from. Any thread may call any function
 * except keyring_free (a lock is held for moments). All tables are bounded: a new entry replaces
 * the oldest one. Names and proofs are kept as hashes only; keys are wiped when they are spent,
 * replaced or too old.
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

/* Hashes by which both sides recognize a login; 0: none. Valid within one keyring only, because the
 * hash has a secret key. */
struct keyring_marks {
    uint64_t proof; /* bytes that the client has computed for this login alone: an NT-Response, in
                       CHAP or inside EAP-MSCHAPv2, or the response of CHAP-MD5 */
    uint64_t chain; /* all packets of an EAP login so far, the server's challenges included */
};

/* A login as both sides see it: PPP at the gate, attributes at the RADIUS proxy. No marks: PAP. */
struct keyring_login {
    struct span user; /* as sent; may be empty; letter case does not count (in ASCII) */
    struct keyring_marks marks;
};

struct keyring;

struct keyring *keyring_new(void);
void keyring_free(struct keyring *k); /* NULL: no-op; no other thread may use it any more */

/* Returns the hash of octets: 0 if they are empty, never 0 otherwise. */
uint64_t keyring_hash(const struct keyring *k, struct span octets);

/* Returns the mark of a proof; 0 for fewer than 16 bytes, which another login could have by chance.
 */
uint64_t keyring_proof(const struct keyring *k, struct span proof);

/* Follows an EAP login by one packet of either direction. An Identity packet starts over, and
 * packets before the first Response/Identity are ignored, because a VPN server may send the Request
 * itself and may write its own Response to RADIUS. Identifiers do not count, for the same reason.
 * Of two answers to one challenge of EAP-MSCHAPv2 neither is a proof. The caller leaves out
 * retransmissions. */
void keyring_follow(const struct keyring *k, struct keyring_marks *m, struct span eap);

/* Called by keyring_put in its thread, each time, holding no lock. Set before threads run. */
void keyring_on_put(struct keyring *k, void (*fn)(void *arg), void *arg);

/* Keeps the n keys (HLAK_RADIUS) that the server of [radius NAME] gave when it accepted a login;
 * keys above KEYRING_PER_LOGIN are left out. A no-op for a login that keyring_find could not find.
 */
void keyring_put(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct hlak *keys, size_t n, uint64_t now_ms);

/* A search for the keys of a login. */
struct keyring_search {
    const char *radius; /* NAME of [radius NAME] */
    const struct keyring_login *login;
    uint64_t latest; /* keys put until then are left out; 0 at first, set by keyring_find */
    /* room for the results */
    struct hlak *keys;
    uint64_t *ids; /* of the same key: for keyring_spend */
    size_t max;
};

/* Copies the keys for the login of s, the newest first, at most s->max, and returns their number;
 * the caller wipes them. The next call with the same s finds only keys that were put since, so no
 * key comes twice. A key is for this login if it has
 * - the same proof, whatever the name: a VPN server may change the name, and may carry an answer of
 *   MS-CHAPv2 in another envelope than the client; or
 * - the same chain, with at least one packet of the server in it, and the same user. The domain or
 *   realm of a name counts only where both names have one.
 * Keys of other logins are left out whatever the MAC, because every account can get a key and use
 * it. */
size_t keyring_find(struct keyring *k, struct keyring_search *s, uint64_t now_ms);

/* Wipes the keys of this id, because the login that they belong to has its tunnel. */
void keyring_spend(struct keyring *k, uint64_t id);

/* Notes that this login, at a VPN server that asks [radius NAME], comes from this client. */
void keyring_saw(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct addr *client, uint64_t now_ms);

/* Finds the client of a login by the login's chain or proof; by its user if it has neither (PAP) or
 * has only begun (EAP's first packet). False: the client is unknown, several addresses match, or
 * notes that might match another address were replaced. Ports do not count; *client has the latest
 * one. */
bool keyring_client_of(struct keyring *k, const char *radius, const struct keyring_login *login,
                       uint64_t now_ms, struct addr *client);

/* Wipes keys and notes that are too old. Call periodically, because old keys otherwise stay until
 * the next call of another function. */
void keyring_sweep(struct keyring *k, uint64_t now_ms);

#endif
