#include "radius/radius_stations.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "binding/radius_crypt.h"

/* The table has RADIUS_STATIONS_SESSIONS_MAX entries at most. */
#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

/* Acct-Status-Type (RFC 2866 5.1) */
enum { START = 1, STOP = 2, INTERIM = 3, ACCOUNTING_ON = 7, ACCOUNTING_OFF = 8 };

/* Time in which another Start with the same session and user is a retransmission; later, it is a
 * new session under an old identifier. */
enum { START_AGAIN_MS = 300000 };

enum { NAMES = 2 };

struct radius_station {
    uint64_t session;        /* in the table: hash of the VPN server and Acct-Session-Id */
    uint64_t user[NAMES];    /* hashes of the names that accounting may have */
    uint64_t class;          /* hash of the Class of its Accept; 0: none */
    struct addr vpn, client; /* client: family 0: unknown */
    uint64_t touched_ms, life_ms;
    struct radius_station *prev, *next; /* list of logins */
    UT_hash_handle hh;
};

static bool is_old(const struct radius_station *s, uint64_t now_ms)
{
    return now_ms - s->touched_ms >= s->life_ms;
}

/* ---- hashes ---- */

/* Returns the hash of a text of this VPN server. */
static uint64_t hash_of(const struct radius_stations *t, const struct addr *vpn, struct span text)
{
    uint8_t octets[sizeof vpn->ip + RADIUS_VALUE_MAX] = {0};

    memcpy(octets, vpn->ip, vpn->family == AF_INET ? 4 : sizeof vpn->ip);
    memcpy(octets + sizeof vpn->ip, text.p, text.n);
    return siphash(&t->key, octets, sizeof vpn->ip + text.n);
}

/* Writes the hash of the first attribute of this type. False: the packet has none. */
static bool find_hash(const struct radius_stations *t, const struct addr *vpn,
                      const struct radius_packet *p, uint8_t type, uint64_t *hash)
{
    struct span value;

    if (!radius_find(p, type, &value) || value.n == 0)
        return false;
    *hash = hash_of(t, vpn, value);
    return true;
}

static bool has_user(const struct radius_station *s, uint64_t user)
{
    return s->user[0] == user || s->user[1] == user;
}

/* ---- sessions ---- */

static void session_free(struct radius_stations *t, struct radius_station *s)
{
    HASH_DEL(t->sessions, s);
    free(s);
}

static struct radius_station *session_find(struct radius_stations *t, uint64_t session,
                                           uint64_t now_ms)
{
    struct radius_station *s;

    HASH_FIND(hh, t->sessions, &session, sizeof session, s);
    if (s != NULL && is_old(s, now_ms)) {
        session_free(t, s);
        return NULL;
    }
    return s;
}

/* Removes the old sessions and, if there are none, the least recently used one. */
static void sessions_make_room(struct radius_stations *t, uint64_t now_ms)
{
    struct radius_station *s, *next;

    if (HASH_COUNT(t->sessions) < RADIUS_STATIONS_SESSIONS_MAX)
        return;
    HASH_ITER(hh, t->sessions, s, next) {
        if (is_old(s, now_ms))
            session_free(t, s);
    }
    if (HASH_COUNT(t->sessions) >= RADIUS_STATIONS_SESSIONS_MAX)
        session_free(t, t->sessions);
}

/* Adds s to the table, which takes ownership. It replaces a session with the same identifier. */
static void session_add(struct radius_stations *t, struct radius_station *s, uint64_t session,
                        uint64_t now_ms)
{
    struct radius_station *old = session_find(t, session, now_ms);

    if (old != NULL)
        session_free(t, old);
    sessions_make_room(t, now_ms);
    s->session = session;
    HASH_ADD(hh, t->sessions, session, sizeof s->session, s);
}

static void session_touch(struct radius_stations *t, struct radius_station *s, uint64_t life_ms,
                          uint64_t now_ms)
{
    s->touched_ms = now_ms;
    s->life_ms = life_ms;
    HASH_DEL(t->sessions, s); /* becomes the last one */
    HASH_ADD(hh, t->sessions, session, sizeof s->session, s);
}

/* ---- logins ---- */

static void login_remove(struct radius_stations *t, struct radius_station *s)
{
    DL_DELETE(t->logins, s);
    t->login_count--;
}

static void login_free(struct radius_stations *t, struct radius_station *s)
{
    login_remove(t, s);
    free(s);
}

static void logins_expire(struct radius_stations *t, uint64_t now_ms)
{
    while (t->logins != NULL && is_old(t->logins, now_ms))
        login_free(t, t->logins);
}

/* Adds s to the list, which takes ownership. */
static void login_add(struct radius_stations *t, struct radius_station *s, uint64_t now_ms)
{
    logins_expire(t, now_ms);
    if (t->login_count == RADIUS_STATIONS_LOGINS_MAX) {
        login_free(t, t->logins);
        t->lossy_until_ms = now_ms + RADIUS_STATIONS_LOGIN_MS;
    }
    DL_APPEND(t->logins, s);
    t->login_count++;
}

/* Returns whether a Start with this user and this Class (0: none) may belong to a login. A VPN
 * server repeats the Class of the Accept (RFC 2865 5.25). */
static bool login_fits(const struct radius_station *s, uint64_t user, uint64_t class)
{
    return has_user(s, user) && (class == 0 || s->class == 0 || class == s->class);
}

/* Takes the oldest login that fits out of the list; the caller takes ownership. NULL: none. If the
 * logins that fit have different addresses, or one of them may have been removed, their clients are
 * unknown from now on, because no attribute shows to which login this Start belongs. */
static struct radius_station *login_take(struct radius_stations *t, uint64_t user, uint64_t class,
                                         uint64_t now_ms)
{
    struct radius_station *s, *first = NULL;
    bool same = now_ms >= t->lossy_until_ms;

    logins_expire(t, now_ms);
    DL_FOREACH(t->logins, s) {
        if (!login_fits(s, user, class))
            continue;
        if (first == NULL)
            first = s;
        same &= addr_same_host(&s->client, &first->client);
    }
    DL_FOREACH(t->logins, s) {
        if (!same && login_fits(s, user, class))
            s->client = (struct addr){0};
    }
    if (first != NULL)
        login_remove(t, first);
    return first;
}

/* ---- packets ---- */

void radius_stations_accept(struct radius_stations *t, const struct addr *vpn,
                            const struct radius_packet *request, const struct radius_packet *accept,
                            const struct addr *client, uint64_t now_ms)
{
    uint64_t session;
    struct radius_station *s = NEW(struct radius_station);

    s->vpn = *vpn;
    s->client = *client;
    s->touched_ms = now_ms;
    s->life_ms = RADIUS_STATIONS_LOGIN_MS;
    if (!find_hash(t, vpn, request, RADIUS_USER_NAME, &s->user[0]))
        s->user[0] = hash_of(t, vpn, span_str(""));
    if (!find_hash(t, vpn, accept, RADIUS_USER_NAME, &s->user[1]))
        s->user[1] = s->user[0];
    (void)find_hash(t, vpn, accept, RADIUS_CLASS, &s->class);
    if (find_hash(t, vpn, request, RADIUS_ACCT_SESSION_ID, &session))
        session_add(t, s, session, now_ms);
    else
        login_add(t, s, now_ms);
}

/* Returns the session that a Start begins. A session whose login is unknown is kept, too, so that
 * a retransmission of its Start does not take a later login. */
static struct radius_station *session_start(struct radius_stations *t, const struct addr *vpn,
                                            const struct radius_packet *start, uint64_t session,
                                            uint64_t user, uint64_t now_ms)
{
    struct radius_station *s = session_find(t, session, now_ms);
    uint64_t class = 0;

    if (s != NULL && has_user(s, user) && now_ms - s->touched_ms < START_AGAIN_MS)
        return s;
    (void)find_hash(t, vpn, start, RADIUS_CLASS, &class);
    s = login_take(t, user, class, now_ms);
    if (s == NULL) {
        s = NEW(struct radius_station);
        s->vpn = *vpn;
        s->user[0] = s->user[1] = user;
    }
    session_add(t, s, session, now_ms);
    return s;
}

static void forget_vpn(struct radius_stations *t, const struct addr *vpn)
{
    struct radius_station *s, *next;

    DL_FOREACH_SAFE(t->logins, s, next) {
        if (addr_same_host(&s->vpn, vpn))
            login_free(t, s);
    }
    HASH_ITER(hh, t->sessions, s, next) {
        if (addr_same_host(&s->vpn, vpn))
            session_free(t, s);
    }
}

/* Returns the Acct-Status-Type; 0: the packet has none. */
static uint32_t status_of(const struct radius_packet *p)
{
    struct span value;

    if (!radius_find(p, RADIUS_ACCT_STATUS_TYPE, &value))
        return 0;
    struct cursor c = cursor_of(value);
    return cursor_u32(&c);
}

const struct addr *radius_stations_account(struct radius_stations *t, const struct addr *vpn,
                                           const struct radius_packet *request, uint64_t now_ms)
{
    const uint32_t status = status_of(request);
    uint64_t session, user = hash_of(t, vpn, span_str(""));
    struct radius_station *s;

    if (status == ACCOUNTING_ON || status == ACCOUNTING_OFF)
        forget_vpn(t, vpn);
    if ((status != START && status != INTERIM && status != STOP) ||
        !find_hash(t, vpn, request, RADIUS_ACCT_SESSION_ID, &session))
        return NULL;
    (void)find_hash(t, vpn, request, RADIUS_USER_NAME, &user);
    s = status == START ? session_start(t, vpn, request, session, user, now_ms)
                        : session_find(t, session, now_ms);
    if (s == NULL || (status != START && !has_user(s, user)))
        return NULL;
    session_touch(t, s, status == STOP ? RADIUS_STATIONS_STOPPED_MS : RADIUS_STATIONS_RUNNING_MS,
                  now_ms);
    return s->client.family == 0 ? NULL : &s->client;
}

/* ---- begin and end ---- */

void radius_stations_init(struct radius_stations *t)
{
    *t = (struct radius_stations){0};
    radius_random((uint8_t *)&t->key, sizeof t->key);
}

void radius_stations_fini(struct radius_stations *t)
{
    struct radius_station *s, *next;

    DL_FOREACH_SAFE(t->logins, s, next) {
        login_free(t, s);
    }
    HASH_ITER(hh, t->sessions, s, next) {
        session_free(t, s);
    }
}
