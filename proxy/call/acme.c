#include "call/acme.h"

#include <utlist.h>

#include "call/admission.h"
#include "call/call.h"
#include "call/relay.h"
#include "site/site.h"
#include "wire/client_hello.h"

bool acme_listens(const struct call *call)
{
    return call->listener->config->acme.family != 0;
}

/* ---- the end ---- */

/* Refuses a client whose address the rules deny, as at accept. */
static void refuse(struct call *call)
{
    if (admission_judge_address(call, call->admission.accepted) == ADMISSION_DROPPED)
        stream_vanish(&call->client);
    call_end(call, REASON_ADDRESS_DENIED);
}

/* why: for the log. */
static void give_up(struct call *call, const char *why)
{
    record_keep(&call->record.detail, span_str(why));
    if (call->backend.in == STREAM_IN_IDLE) /* not connected */
        stream_close(&call->backend, true);
    call_end(call, REASON_ACME_FAILED);
}

void acme_ends(struct call *call)
{
    if (call->record.down.octets > 0) {
        call_keep_reason(call, REASON_ACME_PASSED);
    } else if (call->acme.dialed) {
        record_keep(&call->record.detail, span_str("closed before an answer"));
        call_keep_reason(call, REASON_ACME_FAILED);
    } else if (call->acme.denied) {
        refuse(call);
    }
}

void acme_expired(struct call *call)
{
    if (call->acme.dialed)
        give_up(call, "timed out");
    else
        refuse(call);
}

/* ---- the beginning ---- */

/* Makes room for one more connection of the listener, which keeps its counters over a reload. */
static void make_room(const struct call *call)
{
    struct call *other, *oldest = NULL;
    size_t n = 0;

    DL_FOREACH(call->set->list[CALL_ACME], other) {
        if (other->tally != call->tally)
            continue;
        if (n++ == 0)
            oldest = other;
    }
    if (n < ACME_AT_ONCE)
        return;
    if (oldest->acme.dialed)
        give_up(oldest, "gave way to a newer connection");
    else
        refuse(oldest);
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

size_t acme_hello_read(struct call *call, struct span in)
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
    stream_kick(&call->client); /* the ClientHello, unchanged */
}

/* ---- the bytes ---- */

/* Returns whether that many more bytes may follow; otherwise the call has ended. */
static bool may_pass(struct call *call, const struct record_flow *flow, size_t n)
{
    if (flow->octets + n <= ACME_OCTETS_MAX)
        return true;
    give_up(call, "more bytes than a validation has");
    return false;
}

size_t acme_read(struct call *call, struct span in)
{
    if (!call->acme.dialed)
        return acme_hello_read(call, in);
    return may_pass(call, &call->record.up, in.n) ? relay_web_up(call, in) : in.n;
}

size_t acme_answer_read(struct call *call, struct span in)
{
    return may_pass(call, &call->record.down, in.n) ? relay_web_down(call, in) : in.n;
}
