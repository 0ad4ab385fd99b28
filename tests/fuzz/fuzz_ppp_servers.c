/* Feeds the frames that the gate forwards to models of servers, and the frames of the models to the
 * observer: if a server accepts a client, the observer must have the same user, method, answer and
 * result.
 *
 * The input is a script. First octet: the server (its lowest two bits); second: its settings. Then
 * steps: the low four bits select the frame that the client sends (enum step; STEP_EVENT: an event
 * of the server, or the start or end of late reading), 0x10: SoftEther gets another frame at once,
 * 0x20: the server accepts the next login that it judges, 0xc0: the form of the frame.
 * tests/fuzz/seeds_ppp_servers.py writes such scripts. */
#include <stdio.h>
#include <stdlib.h>

#include "base/insist.h"
#include "server_models.h"
#include "users/users.h"
#include "wire/ppp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step {
    STEP_EVENT,
    STEP_LCP_ACK,
    STEP_LCP_ACK_CHANGED,
    STEP_LCP_NAK,
    STEP_LCP_REQUEST,
    STEP_PAP,
    STEP_MSCHAP,
    STEP_MD5,
    STEP_CHANGE_PASSWORD,
    STEP_EAP_IDENTITY,
    STEP_EAP_NAK,
    STEP_EAP_MD5,
    STEP_EAP_MSCHAPV2,
    STEP_EAP_OCTETS,
    STEP_AGAIN,
    STEP_PACKET,
};

enum {
    STEP_KIND = 0x0f,
    STEP_BURST = 0x10,
    STEP_ACCEPTS = 0x20,
    EVENT_LATE = 0x04,
    FORM = 0xc0,
    FORM_PLAIN = 0x00,
    FORM_SHORT_HEAD = 0x40, /* without FF 03 */
    FORM_LENGTH = 0x80,     /* two octets of the input are the inner length */
    FORM_PADDED = 0xc0,     /* an octet of the input is the number of trailing octets */
};

static const char *const names[] = {
    "alice",  "bob",    "ALICE",   "CORP\\alice", "alice@VPN", "VPN\\bob",
    " alice", "alice ", "\talice", "alice\x01",   "bob@alice", "\xc3\xa9",
};

static const uint16_t protocols[] = {0xc021, 0xc023, 0xc223, 0xc227};

enum { WAITING_MAX = 8 };

struct client {
    struct cursor script;
    struct ppp_observer o;
    struct server_model server;
    uint8_t asked[4]; /* identifier of the server's latest request, by protocol */
    uint8_t lcp[64];  /* options of its latest Configure-Request */
    size_t lcp_len;
    uint8_t frame[SERVER_FRAME_MAX], previous[SERVER_FRAME_MAX];
    size_t n, previous_n;
    unsigned answers; /* forwarded frames of a login */
    bool was_late;
    bool late; /* the server does not read: forwarded frames wait, and cross its own frames */
    struct server_frame waiting[WAITING_MAX];
    uint8_t challenges[WAITING_MAX]; /* number of challenges at the time the client sent it */
    size_t waiting_n;
    bool ended;
};

/* ---- comparison of server and observer ---- */

static struct span span_name(const struct server_name *name)
{
    return span_of(name->p, name->n);
}

/* Compares names as rules do. pppd rewrites octets from 0x80 on in names, so the rewritten copy
 * is compared. */
static bool same_user(struct span observed, const struct server_name *name)
{
    return span_eq_nocase(users_bare_name(observed), users_bare_name(span_name(name)));
}

static void check_answer(const struct ppp_observer *o, const struct server_login *l)
{
    const struct ppp_mschap *c = &o->confirmed;

    INSIST(span_eq(ppp_proof(o), span_of(l->proof, l->proof_len)) || l->proof_len == 0);
    if (!l->has_nt) {
        INSIST(!c->seen);
        return;
    }
    if (!c->seen) {
        INSIST(l->v1); /* only an LM response, according to its flag */
        return;
    }
    INSIST(c->v1 == l->v1);
    INSIST(memcmp(c->challenge, l->challenge, l->v1 ? 8 : 16) == 0);
    INSIST(l->v1 || memcmp(c->peer_challenge, l->peer, sizeof l->peer) == 0);
    INSIST(memcmp(c->nt_response, l->nt, sizeof l->nt) == 0);
    INSIST(same_user(span_of(c->user, c->user_len), &l->proved));
}

/* A client may agree, after its answer, to an earlier request of the server for a protocol that the
 * observer does not know. SoftEther repeats such requests and judges the answer all the same. The
 * observer vouches for nobody then, so the gate refuses the Call Connected. */
static bool vouches_for_nobody(const struct ppp_observer *o)
{
    return o->result != PPP_RESULT_SUCCESS && !ppp_is_content(o) && o->lcp_auth != 0 &&
           o->lcp_method == PPP_METHOD_NONE;
}

static void check_login(const struct ppp_observer *o, const struct server_login *l)
{
    const struct span user = span_of(o->user, o->user_len);

    if (vouches_for_nobody(o))
        return;
    INSIST(o->result == PPP_RESULT_SUCCESS && ppp_is_content(o));
    INSIST(o->method == l->method);
    INSIST(l->user.n == 0 || same_user(user, &l->user)); /* pppd: an Identity may be empty */
    INSIST(same_user(user, &l->proved));
    check_answer(o, l);
    /* otherwise zeros would bind a call whose client has a key */
    INSIST(o->no_zero_key ==
           (l->method == PPP_METHOD_MSCHAPV1 || l->method == PPP_METHOD_MSCHAPV2));
}

static void check_agreement(struct client *c)
{
    struct server_model *m = &c->server;

    if (m->news)
        check_login(&c->o, &m->login);
    m->news = false;
    INSIST(m->in || c->o.result != PPP_RESULT_SUCCESS);
    if (m->ended)
        ppp_server_ends(&c->o);
    /* a server counts a retransmitted retry that it reads late twice, but it is only one guess */
    INSIST(c->o.failures >= m->refusals || c->was_late);
    INSIST(c->o.failures <= c->answers);
    c->ended = m->ended;
}

/* ---- the gate ---- */

/* Prints the conversation of a finding if built with -DTRACE. */
static void trace(const char *who, const uint8_t *p, size_t n)
{
#ifdef TRACE
    printf("%-9s", who);
    for (size_t i = 0; i < n; i++)
        printf(i == 4 || i == 8 ? " %02x" : "%02x", p[i]);
    printf("\n");
    fflush(stdout);
#else
    (void)who, (void)p, (void)n;
#endif
}

static void from_server(struct client *c, const struct server_frame *f)
{
    struct ppp_frame frame;

    trace("server", f->p, f->n);
    INSIST(ppp_frame_read(PPP_FROM_SERVER, span_of(f->p, f->n), &frame));
    const enum ppp_verdict v = ppp_observe(&c->o, PPP_FROM_SERVER, &frame);
    INSIST(v == PPP_FORWARD || v == PPP_UNJUDGED);
    c->ended = c->ended || v == PPP_UNJUDGED;
    if (frame.code != 1)
        return;
    for (size_t i = 0; i < 4; i++)
        if (frame.protocol == protocols[i])
            c->asked[i] = frame.id;
    if (frame.protocol == PPP_LCP && frame.data.n <= sizeof c->lcp) {
        memcpy(c->lcp, frame.data.p, frame.data.n);
        c->lcp_len = frame.data.n;
    }
}

static void hear_server(struct client *c)
{
    for (size_t i = 0; i < c->server.outs && !c->ended; i++)
        from_server(c, &c->server.out[i]);
    c->server.outs = 0;
    if (!c->ended)
        check_agreement(c);
}

/* An answer to an earlier challenge is wrong, regardless of the script. */
static bool is_stale(const struct client *c, size_t i)
{
    const uint8_t *p = c->waiting[i].p;
    return c->challenges[i] != c->server.challenges && p[2] == 0xc2; /* CHAP, EAP */
}

/* Lets the server read the waiting frames. */
static void catch_up(struct client *c)
{
    for (size_t i = 0; i < c->waiting_n && !c->ended; i++) {
        if (is_stale(c, i))
            continue;
        server_take(&c->server, span_of(c->waiting[i].p, c->waiting[i].n));
        hear_server(c);
    }
    c->waiting_n = 0;
}

static void forward(struct client *c, const struct ppp_frame *frame)
{
    uint8_t out[PPP_FRAME_MAX];
    const size_t n = ppp_frame_build(frame, out);

    if (c->late && (c->waiting_n == WAITING_MAX || n > sizeof c->waiting[0].p)) {
        c->ended = true; /* more than this harness holds */
        return;
    }
    if (c->late) {
        c->challenges[c->waiting_n] = c->server.challenges;
        struct server_frame *f = &c->waiting[c->waiting_n++];
        memcpy(f->p, out, f->n = n);
        return;
    }
    server_take(&c->server, span_of(out, n));
}

static void to_server(struct client *c)
{
    uint8_t *octets = insist_alloc(malloc(c->n > 0 ? c->n : 1));
    struct ppp_frame frame;

    memcpy(octets, c->frame, c->n);
    const bool read = ppp_frame_read(PPP_FROM_CLIENT, span_of(octets, c->n), &frame);
    const enum ppp_verdict v = read && ppp_frame_is_control(&frame)
                                   ? ppp_observe(&c->o, PPP_FROM_CLIENT, &frame)
                                   : PPP_DROP;
    trace(v == PPP_FORWARD ? "client" : v == PPP_DROP ? "dropped" : "refused", octets, c->n);
    c->answers += v == PPP_FORWARD && frame.protocol != PPP_LCP;
    if (v == PPP_FORWARD)
        forward(c, &frame);
    free(octets);
    c->ended = c->ended || (v != PPP_FORWARD && v != PPP_DROP);
}

/* ---- the client ---- */

static void put(struct client *c, const void *p, size_t n)
{
    if (n > sizeof c->frame - c->n)
        n = sizeof c->frame - c->n;
    if (n > 0)
        memcpy(c->frame + c->n, p, n);
    c->n += n;
}

static void put_u8(struct client *c, uint8_t octet)
{
    put(c, &octet, 1);
}

static void put_u16(struct client *c, size_t n)
{
    put_u8(c, (uint8_t)(n >> 8));
    put_u8(c, (uint8_t)n);
}

/* Writes n octets, derived from an octet of the input. */
static void put_value(struct client *c, size_t n)
{
    const uint8_t seed = cursor_u8(&c->script);
    for (size_t i = 0; i < n; i++)
        put_u8(c, (uint8_t)(seed + i));
}

static void put_script(struct client *c, size_t n)
{
    const struct span rest = span_sub(c->script.rest, 0, n);
    put(c, rest.p, rest.n);
    (void)cursor_take(&c->script, rest.n);
}

/* Returns a name of the table, or octets of the input, their number in the low five bits. */
static struct span read_name(struct client *c)
{
    const uint8_t which = cursor_u8(&c->script);
    if (which < 0x80)
        return span_str(names[which % (sizeof names / sizeof *names)]);
    return cursor_take(&c->script, which & 0x1f);
}

static void put_name(struct client *c)
{
    const struct span name = read_name(c);
    put(c, name.p, name.n);
}

static void put_head(struct client *c, unsigned protocol, uint8_t code, uint8_t id)
{
    put_u16(c, 0xff03);
    put_u16(c, protocols[protocol]);
    put_u8(c, code);
    put_u8(c, id);
    put_u16(c, 0);
}

/* Writes the head of an answer; adds an octet of the input to the identifier of the request. */
static void put_answer(struct client *c, unsigned protocol, uint8_t code)
{
    put_head(c, protocol, code, (uint8_t)(c->asked[protocol] + cursor_u8(&c->script)));
}

static void put_auth_option(struct client *c)
{
    static const char *const values[] = {"\xc2\x23\x81", "\xc2\x27", "\xc0\x23", "\xc2\x23\x80",
                                         "\xc2\x23\x05"};
    const struct span value = span_str(values[cursor_u8(&c->script) % 5]);
    put_u8(c, 3);
    put_u8(c, (uint8_t)(value.n + 2));
    put(c, value.p, value.n);
}

static void make_lcp(struct client *c, enum step kind)
{
    const uint8_t code = kind == STEP_LCP_REQUEST ? 1 : kind == STEP_LCP_NAK ? 3 : 2;

    put_answer(c, 0, code);
    if (kind == STEP_LCP_ACK)
        put(c, c->lcp, c->lcp_len);
    else if (kind == STEP_LCP_REQUEST)
        put_script(c, cursor_u8(&c->script) % 16);
    else
        put_auth_option(c);
}

static void make_pap(struct client *c)
{
    put_answer(c, 1, 1);
    const struct span name = read_name(c);
    put_u8(c, (uint8_t)name.n);
    put(c, name.p, name.n);
    put_u8(c, 1);
    put_u8(c, 'x');
}

static void make_chap(struct client *c, enum step kind)
{
    const uint8_t size = kind == STEP_MD5 ? 16 : 49;

    put_answer(c, 2, kind == STEP_CHANGE_PASSWORD ? 7 : 2);
    if (kind == STEP_CHANGE_PASSWORD) {
        put_value(c, 582);
        return;
    }
    put_u8(c, size);
    put_value(c, size - 1u);
    put_u8(c, 1); /* MS-CHAPv1: use the NT-Response */
    put_name(c);
}

/* opcode, id, MS-Length, value; octets of the input change the id and the length. */
static void make_eap_mschapv2(struct client *c)
{
    const size_t at = c->n;

    put_u8(c, 2);
    put_u8(c, (uint8_t)(c->asked[3] + cursor_u8(&c->script)));
    const uint8_t change = cursor_u8(&c->script);
    put_u16(c, 0);
    put_u8(c, 49);
    put_value(c, 49);
    put_name(c);
    const size_t n = c->n - at + change - (change >= 0x80 ? 0x100u : 0);
    c->frame[at + 2] = (uint8_t)(n >> 8);
    c->frame[at + 3] = (uint8_t)n;
}

static void make_eap(struct client *c, enum step kind)
{
    static const uint8_t types[] = {1, 3, 4, 26};

    put_answer(c, 3, 2);
    put_u8(c, kind == STEP_EAP_OCTETS ? cursor_u8(&c->script) : types[kind - STEP_EAP_IDENTITY]);
    switch (kind) {
    case STEP_EAP_IDENTITY: put_name(c); break;
    case STEP_EAP_MD5:
        put_u8(c, 16);
        put_value(c, 16);
        put_name(c);
        break;
    case STEP_EAP_MSCHAPV2: make_eap_mschapv2(c); break;
    default: put_script(c, cursor_u8(&c->script) % 8);
    }
}

static void make_packet(struct client *c)
{
    const uint8_t which = cursor_u8(&c->script);

    put_answer(c, which & 3, which >> 4);
    put_script(c, cursor_u8(&c->script));
}

static void make_frame(struct client *c, enum step kind)
{
    c->n = 0;
    if (kind <= STEP_LCP_REQUEST)
        make_lcp(c, kind);
    else if (kind == STEP_PAP)
        make_pap(c);
    else if (kind <= STEP_CHANGE_PASSWORD)
        make_chap(c, kind);
    else if (kind <= STEP_EAP_OCTETS)
        make_eap(c, kind);
    else if (kind == STEP_PACKET)
        make_packet(c);
    if (kind == STEP_AGAIN) {
        memcpy(c->frame, c->previous, c->n = c->previous_n);
    } else if (c->n >= 8) {
        c->frame[6] = (uint8_t)((c->n - 4) >> 8);
        c->frame[7] = (uint8_t)(c->n - 4);
    }
}

static void change_form(struct client *c, uint8_t form)
{
    static const uint8_t behind[8] = {'b', 'o', 'b', 0, 1, 3};

    if (c->n < 8)
        return;
    if (form == FORM_LENGTH) {
        c->frame[6] = cursor_u8(&c->script);
        c->frame[7] = cursor_u8(&c->script);
    } else if (form == FORM_PADDED) {
        put(c, behind, cursor_u8(&c->script) & 7);
    } else if (form == FORM_SHORT_HEAD) {
        memmove(c->frame, c->frame + 2, c->n -= 2);
    }
}

static void say(struct client *c, uint8_t step)
{
    make_frame(c, step & STEP_KIND);
    change_form(c, step & FORM);
    memcpy(c->previous, c->frame, c->previous_n = c->n);
    to_server(c);
}

static void happen(struct client *c, uint8_t event)
{
    if ((event & EVENT_LATE) == 0) {
        server_happens(&c->server, event & 3);
        return;
    }
    c->was_late = true;
    c->late = !c->late;
    if (!c->late)
        catch_up(c);
}

static void one_step(struct client *c)
{
    const uint8_t step = cursor_u8(&c->script);

    c->server.accepts = (step & STEP_ACCEPTS) != 0;
    if ((step & STEP_KIND) == STEP_EVENT)
        happen(c, cursor_u8(&c->script));
    else
        say(c, step);
    if (!c->ended)
        hear_server(c);
    if (c->ended || (step & STEP_BURST) != 0 || c->waiting_n > 0)
        return;
    server_happens(&c->server, SERVER_TICK);
    hear_server(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct client *c = NEW(struct client);

    c->script = cursor_of(span_of(data, size));
    ppp_observer_init(&c->o);
    const uint8_t kind = cursor_u8(&c->script), settings = cursor_u8(&c->script);
    server_begin(&c->server, kind % SERVER_KINDS, settings);
    hear_server(c);
    while (c->script.rest.n > 0 && !c->ended)
        one_step(c);
    free(c);
    return 0;
}
