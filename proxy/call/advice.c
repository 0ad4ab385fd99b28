#include "call/advice.h"

#include <stdio.h>
#include <string.h>

#include "call/candidates.h"
#include "site/leaves.h"
#include "site/site.h"
#include "users/users.h"

enum { LINES_PER_SECOND = 20 }; /* for each worker */

/* Begins a line. Returns whether it may be written. */
static bool line_begin(const struct advice *a, struct log_line *l, enum log_level level,
                       const char *event)
{
    if (!record_line_limited(a->record, l, level, event, a->record->binding_lines, a->now_ms,
                             LINES_PER_SECOND))
        return false;
    log_str(l, "user", a->record->user);
    return true;
}

static void line_end(struct log_line *l, const char *msg)
{
    log_str(l, "msg", msg);
    log_end(l);
}

static size_t digest_len(uint8_t hash)
{
    return hash == SSTP_HASH_SHA1 ? BINDING_SHA1 : BINDING_SHA256;
}

static void log_hex(struct log_line *l, const char *key, bool known, const uint8_t *p, size_t n)
{
    char text[2 * BINDING_SHA256 + 1] = "";

    for (size_t i = 0; known && i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    log_str(l, key, text);
}

/* Logs both hashes of both leaves, in the form that a server's registry uses. */
static void log_leaves(struct log_line *l, const struct advice *a)
{
    log_hex(l, "sha1", a->ours->known & SSTP_HASH_SHA1, a->ours->sha1, BINDING_SHA1);
    log_hex(l, "sha256", a->ours->known & SSTP_HASH_SHA256, a->ours->sha256, BINDING_SHA256);
    log_hex(l, "backend-sha1", a->theirs->known & SSTP_HASH_SHA1, a->theirs->sha1, BINDING_SHA1);
    log_hex(l, "backend-sha256", a->theirs->known & SSTP_HASH_SHA256, a->theirs->sha256,
            BINDING_SHA256);
}

/* The owner of the certificate whose hash the client has sent. */
struct leaf_owner {
    const char *word, *means;
    char listener[LEAVES_NAME_MAX]; /* "": no listener of the gate */
    bool is_unknown;
};

static struct leaf_owner owner_of(const struct advice *a, uint8_t hash, const uint8_t *digest)
{
    static const struct leaf_owner others[] = {
        [LEAVES_NOBODYS] = {"unknown",
                            "the client saw a certificate that is not known here: a man in the "
                            "middle, or another TLS endpoint, is between the client and this gate",
                            "", true},
        [LEAVES_LISTENERS_OWN] =
            {"this-listener",
             "the client saw a different certificate of this listener than the "
             "one presented on this connection: a device in front of this "
             "gate that has both certificates terminates TLS; it must forward "
             "TCP unchanged",
             "", false},
        [LEAVES_OTHER_LISTENERS] = {"other-listener",
                                    "the client saw the certificate of another listener of this "
                                    "gate: a device in front of this gate that has this "
                                    "certificate terminates TLS; it must forward TCP unchanged",
                                    "", false},
        [LEAVES_EARLIER] = {"earlier",
                            "the client saw a certificate that this gate had before a reload: a "
                            "device in front of this gate still presents it and terminates TLS; "
                            "install the new certificate there, or configure it to forward TCP "
                            "unchanged",
                            "", false},
    };
    static const struct leaf_owner backends = {
        "backend",
        "the client saw the backend's certificate: its TLS ends at the backend, or at another "
        "device with the backend's certificate, and not at this gate; route the client's "
        "connection to this gate",
        "", false};
    const uint8_t *theirs = hash == SSTP_HASH_SHA1 ? a->theirs->sha1 : a->theirs->sha256;
    char name[LEAVES_NAME_MAX] = "";

    if ((a->theirs->known & hash) != 0 && memcmp(digest, theirs, digest_len(hash)) == 0)
        return backends;
    struct leaf_owner owner =
        others[a->leaves == NULL ? LEAVES_NOBODYS
                                 : leaves_find(a->leaves, hash, digest, a->record->listener, name)];
    memcpy(owner.listener, name, sizeof owner.listener);
    return owner;
}

bool advice_leaf(const struct advice *a, const struct sstp_connected *c, uint8_t hash)
{
    const struct leaf_owner owner = owner_of(a, hash, c->cert_hash.p);
    struct log_line l;

    if (!line_begin(a, &l, LOG_LEVEL_WARNING, "binding-leaf"))
        return owner.is_unknown;
    log_str(&l, "hash", hash == SSTP_HASH_SHA1 ? "sha1" : "sha256");
    log_hex(&l, "received", true, c->cert_hash.p, digest_len(hash));
    log_str(&l, "whose", owner.word);
    log_str(&l, "of", owner.listener);
    log_leaves(&l, a);
    line_end(&l, owner.means);
    return owner.is_unknown;
}

/* Returns whether only RADIUS, and no users file, can give the keys of the method. */
static bool needs_radius(enum ppp_method m)
{
    return m == PPP_METHOD_EAP || m == PPP_METHOD_EAP_TLS || m == PPP_METHOD_EAP_PEAP;
}

/* Explains a MAC that none of the tried keys made. */
static const char *explain_tried(const struct candidates *c)
{
    return c->tried.users_file == 0
               ? "no key from RADIUS matches the client's MAC: the message was altered, or the "
                 "login "
                 "went to another RADIUS server"
               : "no key matches the client's MAC: a stale line in the users file, or the message "
                 "was altered";
}

/* Explains why no key could be tried. */
static const char *explain_no_key(const struct advice *a, const struct candidates *c,
                                  const struct ppp_observer *ppp)
{
    if (!ppp_method_has_keys(ppp->method) && ppp->method != PPP_METHOD_EAP)
        return "this method has no key, so the client's MAC should have been made with zeros: the "
               "message was altered, or the gate did not see an authentication";
    if (c->keyring != NULL && keyring_is_shared(c->keyring))
        return "no RADIUS key for this login arrived within timeout-key, neither here nor from "
               "another gate: is one of the gates the RADIUS proxy of this server, and does it "
               "have the same store and shared-secret-file?";
    if (c->keyring != NULL)
        return "no RADIUS key for this login arrived within timeout-key: is the gate the RADIUS "
               "proxy of this server?";
    if (needs_radius(ppp->method))
        return "only RADIUS has the key of this method: make the gate the RADIUS proxy of this "
               "server, with [radius NAME] and radius = NAME in the backend";
    if (c->users == NULL)
        return "no key for this method: the backend has neither users-file nor radius";
    if (a->record->user == NULL)
        return "no key for this user: the client has sent no user name";
    return "no key for this user: not in the users file; sstpgate user -f FILE NAME adds a line";
}

static const char *explain_mac(const struct advice *a, const struct candidates *c,
                               const struct ppp_observer *ppp, const struct advice_mac *mac)
{
    if (ppp_method_has_keys(ppp->method) && mac->zeros_fit)
        return "the client's MAC was made with zeros: the client does not know the key of this "
               "login; zero-key = eap accepts this inside EAP";
    if (mac->stale != 0)
        return "the user's line in the users file is stale; sstpgate user -f FILE NAME makes a new "
               "line";
    if (c->tried.users_file + c->tried.radius > 0)
        return explain_tried(c);
    return explain_no_key(a, c, ppp);
}

static const struct gap {
    const char *word, *step;
} gaps[ADVICE_GAPS] = {
    [ADVICE_NO_SOURCE] =
        {"no-source",
         "crypto-binding = auto admits this backend's users unverified, because the gate has no "
         "key "
         "of theirs. If the VPN server asks a RADIUS server (NPS may run on the same Windows), one "
         "step gives it all keys: make this gate the RADIUS proxy of the server, with [radius "
         "NAME] "
         "and radius = NAME. Without RADIUS: a line for each user in users-file. Then set "
         "crypto-binding = rewrite"},
    [ADVICE_NO_LINE] = {"no-line",
                        "crypto-binding = auto admits this user unverified, because users-file has "
                        "no line of the user: sstpgate user -f FILE NAME adds one. When every user "
                        "has a line, set crypto-binding = rewrite"},
    [ADVICE_NEEDS_RADIUS] =
        {"needs-radius",
         "crypto-binding = auto admits this user unverified, because only RADIUS has the key of "
         "this "
         "method: make this gate the RADIUS proxy of the server, with [radius NAME] and radius = "
         "NAME. Then set crypto-binding = rewrite"},
    [ADVICE_RADIUS_LATE] =
        {"radius-late",
         "crypto-binding = auto admits this user unverified, because RADIUS gave no key of the "
         "login "
         "within timeout-key: configure this gate as the RADIUS server of the VPN server, for "
         "authentication. When logins have key=radius, set crypto-binding = rewrite"},
};

/* Returns why no key is known; ADVICE_GAPS: the login has no name, or its method no key. */
static enum advice_gap gap_of(const struct advice *a, const struct candidates *c,
                              const struct ppp_observer *ppp)
{
    if (!ppp_method_has_keys(ppp->method) && ppp->method != PPP_METHOD_EAP)
        return ADVICE_GAPS;
    if (c->keyring != NULL)
        return ADVICE_RADIUS_LATE;
    if (needs_radius(ppp->method))
        return ADVICE_NEEDS_RADIUS;
    if (c->users == NULL)
        return ADVICE_NO_SOURCE;
    return a->record->user == NULL ? ADVICE_GAPS : ADVICE_NO_LINE;
}

/* Logs the step after which `rewrite` would work instead of `auto`. */
static void log_step(const struct advice *a, const struct candidates *c,
                     const struct ppp_observer *ppp)
{
    enum { HOUR_MS = 60 * 60 * 1000 };
    const enum advice_gap gap = gap_of(a, c, ppp);
    struct log_line l;

    if (gap == ADVICE_GAPS || a->record->logged == NULL)
        return;
    uint64_t *logged = &a->record->logged->ms[gap];
    if (*logged != 0 && a->now_ms - *logged < HOUR_MS)
        return;
    *logged = a->now_ms;
    record_line(a->record, &l, LOG_LEVEL_INFO, "binding-auto");
    log_str(&l, "user", a->record->user);
    log_str(&l, "method", a->record->method);
    log_str(&l, "gap", gaps[gap].word);
    line_end(&l, gaps[gap].step);
}

void advice_mac(const struct advice *a, const struct candidates *c, const struct ppp_observer *ppp,
                const struct advice_mac *mac)
{
    struct log_line l;

    if (mac->action == ADVICE_PASSED)
        log_step(a, c, ppp);
    if (!line_begin(a, &l, LOG_LEVEL_WARNING, "binding-mac"))
        return;
    log_str(&l, "method", a->record->method);
    log_num(&l, "users-file-keys", c->tried.users_file);
    log_num(&l, "radius-keys", c->tried.radius);
    log_num(&l, "zero-keys", c->tried.zeros);
    log_str(&l, "action", mac->action == ADVICE_PASSED ? "passed-unchanged" : "refused");
    log_leaves(&l, a);
    line_end(&l, explain_mac(a, c, ppp, mac));
}

void advice_stale(const struct advice *a, unsigned line)
{
    struct log_line l;

    if (!line_begin(a, &l, LOG_LEVEL_WARNING, "users-stale"))
        return;
    log_fmt(&l, "line", "%s:%u", users_path(a->backend->users), line);
    line_end(
        &l, "the server accepted this user with a different password than the one in this line, or "
            "the line has an NT hash and not the hash of it; sstpgate user -f FILE NAME makes a "
            "new line");
}
