#include "status/requests.h"

#ifdef HAVE_MICROHTTPD

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "base/memo.h"
#include "status/page.h"

enum {
    REFUSED_LINES = 5, /* lines of the log per second */
    /* bytes of a body that are read before a refusal: a connection that ends with unread bytes is
     * reset, and the client may not see the answer */
    BODY_DISCARD_MAX = 65536,
};

struct refusal;

struct request {
    struct requests *all;
    struct MHD_Connection *connection;
    struct peer *peer;
    const struct route *route;     /* NULL: no such path */
    bool is_api;                   /* errors are JSON */
    bool begun;                    /* the head has arrived */
    const char *problem;           /* of the query; NULL: none */
    struct question *question;     /* NULL: lost */
    const struct refusal *refusal; /* the answer once the body has arrived; NULL: another one */
    size_t held;
    size_t body_n;
    char body[STATUS_BODY_MAX];
    struct request *prev, *next; /* in requests.pending */
};

/* ---- answers ---- */

/* Fields of every answer: no program keeps an answer, guesses its type, or shows it inside another
 * page. */
static const struct {
    const char *name, *value;
} fields[] = {
    {"Content-Security-Policy", PAGE_POLICY},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Referrer-Policy", "no-referrer"},
    {"Cache-Control", "no-store"},
};

static const char text_type[] = "text/plain; charset=utf-8", json_type[] = "application/json",
                  metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";

/* Sends an answer, and takes ownership of r (NULL: no memory). is_last: the connection ends after
 * it. */
static enum MHD_Result answer(struct request *q, unsigned status, const char *type,
                              struct MHD_Response *r, bool is_last)
{
    if (r == NULL)
        return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", type);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        (void)MHD_add_response_header(r, fields[i].name, fields[i].value);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(r, "Allow", route_methods(q->route));
    if (status == MHD_HTTP_UNAUTHORIZED)
        (void)MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"sstpgate\"");
    if (is_last)
        (void)MHD_add_response_header(r, "Connection", "close");
    const enum MHD_Result result = MHD_queue_response(q->connection, status, r);
    MHD_destroy_response(r); /* the connection has a reference */
    peer_answered(q->peer, q->all->now_ms());
    return result;
}

/* Sends text, of which it takes ownership. */
static enum MHD_Result answer_text(struct request *q, unsigned status, const char *type, char *text,
                                   size_t n, bool is_last)
{
    q->held = n;
    q->all->held += n;
    return answer(q, status, type, MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE),
                  is_last);
}

static enum MHD_Result answer_memo(struct request *q, unsigned status, const char *type,
                                   struct memo *m, bool is_last)
{
    char *text = memo_take(m);
    return answer_text(q, status, type, text, strlen(text), is_last);
}

static enum MHD_Result answer_page(struct request *q)
{
    struct page_file file;

    INSIST(page_find(q->route->path, &file));
    /* libmicrohttpd does not write to a persistent buffer, although it asks for one without
     * const */
    void *bytes = (void *)(uintptr_t)file.body.p;
    return answer(q, MHD_HTTP_OK, file.type,
                  MHD_create_response_from_buffer(file.body.n, bytes, MHD_RESPMEM_PERSISTENT),
                  false);
}

static enum MHD_Result answer_health(struct request *q)
{
    struct memo m;
    const bool ok = q->all->ops->health(q->all->arg, memo_open(&m));

    return answer_memo(q, ok ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, text_type, &m, false);
}

/* ---- refusals ---- */

/* Literals without `"` and `\`, because they are part of a JSON text. */
struct refusal {
    unsigned status;
    const char *word; /* for the log; NULL: a mistake of the client that needs no line */
    const char *why;
};

static const struct refusal
    path = {MHD_HTTP_NOT_FOUND, NULL, "there is nothing at this path"},
    method = {MHD_HTTP_METHOD_NOT_ALLOWED, NULL, "this path does not allow this method"},
    host = {421, "host",
            "the host of the URL is not known here: use an address, or set status-host"},
    twice = {MHD_HTTP_BAD_REQUEST, NULL, "a field that decides may appear only once"},
    no_length = {MHD_HTTP_LENGTH_REQUIRED, NULL, "a body needs a Content-Length"},
    large = {413, NULL, "the body is too large"},
    not_form = {MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, NULL,
                "the body must be application/x-www-form-urlencoded"},
    origin = {MHD_HTTP_FORBIDDEN, "origin",
              "the request comes from a page of another origin (a reverse proxy must pass Host)"},
    read_only = {MHD_HTTP_FORBIDDEN, "read-only",
                 "this listener is read-only, because status-token-file is not set"},
    no_token = {MHD_HTTP_UNAUTHORIZED, "no-token",
                "the request needs the token: Authorization: Bearer TOKEN"},
    wrong_token = {MHD_HTTP_FORBIDDEN, "token", "the token is wrong"},
    banned = {MHD_HTTP_FORBIDDEN, "banned", "the address is banned"},
    busy = {MHD_HTTP_SERVICE_UNAVAILABLE, "busy",
            "too many answers are waiting for their clients: try again later"},
    not_begun = {MHD_HTTP_SERVICE_UNAVAILABLE, "late",
                 "the gate was busy for 5 s, and has not begun this request"},
    ending = {MHD_HTTP_SERVICE_UNAVAILABLE, NULL, "the gate is stopping"},
    not_finished = {MHD_HTTP_SERVICE_UNAVAILABLE, "late",
                    "the gate has not finished this request within 5 s, but may do so later"};

static const char *client_of(const struct peer *peer, char text[ADDR_TEXT_MAX])
{
    return peer->is_unix ? "unix" : addr_format(&peer->addr, text);
}

static void log_refused(struct requests *all, const char *client, const char *path_text,
                        const char *word)
{
    struct log_line l;

    if (!log_begin_limited(&l, LOG_LEVEL_WARNING, "status", &all->refused, all->now_ms(),
                           REFUSED_LINES))
        return;
    log_str(&l, "client", client);
    if (path_text != NULL)
        log_str(&l, "path", path_text);
    log_str(&l, "refused", word);
    log_end(&l);
}

/* Sends an error. The connection ends after those of the log, so that each attempt costs a client
 * a connection. */
static enum MHD_Result refuse_with(struct request *q, const struct refusal *r, const char *why)
{
    char text[ADDR_TEXT_MAX];
    struct memo m;

    if (r->word != NULL)
        log_refused(q->all, client_of(q->peer, text), q->route == NULL ? "-" : q->route->path,
                    r->word);
    fprintf(memo_open(&m), q->is_api ? "{\"ok\":false,\"error\":\"%s\"}\n" : "%s\n", why);
    return answer_memo(q, r->status, q->is_api ? json_type : text_type, &m, r->word != NULL);
}

static enum MHD_Result refuse(struct request *q, const struct refusal *r)
{
    return refuse_with(q, r, r->why);
}

static enum MHD_Result refuse_form(struct request *q, const char *why)
{
    return refuse_with(q, &(struct refusal){.status = MHD_HTTP_BAD_REQUEST}, why);
}

/* ---- the head ---- */

static const char *field(const struct request *q, const char *name)
{
    return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

/* The fields of a head that decide: a proxy in front may read another one of two. */
struct decisive {
    bool seen[6], twice;
};

static enum MHD_Result on_field(void *cls, enum MHD_ValueKind kind, const char *name,
                                const char *value)
{
    static const char *const names[] = {"Host",          "Origin",         "Sec-Fetch-Site",
                                        "Authorization", "Content-Length", "Content-Type"};
    struct decisive *d = cls;

    (void)kind, (void)value;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!span_eq_nocase(span_str(name), span_str(names[i])))
            continue;
        d->twice |= d->seen[i];
        d->seen[i] = true;
    }
    return MHD_YES;
}

static bool is_ambiguous(const struct request *q)
{
    struct decisive d = {0};

    (void)MHD_get_connection_values(q->connection, MHD_HEADER_KIND, on_field, &d);
    return d.twice;
}

/* Returns the bytes of the body; UINT64_MAX: not known before its end. */
static uint64_t body_length(const struct request *q)
{
    const char *length = field(q, "Content-Length");

    if (field(q, "Transfer-Encoding") != NULL)
        return UINT64_MAX;
    /* libmicrohttpd has refused everything but digits */
    return length == NULL ? 0 : strtoull(length, NULL, 10);
}

/* Returns why the body cannot be read; NULL: it can. */
static const struct refusal *check_body(const struct request *q)
{
    const char *type = field(q, "Content-Type");
    static const char form[] = "application/x-www-form-urlencoded";

    if (field(q, "Transfer-Encoding") != NULL)
        return &no_length;
    if (body_length(q) > STATUS_BODY_MAX)
        return &large;
    if (type != NULL && q->route->kind == ROUTE_ACTION &&
        !span_eq_nocase(span_sub(span_str(type), 0, strcspn(type, "; \t")), span_str(form)))
        return &not_form;
    return NULL;
}

static const struct refusal *check_token(const struct request *q, enum guard_token token)
{
    const struct status_ops *ops = q->all->ops;
    const bool has_addr = !q->peer->is_unix;

    if (token == GUARD_READ_ONLY)
        return &read_only;
    if (token == GUARD_TOKEN_MISSING)
        return &no_token;
    if (has_addr && ops->is_banned(q->all->arg, &q->peer->addr))
        return &banned;
    if (token == GUARD_TOKEN_RIGHT)
        return NULL;
    if (has_addr)
        ops->on_wrong_token(q->all->arg, &q->peer->addr);
    return &wrong_token;
}

/* Judges the sender of an action. The origin comes first: a page of another origin must not get
 * the address of an administrator banned. */
static const struct refusal *check_sender(const struct request *q, enum guard_token token)
{
    if (!guard_same_origin(field(q, "Host"), field(q, "Origin"), field(q, "Sec-Fetch-Site")))
        return &origin;
    return check_token(q, token);
}

/* Returns why the request is refused; NULL: it is not. */
static const struct refusal *check_head(const struct request *q, const char *method_text)
{
    pthread_mutex_lock(&q->all->guard_lock);
    /* no browser reaches a unix socket */
    const bool is_known = q->peer->is_unix || guard_knows_host(q->all->guard, field(q, "Host"));
    const enum guard_token token = guard_token(q->all->guard, field(q, "Authorization"));
    pthread_mutex_unlock(&q->all->guard_lock);

    if (is_ambiguous(q))
        return &twice;
    if (!is_known)
        return &host;
    if (q->route == NULL)
        return &path;
    if (!route_allows(q->route, method_text))
        return &method;
    const struct refusal *r = check_body(q);
    if (r == NULL && q->route->kind == ROUTE_ACTION)
        r = check_sender(q, token);
    if (r == NULL && q->all->held > STATUS_HELD_MAX)
        r = &busy;
    return r;
}

bool requests_admit(struct requests *all, const struct addr *client)
{
    char text[ADDR_TEXT_MAX];

    pthread_mutex_lock(&all->guard_lock);
    const bool ok = guard_admits(all->guard, client);
    pthread_mutex_unlock(&all->guard_lock);
    if (!ok)
        log_refused(all, addr_format(client, text), NULL, "address");
    return ok;
}

/* ---- the main thread ---- */

static void ask(struct request *q)
{
    char text[ADDR_TEXT_MAX];
    struct question *x = q->question;

    x->route = q->route;
    snprintf(x->client, sizeof x->client, "%s", client_of(q->peer, text));
    x->owner = q;
    x->deadline = q->all->now_ms() + STATUS_ANSWER_MS;
    peer_pends(q->peer);
    DL_APPEND(q->all->pending, q);
    MHD_suspend_connection(q->connection);
    questions_ask(&q->all->questions, x);
    q->all->ops->wake(q->all->arg);
}

static enum MHD_Result answer_question(struct request *q)
{
    struct question *x = q->question;
    char *text = x->text;
    const char *type = q->route->kind == ROUTE_METRICS ? metrics_type
                       : q->route->kind == ROUTE_READY ? text_type
                                                       : json_type;

    x->text = NULL;
    return answer_text(q, x->http_status, type, text, x->n, false);
}

static void resume(struct request *q)
{
    DL_DELETE(q->all->pending, q);
    MHD_resume_connection(q->connection);
}

void requests_resume(struct requests *all, uint64_t now_ms)
{
    struct question *x;
    struct request *q, *next;

    while ((x = questions_next(&all->questions)) != NULL)
        resume(x->owner);
    DL_FOREACH_SAFE(all->pending, q, next) {
        if (q->question->deadline > now_ms)
            continue;
        q->refusal = questions_abandon(&all->questions, q->question) ? &not_begun : &not_finished;
        q->question = NULL;
        resume(q);
    }
}

void requests_end(struct requests *all)
{
    all->ending = true;
    requests_resume(all, PEERS_NEVER);
}

uint64_t requests_next(const struct requests *all)
{
    uint64_t at = PEERS_NEVER;
    struct request *q;

    DL_FOREACH(all->pending, q)
        if (q->question->deadline < at)
            at = q->question->deadline;
    return at;
}

/* ---- callbacks ---- */

void *requests_on_uri(void *cls, const char *uri, struct MHD_Connection *c)
{
    static const char api[] = "/api/";
    struct request *q = NEW(struct request);
    const size_t n = strcspn(uri, "?");

    (void)c;
    q->all = cls;
    q->route = route_find(span_of(uri, n));
    q->is_api = strncmp(uri, api, strlen(api)) == 0;
    q->question = NEW(struct question);
    q->problem = form_parse(&q->question->form, span_str(uri + n + (uri[n] == '?')));
    return q;
}

static enum MHD_Result on_head(struct request *q, struct MHD_Connection *c, const char *method_text)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    q->begun = true;
    q->connection = c;
    q->peer = peers_find(&q->all->peers, info->connect_fd);
    INSIST(q->peer != NULL);
    peer_asked(q->peer, q->all->now_ms());
    const struct refusal *r = check_head(q, method_text);
    if (r != NULL && body_length(q) <= BODY_DISCARD_MAX) {
        q->refusal = r;
        return MHD_YES;
    }
    return r == NULL ? MHD_YES : refuse(q, r);
}

static enum MHD_Result on_body(struct request *q, const char *data, size_t *n)
{
    if (q->refusal == NULL) {
        INSIST(*n <= sizeof q->body - q->body_n); /* check_body has seen the length */
        memcpy(q->body + q->body_n, data, *n);
        q->body_n += *n;
    }
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result on_complete(struct request *q)
{
    if (q->problem != NULL)
        return refuse_form(q, q->problem);
    if (q->route->kind == ROUTE_PAGE)
        return answer_page(q);
    if (q->route->kind == ROUTE_HEALTH)
        return answer_health(q);
    if (q->route->kind == ROUTE_ACTION)
        q->problem = form_parse(&q->question->form, span_of(q->body, q->body_n));
    if (q->problem != NULL)
        return refuse_form(q, q->problem);
    if (q->all->ending)
        return refuse(q, &ending);
    ask(q);
    return MHD_YES;
}

enum MHD_Result requests_on_event(void *cls, struct MHD_Connection *c, const char *url,
                                  const char *method_text, const char *version, const char *data,
                                  size_t *n, void **request)
{
    struct request *q = *request;

    (void)cls, (void)url, (void)version;
    if (!q->begun)
        return on_head(q, c, method_text);
    if (*n > 0)
        return on_body(q, data, n);
    if (q->refusal != NULL)
        return refuse(q, q->refusal);
    if (q->question->state == QUESTION_ANSWERED)
        return answer_question(q);
    return on_complete(q);
}

void requests_on_end(void *cls, struct MHD_Connection *c, void **request,
                     enum MHD_RequestTerminationCode code)
{
    struct request *q = *request;

    (void)cls, (void)c, (void)code;
    if (q == NULL)
        return;
    *request = NULL;
    q->all->held -= q->held;
    if (q->peer != NULL)
        peer_awaits(q->peer, q->all->now_ms());
    question_free(q->question);
    free(q);
}

/* ---- begin and end ---- */

void requests_init(struct requests *all, const struct status_ops *ops, void *arg,
                   uint64_t (*now_ms)(void))
{
    *all = (struct requests){.ops = ops, .arg = arg, .now_ms = now_ms};
    peers_init(&all->peers);
    questions_init(&all->questions);
    INSIST(pthread_mutex_init(&all->guard_lock, NULL) == 0);
}

void requests_fini(struct requests *all)
{
    INSIST(all->pending == NULL && all->held == 0);
    questions_fini(&all->questions);
    guard_free(all->guard);
    pthread_mutex_destroy(&all->guard_lock);
}

#endif
