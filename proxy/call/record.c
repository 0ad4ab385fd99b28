#include "call/record.h"

#include <stdlib.h>

#include "base/insist.h"
#include "wire/ppp.h"

enum { KEEP_MAX = 256 };

/* Bound of rate-limited lines `call`, for each worker. */
enum { CALL_LINES_PER_SECOND = 100 };

void record_fini(struct record *s)
{
    free(s->host);
    free(s->sni);
    free(s->tenant);
    free(s->correlation);
    free(s->user);
    free(s->backend);
    free(s->server);
    free(s->detail);
}

void record_keep(char **field, struct span value)
{
    free(*field);
    *field = NULL;
    if (value.n == 0)
        return;
    value = span_sub(value, 0, KEEP_MAX);
    *field = insist_alloc(malloc(value.n + 1));
    memcpy(*field, value.p, value.n);
    (*field)[value.n] = '\0';
    for (size_t i = 0; i < value.n; i++)
        if ((*field)[i] == '\0')
            (*field)[i] = '\x1a'; /* visible in the log */
}

/* ---- rates ---- */

void record_sample_begin(struct record *s, uint64_t now_ms)
{
    s->last = s->before = (struct record_sample){now_ms, s->up.octets, s->down.octets};
}

void record_sample_take(struct record *s, uint64_t now_ms)
{
    s->before = s->last;
    /* Silence before this activity does not belong to its rate. */
    if (now_ms - s->before.ms > (uint64_t)2 * RECORD_SAMPLE_MS)
        s->before.ms = now_ms - RECORD_SAMPLE_MS;
    s->last = (struct record_sample){now_ms, s->up.octets, s->down.octets};
}

void record_rates(const struct record *s, uint64_t now_ms, uint64_t *up, uint64_t *down)
{
    enum { SILENT_MS = 4 * RECORD_SAMPLE_MS, LEAST_MS = 1000 };
    const struct record_sample *from = now_ms - s->last.ms < LEAST_MS ? &s->before : &s->last;
    uint64_t ms = now_ms - from->ms;

    *up = *down = 0;
    if (ms >= SILENT_MS)
        return;
    if (ms < LEAST_MS)
        ms = LEAST_MS;
    *up = (s->up.octets - from->up) * 1000 / ms;
    *down = (s->down.octets - from->down) * 1000 / ms;
}

/* ---- lines ---- */

/* Adds the call's id, listener and client to a line. */
static void log_call(const struct record *s, struct log_line *l)
{
    char text[ADDR_TEXT_MAX];

    log_fmt(l, "id", "%u-%llu", s->worker, (unsigned long long)s->number);
    log_str(l, "listener", s->listener);
    log_str(l, "client", record_has_client(s) ? addr_format(&s->client, text) : NULL);
    if (s->proxy.family != 0)
        log_str(l, "proxy", addr_format(&s->proxy, text));
}

void record_line(const struct record *s, struct log_line *l, enum log_level level,
                 const char *event)
{
    log_begin(l, level, event);
    log_call(s, l);
}

bool record_line_limited(const struct record *s, struct log_line *l, enum log_level level,
                         const char *event, struct log_limit *limit, uint64_t now_ms,
                         unsigned per_second)
{
    if (!log_begin_limited(l, level, event, limit, now_ms, per_second))
        return false;
    log_call(s, l);
    return true;
}

/* Begins the line `call`. Returns false when the line must not be written. */
static bool end_line(const struct record *s, enum log_level level, uint64_t now_ms,
                     struct log_limit *limit, struct log_line *l)
{
    if (!log_wanted(level))
        return false;
    if (limit != NULL)
        return record_line_limited(s, l, level, "call", limit, now_ms, CALL_LINES_PER_SECOND);
    record_line(s, l, level, "call");
    return true;
}

/* Adds the claims of the client. */
static void log_claims(const struct record *s, struct log_line *l)
{
    log_str(l, "host", s->host);
    log_str(l, "sni", s->sni);
    if (s->tls_version == NULL)
        log_str(l, "tls", NULL);
    else
        log_fmt(l, "tls", "%s/%s", s->tls_version, s->tls_cipher);
    if (s->tls_offered != NULL)
        log_str(l, "offered", s->tls_offered);
    log_str(l, "correlation", s->correlation);
}

const char *record_binding_word(enum record_binding b)
{
    static const char *const words[] = {NULL, "verified", "passed", "off", "failed"};
    return words[b];
}

static void log_tunnel(const struct record *s, struct log_line *l)
{
    log_str(l, "user", s->user);
    log_str(l, "method", s->method);
    log_str(l, "backend", s->backend);
    log_str(l, "server", s->server);
    if (s->client_records != NULL)
        log_str(l, "client-records", s->client_records);
    if (s->server_records != NULL)
        log_str(l, "server-records", s->server_records);
    log_str(l, "binding", record_binding_word(s->binding));
    log_str(l, "hash", s->hash);
    log_str(l, "key", s->key);
    if (s->weak)
        log_str(l, "weak", "yes");
    if (s->resumed)
        log_str(l, "resumed", "yes");
}

void record_up(const struct record *s)
{
    struct log_line l;

    record_line(s, &l, LOG_LEVEL_INFO, "up");
    log_tunnel(s, &l);
    log_end(&l);
}

static void log_flows(const struct record *s, struct log_line *l)
{
    log_num(l, "up-octets", s->up.octets);
    log_num(l, "up-packets", s->up.packets);
    log_num(l, "down-octets", s->down.octets);
    log_num(l, "down-packets", s->down.packets);
    if (s->failures > 0)
        log_num(l, "login-failures", s->failures);
    if (s->refusal > PPP_REFUSED)
        log_num(l, "login-error", s->refusal);
    else if (s->refusal == PPP_REFUSED && s->rejected)
        log_str(l, "login-error", "radius-reject");
    if (s->frames_dropped > 0)
        log_num(l, "frames-dropped", s->frames_dropped);
}

/* The fields of the verdict precede the claims of the client, which can fill the line. */
void record_end(const struct record *s, const struct record_end *end, uint64_t now_ms,
                struct log_limit *limit)
{
    static const char *const outcomes[] = {NULL, "ended", "failed", "refused"};
    const enum log_level level = end->is_check                    ? LOG_LEVEL_DEBUG
                                 : end->outcome == OUTCOME_FAILED ? LOG_LEVEL_WARNING
                                                                  : LOG_LEVEL_INFO;
    struct log_line l;

    if (!end_line(s, level, now_ms, limit, &l))
        return;
    log_str(&l, "outcome", outcomes[end->outcome]);
    log_str(&l, "stage", end->stage);
    log_str(&l, "reason", reason_info(end->reason)->name);
    log_claims(s, &l);
    log_tunnel(s, &l);
    log_flows(s, &l);
    log_seconds(&l, "duration", now_ms - s->started);
    if (s->detail != NULL)
        log_str(&l, "detail", s->detail);
    log_end(&l);
}
