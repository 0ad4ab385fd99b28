/* keyring: connects the RADIUS thread with the calls, for some seconds of each login. The
 * RADIUS thread puts in the keys that a RADIUS server gave for a login; the call of that login,
 * in its worker, finds them by the marks of the login, and the verdict on it. In the other
 * direction, the call notes the address of its client, and the RADIUS thread finds it. Any thread
 * may call any function except keyring_free (a lock is held briefly). All tables are bounded: a new
 * entry replaces the oldest one. Names and proofs are stored as hashes only; keys are wiped when
 * they are spent, replaced or expired.
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

struct worker;

enum {
    KEYRING_MAX = 1024,          /* logins with keys */
    KEYRING_PER_LOGIN = 4,       /* FreeRADIUS may send them twice (PROTOCOL.md 5.5) */
    KEYRING_VERDICTS_MAX = 1024, /* answers of RADIUS to logins */
    KEYRING_SEEN_MAX = 4096,     /* notes of logins in progress; EAP adds one for each packet */
    KEYRING_MS = 10000,          /* how long keys, verdicts and notes are kept */
};

/* Hashes by which both sides recognize a login; 0: none. Valid within one keyring only, because the
 * hash has a secret key; but see keyring_share. */
struct keyring_marks {
    uint64_t proof; /* bytes that the client has computed for this login alone: an NT-Response, in
                       CHAP or inside EAP-MSCHAPv2, or the response of CHAP-MD5 */
    uint64_t chain; /* all packets of an EAP login so far, the server's challenges included */
};

/* A login as both sides see it: PPP at the gate, attributes at the RADIUS proxy. No marks: PAP. */
struct keyring_login {
    struct span user; /* as sent; may be empty; compared without case (ASCII) */
    struct keyring_marks marks;
};

/* Hashes that distinguish logins; 0: none. Valid within one keyring, or several with one secret. */
struct keyring_label {
    uint64_t radius; /* the [radius NAME] */
    uint64_t user;
    uint64_t bare; /* user without its domain and realm; equal to user if it has neither */
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

/* Extends the marks of an EAP login by one packet of either direction. An Identity packet
 * starts over, and packets before the first Response/Identity are ignored, because a VPN server
 * may send the Request itself and may write its own Response to RADIUS. Identifiers are ignored
 * for the same reason. If EAP-MSCHAPv2 has two different answers to one challenge, neither is a
 * proof. The caller leaves out retransmissions. */
void keyring_follow(const struct keyring *k, struct keyring_marks *m, struct span eap);

/* Sets the function that keyring_put calls each time, in its own thread and without the lock.
 * Call it before threads run. */
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
    uint64_t latest; /* id of the newest keys that were searched before; 0 at first, set by
                        keyring_find */
    /* room for the results */
    struct hlak *keys;
    uint64_t *ids; /* of each key: for keyring_spend */
    size_t max;
};

/* Copies the keys for the login of s, the newest first, at most s->max, and returns their number;
 * the caller wipes them. The next call with the same s finds only keys that were put since, so no
 * key comes twice. A key is for this login if it has
 * - the same proof, whatever the name: a VPN server may change the name, and may carry an answer of
 *   MS-CHAPv2 in another envelope than the client; or
 * - the same chain, with at least one packet of the server in it, and the same user. The domain or
 *   realm of a name counts only where both names have one.
 * Keys of other logins are left out even if the MAC would match, because the owner of any
 * account can get a key and make a MAC with it. */
size_t keyring_find(struct keyring *k, struct keyring_search *s, uint64_t now_ms);

/* Wipes the keys with this id. Call it when their login has its tunnel. */
void keyring_spend(struct keyring *k, uint64_t id);

/* The result of a login's latest request to a RADIUS server. */
enum keyring_verdict {
    KEYRING_UNDECIDED,  /* nothing is known */
    KEYRING_LOST,       /* the server is silent or cannot be reached */
    KEYRING_ACCEPTED,   /* Access-Accept */
    KEYRING_CHALLENGED, /* Access-Challenge */
    KEYRING_REJECTED,   /* Access-Reject */
};

/* Keeps the verdict on the latest request of a login at [radius NAME]. now_ms: not the time of
 * worker_now, which may be before the client's answer. */
void keyring_judge(struct keyring *k, const char *radius, const struct keyring_login *login,
                   enum keyring_verdict verdict, uint64_t now_ms);

/* Returns the latest verdict on a login: by the same proof or chain, or, if there is none, by the
 * same user. The latter includes logins with other marks if RADIUS answered them with a Reject or
 * a Challenge, because a VPN server may change EAP packets, and its users must not guess
 * passwords for free. A Reject is removed, so it is returned for one failure only. An Accept from
 * before since_ms, the time of the client's answer, is ignored: it is the verdict on another login
 * of the user, and would excuse a guess whose client does not wait for the verdict. */
enum keyring_verdict keyring_take_verdict(struct keyring *k, const char *radius,
                                          const struct keyring_login *login, uint64_t since_ms,
                                          uint64_t now_ms);

/* Notes that this login, at a VPN server that asks [radius NAME], comes from this client. */
void keyring_saw(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct addr *client, uint64_t now_ms);

/* Finds the client of a login by the login's chain or proof; by its user if it has neither
 * (PAP) or has only begun (EAP's first packet). False: the client is unknown, several addresses
 * match, or notes that might match another address were replaced. Ports are not compared;
 * *client has the latest one. */
bool keyring_client_of(struct keyring *k, const char *radius, const struct keyring_login *login,
                       uint64_t now_ms, struct addr *client);

/* ---- other gates ----
 *
 * The login of a call may pass through another gate's RADIUS proxy. With others, the keyring offers
 * them what they may need, and fetches what it needs. */

/* The answer of RADIUS to a login. */
struct keyring_outcome {
    struct keyring_label label;
    enum keyring_verdict verdict; /* KEYRING_ACCEPTED or KEYRING_REJECTED */
    size_t n;                     /* of the keys of an accepted login */
    struct hlak key[KEYRING_PER_LOGIN];
};

/* No function may call the keyring, except through another thread. */
struct keyring_others {
    /* Offers the outcome of a login whose call is not here. In the thread of keyring_judge. */
    void (*give_outcome)(void *arg, const struct keyring_outcome *o);
    /* Offers the client of a login. In the thread of keyring_offer_client. */
    void (*give_client)(void *arg, const struct keyring_label *label, const struct addr *client);
    /* Begins a search for an outcome, for `ms`: keyring_take_outcome brings it. In any thread. */
    void (*want_outcome)(void *arg, const struct keyring_label *label, uint32_t ms);
    /* Begins a search for clients; keyring_take_client brings them before on_answer is called, once
     * and soon, in the thread of `from`. all: one client is not enough, because others may have the
     * same name. */
    void *(*want_client)(void *arg, const struct keyring_label *label, bool all,
                         struct worker *from, void (*on_answer)(void *to), void *to);
    /* Begins a search for an outcome, as want_client does for clients: keyring_take_outcome
     * receives the outcome. */
    void *(*await_outcome)(void *arg, const struct keyring_label *label, struct worker *from,
                           void (*on_answer)(void *to), void *to);
    /* Cancels on_answer, before it was called and in its thread. */
    void (*forget_client)(void *search);
};

/* Exchanges outcomes and clients with other gates, whose keyrings have the same secret. Call it
 * before threads run, and before any mark exists. */
void keyring_share(struct keyring *k, const uint8_t secret[16], const struct keyring_others *others,
                   void *arg);
bool keyring_is_shared(const struct keyring *k);

/* Searches the other gates for the outcome of a login, for `ms`. No-op without others. */
void keyring_want_outcome(struct keyring *k, const char *radius, const struct keyring_login *login,
                          uint32_t ms);

/* Does the same for a call that waits: on_answer is called once, after at most shared-timeout, in
 * the thread of `from`, unless keyring_forget_client is called before. NULL: no others. */
void *keyring_await_outcome(struct keyring *k, const char *radius,
                            const struct keyring_login *login, struct worker *from,
                            void (*on_answer)(void *to), void *to);

/* Offers the other gates the client of a login. No-op without others. */
void keyring_offer_client(struct keyring *k, const char *radius, const struct keyring_login *login,
                          const struct addr *client);

/* Searches the other gates for the client of a login, unless keyring_client_of finds it here by a
 * mark that no other login has. NULL: no search is needed, and on_answer will not be called. */
void *keyring_want_client(struct keyring *k, const char *radius, const struct keyring_login *login,
                          uint64_t now_ms, struct worker *from, void (*on_answer)(void *to),
                          void *to);
void keyring_forget_client(const struct keyring *k, void *search);

/* Keep what another gate has offered: the keys become HLAK_SHARED, and keyring_on_put's function is
 * called. */
void keyring_take_outcome(struct keyring *k, const struct keyring_outcome *o, uint64_t now_ms);
void keyring_take_client(struct keyring *k, const struct keyring_label *label,
                         const struct addr *client, uint64_t now_ms);

/* Returns whether RADIUS has lately accepted this very login, as far as this gate knows. */
bool keyring_accepted(struct keyring *k, const char *radius, const struct keyring_login *login,
                      uint64_t now_ms);

/* The labels under which others may search for a login: for each of its marks or, if many logins
 * have its mark, for its user. Returns their number. */
enum { KEYRING_KEYS_MAX = 2, KEYRING_KEY = 25 };
size_t keyring_keys(const struct keyring *k, const struct keyring_label *label,
                    uint8_t out[KEYRING_KEYS_MAX][KEYRING_KEY]);

/* Wipes expired keys and notes. Call it periodically, because otherwise they stay until the
 * next call of another function. */
void keyring_sweep(struct keyring *k, uint64_t now_ms);

#endif
