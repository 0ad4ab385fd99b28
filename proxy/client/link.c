#include "client/link.h"

#include "base/insist.h"
#include "wire/ppp_codes.h"

enum {
    IPV4 = 0x0021,
    CONTROL_MIN = 0x8000, /* RFC 1661 2: network control protocols */

    LCP_MRU = 1,
    LCP_ACCM = 2,
    LCP_MAGIC = 5,
    MAGIC = 4,

    IPCP_DNS = 129, /* RFC 1877 */

    MRU = 1400, /* that of Windows' adapter ([MS-SSTP] 3.1.5.2) */
};

static const uint8_t no_address[ECHO_IP];

/* ---- sending ---- */

/* Sends the packet in a frame. */
static void send_packet(struct link *l, uint16_t protocol, struct conf_packet packet)
{
    uint8_t frame[PPP_FRAME_MAX] = {0xff, 0x03, (uint8_t)(protocol >> 8), (uint8_t)protocol};
    const size_t n = PPP_PACKET_HEAD + packet.data.n;

    INSIST(n <= sizeof frame - PPP_FRAME_HEAD);
    frame[4] = packet.code;
    frame[5] = packet.id;
    frame[6] = (uint8_t)(n >> 8);
    frame[7] = (uint8_t)n;
    if (packet.data.n > 0)
        memcpy(frame + PPP_FRAME_HEAD + PPP_PACKET_HEAD, packet.data.p, packet.data.n);
    l->send(l->arg, span_of(frame, PPP_FRAME_HEAD + n));
}

/* Counts a suggestion only if it is sent: a Reject of other options takes its place. */
static void send_lcp(void *arg, struct conf_packet packet)
{
    struct link *l = arg;

    if (packet.code == CONF_NAK)
        l->suggested++;
    send_packet(l, PPP_LCP, packet);
}

static void send_ipcp(void *arg, struct conf_packet packet)
{
    send_packet(arg, PPP_IPCP, packet);
}

static void send_login(void *arg, uint16_t protocol, struct span packet)
{
    struct link *l = arg;
    uint8_t frame[PPP_FRAME_HEAD + LOGIN_PACKET_MAX] = {0xff, 0x03, (uint8_t)(protocol >> 8),
                                                        (uint8_t)protocol};

    memcpy(frame + PPP_FRAME_HEAD, packet.p, packet.n);
    l->send(l->arg, span_of(frame, PPP_FRAME_HEAD + packet.n));
    explicit_bzero(frame, sizeof frame); /* PAP */
}

/* Rejects a protocol with as much of the packet as fits (RFC 1661 5.7). */
static void reject_protocol(struct link *l, const struct ppp_frame *f)
{
    uint8_t data[PPP_FRAME_MAX - PPP_FRAME_HEAD - PPP_PACKET_HEAD];
    const struct span info = span_sub(f->info, 0, sizeof data - 2);

    if (l->rejects++ >= LINK_REJECTS_MAX)
        return;
    data[0] = (uint8_t)(f->protocol >> 8);
    data[1] = (uint8_t)f->protocol;
    if (info.n > 0)
        memcpy(data + 2, info.p, info.n);
    send_lcp(l, (struct conf_packet){.code = LCP_PROTOCOL_REJECT,
                                     .id = ++l->reject_id,
                                     .data = span_of(data, 2 + info.n)});
}

static void fail(struct link *l, enum link_fault fault)
{
    l->phase = LINK_FAILED;
    l->fault = fault;
}

/* ---- LCP ---- */

/* Returns the LCP option 3 of a method. */
static struct link_auth auth_of(enum ppp_method method)
{
    static const struct link_auth auths[] = {
        [PPP_METHOD_PAP] = {PPP_PAP, 0},          [PPP_METHOD_CHAP_MD5] = {PPP_CHAP, 0x05},
        [PPP_METHOD_MSCHAPV1] = {PPP_CHAP, 0x80}, [PPP_METHOD_MSCHAPV2] = {PPP_CHAP, 0x81},
        [PPP_METHOD_EAP] = {PPP_EAP, 0},
    };
    INSIST(method < sizeof auths / sizeof *auths && auths[method].protocol != 0);
    return auths[method];
}

static void note_offer(struct link *l, struct link_auth auth)
{
    for (size_t i = 0; i < l->offered_count; i++)
        if (l->offered[i].protocol == auth.protocol && l->offered[i].algorithm == auth.algorithm)
            return;
    if (l->offered_count < LINK_METHODS_MAX)
        l->offered[l->offered_count++] = auth;
}

/* Returns whether the method is acceptable now: all better ones were suggested before. So a
 * server that also supports a better method never gets a password in the clear; and SoftEther,
 * whose EAP is EAP-TLS only and which sends no Challenge after a Nak inside EAP, does not begin
 * EAP. */
static bool is_allowed(const struct link *l, struct link_auth auth)
{
    const enum ppp_method method = ppp_method_of(auth.protocol, auth.algorithm);

    for (size_t i = 0; i < l->settings.method_count && !l->settings.survey; i++)
        if (l->settings.methods[i] == method)
            return i <= l->suggested;
    return false;
}

/* Suggests the next method. SoftEther ignores the suggestion and takes the next method of its own
 * list after each Nak, so the suggestions start over. After the last suggestion the server and the
 * client have no method in common. */
static enum conf_code suggest(struct link *l, struct conf_option *better)
{
    const size_t count = l->settings.method_count;

    if (l->suggested == count + (l->settings.survey ? 0 : LINK_SUGGESTIONS)) {
        fail(l, LINK_NO_METHOD);
        return CONF_REJECT;
    }
    const struct link_auth auth = auth_of(l->settings.methods[l->suggested % count]);
    *better = (struct conf_option){.type = LCP_OPTION_AUTH, .n = auth.algorithm != 0 ? 3 : 2};
    better->value[0] = (uint8_t)(auth.protocol >> 8);
    better->value[1] = (uint8_t)auth.protocol;
    better->value[2] = auth.algorithm;
    return CONF_NAK;
}

static enum conf_code judge_auth(struct link *l, struct span value, struct conf_option *better)
{
    struct cursor c = cursor_of(value);

    l->asked.protocol = cursor_u16(&c);
    l->asked.algorithm = l->asked.protocol == PPP_CHAP ? cursor_u8(&c) : 0;
    note_offer(l, l->asked);
    return is_allowed(l, l->asked) ? CONF_ACK : suggest(l, better);
}

static void note_option(struct link *l, uint8_t type)
{
    if (l->option_count < LINK_OPTIONS_MAX &&
        (l->option_count == 0 || memchr(l->options, type, l->option_count) == NULL))
        l->options[l->option_count++] = type;
}

static enum conf_code judge_lcp(void *arg, uint8_t type, struct span value,
                                struct conf_option *better)
{
    struct link *l = arg;
    struct cursor c = cursor_of(value);

    note_option(l, type);
    switch (type) {
    case LCP_MRU: l->mru = cursor_u16(&c); return CONF_ACK;
    case LCP_ACCM:
    case LCP_MAGIC: return CONF_ACK;
    case LCP_OPTION_AUTH: return judge_auth(l, value, better);
    default: return CONF_REJECT;
    }
}

static enum ppp_method login_method(const struct link *l)
{
    const enum ppp_method method = ppp_method_of(l->asked.protocol, l->asked.algorithm);
    return method == PPP_METHOD_EAP ? PPP_METHOD_EAP_MSCHAPV2 : method;
}

static void lcp_opened(struct link *l)
{
    l->phase = l->asked.protocol == 0 ? LINK_ACCEPTED : LINK_LOGIN;
    if (l->phase == LINK_LOGIN)
        login_start(&l->login, login_method(l), &l->settings.login, send_login, l);
    else
        l->login = (struct login){.result = LOGIN_ACCEPTED};
}

/* Answers with the client's own magic number (RFC 1661 5.8). */
static void answer_echo(struct link *l, const struct ppp_frame *f)
{
    uint8_t data[PPP_FRAME_MAX - PPP_FRAME_HEAD - PPP_PACKET_HEAD];
    const struct conf_option *magic = conf_wanted(&l->lcp, LCP_MAGIC);

    if (f->data.n < MAGIC)
        return;
    memcpy(data, f->data.p, f->data.n);
    memset(data, 0, MAGIC);
    if (magic != NULL)
        memcpy(data, magic->value, MAGIC);
    send_lcp(l, (struct conf_packet){
                    .code = LCP_ECHO_REPLY, .id = f->id, .data = span_of(data, f->data.n)});
}

static void receive_conf_lcp(struct link *l, const struct ppp_frame *f)
{
    const struct conf_packet p = {.code = f->code, .id = f->id, .data = f->data};

    if (p.code == CONF_REQUEST)
        l->asked = (struct link_auth){0};
    const enum conf_result result = conf_receive(&l->lcp, &p);
    if (l->phase == LINK_FAILED)
        return;
    switch (result) {
    case CONF_OPENED: lcp_opened(l); break;
    case CONF_RESTARTED: l->phase = LINK_LCP; break;
    case CONF_ENDED: l->phase = LINK_ENDED; break;
    case CONF_ENDLESS: fail(l, LINK_ENDLESS); break;
    default: break;
    }
}

static void receive_lcp(struct link *l, const struct ppp_frame *f)
{
    struct cursor rejected = cursor_of(f->data);

    if (f->code <= CONF_CODE_REJECT)
        receive_conf_lcp(l, f);
    else if (f->code == LCP_ECHO_REQUEST && conf_is_open(&l->lcp))
        answer_echo(l, f);
    else if (f->code == LCP_PROTOCOL_REJECT && cursor_u16(&rejected) == PPP_IPCP &&
             l->phase == LINK_IPCP)
        fail(l, LINK_NO_IPCP);
}

/* ---- the login ---- */

static void receive_login(struct link *l, const struct ppp_frame *f)
{
    login_receive(&l->login, f);
    if (l->login.result == LOGIN_ACCEPTED)
        l->phase = LINK_ACCEPTED;
    else if (l->login.result != LOGIN_PENDING)
        fail(l, LINK_LOGIN_FAILED);
}

/* ---- IPCP ---- */

static enum conf_code judge_ipcp(void *arg, uint8_t type, struct span value,
                                 struct conf_option *better)
{
    struct link *l = arg;

    (void)better;
    if (type != IPCP_OPTION_ADDRESS || value.n != ECHO_IP)
        return CONF_REJECT;
    memcpy(l->server, value.p, ECHO_IP);
    return CONF_ACK;
}

static void receive_ipcp(struct link *l, const struct ppp_frame *f)
{
    struct conf_packet p;

    if (!conf_read(f->info, &p))
        return;
    switch (conf_receive(&l->ipcp, &p)) {
    case CONF_OPENED:
        l->phase = LINK_UP;
        if (link_address(l) == NULL)
            fail(l, LINK_NO_ADDRESS);
        break;
    case CONF_RESTARTED: l->phase = LINK_IPCP; break;
    case CONF_ENDED: fail(l, LINK_NO_IPCP); break;
    case CONF_ENDLESS: fail(l, LINK_ENDLESS); break;
    default: break;
    }
}

static const uint8_t *option_address(const struct link *l, uint8_t type)
{
    const struct conf_option *o = conf_wanted(&l->ipcp, type);
    return o == NULL || memcmp(o->value, no_address, ECHO_IP) == 0 ? NULL : o->value;
}

const uint8_t *link_address(const struct link *l)
{
    return option_address(l, IPCP_OPTION_ADDRESS);
}

const uint8_t *link_name_server(const struct link *l)
{
    return option_address(l, IPCP_DNS);
}

bool link_magic_rejected(const struct link *l)
{
    return conf_wanted(&l->lcp, LCP_MAGIC) == NULL;
}

void link_network(struct link *l)
{
    INSIST(l->phase == LINK_ACCEPTED);
    l->phase = LINK_IPCP;
    l->ipcp = (struct conf){.judge = judge_ipcp, .send = send_ipcp, .arg = l};
    conf_want(&l->ipcp, IPCP_OPTION_ADDRESS, no_address, ECHO_IP);
    conf_want(&l->ipcp, IPCP_DNS, no_address, ECHO_IP);
    conf_request(&l->ipcp);
}

/* ---- the ping ---- */

static bool ping(struct link *l, const uint8_t *target)
{
    uint8_t frame[PPP_FRAME_HEAD + ECHO_LEN] = {0xff, 0x03, 0, IPV4};
    struct echo e = {.id = l->settings.echo_id, .sequence = l->echoes};

    if (target == NULL || memcmp(target, no_address, ECHO_IP) == 0)
        return false;
    memcpy(e.source, link_address(l), ECHO_IP);
    memcpy(e.target, target, ECHO_IP);
    echo_build(&e, frame + PPP_FRAME_HEAD);
    l->send(l->arg, span_of(frame, sizeof frame));
    return true;
}

bool link_ping(struct link *l)
{
    INSIST(l->phase == LINK_UP);
    l->echoes++;
    const bool server = ping(l, l->server);
    return ping(l, link_name_server(l)) || server;
}

static void receive_ip(struct link *l, const struct ppp_frame *f)
{
    const uint8_t *dns = link_name_server(l);
    struct echo e;

    if (l->phase != LINK_UP || !echo_parse_reply(f->info, &e) || e.id != l->settings.echo_id ||
        e.sequence == 0 || e.sequence > l->echoes ||
        memcmp(e.target, link_address(l), ECHO_IP) != 0)
        return;
    if (memcmp(e.source, l->server, ECHO_IP) == 0 ||
        (dns != NULL && memcmp(e.source, dns, ECHO_IP) == 0))
        l->phase = LINK_PONG;
}

/* ---- the link ---- */

void link_start(struct link *l, const struct link_settings *settings, link_send *send, void *arg)
{
    static const uint8_t mru[] = {MRU >> 8, MRU & 0xff};

    *l = (struct link){.settings = *settings, .send = send, .arg = arg};
    l->lcp = (struct conf){.judge = judge_lcp, .send = send_lcp, .arg = l};
    conf_want(&l->lcp, LCP_MRU, mru, sizeof mru);
    conf_want(&l->lcp, LCP_MAGIC, settings->magic, sizeof settings->magic);
    conf_request(&l->lcp);
}

void link_receive(struct link *l, struct span octets)
{
    struct ppp_frame f;

    if (l->phase >= LINK_ENDED || !ppp_frame_read(PPP_FROM_SERVER, octets, &f))
        return;
    if (f.protocol == PPP_LCP)
        receive_lcp(l, &f);
    else if (l->phase == LINK_LOGIN)
        receive_login(l, &f);
    else if (l->phase < LINK_IPCP)
        return; /* RFC 1661 3.5: discarded before the login has ended */
    else if (f.protocol == PPP_IPCP)
        receive_ipcp(l, &f);
    else if (f.protocol == IPV4)
        receive_ip(l, &f);
    else if (f.protocol >= CONTROL_MIN && ppp_frame_is_network(&f))
        reject_protocol(l, &f);
}

void link_retransmit(struct link *l)
{
    switch (l->phase) {
    case LINK_LCP: conf_retransmit(&l->lcp); break;
    case LINK_LOGIN: login_retransmit(&l->login); break;
    case LINK_IPCP: conf_retransmit(&l->ipcp); break;
    case LINK_UP: link_ping(l); break;
    default: break;
    }
}

void link_fini(struct link *l)
{
    login_fini(&l->login);
}
