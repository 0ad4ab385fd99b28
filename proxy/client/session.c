#include "client/session.h"

#include <openssl/crypto.h>
#include <stdio.h>

#include "base/insist.h"

enum { CONNECT_REQUEST_LEN = 14 };

static void send_bytes(struct session *s, const void *bytes, size_t n)
{
    s->send(s->arg, span_of(bytes, n));
}

/* Sends a control message without attributes. */
static void send_bare(struct session *s, enum sstp_type type)
{
    const uint8_t packet[SSTP_CONTROL_MIN] = {SSTP_VERSION,  1, 0, SSTP_CONTROL_MIN, 0,
                                              (uint8_t)type, 0, 0};
    send_bytes(s, packet, sizeof packet);
}

static void fail(struct session *s, enum fault fault)
{
    if (s->fault == FAULT_NONE)
        s->fault = fault;
}

/* Returns the usual cause if the server ends the call in this step, otherwise fault. Before the
 * client has sent a proof of the password, the cause cannot be a wrong password. */
static enum fault ended_as(const struct session *s, enum fault fault)
{
    const struct login *l = &s->link.login;
    const bool proof = l->answered || l->method == PPP_METHOD_PAP;

    if (s->step <= STEP_LOGIN && s->link.suggested > 0 && !proof)
        return FAULT_NO_METHOD;
    if (s->step == STEP_LOGIN)
        return FAULT_LOGIN_END;
    return fault == FAULT_ABORTED && s->connected && s->step <= STEP_IPCP ? FAULT_BINDING : fault;
}

/* ---- HTTP ---- */

/* Copies the head, and the value of its field Server. */
static void keep_head(struct session *s, struct span head)
{
    const struct span kept = span_sub(head, 0, sizeof s->head);
    const struct span value = http_response_field(head, "Server");
    size_t n = 0;

    for (size_t i = 0; i < value.n && n < sizeof s->server - 1; i++)
        s->server[n++] = (char)(value.p[i] >= ' ' && value.p[i] < 0x7f ? value.p[i] : '?');
    s->server[n] = '\0';
    memcpy(s->head, kept.p, kept.n);
    s->head_n = kept.n;
}

static void send_connect_request(struct session *s)
{
    /* [MS-SSTP] 2.2.9: Encapsulated Protocol Id, 1 for PPP */
    static const uint8_t packet[CONNECT_REQUEST_LEN] = {SSTP_VERSION,
                                                        1,
                                                        0,
                                                        CONNECT_REQUEST_LEN,
                                                        0,
                                                        SSTP_CONNECT_REQUEST,
                                                        0,
                                                        1,
                                                        0,
                                                        SSTP_ATTR_PROTOCOL,
                                                        0,
                                                        6,
                                                        0,
                                                        1};
    send_bytes(s, packet, sizeof packet);
}

/* Returns the number of bytes taken; 0: more are needed, or the call has failed. */
static size_t take_head(struct session *s, struct span in)
{
    struct http_response response;
    const enum err e = http_response_parse(in, &response);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        fail(s, FAULT_NOT_HTTP);
        return 0;
    }
    s->status = response.status;
    keep_head(s, span_sub(in, 0, response.len));
    if (response.status != 200) {
        snprintf(s->detail, sizeof s->detail, "HTTP status %u", response.status);
        fail(s, FAULT_STATUS);
        return 0;
    }
    s->step = STEP_SSTP;
    send_connect_request(s);
    return response.len;
}

/* ---- PPP ---- */

static void send_frame(void *arg, struct span frame)
{
    struct session *s = arg;
    uint8_t packet[SSTP_PACKET_MAX];

    sstp_build_data(packet, frame.n);
    memcpy(packet + SSTP_DATA_HEAD, frame.p, frame.n);
    send_bytes(s, packet, SSTP_DATA_HEAD + frame.n);
    OPENSSL_cleanse(packet, SSTP_DATA_HEAD + frame.n); /* a frame of PAP has the password */
}

/* Sends Call Connected at once, as Windows does, before IPCP (PROTOCOL.md 3.4). */
static void connect_call(struct session *s)
{
    uint8_t packet[SSTP_CONNECTED_LEN];
    struct hlak key;

    if (s->connected)
        return;
    login_key(&s->link.login, &key);
    binding_build(s->nonce, s->hash, &s->settings.leaf, &key, packet);
    hlak_wipe(&key);
    send_bytes(s, packet, sizeof packet);
    s->connected = true;
}

static void login_failed(struct session *s)
{
    static const enum fault faults[] = {
        [LOGIN_REFUSED] = FAULT_PASSWORD,  [LOGIN_EXPIRED] = FAULT_EXPIRED,
        [LOGIN_UNJUDGED] = FAULT_UNJUDGED, [LOGIN_IMPOSTOR] = FAULT_IMPOSTOR,
        [LOGIN_NO_TYPE] = FAULT_NO_EAP,    [LOGIN_UNUSABLE] = FAULT_LOCAL,
    };
    const struct login *l = &s->link.login;

    if (l->result == LOGIN_UNUSABLE)
        snprintf(s->detail, sizeof s->detail,
                 "the password cannot be used with %s: it is too long or not UTF-8, or OpenSSL has "
                 "no MD4 (its legacy provider)",
                 ppp_method_name(l->method));
    else if (l->result == LOGIN_NO_TYPE)
        snprintf(s->detail, sizeof s->detail, "EAP type %u", (unsigned)l->eap_type);
    else if (l->error != 0)
        snprintf(s->detail, sizeof s->detail, "E=%u %s", l->error, l->message);
    else
        snprintf(s->detail, sizeof s->detail, "%s", l->message);
    fail(s, faults[l->result]);
}

static void link_failed(struct session *s)
{
    switch (s->link.fault) {
    case LINK_NO_METHOD: fail(s, FAULT_NO_METHOD); break;
    case LINK_ENDLESS: fail(s, FAULT_ENDLESS); break;
    case LINK_NO_IPCP: fail(s, FAULT_NO_IPCP); break;
    case LINK_NO_ADDRESS: fail(s, FAULT_NO_ADDRESS); break;
    default: login_failed(s); break;
    }
}

static void link_accepted(struct session *s)
{
    if (s->settings.link.survey)
        return; /* the server requires no login, so the survey is complete */
    connect_call(s);
    s->step = STEP_IPCP;
    link_network(&s->link);
}

static void link_up(struct session *s)
{
    if (!s->settings.ping)
        s->step = STEP_UP;
    else if (s->step < STEP_PING && !link_ping(&s->link))
        fail(s, FAULT_NO_PING);
    else if (s->step < STEP_PING)
        s->step = STEP_PING;
}

/* Follows a change of the link's phase. */
static void follow_link(struct session *s)
{
    switch (s->link.phase) {
    case LINK_LOGIN: s->step = STEP_LOGIN; break;
    case LINK_ACCEPTED: link_accepted(s); break;
    case LINK_UP: link_up(s); break;
    case LINK_PONG: s->step = STEP_UP; break;
    case LINK_ENDED: fail(s, ended_as(s, FAULT_ENDED)); break;
    case LINK_FAILED: link_failed(s); break;
    default: break;
    }
}

static void take_frame(struct session *s, struct span frame)
{
    if (s->step < STEP_LCP || s->ending)
        return;
    const enum link_phase before = s->link.phase;
    link_receive(&s->link, frame);
    if (s->link.phase != before)
        follow_link(s);
}

/* ---- control messages ---- */

static void acknowledged(struct session *s, const struct sstp_packet *p)
{
    struct sstp_ack ack;

    if (s->step != STEP_SSTP)
        return;
    if (sstp_parse_ack(p, &ack) != ERR_OK) {
        fail(s, FAULT_NOT_SSTP);
        return;
    }
    s->mask = ack.mask;
    memcpy(s->nonce, ack.nonce.p, sizeof s->nonce);
    /* Without TLS the server cannot hash a certificate, but the MAC needs some bytes. */
    if (s->settings.leaf.known == 0)
        s->settings.leaf.known = SSTP_HASH_SHA1 | SSTP_HASH_SHA256;
    s->hash = binding_choose_hash(SSTP_HASH_SHA256, ack.mask, &s->settings.leaf);
    if (s->hash == 0) {
        fail(s, FAULT_NO_HASH);
        return;
    }
    s->step = STEP_LCP;
    link_start(&s->link, &s->settings.link, send_frame, s);
}

/* Describes the Status Info of an Abort, a Disconnect or a Nak. */
static void keep_status(struct session *s, const struct sstp_packet *p)
{
    struct sstp_status_info info;

    if (sstp_parse_status(p, &info) == ERR_OK)
        snprintf(s->detail, sizeof s->detail, "%s: %s (attribute %u)", sstp_type_name(p->type),
                 sstp_status_name(info.status), (unsigned)info.attribute);
}

static void aborted(struct session *s, const struct sstp_packet *p)
{
    uint8_t answer[SSTP_STATUS_LEN];

    keep_status(s, p);
    sstp_build_status(answer, SSTP_ABORT, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR);
    send_bytes(s, answer, sizeof answer); /* [MS-SSTP] 3.1.5.2 */
    fail(s, ended_as(s, FAULT_ABORTED));
}

static void disconnected(struct session *s, const struct sstp_packet *p)
{
    keep_status(s, p);
    send_bare(s, SSTP_DISCONNECT_ACK);
    s->over = true;
    if (!s->ending)
        fail(s, ended_as(s, FAULT_ENDED));
}

static void take_control(struct session *s, const struct sstp_packet *p)
{
    switch (p->type) {
    case SSTP_CONNECT_ACK: acknowledged(s, p); break;
    case SSTP_CONNECT_NAK:
        keep_status(s, p);
        fail(s, FAULT_NAK);
        break;
    case SSTP_ABORT: aborted(s, p); break;
    case SSTP_DISCONNECT: disconnected(s, p); break;
    case SSTP_DISCONNECT_ACK: s->over = s->ending; break;
    /* Before Call Connected the specification requires an Abort, but sorz sends one (3.3). */
    case SSTP_ECHO_REQUEST:
        if (s->connected)
            send_bare(s, SSTP_ECHO_RESPONSE);
        break;
    default: break;
    }
}

/* Returns as take_head. */
static size_t take_packet(struct session *s, struct span in)
{
    struct sstp_packet p;
    const enum err e = sstp_parse(in, &p);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        fail(s, FAULT_NOT_SSTP);
        return 0;
    }
    if (p.control)
        take_control(s, &p);
    else
        take_frame(s, p.body);
    return p.len;
}

/* ---- the session ---- */

bool session_start(struct session *s, const struct session_settings *settings, session_send *send,
                   void *arg)
{
    uint8_t request[HTTP_BUILD_MAX];

    memset(s, 0, sizeof *s);
    s->settings = *settings;
    s->send = send;
    s->arg = arg;
    s->step = STEP_REQUEST;
    const size_t n =
        http_build_request(request, settings->host, settings->tenant, settings->correlation);
    if (n > 0)
        send_bytes(s, request, n);
    return n > 0;
}

/* Takes whole heads and packets off the front of s->in. */
static void take_all(struct session *s)
{
    size_t taken = 0, n;

    do {
        const struct span in = span_of(s->in + taken, s->in_n - taken);
        n = s->step == STEP_REQUEST ? take_head(s, in) : take_packet(s, in);
        taken += n;
    } while (n > 0 && s->fault == FAULT_NONE && !s->over);
    s->in_n -= taken;
    memmove(s->in, s->in + taken, s->in_n);
}

void session_receive(struct session *s, struct span bytes)
{
    while (bytes.n > 0 && s->fault == FAULT_NONE && !s->over) {
        const struct span part = span_sub(bytes, 0, sizeof s->in - s->in_n);
        INSIST(part.n > 0); /* a full buffer holds a whole packet, or a head that is too large */
        memcpy(s->in + s->in_n, part.p, part.n);
        s->in_n += part.n;
        bytes = span_from(bytes, part.n);
        take_all(s);
    }
}

void session_retransmit(struct session *s)
{
    if (s->step >= STEP_LCP && !s->ending && s->fault == FAULT_NONE)
        link_retransmit(&s->link);
}

void session_closed(struct session *s)
{
    s->over = true;
    if (!s->ending)
        fail(s, ended_as(s, FAULT_CLOSED));
}

bool session_end(struct session *s)
{
    uint8_t packet[SSTP_STATUS_LEN];

    if (s->over || s->ending || s->step < STEP_LCP)
        return false;
    sstp_build_status(packet, SSTP_DISCONNECT, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR);
    send_bytes(s, packet, sizeof packet);
    s->ending = true;
    return s->fault == FAULT_NONE;
}

enum ppp_method session_method(const struct session *s)
{
    return s->link.login.method;
}

void session_fini(struct session *s)
{
    link_fini(&s->link);
    OPENSSL_cleanse(s, sizeof *s);
}
