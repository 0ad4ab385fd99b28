#include "call/relay.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "call/admission.h"
#include "call/call.h"
#include "call/negotiation.h"
#include "call/trace.h"
#include "call/uplink.h"
#include "net/stream.h"
#include "wire/ppp_frame.h"
#include "wire/sstp.h"

/* ---- packets ---- */

/* Returns the reason for the end that this packet announces; REASON_NONE: it announces none. */
static enum reason goodbye_of(const struct sstp_packet *p, bool from_client)
{
    switch (p->type) {
    case SSTP_ABORT: return from_client ? REASON_CLIENT_ABORT : REASON_BACKEND_ABORT;
    case SSTP_DISCONNECT: return from_client ? REASON_CLIENT_DISCONNECT : REASON_BACKEND_DISCONNECT;
    default: return REASON_NONE;
    }
}

/* Ends the call if the forwarded packet is an Abort or a Disconnect. */
static void note_goodbye(struct call *call, const struct sstp_packet *p, bool from_client)
{
    const enum reason reason = goodbye_of(p, from_client);
    struct sstp_status_info info;

    if (reason == REASON_NONE || call->reason != REASON_NONE)
        return;
    if (!from_client)
        uplink_server_ends(call);
    if (p->type == SSTP_ABORT) /* an error, and no refusal of an undecided login */
        call_keep_reason(call, reason);
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

static struct record_flow *flow_of(struct call *call, bool from_client)
{
    return from_client ? &call->record.up : &call->record.down;
}

/* Adds to the counters of the listener. */
static void count_flow(struct call *call, uint64_t bytes, uint64_t packets, bool from_client)
{
    const enum tally_direction direction = from_client ? TALLY_UP : TALLY_DOWN;

    tally_add(&call->tally->calls.bytes[direction], bytes);
    tally_add(&call->tally->calls.packets[direction], packets);
}

/* Returns a packet as it is forwarded: without its reserved bits, which have no meaning
 * ([MS-SSTP] 2.2.1), but sstpc and accel-ppp read the reserved bits above a length as a part of
 * it (PROTOCOL.md 3.2). Call Connected keeps them, because its MAC covers them. No peer is
 * known to set them, so the copy is rare. */
static struct span as_sent(const struct sstp_packet *p, struct span octets,
                           uint8_t copy[SSTP_PACKET_MAX])
{
    return p->type == SSTP_CONNECTED ? octets : sstp_without_reserved(octets, copy);
}

/* Notes the address that the server assigns, for the views of an administrator. */
static inline void note_address(struct call *call, struct span frame)
{
    if (ppp_frame_may_be_ipcp(frame))
        (void)!ppp_frame_assigned(frame, call->record.assigned);
}

static size_t relay_packets(struct call *call, struct span in, bool from_client);

static void bad_packet(struct call *call, enum err e, bool from_client)
{
    record_keep(&call->record.detail, span_str(err_text(e)));
    call_end(call, from_client ? REASON_CLIENT_BAD_PACKET : REASON_BACKEND_BAD_PACKET);
}

/* ---- NEGOTIATE, KEY, COUNT, and DRAIN after them ---- */

void relay_login_ends(struct call *call)
{
    if (call->negotiation == NULL)
        return;
    negotiation_server_ends(call->negotiation, call_now(call));
    admission_count_failures(call);
}

/* Returns whether the reason says only how the call ended, so that the cause may replace it. */
static bool is_plain_end(enum reason reason)
{
    return reason <= REASON_LOGIN_REFUSED || reason == REASON_NEGOTIATE_TIMEOUT;
}

/* Names a silent RADIUS server as the cause of the end. */
static void blame_radius(struct call *call)
{
    if (!is_plain_end(call->reason) ||
        !negotiation_radius_is_silent(call->negotiation, call_now(call)))
        return;
    if (call->record.detail == NULL)
        record_keep(&call->record.detail, span_str(reason_info(call->reason)->name));
    call->reason = REASON_RADIUS_SILENT;
}

/* Counts a refused login that waits for the verdict of another gate. */
static void gate_ends(struct call *call)
{
    if (call->negotiation == NULL)
        return;
    negotiation_gate_ends(call->negotiation, call_now(call));
    admission_count_failures(call);
}

/* Counts a login without a verdict as failed if a peer ends the call. Servers delay refusals, so a
 * client could otherwise guess for free: by resetting the connection, or making the server do so,
 * whenever no Success has come in time. */
void relay_negotiation_left(struct call *call, enum call_state next)
{
    if (next != CALL_LINGER && next != CALL_CLOSED)
        return;
    if (reason_info(call->reason)->by_peer)
        relay_login_ends(call);
    gate_ends(call);
    if (call->negotiation != NULL)
        blame_radius(call);
    negotiation_free(call->negotiation);
    call->negotiation = NULL;
}

void relay_key_left(struct call *call, enum call_state next)
{
    relay_negotiation_left(call, next);
    stream_resume(&call->client); /* the client was paused until its key came */
    stream_kick(&call->client);
}

/* max: max-session in ms; 0: none. */
static void set_tunnel_end(struct call *call, uint32_t max)
{
    call->tunnel.end = max == 0 ? UINT64_MAX : call_now(call) + max;
    if (call->tunnel.end < call->set->first_end)
        call->set->first_end = call->tunnel.end;
}

void relay_left(struct call *call, enum call_state next)
{
    (void)next;
    tally_sub(&call->tunnel.counted->now, 1);
}

/* Counts a tunnel that is up, and the verdict on its binding. */
static void count_tunnel(struct call *call)
{
    struct tally *tally = &call->set->tally;
    struct tally_tunnels *at = tally_tunnels_at(call->tally, call->uplink.backend->config->name);

    call->tunnel.counted = at;
    tally_add(&at->total, 1);
    tally_time(&tally->gate.setup, call_now(call) - call->record.started);
    tally_binding(tally, &call->record);
}

/* Enters RELAY, because the tunnel is up: its packets no longer wait for a turn, and the keys are
 * wiped. */
static void tunnel_up(struct call *call)
{
    const uint32_t max_session = call->listener->config->max_session;
    const bool new_rules = call->site->rules != call->set->site->rules;

    count_tunnel(call);
    call->tunnel.full_records = call->listener->config->full_records;
    call->tunnel.lcp_request = negotiation_lcp_request(call->negotiation);
    negotiation_free(call->negotiation);
    call->negotiation = NULL;
    record_up(&call->record);
    uplink_up(call);
    if (call->state == CALL_DRAIN) { /* the end has begun already */
        call->ended_in = CALL_RELAY;
        return;
    }
    call_enter(call, CALL_RELAY);
    tally_add(&call->tunnel.counted->now, 1);
    set_tunnel_end(call, max_session);
    record_sample_begin(&call->record, call_now(call));
    stream_early(&call->client, false);
    stream_early(&call->backend, false);
    /* The rules, or the time windows, may have changed before all facts were known. */
    if (!admission_still_allows(call, call->set->site, call_time()))
        call_end(call, new_rules ? REASON_RULES_CHANGED : REASON_WINDOW_ENDED);
}

/* ---- COUNT ---- */

size_t relay_count_read(struct call *call, struct span in)
{
    (void)call, (void)in;
    return 0;
}

void relay_count_left(struct call *call, enum call_state next)
{
    free(call->parked.octets);
    call->parked = (struct parked){0};
    relay_negotiation_left(call, next);
    stream_resume(&call->client);
    stream_resume(&call->backend);
    stream_kick(&call->client);
    stream_kick(&call->backend);
}

/* Sends the packet that brings the tunnel up. */
static void connect_tunnel(struct call *call, struct span octets, bool from_client)
{
    count(flow_of(call, from_client), octets);
    count_flow(call, octets.n, 1, from_client);
    stream_write(from_client ? &call->backend : &call->client, octets);
    tunnel_up(call);
}

/* Lets the tunnel come up, or ends the call, because the count of all gates is known. */
static void user_decided(struct call *call, bool granted)
{
    const struct parked parked = call->parked;

    if (call->state != CALL_COUNT)
        return; /* the call is about to end */
    if (!granted) {
        call_end(call, REASON_USER_LIMIT);
        return;
    }
    call->parked.octets = NULL; /* needed until the call has left COUNT */
    connect_tunnel(call, span_of(parked.octets, parked.n), parked.from_client);
    free(parked.octets);
}

/* Keeps the packet that brings the tunnel up until the other gates have answered, or the count of
 * all gates is known. No-op in COUNT, because the call then waits for both, one after the other. */
static void park(struct call *call, struct span octets, bool from_client)
{
    if (call->state == CALL_COUNT)
        return;
    call_enter(call, CALL_COUNT);
    call->parked = (struct parked){
        .octets = insist_alloc(malloc(octets.n)), .n = octets.n, .from_client = from_client};
    memcpy(call->parked.octets, octets.p, octets.n);
    stream_pause(&call->client);
    stream_pause(&call->backend);
}

/* Counts the tunnel for its user. Returns false if it does not come up now. */
static bool may_connect(struct call *call, struct span octets, bool from_client)
{
    if (admission_user_banned(call)) {
        call_end(call, REASON_USER_BANNED);
        return false;
    }
    if (!admission_count_user(call)) {
        call_end(call, REASON_USER_LIMIT);
        return false;
    }
    /* A call that drains ends soon: the count of this gate is enough. */
    if (call->state == CALL_DRAIN || !admission_ask_user(call, user_decided))
        return true;
    park(call, octets, from_client);
    return false;
}

static void obey(struct call *call, const struct negotiation_answer *a, bool from_client);

static void judge_again(struct call *call, struct span octets)
{
    const struct negotiation_answer a =
        negotiation_ask_again(call->negotiation, octets, call_now(call));
    obey(call, &a, false);
}

/* Judges the parked packet, because the other gates have answered. */
static void others_answered(void *arg)
{
    struct call *call = arg;
    judge_again(call, span_of(call->parked.octets, call->parked.n));
}

/* Asks the other gates about the packet of the server that brings the tunnel up. Judges the packet
 * without them if the call drains, because it ends soon. */
static void ask_others(struct call *call, struct span octets)
{
    if (call->state != CALL_NEGOTIATE ||
        !negotiation_ask(call->negotiation, call->set->worker, others_answered, call))
        judge_again(call, octets);
    else
        park(call, octets, false);
}

/* Carries out the decision of the negotiation about a packet. */
static void obey(struct call *call, const struct negotiation_answer *a, bool from_client)
{
    switch (a->verdict) {
    case NEGOTIATION_DROP:
    case NEGOTIATION_HOLD: return;
    case NEGOTIATION_REFUSE:
        call_end(call, call->admission.banned ? REASON_USER_BANNED : a->reason);
        return;
    case NEGOTIATION_WAIT:
        if (call->state == CALL_NEGOTIATE) /* otherwise the call is about to end without a key */
            call_enter(call, CALL_KEY);
        return;
    case NEGOTIATION_ASK: ask_others(call, a->octets); return;
    case NEGOTIATION_CONNECTED:
        if (may_connect(call, a->octets, from_client))
            connect_tunnel(call, a->octets, from_client);
        return;
    case NEGOTIATION_REPLACE:
    case NEGOTIATION_PASS: break;
    }
    count(flow_of(call, from_client), a->octets);
    count_flow(call, a->octets.n, 1, from_client);
    stream_write(from_client ? &call->backend : &call->client, a->octets);
}

static void try_key(struct call *call, bool late)
{
    struct negotiation_answer a = negotiation_try_key(call->negotiation, call_now(call), late);

    if (a.verdict == NEGOTIATION_REPLACE) /* the server has not accepted the user yet */
        call_enter(call, CALL_NEGOTIATE);
    obey(call, &a, true);
}

void relay_keys_came(struct call *call)
{
    try_key(call, false);
}

void relay_key_expired(struct call *call)
{
    try_key(call, true);
}

/* Logs a frame that the negotiation has judged. */
static void trace_judged(struct call *call, struct span frame, enum negotiation_verdict verdict,
                         bool from_client)
{
    static const char *const words[] = {
        [NEGOTIATION_DROP] = "dropped", [NEGOTIATION_REFUSE] = "refused"};
    const char *word = verdict < sizeof words / sizeof *words ? words[verdict] : NULL;

    trace_ppp(&call->record, from_client ? PPP_FROM_CLIENT : PPP_FROM_SERVER, frame,
              word == NULL ? "forwarded" : word, call_now(call));
}

/* Handles one packet. Returns false if it remains unread. */
static bool negotiate_packet(struct call *call, const struct sstp_packet *p, struct span octets,
                             bool from_client)
{
    uint8_t copy[SSTP_PACKET_MAX];
    struct negotiation_answer a =
        from_client ? negotiation_from_client(call->negotiation, p, octets, call_now(call))
                    : negotiation_from_backend(call->negotiation, p, octets, call_now(call));
    if (!p->control && a.verdict != NEGOTIATION_HOLD && log_wanted(LOG_LEVEL_DEBUG))
        trace_judged(call, p->body, a.verdict, from_client);
    admission_count_failures(call);
    if (a.verdict == NEGOTIATION_HOLD && call->state == CALL_KEY)
        return false;
    if (a.verdict == NEGOTIATION_PASS) {
        a.octets = octets;
        note_goodbye(call, p, from_client);
    }
    if (a.octets.n > 0) {
        if (!from_client && !p->control)
            note_address(call, p->body);
        a.octets = as_sent(p, a.octets, copy);
    }
    obey(call, &a, from_client);
    return true;
}

/* Handles all whole packets at the start of in. When a packet brings the tunnel up, the packets
 * behind it are relayed. */
static size_t negotiate_packets(struct call *call, struct span in, bool from_client)
{
    struct sstp_packet p;
    size_t used = 0;
    enum err e;

    while ((e = sstp_parse(span_from(in, used), &p)) == ERR_OK) {
        if (!negotiate_packet(call, &p, span_sub(in, used, p.len), from_client)) {
            stream_pause(&call->client); /* until KEY is left */
            return used;
        }
        if (call->state > CALL_DRAIN)
            return in.n; /* this packet has ended the call */
        used += p.len;
        if (call->state == CALL_COUNT)
            return used; /* the rest waits */
        if (call->negotiation == NULL)
            return used + relay_packets(call, span_from(in, used), from_client);
    }
    if (e != ERR_MORE) {
        bad_packet(call, e, from_client);
        return in.n;
    }
    call->active = call_now(call);
    return used;
}

size_t relay_negotiate_up(struct call *call, struct span in)
{
    return negotiate_packets(call, in, true);
}

size_t relay_negotiate_down(struct call *call, struct span in)
{
    return negotiate_packets(call, in, false);
}

/* ---- RELAY, and DRAIN after it ---- */

/* The decision on a data packet of the client in a tunnel that is up. */
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

/* Returns the reason why the packet may not be forwarded; REASON_NONE: it may. *skip: the packet is
 * neither forwarded nor a violation. */
static enum reason judge_packet(struct call *call, const struct sstp_packet *p, bool from_client,
                                bool *skip)
{
    *skip = false;
    if (p->control) {
        if (!negotiation_in_place(p))
            return from_client ? REASON_CLIENT_OUT_OF_PLACE : REASON_BACKEND_OUT_OF_PLACE;
        note_goodbye(call, p, from_client);
    } else if (from_client && ppp_frame_may_be_link(p->body)) {
        const enum link_step step = judge_link_frame(call, p->body);
        *skip = step == LINK_SKIP;
        return step == LINK_SECOND_LOGIN ? REASON_SECOND_LOGIN : REASON_NONE;
    } else if (!from_client) {
        note_address(call, p->body);
    }
    return REASON_NONE;
}

/* Logs a frame of a tunnel that is up. */
static void trace_relayed(struct call *call, struct span frame, bool forwarded, bool from_client)
{
    trace_ppp(&call->record, from_client ? PPP_FROM_CLIENT : PPP_FROM_SERVER, frame,
              forwarded ? "forwarded" : "dropped", call_now(call));
}

/* Forwards all whole packets at the start of in. Packets that arrived together leave together, in
 * full records, except towards clients unless the listener has `records = full`: sstpc handles one
 * packet for each record that it reads (PROTOCOL.md 6.3). */
static size_t forward_packets(struct call *call, struct span in, bool from_client)
{
    struct stream *to = from_client ? &call->backend : &call->client;
    struct record_flow *flow = flow_of(call, from_client);
    struct sstp_packet p;
    uint8_t copy[SSTP_PACKET_MAX];
    const bool traced = log_wanted(LOG_LEVEL_DEBUG);
    const bool joined = from_client || call->tunnel.full_records;
    size_t used = 0, sent = 0; /* in[sent, used) was not written yet */
    enum err e;

    while ((e = sstp_parse(span_from(in, used), &p)) == ERR_OK) {
        const struct span octets = span_sub(in, used, p.len);
        bool skip;
        const enum reason reason = judge_packet(call, &p, from_client, &skip);
        if (traced && !p.control)
            trace_relayed(call, p.body, reason == REASON_NONE && !skip, from_client);
        if (reason != REASON_NONE || skip) {
            stream_write(to, span_sub(in, sent, used - sent));
            sent = used += p.len;
        }
        if (reason != REASON_NONE) {
            call_end(call, reason);
            return in.n;
        }
        if (skip)
            continue;
        count(flow, octets);
        const struct span plain = as_sent(&p, octets, copy);
        if (!joined || plain.p != octets.p) {
            stream_write(to, span_sub(in, sent, used - sent));
            stream_write(to, plain);
            sent = used + p.len;
        }
        used += p.len;
    }
    stream_write(to, span_sub(in, sent, used - sent));
    if (e != ERR_MORE) {
        bad_packet(call, e, from_client);
        return in.n;
    }
    call->active = call_now(call);
    record_sample(&call->record, call->active);
    return used;
}

static size_t relay_packets(struct call *call, struct span in, bool from_client)
{
    const struct record_flow *flow = flow_of(call, from_client);
    const struct record_flow before = *flow;
    const size_t used = forward_packets(call, in, from_client);

    /* once for all packets that have arrived together */
    count_flow(call, flow->octets - before.octets, flow->packets - before.packets, from_client);
    return used;
}

size_t relay_up(struct call *call, struct span in)
{
    return relay_packets(call, in, true);
}

size_t relay_down(struct call *call, struct span in)
{
    return relay_packets(call, in, false);
}

/* ---- WEB, and DRAIN after it ---- */

static size_t relay_octets(struct call *call, struct span in, bool from_client)
{
    stream_write(from_client ? &call->backend : &call->client, in);
    flow_of(call, from_client)->octets += in.n;
    count_flow(call, in.n, 0, from_client);
    call->active = call_now(call);
    return in.n;
}

size_t relay_web_up(struct call *call, struct span in)
{
    return relay_octets(call, in, true);
}

size_t relay_web_down(struct call *call, struct span in)
{
    return relay_octets(call, in, false);
}
