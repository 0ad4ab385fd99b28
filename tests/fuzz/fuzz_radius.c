/* The input is a datagram. It is read as every kind of packet, its hidden attributes are
 * re-hidden for the other side, and it is signed and carried by the gate. */
#include <stdlib.h>

#include "base/insist.h"
#include "binding/radius_crypt.h"
#include "radius/radius_carry.h"
#include "wire/radius.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct span part, struct span whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

/* Checks that rebuilding each attribute gives the same packet. */
static void check_walk(const struct radius_packet *p, struct radius_out *o)
{
    struct cursor c = cursor_of(p->attributes);
    struct radius_attribute a;
    struct span value;

    radius_begin(o, p->code, p->id);
    while (radius_next(&c, &a)) {
        INSIST(is_inside(a.value, p->attributes) && radius_find(p, a.type, &value));
        radius_add(o, a.type, a.value);
    }
    INSIST(c.rest.n == 0 && radius_end(o) && o->len == p->whole.n);
    INSIST(memcmp(o->octets, p->whole.p, RADIUS_AUTHENTICATOR_AT) == 0);
    INSIST(span_eq(span_of(o->octets + RADIUS_HEADER, o->len - RADIUS_HEADER), p->attributes));
    memcpy(o->octets + RADIUS_AUTHENTICATOR_AT, p->authenticator.p, RADIUS_AUTHENTICATOR);
}

static void check_microsoft(const struct radius_packet *p)
{
    struct radius_ms_walk w = radius_ms_walk_of(p);
    struct radius_attribute a;
    struct span value;

    while (radius_ms_next(&w, &a))
        INSIST(is_inside(a.value, p->attributes) && radius_ms_find(p, a.type, &value));
}

static void check_carried(const struct radius_packet *p, struct radius_out *o)
{
    static const uint8_t authenticator[RADIUS_AUTHENTICATOR] = {1}, challenge[8] = {2};
    const struct radius_side one = {.secret = span_str("one"), .authenticator = p->authenticator.p};
    const struct radius_side two = {.secret = span_str("two"), .authenticator = authenticator};
    struct hlak before[4], after[4];
    struct radius_packet q;

    const size_t n = radius_keys(p, &one, span_of(challenge, 8), before, 4);
    INSIST(n <= 4);
    radius_hide_again(o, &one, &two);
    INSIST(o->len == p->whole.n && radius_parse(span_of(o->octets, o->len), &q) == ERR_OK);
    INSIST(radius_keys(&q, &two, span_of(challenge, 8), after, 4) == n);
    for (size_t i = 0; i < n; i++)
        INSIST(memcmp(before[i].key, after[i].key, HLAK_LEN) == 0);
}

static void check_signed(struct radius_out *o)
{
    static const uint8_t request[RADIUS_AUTHENTICATOR] = {3};
    struct radius_packet p;
    struct span value;

    INSIST(radius_parse(span_of(o->octets, o->len), &p) == ERR_OK);
    const enum radius_proof before = radius_verify(&p, request, span_str("two"));
    INSIST(before == RADIUS_FORGED || before == RADIUS_UNSIGNED || before == RADIUS_SIGNED);
    if (radius_find(&p, RADIUS_MESSAGE_AUTHENTICATOR, &value))
        return; /* only the gate's own packets are signed, which have it once, with 16 octets */
    radius_add(o, RADIUS_MESSAGE_AUTHENTICATOR, span_of(request, 16));
    if (!radius_end(o))
        return;
    radius_sign(o, request, span_str("two"));
    INSIST(radius_parse(span_of(o->octets, o->len), &p) == ERR_OK);
    INSIST(radius_verify(&p, request, span_str("two")) == RADIUS_SIGNED);
    INSIST(radius_verify(&p, request, span_str("one")) == RADIUS_FORGED);
}

/* Carries the packet as the proxy does, as a request or as an answer. */
static void check_trip(const struct radius_packet *p)
{
    static struct radius_out o;
    static uint8_t scratch[RADIUS_MAX];
    struct radius_trip trip = {.client_secret = span_str("one"), .server_secret = span_str("two")};
    const struct addr caller = {.family = AF_INET, .ip = {192, 0, 2, 1}};
    struct radius_login login;
    struct radius_packet q;
    struct span value;

    radius_carry_login(p, scratch, &login);
    INSIST(login.proof.n <= p->attributes.n && login.eap.n <= p->attributes.n);
    INSIST(login.user.n <= RADIUS_VALUE_MAX);
    if (p->code == RADIUS_ACCOUNTING_REQUEST) {
        if (!radius_carry_request(p, &trip, &caller, &o))
            return;
        radius_carry_sign(&o, &trip, 9);
        INSIST(radius_parse(span_of(o.octets, o.len), &q) == ERR_OK && q.id == 9);
    } else if (p->code == RADIUS_ACCESS_REQUEST) {
        if (!radius_carry_request(p, &trip, &caller, &o))
            return;
        radius_carry_sign(&o, &trip, 9);
        INSIST(radius_parse(span_of(o.octets, o.len), &q) == ERR_OK && q.id == 9);
        INSIST(radius_verify(&q, NULL, trip.server_secret) == RADIUS_SIGNED);
    } else if (!radius_find(p, RADIUS_MESSAGE_AUTHENTICATOR, &value) &&
               radius_carry_answer(p, &trip, &o)) { /* never a wrong signature */
        INSIST(radius_parse(span_of(o.octets, o.len), &q) == ERR_OK);
        INSIST(q.id == trip.client_id && q.code == p->code);
        INSIST(radius_verify(&q, trip.client_authenticator, trip.client_secret) != RADIUS_FORGED);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct radius_out o;
    static uint8_t eap[RADIUS_MAX];
    struct radius_packet p;
    const enum err e = radius_parse(span_of(data, size), &p);

    INSIST(e == ERR_OK || e == ERR_LENGTH);
    if (e != ERR_OK)
        return 0;
    INSIST(p.whole.n >= RADIUS_HEADER && p.whole.n <= RADIUS_MAX &&
           is_inside(p.whole, span_of(data, size)));
    /* in a block of exactly this size, so that a sanitizer detects a read past its end */
    uint8_t *copy = insist_alloc(malloc(p.whole.n));
    memcpy(copy, data, p.whole.n);
    INSIST(radius_parse(span_of(copy, p.whole.n), &p) == ERR_OK);
    for (size_t cut = 0; cut < p.whole.n; cut += cut < 64 ? 1 : 61) {
        struct radius_packet q;
        INSIST(radius_parse(span_of(copy, cut), &q) == ERR_LENGTH);
    }
    check_trip(&p);
    check_walk(&p, &o);
    check_microsoft(&p);
    INSIST(radius_eap(&p, eap).n <= p.attributes.n);
    check_carried(&p, &o);
    check_signed(&o);
    INSIST(radius_code_name(p.code) != NULL);
    free(copy);
    return 0;
}
