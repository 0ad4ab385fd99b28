/* The input is a conversation: two octets precede each frame, the highest bit is the sender (1:
 * server), the lower twelve are the length; the last frame may be shorter than its length. */
#include <stdlib.h>

#include "base/insist.h"
#include "wire/ppp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies to a block of exactly this size, so that a sanitizer detects a read past its end. */
static struct span copy_of(struct span begin, struct span end)
{
    uint8_t *p = insist_alloc(malloc(begin.n + end.n > 0 ? begin.n + end.n : 1));

    if (begin.n > 0)
        memcpy(p, begin.p, begin.n);
    if (end.n > 0)
        memcpy(p + begin.n, end.p, end.n);
    return span_of(p, begin.n + end.n);
}

static bool same(const struct ppp_observer *a, const struct ppp_observer *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Reads and observes a frame. *unread: whether ppp_frame_read refuses it. */
static enum ppp_verdict observe_copy(struct ppp_observer *o, enum ppp_from from, struct span begin,
                                     struct span end, bool *unread)
{
    struct span octets = copy_of(begin, end);
    struct ppp_frame frame;
    enum ppp_verdict v = PPP_DROP;

    *unread = !ppp_frame_read(from, octets, &frame);
    if (!*unread)
        v = ppp_observe(o, from, &frame);
    free((void *)(uintptr_t)octets.p);
    return v;
}

/* Checks that the canonical form gives the same frame, and is its own canonical form. */
static void check_rebuilt(enum ppp_from from, struct span octets)
{
    uint8_t out[PPP_FRAME_MAX], twice[PPP_FRAME_MAX];
    struct ppp_frame f, again;

    if (!ppp_frame_read(from, octets, &f))
        return;
    const size_t n = ppp_frame_build(&f, out);
    INSIST(ppp_frame_read(from, span_of(out, n), &again));
    INSIST(ppp_frame_is_canonical(&again, span_of(out, n)));
    INSIST(again.protocol == f.protocol && again.code == f.code && again.id == f.id);
    INSIST(span_eq(again.info, f.info) && span_eq(again.data, f.data));
    INSIST(ppp_frame_build(&again, twice) == n && memcmp(out, twice, n) == 0);
}

/* Checks that the look before ppp_frame_assigned never skips a frame that assigns an address. */
static void check_assigned(struct span octets)
{
    uint8_t ip[4];

    INSIST(!ppp_frame_assigned(octets, ip) || ppp_frame_may_be_ipcp(octets));
}

static bool inside(struct span part, struct span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_login(struct span frame)
{
    struct span copy = copy_of(frame, span_of(NULL, 0)), user, proof;
    unsigned sum = 0;

    if (ppp_login(copy, &user, &proof))
        INSIST(inside(user, copy) && inside(proof, copy));
    for (size_t i = 0; i < proof.n; i++)
        sum += proof.p[i];
    INSIST(sum <= 255 * copy.n);
    free((void *)(uintptr_t)copy.p);
}

/* Checks a client's frame: it can neither make a login succeed nor undo a verdict of the
 * server; a frame that is not forwarded changes nothing; and each question has one answer. */
static void check_client(const struct ppp_observer *o, const struct ppp_observer *before,
                         enum ppp_verdict v)
{
    INSIST(o->result == before->result && o->failures == before->failures);
    INSIST(o->no_zero_key == before->no_zero_key);
    INSIST(memcmp(&o->confirmed, &before->confirmed, sizeof o->confirmed) == 0);
    INSIST(memcmp(o->challenge, before->challenge, sizeof o->challenge) == 0);
    INSIST(v == PPP_FORWARD || same(o, before));
    if (before->user_named)
        INSIST(o->user_len == before->user_len && memcmp(o->user, before->user, o->user_len) == 0);
    if (before->answer_given)
        INSIST(o->answer_len == before->answer_len &&
               memcmp(o->answer, before->answer, o->answer_len) == 0);
}

static void check_server(const struct ppp_observer *o, const struct ppp_observer *before,
                         enum ppp_verdict v)
{
    INSIST(v == PPP_FORWARD || (v == PPP_UNJUDGED && before->proof_given && same(o, before)));
    INSIST(o->user_len == before->user_len || o->user_len == 0);
    INSIST(o->last.seen == before->last.seen || !o->last.seen);
    INSIST(o->failures == before->failures || o->failures == before->failures + 1);
    INSIST(o->result != PPP_RESULT_SUCCESS || !o->undecided || before->undecided);
}

static void check_state(const struct ppp_observer *o)
{
    INSIST(o->method <= PPP_METHOD_EAP_MSCHAPV2 && o->result <= PPP_RESULT_FAILURE);
    INSIST(o->user_len <= PPP_USER_MAX && (!o->user_named || o->user_len > 0));
    for (size_t i = 0; i < o->user_len; i++)
        INSIST(o->user[i] >= ' ' && o->user[i] != 0x7f);
    INSIST(o->answer_len <= PPP_ANSWER_MAX && (o->answer_given || o->answer_len == 0));
    INSIST(o->proof_from + o->proof_len <= o->answer_len);
    INSIST(o->challenge_len == 0 || o->challenge_len == 8 || o->challenge_len == 16);
}

/* Observes one frame, and the same frame in the other forms, which must make no difference. */
static void check_frame(struct ppp_observer *o, enum ppp_from from, struct span frame)
{
    static const uint8_t address[] = {0xff, 0x03}, behind[] = {0xff, 0x03, 0x01, 0x00, 0x31};
    const struct span none = span_of(NULL, 0), full = span_of(address, sizeof address);
    const struct ppp_observer before = *o;
    struct ppp_observer other = *o;
    bool unread, also;

    const enum ppp_verdict v = observe_copy(o, from, frame, none, &unread);
    check_login(frame);
    check_rebuilt(from, frame);
    check_assigned(frame);
    check_state(o);
    INSIST(!unread || same(o, &before));
    if (from == PPP_FROM_CLIENT)
        check_client(o, &before, v);
    else if (!unread)
        check_server(o, &before, v);

    if (frame.n < 2 || frame.p[0] != 0xff || frame.p[1] != 0x03) {
        INSIST(observe_copy(&other, from, full, frame, &also) == v && also == unread);
        INSIST(same(o, &other));
        other = before;
    }
    /* Checks that trailing octets change nothing if the frame is complete without them. */
    if (!same(o, &before)) {
        INSIST(observe_copy(&other, from, frame, span_of(behind, sizeof behind), &also) == v);
        INSIST(same(o, &other));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c = cursor_of(span_of(data, size));
    struct ppp_observer o;

    ppp_observer_init(&o);
    while (c.rest.n > 2) {
        uint16_t head = cursor_u16(&c);
        size_t n = head & 0x0fff;
        struct span frame = cursor_take(&c, n < c.rest.n ? n : c.rest.n);
        check_frame(&o, head & 0x8000 ? PPP_FROM_SERVER : PPP_FROM_CLIENT, frame);
    }
    INSIST(ppp_method_name(o.method) != NULL);
    (void)ppp_method_has_keys(o.method);
    return 0;
}
