#include "call/advice.h"

#include <stdio.h>
#include <string.h>

#include "call/candidates.h"
#include "site/leaves.h"
#include "site/site.h"
#include "users/users.h"

static bool allowed(const struct advice *a, unsigned *missed)
{
    enum { LINES_PER_SECOND = 20 };
    return log_limit_pass(a->record->binding_lines, a->now_ms, LINES_PER_SECOND, missed);
}

static void end(struct log_line *l, unsigned missed, const char *msg)
{
    log_str(l, "msg", msg);
    if (missed > 0)
        log_num(l, "lines-left-out", missed);
    log_end(l);
}

static size_t digest_len(uint8_t hash)
{
    return hash == SSTP_HASH_SHA1 ? BINDING_SHA1 : BINDING_SHA256;
}

static void hex(struct log_line *l, const char *key, bool known, const uint8_t *p, size_t n)
{
    char text[2 * BINDING_SHA256 + 1] = "";

    for (size_t i = 0; known && i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    log_str(l, key, text);
}

/* Both hashes of both leaves, as they stand in the registry of a server that was told them. */
static void both_leaves(struct log_line *l, const struct advice *a)
{
    hex(l, "sha1", a->ours->known & SSTP_HASH_SHA1, a->ours->sha1, BINDING_SHA1);
    hex(l, "sha256", a->ours->known & SSTP_HASH_SHA256, a->ours->sha256, BINDING_SHA256);
    hex(l, "backend-sha1", a->theirs->known & SSTP_HASH_SHA1, a->theirs->sha1, BINDING_SHA1);
    hex(l, "backend-sha256", a->theirs->known & SSTP_HASH_SHA256, a->theirs->sha256,
        BINDING_SHA256);
}

/* Whose is the certificate that the client saw? */
struct whose {
    const char *word, *means;
    char listener[LEAVES_NAME_MAX]; /* "": of none of ours */
};

static struct whose whose_is(const struct advice *a, uint8_t hash, const uint8_t *digest)
{
    static const struct whose others[] = {
        [LEAVES_NOBODYS] = {"unknown",
                            "the client saw a certificate that is not known here: "
                            "somebody stands between the client and this gate",
                            ""},
        [LEAVES_LISTENERS_OWN] = {"this-listener",
                                  "the client saw another certificate of this listener than this "
                                  "connection was shown: something that holds both ends TLS before "
                                  "this gate; it should pass TCP on untouched",
                                  ""},
        [LEAVES_OTHER_LISTENERS] = {"other-listener",
                                    "the client saw the certificate of another listener of this "
                                    "gate: something that holds it ends TLS before this gate; it "
                                    "should pass TCP on untouched",
                                    ""},
        [LEAVES_EARLIER] = {"earlier",
                            "the client saw a certificate that this gate had before a "
                            "reload: something still shows it and ends TLS before this "
                            "gate; give it the new one, or let it pass TCP on untouched",
                            ""},
    };
    static const struct whose backends = {
        "backend",
        "the client saw the backend's own certificate: its TLS ends at the backend or at "
        "something else that holds its certificate, not here; let the client's way lead "
        "to this gate first",
        ""};
    const uint8_t *theirs = hash == SSTP_HASH_SHA1 ? a->theirs->sha1 : a->theirs->sha256;
    char name[LEAVES_NAME_MAX] = "";

    if ((a->theirs->known & hash) != 0 && memcmp(digest, theirs, digest_len(hash)) == 0)
        return backends;
    struct whose w =
        others[a->leaves == NULL ? LEAVES_NOBODYS
                                 : leaves_find(a->leaves, hash, digest, a->record->listener, name)];
    memcpy(w.listener, name, sizeof w.listener);
    return w;
}

void advice_leaf(const struct advice *a, const struct sstp_connected *c, uint8_t hash)
{
    struct log_line l;
    unsigned missed;

    if (!allowed(a, &missed))
        return;
    const struct whose w = whose_is(a, hash, c->cert_hash.p);
    record_line(a->record, &l, LOG_LEVEL_WARNING, "binding-leaf");
    log_str(&l, "user", a->record->user);
    log_str(&l, "hash", hash == SSTP_HASH_SHA1 ? "sha1" : "sha256");
    hex(&l, "received", true, c->cert_hash.p, digest_len(hash));
    log_str(&l, "whose", w.word);
    log_str(&l, "of", w.listener);
    both_leaves(&l, a);
    end(&l, missed, w.means);
}

/* None of MS-CHAP's, so no users file can help. */
static bool needs_radius(enum ppp_method m)
{
    return m == PPP_METHOD_EAP || m == PPP_METHOD_EAP_TLS || m == PPP_METHOD_EAP_PEAP;
}

static const char *what_to_do(const struct advice *a, const struct candidates *c,
                              const struct ppp_observer *ppp, unsigned stale, bool zeros_fit)
{
    const bool has_keys = ppp_method_has_keys(ppp->method);

    if (has_keys && zeros_fit)
        return "the client's MAC is made with zeros: the client does not know the key of this "
               "login; zero-key = eap accepts this inside EAP";
    if (stale != 0)
        return "the user's line in the users-file is stale: sstpgate user NAME makes a new one";
    if (c->tried.users_file + c->tried.radius > 0)
        return c->tried.users_file == 0
                   ? "none of the keys from RADIUS makes the client's MAC: an altered message, or "
                     "the login went to another RADIUS server"
                   : "no key makes the client's MAC: a stale line in the users-file, or an altered "
                     "message";
    if (!has_keys && ppp->method != PPP_METHOD_EAP)
        return "this method gives no key, so zeros should have made the client's MAC: an altered "
               "message, or an authentication that the gate did not see";
    if (c->keyring != NULL)
        return "no RADIUS keys came for this login in timeout-key: is the gate the RADIUS proxy of "
               "this server?";
    if (needs_radius(ppp->method))
        return "only RADIUS gives the key of this method: make the gate the RADIUS proxy of this "
               "server, with [radius NAME] and radius = NAME in the backend";
    if (c->users == NULL)
        return "no key for this method: the backend has neither users-file nor radius";
    if (a->record->user == NULL)
        return "no key for this user: the client has given no name";
    return "no key for this user: not in the users-file; sstpgate user NAME makes a line";
}

void advice_mac(const struct advice *a, const struct candidates *c, const struct ppp_observer *ppp,
                unsigned stale, bool zeros_fit, bool passed)
{
    struct log_line l;
    unsigned missed;

    if (!allowed(a, &missed))
        return;
    record_line(a->record, &l, LOG_LEVEL_WARNING, "binding-mac");
    log_str(&l, "user", a->record->user);
    log_str(&l, "method", a->record->method);
    log_num(&l, "users-file-keys", c->tried.users_file);
    log_num(&l, "radius-keys", c->tried.radius);
    log_num(&l, "zero-keys", c->tried.zeros);
    log_str(&l, "action", passed ? "passed-unchanged" : "refused");
    both_leaves(&l, a);
    end(&l, missed, what_to_do(a, c, ppp, stale, zeros_fit));
}

void advice_stale(const struct advice *a, unsigned line)
{
    struct log_line l;
    unsigned missed;

    if (!allowed(a, &missed))
        return;
    record_line(a->record, &l, LOG_LEVEL_WARNING, "users-stale");
    log_str(&l, "user", a->record->user);
    log_fmt(&l, "line", "%s:%u", users_path(a->backend->users), line);
    end(&l, missed,
        "the server let this user in with another password than this line is for: sstpgate user "
        "NAME makes a new one");
}
