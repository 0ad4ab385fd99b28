#include "call/call.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/trace.h"
#include "config/config.h"
#include "site/site.h"
#include "wire/http_build.h"

/* ---- the facts of the states ---- */

#define FROM(state) (1u << CALL_##state)
#define TIMEOUT(key) offsetof(struct config_gate, timeout_##key)
enum { NO_TIMEOUT = 0 }; /* the first field of struct config_gate is not a timeout */

/* How call_end treats a reason whose row says END_LINGER or END_DRAIN, by state. A call can linger
 * only in states where the gate has a last message for a peer, and drain only in states that
 * forward data. */
#define NEITHER .linger = END_CLOSE, .drain = END_CLOSE

/* The stage, and the outcome of a reason with OUTCOME_BY_STATE. A connection without a byte of TLS
 * is no failure, because it is a health check or a port scan. */
#define STAGE(word, how) .stage = word, .outcome = OUTCOME_##how

static const struct {
    const char *name;
    unsigned from;  /* legal previous states, a bit for each */
    size_t timeout; /* offset in struct config_gate */
    bool renewed;   /* data moves the deadline */
    enum reason_end linger, drain;
    const char *stage; /* for the log; NULL: of ended_in */
    enum reason_outcome outcome;
} facts[CALL_STATES] = {
    [CALL_PROXY] = {"PROXY", 0, TIMEOUT(handshake), false, NEITHER, STAGE("proxy", ENDED)},
    [CALL_HELLO] = {"HELLO", FROM(PROXY), TIMEOUT(handshake), false, NEITHER,
                    STAGE("hello", ENDED)},
    [CALL_HANDSHAKE] = {"HANDSHAKE", FROM(HELLO), TIMEOUT(handshake), false, NEITHER,
                        STAGE("tls", FAILED)},
    [CALL_REQUEST] = {"REQUEST", FROM(HELLO) | FROM(HANDSHAKE), TIMEOUT(request), false, END_LINGER,
                      END_RESET_BACKEND, STAGE("request", FAILED)},
    /* from itself once for each address, because each has a deadline of its own */
    [CALL_DIAL] = {"DIAL", FROM(REQUEST) | FROM(DIAL) | FROM(ANSWER), TIMEOUT(connect), false,
                   END_LINGER, END_RESET_BACKEND, STAGE("backend", FAILED)},
    [CALL_ANSWER] = {"ANSWER", FROM(DIAL), TIMEOUT(answer), false, END_LINGER, END_RESET_BACKEND,
                     STAGE("backend", FAILED)},
    [CALL_NEGOTIATE] = {"NEGOTIATE", FROM(ANSWER) | FROM(KEY), TIMEOUT(negotiate), false,
                        END_LINGER, END_DRAIN, STAGE("negotiate", FAILED)},
    [CALL_KEY] = {"KEY", FROM(NEGOTIATE), TIMEOUT(key), false, END_LINGER, END_DRAIN,
                  STAGE("binding", FAILED)},
    /* both sides are paused, so none can end and leave a call that drains */
    [CALL_COUNT] = {"COUNT", FROM(NEGOTIATE) | FROM(KEY), TIMEOUT(negotiate), false, END_LINGER,
                    END_CLOSE, STAGE("binding", FAILED)},
    [CALL_RELAY] = {"RELAY", FROM(NEGOTIATE) | FROM(KEY) | FROM(COUNT), TIMEOUT(idle), true,
                    END_LINGER, END_DRAIN, STAGE("up", ENDED)},
    [CALL_WEB] = {"WEB", FROM(DIAL), TIMEOUT(web), true, END_CLOSE, END_DRAIN, STAGE("web", ENDED)},
    [CALL_ACME] = {"ACME", FROM(PROXY) | FROM(HELLO), TIMEOUT(handshake), false, END_LINGER,
                   END_DRAIN, STAGE("acme", ENDED)},
    [CALL_DRAIN] = {"DRAIN", FROM(NEGOTIATE) | FROM(KEY) | FROM(RELAY) | FROM(WEB) | FROM(ACME),
                    TIMEOUT(drain), false, END_CLOSE, END_NOTHING, STAGE(NULL, ENDED)},
    [CALL_LINGER] = {"LINGER",
                     FROM(REQUEST) | FROM(DIAL) | FROM(ANSWER) | FROM(NEGOTIATE) | FROM(KEY) |
                         FROM(COUNT) | FROM(RELAY) | FROM(ACME),
                     TIMEOUT(drain), false, END_NOTHING, END_NOTHING, STAGE(NULL, ENDED)},
    [CALL_CLOSED] = {"CLOSED", ~0u & ~FROM(CLOSED), NO_TIMEOUT, false, END_NOTHING, END_NOTHING,
                     STAGE(NULL, ENDED)},
};

const char *call_state_name(enum call_state state)
{
    return facts[state].name;
}

/* ---- the set ---- */

void call_join(struct call *call)
{
    struct call_set *set = call->set;

    call->state = CALL_PROXY;
    call->active = call_now(call);
    call->deadline = call->active + set->timeout[CALL_PROXY];
    set->count++;
    DL_APPEND(set->list[CALL_PROXY], call);
}

void call_part(struct call *call)
{
    struct call_set *set = call->set;

    INSIST(call->state == CALL_CLOSED);
    DL_DELETE(set->list[CALL_CLOSED], call);
    set->count--;
    set->settled++;
    atomic_fetch_sub(&set->shared->count, 1);
    set->on_parted(set);
}

void call_leave_site(struct call *call)
{
    site_unref(call->site);
    call->site = NULL;
    call->listener = NULL;
    call->uplink.backend = NULL;
}

/* Logs a change of the state, and the reason for which a call ends. */
static void report_state(struct call *call, enum call_state next)
{
    struct log_line l;

    if (!record_line_limited(&call->record, &l, LOG_LEVEL_DEBUG, "state", call->record.debug_lines,
                             call_now(call), TRACE_LINES_PER_SECOND))
        return;
    log_str(&l, "from", facts[call->state].name);
    log_str(&l, "to", facts[next].name);
    if (call->reason != REASON_NONE)
        log_str(&l, "reason", reason_info(call->reason)->name);
    log_end(&l);
}

void call_enter(struct call *call, enum call_state state)
{
    struct call_set *set = call->set;

    INSIST(facts[state].from & (1u << call->state));
    if (log_wanted(LOG_LEVEL_DEBUG))
        report_state(call, state);
    set->on_leave(call, state);
    DL_DELETE(set->list[call->state], call);
    if (call->state == CALL_RELAY)
        atomic_fetch_sub(&set->shared->tunnels, 1);
    if (state == CALL_RELAY)
        atomic_fetch_add(&set->shared->tunnels, 1);
    if (state >= CALL_DRAIN && call->state < CALL_DRAIN)
        call->ended_in = call->state;
    call->state = state;
    call->active = call_now(call);
    call->deadline = call->active + set->timeout[state];
    DL_APPEND(set->list[state], call);
    if (state == CALL_RELAY || state == CALL_WEB) {
        call_leave_site(call);
        set->settled++;
    }
}

bool call_renew(struct call *call, uint64_t now_ms)
{
    struct call_set *set = call->set;
    const uint64_t due = call->active + set->timeout[call->state];

    if (!facts[call->state].renewed || due <= now_ms)
        return false;
    call->deadline = due;
    DL_DELETE(set->list[call->state], call);
    DL_APPEND(set->list[call->state], call);
    return true;
}

/* Shortens the deadlines of a list, which remains in order, because all its calls had the same
 * timeout. */
static void shorten_deadlines(struct call *list, uint32_t was, uint32_t timeout)
{
    struct call *call;

    if (timeout == 0)
        return;
    DL_FOREACH(list, call) {
        const uint64_t due = call->active + timeout;
        if (was == 0 || due < call->deadline)
            call->deadline = due;
    }
}

void call_set_timeouts(struct call_set *set, const struct config_gate *g)
{
    for (int state = 0; state < CALL_CLOSED; state++) {
        const uint32_t was = set->timeout[state];
        memcpy(&set->timeout[state], (const char *)g + facts[state].timeout, sizeof(uint32_t));
        shorten_deadlines(set->list[state], was, set->timeout[state]);
    }
}

/* ---- the end ---- */

time_t call_time(void)
{
    return time(NULL);
}

int64_t call_time_ms(void)
{
    struct timespec now;

    INSIST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct span call_http_date(char out[32], time_t when)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;

    gmtime_r(&when, &tm);
    int n = snprintf(out, 32, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * tm.tm_wday,
                     tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                     tm.tm_sec);
    return span_of(out, (size_t)n);
}

static void send_http(struct call *call, unsigned status)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    size_t n =
        http_build_answer(head, status, call->request.is_head, call_http_date(date, call_time()));
    stream_write(&call->client, span_of(head, n));
}

static void send_status(struct stream *to, const struct reason_info *info)
{
    uint8_t message[SSTP_STATUS_LEN];
    sstp_build_status(message, info->message, info->attribute, info->status);
    stream_write(to, span_of(message, sizeof message));
}

static void send_last_message(struct call *call, const struct reason_info *info)
{
    if (call->state == CALL_ACME) /* neither side speaks SSTP */
        return;
    if (call->state < CALL_NEGOTIATE) {
        if (info->http != 0)
            send_http(call, info->http);
        return;
    }
    if (info->message != SSTP_DATA)
        send_status(&call->client, info);
    /* [MS-SSTP] 3.1.7.2: without a Disconnect, a backend needs only the loss of the connection */
    if (info->message == SSTP_DISCONNECT)
        send_status(&call->backend, info);
}

/* Gives the client time to read the gate's last messages, which are queued. Bytes that the client
 * still sends are read and discarded, because a reset could overtake those messages. */
static void linger(struct call *call)
{
    const bool answered = call->state >= CALL_NEGOTIATE;

    call_enter(call, CALL_LINGER);
    stream_shutdown(&call->client);
    stream_resume(&call->client);
    stream_resume(&call->backend);
    if (answered)
        stream_notify(&call->backend);
    else /* the backend's answer is no longer needed */
        stream_close(&call->backend, true);
}

static void close_both(struct call *call, enum reason_end end)
{
    call_enter(call, CALL_CLOSED);
    stream_close(&call->client, end == END_RESET_CLIENT || end == END_RESET_BOTH);
    stream_close(&call->backend, end == END_RESET_BACKEND || end == END_RESET_BOTH);
}

/* Returns how a call in this state ends for this reason. */
static enum reason_end end_in_state(enum call_state state, const struct reason_info *info)
{
    /* a client that waits for its answer gets one if the reason has one */
    if (info->http != 0 && state >= CALL_REQUEST && state <= CALL_ANSWER)
        return END_LINGER;
    if (info->end == END_RESET_BOTH && state == CALL_LINGER)
        return END_CLOSE; /* both peers know that the call has ended */
    switch (info->end) {
    case END_LINGER: return facts[state].linger;
    case END_DRAIN: return facts[state].drain;
    default: return state == CALL_CLOSED ? END_NOTHING : info->end;
    }
}

void call_keep_reason(struct call *call, enum reason reason)
{
    if (call->reason != REASON_NONE)
        return;
    const bool refused = call->record.refusal != 0 && reason_info(reason)->login_first;
    call->reason = refused ? REASON_LOGIN_REFUSED : reason;
}

void call_end(struct call *call, enum reason reason)
{
    const struct reason_info *info = reason_info(reason);
    const enum reason_end end = end_in_state(call->state, info);

    call_keep_reason(call, reason);
    switch (end) {
    case END_NOTHING: return;
    case END_DRAIN: call_enter(call, CALL_DRAIN); return;
    case END_LINGER:
        send_last_message(call, info);
        linger(call);
        return;
    case END_CLOSE:
    case END_RESET_CLIENT:
    case END_RESET_BACKEND:
    case END_RESET_BOTH: close_both(call, end);
    }
}

static bool is_drained(const struct stream *s)
{
    return s->handle != STREAM_HANDLE_LIVE ||
           (s->in == STREAM_IN_ENDED && s->out == STREAM_OUT_ENDED);
}

void call_end_if_drained(struct call *call)
{
    if ((call->state == CALL_DRAIN || call->state == CALL_LINGER) && is_drained(&call->client) &&
        is_drained(&call->backend))
        call_end(call, REASON_DRAINED);
}

/* ---- for the log ---- */

enum reason_outcome call_outcome(const struct call *call)
{
    const enum reason_outcome outcome = reason_info(call->reason)->outcome;
    return outcome == OUTCOME_BY_STATE ? facts[call->ended_in].outcome : outcome;
}

/* NEGOTIATE has three stages: SSTP and LCP, the login, and a binding that was refused. */
const char *call_stage(const struct call *call)
{
    const struct record *r = &call->record;

    if (call->ended_in != CALL_NEGOTIATE)
        return facts[call->ended_in].stage;
    if (r->binding == RECORD_BINDING_FAILED)
        return facts[CALL_KEY].stage;
    return r->method != NULL || r->user != NULL ? "login" : facts[CALL_NEGOTIATE].stage;
}
