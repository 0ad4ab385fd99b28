#include "client/conf.h"

#include "base/insist.h"
#include "wire/ppp_frame.h"

enum { PACKET_HEAD = 4, OPTION_HEAD = 2, DATA_MAX = PPP_FRAME_MAX - PPP_FRAME_HEAD - PACKET_HEAD };

bool conf_read(struct span info, struct conf_packet *out)
{
    struct cursor c = cursor_of(info);

    out->code = cursor_u8(&c);
    out->id = cursor_u8(&c);
    const uint16_t len = cursor_u16(&c);
    if (c.short_ || len < PACKET_HEAD || len > info.n)
        return false;
    out->data = span_sub(info, PACKET_HEAD, len - PACKET_HEAD);
    return true;
}

void conf_want(struct conf *c, uint8_t type, const void *value, size_t n)
{
    INSIST(c->wants < CONF_OPTIONS_MAX && n <= CONF_VALUE_MAX);
    struct conf_option *o = &c->want[c->wants++];
    o->type = type;
    o->n = (uint8_t)n;
    memcpy(o->value, value, n);
}

static struct conf_option *find(struct conf *c, uint8_t type)
{
    for (size_t i = 0; i < c->wants; i++)
        if (c->want[i].type == type)
            return &c->want[i];
    return NULL;
}

const struct conf_option *conf_wanted(const struct conf *c, uint8_t type)
{
    return find((struct conf *)c, type);
}

bool conf_is_open(const struct conf *c)
{
    return c->agreed_here && c->agreed_there;
}

/* ---- building ---- */

struct list { /* options of one packet */
    uint8_t octets[DATA_MAX];
    size_t n;
};

/* Appends an option; one that does not fit is omitted, which the peer's next request shows. */
static void list_add(struct list *l, uint8_t type, struct span value)
{
    if (l->n + OPTION_HEAD + value.n > sizeof l->octets)
        return;
    l->octets[l->n] = type;
    l->octets[l->n + 1] = (uint8_t)(OPTION_HEAD + value.n);
    if (value.n > 0)
        memcpy(l->octets + l->n + OPTION_HEAD, value.p, value.n);
    l->n += OPTION_HEAD + value.n;
}

static void send(struct conf *c, enum conf_code code, uint8_t id, struct span data)
{
    c->send(c->arg, (struct conf_packet){.code = (uint8_t)code, .id = id, .data = data});
}

static struct span requested(const struct conf *c, struct list *l)
{
    l->n = 0;
    for (size_t i = 0; i < c->wants; i++)
        list_add(l, c->want[i].type, span_of(c->want[i].value, c->want[i].n));
    return span_of(l->octets, l->n);
}

void conf_request(struct conf *c)
{
    struct list l;

    c->id = (uint8_t)(c->id % 255 + 1);
    c->agreed_here = false;
    send(c, CONF_REQUEST, c->id, requested(c, &l));
}

void conf_retransmit(struct conf *c)
{
    struct list l;

    if (c->id != 0 && !c->agreed_here)
        send(c, CONF_REQUEST, c->id, requested(c, &l));
}

/* ---- receiving ---- */

/* Takes one option off the list. False: the list has ended, or is malformed from here on. */
static bool take_option(struct cursor *c, uint8_t *type, struct span *value)
{
    if (c->rest.n == 0)
        return false;
    *type = cursor_u8(c);
    const uint8_t len = cursor_u8(c);
    if (len < OPTION_HEAD)
        c->short_ = true;
    else
        *value = cursor_take(c, (size_t)len - OPTION_HEAD);
    return !c->short_;
}

/* Answers a request with a Reject of what was rejected, else a Nak, else an Ack (RFC 1661 5.1 to
 * 5.4). A malformed request gets no answer. */
static void answer(struct conf *c, const struct conf_packet *p)
{
    struct cursor rest = cursor_of(p->data);
    struct list rejects = {.n = 0}, naks = {.n = 0};
    struct conf_option better;
    struct span value;
    uint8_t type;

    c->agreed_there = false;
    while (take_option(&rest, &type, &value)) {
        switch (c->judge(c->arg, type, value, &better)) {
        case CONF_ACK: break;
        case CONF_NAK: list_add(&naks, better.type, span_of(better.value, better.n)); break;
        default: list_add(&rejects, type, value); break;
        }
    }
    if (rest.short_)
        return;
    if (rejects.n > 0) {
        send(c, CONF_REJECT, p->id, span_of(rejects.octets, rejects.n));
    } else if (naks.n > 0) {
        send(c, CONF_NAK, p->id, span_of(naks.octets, naks.n));
    } else {
        c->agreed_there = true;
        send(c, CONF_ACK, p->id, p->data);
    }
}

static void drop(struct conf *c, struct conf_option *o)
{
    memmove(o, o + 1, (size_t)(c->want + --c->wants - o) * sizeof *o);
}

/* Takes the server's values of a Nak, or drops the options of a Reject, and requests again. */
static void obey(struct conf *c, const struct conf_packet *p)
{
    struct cursor rest = cursor_of(p->data);
    struct conf_option *o;
    struct span value;
    uint8_t type;

    while (take_option(&rest, &type, &value)) {
        if ((o = find(c, type)) == NULL)
            continue;
        if (p->code == CONF_NAK && value.n == o->n)
            memcpy(o->value, value.p, value.n);
        else
            drop(c, o);
    }
    conf_request(c);
}

static enum conf_result receive_request(struct conf *c, const struct conf_packet *p)
{
    const bool restarted = conf_is_open(c);

    if (restarted) /* RFC 1661 4.1, state Opened */
        conf_request(c);
    answer(c, p);
    return restarted ? CONF_RESTARTED : conf_is_open(c) ? CONF_OPENED : CONF_GOING;
}

static enum conf_result receive_verdict(struct conf *c, const struct conf_packet *p)
{
    if (p->id != c->id || c->id == 0 || c->agreed_here)
        return CONF_GOING;
    if (p->code != CONF_ACK) {
        obey(c, p);
        return CONF_GOING;
    }
    c->agreed_here = true;
    return conf_is_open(c) ? CONF_OPENED : CONF_GOING;
}

enum conf_result conf_receive(struct conf *c, const struct conf_packet *p)
{
    if (p->code > CONF_CODE_REJECT)
        return CONF_GOING;
    if (++c->rounds > CONF_ROUNDS_MAX)
        return CONF_ENDLESS;
    switch (p->code) {
    case CONF_REQUEST: return receive_request(c, p);
    case CONF_ACK:
    case CONF_NAK:
    case CONF_REJECT: return receive_verdict(c, p);
    case CONF_TERMINATE: send(c, CONF_TERMINATE_ACK, p->id, span_of(NULL, 0)); return CONF_ENDED;
    case CONF_TERMINATE_ACK: return CONF_ENDED;
    default: return CONF_GOING;
    }
}
