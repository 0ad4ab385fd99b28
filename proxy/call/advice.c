#include "call/advice.h"

#include <stdio.h>
#include <time.h>

#include "call/candidates.h"
#include "call/site.h"
#include "policy/users.h"

static bool allowed(const struct advice *a, unsigned *missed)
{
    enum { LINES_PER_SECOND = 20 };
    return log_limit_pass(a->session->binding_lines, (uint64_t)time(NULL) * 1000, LINES_PER_SECOND,
                          missed);
}

static void end(struct log_line *l, unsigned missed, const char *msg)
{
    log_str(l, "msg", msg);
    if (missed > 0)
        log_num(l, "lines-left-out", missed);
    log_end(l);
}

static void hex(struct log_line *l, const char *key, bool known, const uint8_t *p, size_t n)
{
    char text[2 * BINDING_SHA256 + 1] = "";

    for (size_t i = 0; known && i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    log_str(l, key, text);
}

/* Both hashes of both leaves, as they stand in the registry of a server that was told them. */
static void leaves(struct log_line *l, const struct advice *a)
{
    hex(l, "sha1", a->ours->known & SSTP_HASH_SHA1, a->ours->sha1, BINDING_SHA1);
    hex(l, "sha256", a->ours->known & SSTP_HASH_SHA256, a->ours->sha256, BINDING_SHA256);
    hex(l, "backend-sha1", a->theirs->known & SSTP_HASH_SHA1, a->theirs->sha1, BINDING_SHA1);
    hex(l, "backend-sha256", a->theirs->known & SSTP_HASH_SHA256, a->theirs->sha256,
        BINDING_SHA256);
}

void advice_leaf(const struct advice *a, const struct sstp_connected *c, uint8_t hash)
{
    struct log_line l;
    unsigned missed;

    if (!allowed(a, &missed))
        return;
    session_line(a->session, &l, LOG_LEVEL_WARNING, "binding-leaf");
    log_str(&l, "user", a->session->user);
    log_str(&l, "hash", hash == SSTP_HASH_SHA1 ? "sha1" : "sha256");
    hex(&l, "received", true, c->cert_hash.p,
        hash == SSTP_HASH_SHA1 ? BINDING_SHA1 : BINDING_SHA256);
    leaves(&l, a);
    end(&l, missed,
        "the client saw another certificate than ours: somebody stands between the client and "
        "this gate");
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
        return "the client's MAC is made with zeros, as by somebody who does not know the key of "
               "this login";
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
    if (a->session->user == NULL)
        return "no key for this user, who gave no name or two at once";
    return "no key for this user: not in the users-file; sstpgate user NAME makes a line";
}

void advice_mac(const struct advice *a, const struct candidates *c, const struct ppp_observer *ppp,
                unsigned stale, bool zeros_fit, bool passed)
{
    struct log_line l;
    unsigned missed;

    if (!allowed(a, &missed))
        return;
    session_line(a->session, &l, LOG_LEVEL_WARNING, "binding-mac");
    log_str(&l, "user", a->session->user);
    log_str(&l, "method", a->session->method);
    log_num(&l, "users-file-keys", c->tried.users_file);
    log_num(&l, "radius-keys", c->tried.radius);
    log_num(&l, "zero-keys", c->tried.zeros);
    log_str(&l, "action", passed ? "passed-unchanged" : "refused");
    leaves(&l, a);
    end(&l, missed, what_to_do(a, c, ppp, stale, zeros_fit));
}

void advice_stale(const struct advice *a, unsigned line)
{
    struct log_line l;
    unsigned missed;

    if (!allowed(a, &missed))
        return;
    session_line(a->session, &l, LOG_LEVEL_WARNING, "users-stale");
    log_str(&l, "user", a->session->user);
    log_fmt(&l, "line", "%s:%u", users_path(a->backend->users), line);
    end(&l, missed,
        "the server let this user in with another password than this line is for: sstpgate user "
        "NAME makes a new one");
}
