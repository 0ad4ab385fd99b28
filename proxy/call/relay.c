#include "call/relay.h"

#include <stdlib.h>

#include "base/insist.h"
#include "call/call.h"
#include "call/calls.h"
#include "call/entry.h"
#include "call/negotiation.h"
#include "net/stream.h"
#include "policy/limits.h"
#include "users/users.h"
#include "wire/ppp_frame.h"
#include "wire/sstp.h"

/* Gives the client points for failed logins as soon as they are known. */
static void count_failures(struct call *call)
{
    if (call->record.failures > call->admission.failures)
        call_give_points(call, POINTS_LOGIN * (call->record.failures - call->admission.failures));
    call->admission.failures = call->record.failures;
}

void relay_login_ends(struct call *call)
{
    if (call->negotiation == NULL)
        return;
    negotiation_server_ends(call->negotiation);
    count_failures(call);
}

/* Returns the reason for the end that this packet announces; REASON_NONE: it announces none. */
static enum reason goodbye_of(const struct sstp_packet *p, bool from_client)
{
    switch (p->type) {
    case SSTP_ABORT: return from_client ? REASON_CLIENT_ABORT : REASON_BACKEND_ABORT;
    case SSTP_DISCONNECT: return from_client ? REASON_CLIENT_DISCONNECT : REASON_BACKEND_DISCONNECT;
    default: return REASON_NONE;
    }
}

/* Notices an Abort or a Disconnect that is forwarded. */
static void note_goodbye(struct call *call, const struct sstp_packet *p, bool from_client)
{
    const enum reason reason = goodbye_of(p, from_client);
    struct sstp_status_info info;

    if (reason == REASON_NONE || call->reason != REASON_NONE)
        return;
    if (!from_client)
        relay_login_ends(call);
    call_end(call, reason);
    if (sstp_parse_status(p, &info) == ERR_OK && info.status != SSTP_STATUS_NO_ERROR)
        record_keep(&call->record.detail, span_str(sstp_status_name(info.status)));
}

static void count(struct record_flow *flow, struct span octets)
{
    flow->octets += octets.n;
    flow->packets++;
}

/* Counts the tunnel for its user. Does not count a call without a user, a name that the login did
 * not prove, or a name that is empty without its domain or realm (`@example.com`, `DOMAIN\`),
 * because such a tunnel would use up those of another user. Keeps the counted name, so that
 * limits_forget releases exactly that count. */
static bool user_admitted(struct call *call)
{
    INSIST(call->admission.counted_user == NULL);
    if (call->record.user != NULL && !call->record.user_is_claim)
        record_keep(&call->admission.counted_user, users_counted_name(span_str(call->record.user)));
    if (call->admission.counted_user == NULL)
        return true;
    enum limits_verdict hit =
        limits_user_enter(call->set->shared->limits, span_str(call->admission.counted_user));
    if (hit == LIMITS_OK)
        return true;
    entry_log_limited(call, limits_key(hit));
    record_keep(&call->admission.counted_user, span_of(NULL, 0));
    return false;
}

/* A packet as it goes on. Reserved bits mean nothing ([MS-SSTP] 2.2.1), but sstpc and accel-ppp
 * take those above a length for a part of it (PROTOCOL.md 3.2). Not so in Call Connected, whose MAC
 * covers them. Nobody is known to set them, hence the copy. */
static struct span as_sent(const struct sstp_packet *p, struct span octets,
                           uint8_t copy[SSTP_PACKET_MAX])
{
    return p->type == SSTP_CONNECTED ? octets : sstp_without_reserved(octets, copy);
}

/* What the negotiation made of a packet: PASS has that packet's octets in a.octets by now. */
static void obey(struct call *call, const struct negotiation_answer *a, bool from_client)
{
    struct stream *to = from_client ? &call->backend : &call->client;
    struct record_flow *flow = from_client ? &call->record.up : &call->record.down;

    switch (a->verdict) {
    case NEGOTIATION_DROP:
    case NEGOTIATION_HOLD: return;
    case NEGOTIATION_REFUSE: call_end(call, a->reason); return;
    case NEGOTIATION_WAIT:
        if (call->state == CALL_NEGOTIATE) /* else the call is about to end without it */
            call_enter(call, CALL_KEY);
        return;
    case NEGOTIATION_CONNECTED:
        if (!user_admitted(call)) {
            call_end(call, REASON_USER_LIMIT);
            return;
        }
        break;
    case NEGOTIATION_REPLACE:
    case NEGOTIATION_PASS: break;
    }
    count(flow, a->octets);
    stream_write(to, a->octets);
    if (a->verdict != NEGOTIATION_CONNECTED)
        return;
    call->up = true;
    call->tunnel.lcp_request = negotiation_lcp_request(call->negotiation);
    negotiation_free(call->negotiation);
    call->negotiation = NULL;
    if (call->state == CALL_NEGOTIATE || call->state == CALL_KEY)
        call_enter(call, CALL_RELAY);
    /* A reload met it on its way, when not all was known that the new rules ask for. */
    if (call->state == CALL_RELAY && call->site != call->set->site)
        entry_recheck(call, call->set->site);
}

void relay_try_key(struct call *call, bool late)
{
    struct negotiation_answer a = negotiation_try_key(call->negotiation, call_now(call), late);

    if (a.verdict == NEGOTIATION_REPLACE) /* the server has not let the user in yet */
        call_enter(call, CALL_NEGOTIATE);
    obey(call, &a, true);
}

/* Handles a packet of a call before its tunnel is up. Returns false if the packet stays unread. */
static bool negotiation_packet(struct call *call, const struct sstp_packet *p, struct span octets,
                               bool from_client)
{
    uint8_t copy[SSTP_PACKET_MAX];
    struct negotiation_answer a =
        from_client ? negotiation_from_client(call->negotiation, p, octets, call_now(call))
                    : negotiation_from_backend(call->negotiation, p, octets);
    count_failures(call);
    if (a.verdict == NEGOTIATION_HOLD && call->state == CALL_KEY)
        return false;
    if (a.verdict == NEGOTIATION_PASS) {
        a.octets = octets;
        note_goodbye(call, p, from_client);
    }
    if (a.octets.n > 0)
        a.octets = as_sent(p, a.octets, copy);
    obey(call, &a, from_client);
    return true;
}

/* The next step for a data packet of the client in a tunnel that is up. */
enum link_step { LINK_FORWARD, LINK_SKIP, LINK_SECOND_LOGIN };

/* Finds another login in a tunnel that is up: rules, limits and the binding have judged the first
 * login only, and some servers start over inside a tunnel. LCP's Configure-Request begins another
 * login, unless it is a late retransmission of the settled request, which the server must not see
 * either. */
static enum link_step judge_link_frame(const struct call *call, struct span frame)
{
    struct span request;

    switch (ppp_frame_relogin(frame, &request)) {
    case PPP_NO_LOGIN: return LINK_FORWARD;
    case PPP_LCP_REQUEST:
        return negotiation_hash_lcp(request) == call->tunnel.lcp_request ? LINK_SKIP
                                                                         : LINK_SECOND_LOGIN;
    case PPP_LOGIN: break;
    }
    return LINK_SECOND_LOGIN;
}

/* Forwards all whole packets at the start of in. Towards clients each packet is a record of its own
 * (sstpc handles one for each wake-up, PROTOCOL.md 6.3); towards backends packets that arrived
 * together leave together. */
size_t relay_packets(struct call *call, struct span in, bool from_client)
{
    struct stream *to = from_client ? &call->backend : &call->client;
    struct record_flow *flow = from_client ? &call->record.up : &call->record.down;
    struct sstp_packet p;
    uint8_t copy[SSTP_PACKET_MAX];
    size_t used = 0, sent = 0;
    enum err e;

    while ((e = sstp_parse(span_from(in, used), &p)) == ERR_OK) {
        struct span octets = span_sub(in, used, p.len);
        if (call->negotiation != NULL) {
            if (!negotiation_packet(call, &p, octets, from_client)) {
                stream_pause(&call->client); /* until KEY is left */
                return used;
            }
            if (call->state > CALL_DRAIN)
                return in.n; /* this packet has ended the call */
            sent = used += p.len;
            continue;
        }
        used += p.len;
        if (p.control) {
            if (!negotiation_in_place(&p)) {
                stream_write(to, span_sub(in, sent, used - p.len - sent));
                call_end(call,
                         from_client ? REASON_CLIENT_OUT_OF_PLACE : REASON_BACKEND_OUT_OF_PLACE);
                return in.n;
            }
            note_goodbye(call, &p, from_client);
        } else if (from_client && ppp_frame_may_be_link(p.body)) {
            const enum link_step step = judge_link_frame(call, p.body);
            if (step != LINK_FORWARD) {
                stream_write(to, span_sub(in, sent, used - p.len - sent));
                sent = used;
            }
            if (step == LINK_SECOND_LOGIN) {
                call_end(call, REASON_SECOND_LOGIN);
                return in.n;
            }
            if (step == LINK_SKIP)
                continue;
        }
        count(flow, octets);
        struct span plain = as_sent(&p, octets, copy);
        if (!from_client || plain.p != octets.p) {
            stream_write(to, span_sub(in, sent, used - p.len - sent));
            stream_write(to, plain);
            sent = used;
        }
    }
    stream_write(to, span_sub(in, sent, used - sent));
    if (e != ERR_MORE) {
        record_keep(&call->record.detail, span_str(err_text(e)));
        call_end(call, from_client ? REASON_CLIENT_BAD_PACKET : REASON_BACKEND_BAD_PACKET);
        return in.n;
    }
    call->active = call_now(call);
    return used;
}

/* Web traffic: octets, as they come. */
size_t relay_web(struct call *call, struct span in, bool from_client)
{
    struct stream *to = from_client ? &call->backend : &call->client;
    struct record_flow *flow = from_client ? &call->record.up : &call->record.down;

    stream_write(to, in);
    flow->octets += in.n;
    call->active = call_now(call);
    return in.n;
}
