/* keyring: keys that a RADIUS server gave for logins of the last seconds, on their way from the
 * thread that proxies RADIUS to the workers, whose calls find theirs by the marks of the login;
 * and, the other way, which client a login comes from. Any thread may call any function but
 * keyring_free (a lock is held for moments). All tables are bounded: the oldest entry makes room
 * for a new one. Names and proofs are kept as hashes only; keys are wiped when they are spent,
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

/* Hashes by which both sides know a login again; 0: none. Values of one keyring only, because the
 * hash has a secret key. */
struct keyring_marks {
    uint64_t proof; /* octets that the client has computed for this login alone: an NT-Response, in
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
void keyring_free(struct keyring *k); /* NULL is fine; no other thread uses it any more */

/* 0 for nothing, and for nothing else. */
uint64_t keyring_hash(const struct keyring *k, struct span octets);

/* The mark of a proof; 0 for fewer than 16 octets, which another login could have by chance. */
uint64_t keyring_proof(const struct keyring *k, struct span proof);

/* Follows an EAP login by one packet, of either direction. An Identity packet starts over, and
 * nothing is followed before the first Response/Identity: a VPN server may send the Request itself,
 * and may write the Response to RADIUS anew. Identifiers do not count, for the same reason. Of two
 * answers to one challenge of EAP-MSCHAPv2 neither is a proof. The caller leaves out
 * retransmissions. */
void keyring_follow(const struct keyring *k, struct keyring_marks *m, struct span eap);

/* Called by keyring_put in its thread, each time, holding no lock. Set before threads run. */
void keyring_on_put(struct keyring *k, void (*fn)(void *arg), void *arg);

/* The server of [radius NAME] accepted a login and gave n keys for it, HLAK_RADIUS; those above
 * KEYRING_PER_LOGIN are left out. A no-op for a login that keyring_find could not find. */
void keyring_put(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct hlak *keys, size_t n, uint64_t now_ms);

/* Copies of the keys of [radius NAME] that are this login's, the newest first, at most max:
 * - of the same proof, whatever the name: a VPN server may change it, and may carry an answer of
 *   MS-CHAPv2 in another envelope than the client did; or
 * - of the same chain, once the server has had a part in it, and of the same user. The domain or
 *   realm of a name counts where both names have one.
 * Keys of other logins are left out whatever the MAC, because everybody who has an account can get
 * a key and use it.
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

/* Finds the client of a login by its chain or its proof; by its user where it has neither (PAP), or
 * has only begun (EAP's first packet). False: the client is not known, several addresses would do,
 * or notes that might name another one had to make room. Ports do not count, the latest one's is in
 * *client. */
bool keyring_whence(struct keyring *k, const char *radius, const struct keyring_login *login,
                    uint64_t now_ms, struct addr *client);

/* Wipes what is too old. Called now and then, because otherwise old keys wait for the next call. */
void keyring_sweep(struct keyring *k, uint64_t now_ms);

#endif
