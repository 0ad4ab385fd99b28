#include "shared/shared_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/insist.h"
#include "base/value.h"
#include "binding/binding.h"
#include "net/dial.h"
#include "net/worker.h"
#include "tls/tls_conn.h"

static const struct stream_ops link_ops;

static const struct shared_place *place_of(const struct shared_link *l)
{
    return &l->c->place[l->at];
}

/* Returns whether the place is a Sentinel that has not reported the address of the store yet. */
static bool link_asks(const struct shared_link *l)
{
    return place_of(l)->service != NULL && *l->found == '\0';
}

static const char *link_host(const struct shared_link *l)
{
    return *l->found != '\0' ? l->found : place_of(l)->host;
}

static uint16_t link_port(const struct shared_link *l)
{
    return *l->found != '\0' ? l->found_port : place_of(l)->port;
}

void shared_link_init(struct shared_link *l, struct worker *w, const struct shared_link_settings *c,
                      const struct shared_link_ops *ops, void *arg)
{
    INSIST(c->count > 0);
    *l = (struct shared_link){.c = c, .ops = ops, .arg = arg, .worker = w};
    l->sent = insist_alloc(calloc(SHARED_PIPELINE, sizeof *l->sent));
    stream_init(&l->stream, w, &link_ops);
}

void shared_link_fini(struct shared_link *l)
{
    INSIST(l->stream.handle == STREAM_HANDLE_NONE && l->dial == NULL && l->count == 0);
    shared_replies_free(l->replies);
    free(l->sent);
}

void shared_link_name(const struct shared_link *l, char out[SHARED_WHY_MAX])
{
    const struct shared_place *p = place_of(l);
    const char *host = link_host(l);

    if (p->path != NULL)
        snprintf(out, SHARED_WHY_MAX, "%s", p->path);
    else if (strchr(host, ':') != NULL)
        snprintf(out, SHARED_WHY_MAX, "[%.*s]:%u", VALUE_HOST_SIZE - 16, host, link_port(l));
    else
        snprintf(out, SHARED_WHY_MAX, "%.*s:%u", VALUE_HOST_SIZE - 16, host, link_port(l));
}

/* ---- failure ---- */

uint32_t shared_link_pause(unsigned failures, uint32_t chance)
{
    uint32_t most = SHARED_PAUSE_MS;

    for (unsigned i = 1; i < failures && most < SHARED_PAUSE_MAX_MS; i++)
        most *= 2;
    if (most > SHARED_PAUSE_MAX_MS)
        most = SHARED_PAUSE_MAX_MS;
    return most / 2 + chance % (most / 2 + 1);
}

static void answer_all(struct shared_link *l)
{
    while (l->count > 0) {
        void *tag = l->sent[l->first].tag;
        l->first = (l->first + 1) % SHARED_PIPELINE;
        l->count--;
        if (tag != NULL)
            l->ops->on_answer(l->arg, tag, NULL);
    }
}

static void link_connect(struct shared_link *l);

/* Is called without a connection: waits before the next place is tried, or connects to the store
 * whose address a Sentinel has reported. */
static void link_rest(struct shared_link *l)
{
    uint32_t chance = 0;

    if (l->stopping) {
        l->state = SHARED_STOPPED;
        l->ops->on_stopped(l->arg);
        return;
    }
    if (*l->found != '\0') {
        link_connect(l);
        return;
    }
    (void)!getrandom(&chance, sizeof chance, 0);
    l->state = SHARED_WAITING;
    l->due_ms = worker_now(l->worker) + shared_link_pause(l->failures, chance);
}

/* Ends the connection, and all that waits for it. */
static void link_fail(struct shared_link *l, const char *why)
{
    char text[SHARED_WHY_MAX];

    if (l->state == SHARED_CLOSING || l->state == SHARED_WAITING || l->state == SHARED_STOPPED)
        return;
    snprintf(text, sizeof text, "%s", why); /* why may belong to what is freed here */
    l->state = SHARED_CLOSING;
    dial_free(l->dial);
    l->dial = NULL;
    l->failures++;
    answer_all(l);
    if (!l->stopping)
        l->ops->on_lost(l->arg, text);
    *l->found = '\0';
    l->at = (l->at + 1) % l->c->count;
    if (l->stream.handle == STREAM_HANDLE_LIVE)
        stream_close(&l->stream, true);
    else if (l->stream.handle == STREAM_HANDLE_NONE)
        link_rest(l);
}

void shared_link_drop(struct shared_link *l, const char *why)
{
    link_fail(l, why);
}

static void link_failf(struct shared_link *l, const char *what, struct span detail)
{
    char text[SHARED_WHY_MAX];

    snprintf(text, sizeof text, "%s: %.*s", what, (int)(detail.n > 160 ? 160 : detail.n),
             (const char *)detail.p);
    link_fail(l, text);
}

/* ---- commands ---- */

/* tag NULL: of the login. */
static bool link_send(struct shared_link *l, int argc, const char **argv, const size_t *len,
                      void *tag)
{
    if (l->count == SHARED_PIPELINE || stream_queued(&l->stream) > SHARED_QUEUE)
        return false;
    const struct span bytes = shared_command(argc, argv, len);
    l->sent[(l->first + l->count++) % SHARED_PIPELINE] =
        (struct shared_sent){.tag = tag, .at_ms = worker_now(l->worker)};
    stream_write(&l->stream, bytes);
    free((void *)bytes.p);
    return true;
}

bool shared_link_run(struct shared_link *l, enum shared_script script, bool as_text, int argc,
                     const char **argv, const size_t *len, void *tag)
{
    const char *all[SHARED_ARGS_MAX + 3];
    size_t length[SHARED_ARGS_MAX + 3];

    INSIST(argc <= SHARED_ARGS_MAX && tag != NULL);
    if (l->state != SHARED_READY)
        return false;
    as_text = as_text || *l->sha[script] == '\0';
    all[0] = as_text ? "EVAL" : "EVALSHA";
    all[1] = as_text ? shared_script_text[script] : l->sha[script];
    all[2] = "0";
    for (int i = 0; i < 3; i++)
        length[i] = strlen(all[i]);
    memcpy(all + 3, argv, (size_t)argc * sizeof *argv);
    memcpy(length + 3, len, (size_t)argc * sizeof *len);
    return link_send(l, argc + 3, all, length, tag);
}

uint64_t shared_link_waits(const struct shared_link *l, uint64_t now_ms)
{
    const uint64_t at = l->count == 0 ? now_ms : l->sent[l->first].at_ms;
    return now_ms > at ? now_ms - at : 0;
}

bool shared_link_ready(const struct shared_link *l)
{
    return l->state == SHARED_READY;
}

/* ---- login: of a store ---- */

static void login_send(struct shared_link *l, int argc, const char **argv, const size_t *len)
{
    INSIST(link_send(l, argc, argv, len, NULL));
    l->login++;
}

/* Sends the password, if there is one. user NULL: in the form before ACLs. */
static void login_auth(struct shared_link *l, const char *user, struct span password)
{
    const char *secret = (const char *)password.p;

    if (password.n == 0)
        return;
    if (user != NULL)
        login_send(l, 3, (const char *[]){"AUTH", user, secret},
                   (size_t[]){4, strlen(user), password.n});
    else
        login_send(l, 2, (const char *[]){"AUTH", secret}, (size_t[]){4, password.n});
}

/* Sends all commands of the login at once, because the others are harmless if one fails. */
static void store_begin(struct shared_link *l)
{
    const struct shared_place *p = place_of(l);
    char database[8];

    login_auth(l, p->user, l->c->password);
    snprintf(database, sizeof database, "%u", (unsigned)p->database);
    login_send(l, 2, (const char *[]){"SELECT", database}, (size_t[]){6, strlen(database)});
    login_send(l, 1, (const char *[]){"ROLE"}, (size_t[]){4});
    for (int i = 0; i < SHARED_SCRIPTS; i++)
        login_send(l, 3, (const char *[]){"SCRIPT", "LOAD", shared_script_text[i]},
                   (size_t[]){6, 4, strlen(shared_script_text[i])});
}

/* Returns whether the answer to ROLE is one of a replica. A user without permission for ROLE gets
 * an error; then the first script that a replica refuses says the same. */
static bool is_replica(const struct shared_reply *a)
{
    const struct span role = shared_reply_text(shared_reply_item(a, 0));
    return role.n > 0 && !span_eq(role, span_str("master"));
}

/* Handles an answer of a store to the login: the last ones are the names of the scripts. */
static void store_answer(struct shared_link *l, const struct shared_reply *a)
{
    const bool role = l->login == SHARED_SCRIPTS + 1;
    const struct span error = shared_reply_error(a), text = shared_reply_text(a);

    if (error.n > 0 && !role) {
        link_failf(l, "the store refuses the gate", error);
        return;
    }
    if (role && is_replica(a)) {
        link_fail(l, "the store is a replica");
        return;
    }
    if (l->login <= SHARED_SCRIPTS) {
        char *sha = l->sha[SHARED_SCRIPTS - l->login];
        if (text.n != 40) {
            link_fail(l, "the answer of the store to SCRIPT LOAD is not a hash");
            return;
        }
        memcpy(sha, text.p, 41);
    }
    if (--l->login > 0)
        return;
    l->state = SHARED_READY;
    l->ops->on_ready(l->arg);
}

void shared_link_works(struct shared_link *l)
{
    l->failures = 0;
}

/* ---- login: the question to a Sentinel ---- */

static void sentinel_begin(struct shared_link *l)
{
    const char *service = place_of(l)->service;

    login_auth(l, NULL, l->c->sentinel_password);
    login_send(l, 3, (const char *[]){"SENTINEL", "GET-MASTER-ADDR-BY-NAME", service},
               (size_t[]){8, 23, strlen(service)});
}

/* Takes the address of the store. Returns false if the answer has none. */
static bool take_address(struct shared_link *l, const struct shared_reply *a)
{
    const struct span host = shared_reply_text(shared_reply_item(a, 0));
    const struct span port = shared_reply_text(shared_reply_item(a, 1));
    uint32_t number = 0;
    bool is_address;

    if (shared_reply_count(a) != 2 || host.n == 0 || strlen((const char *)host.p) != host.n ||
        port.n == 0 || value_number((const char *)port.p, 1, UINT16_MAX, &number) != ERR_OK)
        return false;
    l->found_port = (uint16_t)number;
    return value_host((const char *)host.p, l->found, &is_address) == ERR_OK;
}

/* Handles an answer of a Sentinel: the last one has the address. Then link_rest() connects to it.
 */
static void sentinel_answer(struct shared_link *l, const struct shared_reply *a)
{
    const struct span error = shared_reply_error(a);

    if (error.n > 0)
        link_failf(l, "the sentinel refuses the gate", error);
    else if (--l->login > 0)
        return;
    else if (!take_address(l, a)) {
        *l->found = '\0';
        link_failf(l, "the sentinel has no address of the store", span_str(place_of(l)->service));
    } else {
        l->state = SHARED_CLOSING;
        stream_close(&l->stream, true);
    }
}

/* ---- login: of both ---- */

static void login_begin(struct shared_link *l)
{
    l->state = SHARED_LOGIN;
    l->login = 0;
    l->due_ms = worker_now(l->worker) + SHARED_PATIENCE_MS;
    shared_replies_free(l->replies);
    l->replies = shared_replies_new();
    if (link_asks(l))
        sentinel_begin(l);
    else
        store_begin(l);
}

/* ---- the stream ---- */

static struct shared_link *of_stream(struct stream *s)
{
    return (struct shared_link *)((char *)s - offsetof(struct shared_link, stream));
}

static void take_answer(struct shared_link *l, const struct shared_reply *a)
{
    if (l->count == 0) {
        link_fail(l, "the store has sent an answer without a command");
        return;
    }
    void *tag = l->sent[l->first].tag;
    l->first = (l->first + 1) % SHARED_PIPELINE;
    l->count--;
    if (tag != NULL)
        l->ops->on_answer(l->arg, tag, a);
    else if (link_asks(l))
        sentinel_answer(l, a);
    else
        store_answer(l, a);
}

static size_t on_read(struct stream *s, struct span in)
{
    struct shared_link *l = of_stream(s);
    enum err e = ERR_OK;

    if (l->state != SHARED_LOGIN && l->state != SHARED_READY)
        return in.n;
    shared_replies_feed(l->replies, in);
    while ((l->state == SHARED_LOGIN || l->state == SHARED_READY) && e == ERR_OK) {
        struct shared_reply *a = NULL;
        e = shared_replies_next(l->replies, &a);
        if (e == ERR_OK)
            take_answer(l, a);
        else if (e != ERR_MORE)
            link_failf(l, "the answer of the store is not RESP",
                       span_str(shared_replies_why(l->replies)));
        shared_reply_free(a);
    }
    return in.n;
}

static void on_end(struct stream *s, enum stream_end why)
{
    struct shared_link *l = of_stream(s);

    if (why == STREAM_TLS)
        link_failf(l, "TLS", span_str(stream_error(s)));
    else if (l->state == SHARED_CONNECTING)
        link_fail(l, "the store has ended the connection during the TLS handshake");
    else if (l->state == SHARED_LOGIN && !shared_replies_begun(l->replies))
        link_fail(l, "the store has closed the connection without an answer: it may need TLS "
                     "(rediss), or be another program");
    else
        link_fail(l, why == STREAM_EOF ? "the store has closed the connection"
                                       : "the connection was reset");
}

static void on_sent(struct stream *s)
{
    (void)s;
}

static void on_closed(struct stream *s)
{
    link_rest(of_stream(s));
}

static bool is_pinned(const struct shared_link *l)
{
    const struct span der = tls_conn_leaf(l->stream.tls);
    struct binding_leaf leaf = {0};
    bool found = false;

    if (der.n > 0)
        binding_leaf_from_der(&leaf, der);
    free((void *)der.p);
    for (size_t i = 0; der.n > 0 && i < l->c->pin_count; i++)
        found |= memcmp(l->c->pin[i].sha256, leaf.sha256, sizeof leaf.sha256) == 0;
    return found;
}

static void on_secure(struct stream *s)
{
    struct shared_link *l = of_stream(s);

    if (l->c->pin_count > 0 && !is_pinned(l))
        link_fail(l, "the certificate of the store is not in shared-pin-sha256");
    else
        login_begin(l);
}

static void link_start(struct shared_link *l)
{
    const struct shared_place *p = place_of(l);
    struct tls_conn *tls = NULL;

    if (p->tls != NULL) {
        char host[VALUE_HOST_SIZE];
        bool is_address = true;
        (void)!value_host(link_host(l), host, &is_address);
        tls = tls_conn_new_client(p->tls, is_address ? NULL : host,
                                  l->c->pin_count > 0 ? NULL : host, stream_sink, &l->stream);
    }
    stream_start(&l->stream, tls);
    if (tls == NULL)
        login_begin(l);
}

static void on_connect(struct stream *s, int status)
{
    struct shared_link *l = of_stream(s);

    if (l->state != SHARED_CONNECTING)
        return;
    if (status == 0)
        link_start(l);
    else
        link_failf(l, "cannot connect", span_str(stream_strerror(status)));
}

static const struct stream_ops link_ops = {.on_connect = on_connect,
                                           .on_secure = on_secure,
                                           .on_read = on_read,
                                           .on_end = on_end,
                                           .on_sent = on_sent,
                                           .on_closed = on_closed};

/* ---- connecting ---- */

/* Connects to the first address of a name, because the next attempt resolves the name again. */
static void on_resolved(void *arg, int status)
{
    struct shared_link *l = arg;
    struct addr to;
    bool found = status == 0 && dial_next(l->dial, &to);

    dial_free(l->dial);
    l->dial = NULL;
    if (!found) {
        link_failf(l, "cannot resolve the name of the store", span_str(stream_strerror(status)));
        return;
    }
    l->state = SHARED_CONNECTING;
    const int r = stream_connect(&l->stream, &to);
    if (r != 0)
        link_failf(l, "cannot connect", span_str(stream_strerror(r)));
}

static void link_connect(struct shared_link *l)
{
    const struct shared_place *p = place_of(l);

    l->due_ms = worker_now(l->worker) + SHARED_PATIENCE_MS;
    l->first = 0;
    memset(l->sha, 0, sizeof l->sha);
    if (p->path == NULL) {
        l->state = SHARED_RESOLVING;
        l->dial = dial_new(l->worker, link_host(l), link_port(l), on_resolved, l);
        return;
    }
    l->state = SHARED_CONNECTING;
    const int r = stream_connect_unix(&l->stream, p->path);
    if (r != 0)
        link_failf(l, "cannot connect", span_str(stream_strerror(r)));
    else
        link_start(l);
}

void shared_link_tick(struct shared_link *l, uint64_t now_ms)
{
    switch (l->state) {
    case SHARED_WAITING:
        if (now_ms >= l->due_ms)
            link_connect(l);
        break;
    case SHARED_RESOLVING:
    case SHARED_CONNECTING:
    case SHARED_LOGIN:
        if (now_ms >= l->due_ms)
            link_fail(l,
                      link_asks(l) ? "the sentinel does not answer" : "the store does not answer");
        break;
    case SHARED_READY:
        if (shared_link_waits(l, now_ms) >= SHARED_PATIENCE_MS)
            link_fail(l, "the store does not answer");
        break;
    case SHARED_CLOSING:
    case SHARED_STOPPED: break;
    }
}

void shared_link_stop(struct shared_link *l)
{
    l->stopping = true;
    if (l->state == SHARED_READY || l->state == SHARED_LOGIN) { /* sends what is written */
        l->state = SHARED_CLOSING;
        answer_all(l);
        stream_close(&l->stream, false);
    } else if (l->state == SHARED_WAITING) {
        link_rest(l);
    } else {
        link_fail(l, "stopped");
    }
}
