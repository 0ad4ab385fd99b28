#include "call/acme.h"

#include <utlist.h>

#include "base/insist.h"
#include "call/admission.h"
#include "call/call.h"
#include "call/judgement.h"
#include "call/relay.h"
#include "policy/limits.h"
#include "site/site.h"
#include "wire/client_hello.h"
#include "wire/http_build.h"
#include "wire/http_request.h"

enum { CHALLENGE_MAX = 256 }; /* a token has 128 bits or more, in 22 characters */

bool acme_may_validate(const struct call *call)
{
    const struct config_listener *c = call->listener->config;

    return (call->acme.plain ? c->acme_http : c->acme).family != 0;
}

bool acme_listens(const struct call *call)
{
    return call->acme.plain || acme_may_validate(call);
}

/* ---- the end ---- */

/* Refuses a client whose address the rules deny, as at accept. */
static void refuse(struct call *call)
{
    if (admission_judge_address(call, call->admission.accepted) == ADMISSION_DROPPED)
        stream_vanish(&call->client);
    call_end(call, REASON_ADDRESS_DENIED);
}

/* Sends the answer of HTTP, if the client waits for one. */
static void apologize(struct call *call)
{
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];

    if (!call->acme.plain || call->record.down.octets > 0)
        return;
    const struct span when = call_http_date(date, call_time());
    const size_t n = http_build_answer(head, 503, call->request.is_head, when);
    stream_write(&call->client, span_of(head, n));
}

/* Ends the call because of the ACME client. why: for the log. */
static void give_up(struct call *call, const char *why)
{
    record_keep(&call->record.detail, span_str(why));
    if (call->backend.in == STREAM_IN_IDLE) /* not connected */
        stream_close(&call->backend, true);
    apologize(call);
    call_end(call, REASON_ACME_FAILED);
}

static const char unanswered[] = "closed before an answer";

void acme_client_ends(struct call *call)
{
    if (call->record.down.octets > 0) {
        call_keep_reason(call, REASON_ACME_PASSED);
    } else if (call->acme.dialed) { /* an answer may still come */
        record_keep(&call->record.detail, span_str(unanswered));
        call_keep_reason(call, REASON_ACME_FAILED);
    } else if (call->acme.denied) {
        refuse(call);
    }
}

void acme_server_ends(struct call *call)
{
    if (call->record.down.octets > 0)
        call_keep_reason(call, REASON_ACME_PASSED);
    else
        give_up(call, unanswered);
}

void acme_expired(struct call *call)
{
    if (call->acme.dialed)
        give_up(call, "timed out");
    else
        refuse(call);
}

/* ---- the beginning ---- */

/* Counts the connections of the listener; of: the network, NULL: all. */
static size_t count_calls(const struct call *call, const struct cidr *of)
{
    const struct call *other;
    size_t n = 0;

    DL_FOREACH(call->set->list[CALL_ACME], other) {
        n += other->tally == call->tally && (of == NULL || cidr_has(of, &other->record.client));
    }
    return n;
}

/* Returns the oldest connection of the network that has the most of the listener's, which keeps its
 * counters over a reload. */
static struct call *crowding(const struct call *call)
{
    struct call *other, *found = NULL;
    size_t most = 0;

    DL_FOREACH(call->set->list[CALL_ACME], other) {
        if (other->tally != call->tally)
            continue;
        const struct cidr net = limits_net(call->set->shared->limits, &other->record.client);
        const size_t n = count_calls(call, &net);
        if (found == NULL || n > most) {
            found = other;
            most = n;
        }
    }
    return found;
}

/* Makes room for one more connection of the listener. */
static void make_room(const struct call *call)
{
    if (count_calls(call, NULL) < ACME_AT_ONCE)
        return;
    struct call *other = crowding(call);
    if (other->acme.dialed)
        give_up(other, "closed for a newer connection");
    else
        refuse(other);
}

static void enter(struct call *call)
{
    make_room(call);
    call_enter(call, CALL_ACME);
}

void acme_await(struct call *call)
{
    call->acme.denied = true;
    call->admission.accepted = call_time();
    enter(call);
}

static void dial(struct call *call, const struct addr *to)
{
    char text[ADDR_TEXT_MAX];

    call->acme.dialed = true;
    record_keep(&call->record.server, span_str(addr_format(to, text)));
    stream_pause(&call->client); /* until the ACME client gets its bytes */
    const int r = stream_connect(&call->backend, to);
    if (r != 0)
        give_up(call, stream_strerror(r));
}

static size_t hello_read(struct call *call, struct span in)
{
    struct client_hello hello;
    const enum err e = client_hello_parse(in, &hello);

    if (e == ERR_MORE)
        return 0;
    if (e == ERR_OK && hello.acme) {
        record_keep(&call->record.sni, span_of(hello.name, hello.name_len));
        if (call->state == CALL_HELLO)
            enter(call);
        dial(call, &call->listener->config->acme);
        return 0;
    }
    if (call->acme.denied) {
        refuse(call);
        return in.n;
    }
    stream_secure(&call->client);
    return 0;
}

/* ---- plain HTTP ---- */

/* Returns whether the request is for a challenge: its token is base64url (RFC 8555 8.3), so that no
 * other path of the ACME client's server can be meant. */
static bool is_challenge(const struct http_request *r)
{
    const struct span prefix = span_str("/.well-known/acme-challenge/"),
                      token = span_from(r->target, prefix.n);

    if (!(r->is_get || r->is_head) || !span_eq(span_sub(r->target, 0, prefix.n), prefix))
        return false;
    for (size_t i = 0; i < token.n; i++)
        if (!ascii_is_letter(token.p[i]) && !ascii_is_digit(token.p[i]) && token.p[i] != '-' &&
            token.p[i] != '_')
            return false;
    return token.n > 0 && token.n <= CHALLENGE_MAX;
}

/* Returns the port of the listener's https addresses. */
static unsigned https_port(const struct config_listener *c)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (!c->listen_plain[i] && c->listen[i].port != 0)
            return c->listen[i].port;
    return 443;
}

/* Answers a request that is not for the ACME client. */
static void redirect(struct call *call, const struct http_request *r)
{
    const struct config_listener *c = call->listener->config;
    uint8_t head[HTTP_BUILD_MAX];
    char date[32];
    size_t n = 0;

    if (judgement_serves_host(c, r->host))
        n = http_build_redirect(head, r->host, https_port(c), r->target, r->is_head,
                                call_http_date(date, call_time()));
    stream_write(&call->client, span_of(head, n));
    call_end(call, n > 0 ? REASON_REDIRECTED : REASON_NOT_SSTP);
}

static size_t request_read(struct call *call, struct span in)
{
    struct http_request r;
    const enum err e = http_request_parse(in, &r);

    if (e == ERR_MORE)
        return 0;
    if (e == ERR_OK) {
        call->request.is_head = r.is_head;
        record_keep(&call->record.host, r.host);
    }
    if (e == ERR_OK && is_challenge(&r) && acme_may_validate(call)) {
        if (call->state == CALL_HELLO)
            enter(call);
        dial(call, &call->listener->config->acme_http);
        return 0;
    }
    if (call->acme.denied) {
        refuse(call);
        return in.n;
    }
    call_enter(call, CALL_REQUEST);
    if (e == ERR_OK)
        redirect(call, &r);
    else
        call_end(call, e == ERR_TOO_LARGE ? REASON_REQUEST_TOO_LARGE : REASON_BAD_REQUEST);
    return in.n;
}

/* Rebuilds the request and sends it to the ACME client. Discards the bytes behind it. */
static size_t request_pass(struct call *call, struct span in)
{
    struct http_request r;
    uint8_t head[HTTP_BUILD_MAX];

    if (call->record.up.octets > 0)
        return in.n;
    INSIST(http_request_parse(in, &r) == ERR_OK); /* as before the connection */
    relay_web_up(call, span_of(head, http_build_get(head, r.is_head, r.target, r.host)));
    return r.len;
}

size_t acme_first_read(struct call *call, struct span in)
{
    return call->acme.plain ? request_read(call, in) : hello_read(call, in);
}

/* ---- the connection ---- */

void acme_connected(struct call *call, int status)
{
    if (status != 0) {
        give_up(call, stream_strerror(status));
        return;
    }
    stream_start(&call->backend, NULL);
    stream_narrow(&call->client);
    stream_narrow(&call->backend);
    stream_resume(&call->client);
    stream_kick(&call->client); /* the ClientHello, unchanged; or the request */
}

/* ---- the bytes ---- */

/* Returns whether that many more bytes may follow; otherwise the call has ended. */
static bool may_pass(struct call *call, const struct record_flow *flow, size_t n)
{
    if (flow->octets + n <= ACME_OCTETS_MAX)
        return true;
    give_up(call, "more bytes than a validation needs");
    return false;
}

size_t acme_read(struct call *call, struct span in)
{
    if (!call->acme.dialed)
        return acme_first_read(call, in);
    if (call->acme.plain)
        return request_pass(call, in);
    return may_pass(call, &call->record.up, in.n) ? relay_web_up(call, in) : in.n;
}

size_t acme_answer_read(struct call *call, struct span in)
{
    return may_pass(call, &call->record.down, in.n) ? relay_web_down(call, in) : in.n;
}
