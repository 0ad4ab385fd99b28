/* The input is a conversation: before each frame stand two octets, the highest bit is the sender
 * (1: server), the lower twelve are the length; the last frame may be shorter than it says. */
#include <stdlib.h>

#include "base/check.h"
#include "wire/ppp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In a block of exactly this size: a sanitizer sees the first octet that is read behind it. */
static struct span copy_of(struct span begin, struct span end)
{
    uint8_t *p = check_alloc(malloc(begin.n + end.n > 0 ? begin.n + end.n : 1));

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

static void observe_copy(struct ppp_observer *o, enum ppp_from from, struct span begin,
                         struct span end)
{
    struct span frame = copy_of(begin, end);
    ppp_observe(o, from, frame);
    free((void *)(uintptr_t)frame.p);
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
        CHECK(inside(user, copy) && inside(proof, copy));
    for (size_t i = 0; i < proof.n; i++)
        sum += proof.p[i];
    CHECK(sum <= 255 * copy.n);
    free((void *)(uintptr_t)copy.p);
}

/* One frame, and the same one in the other forms that must make no difference. */
static void check_frame(struct ppp_observer *o, enum ppp_from from, struct span frame)
{
    static const uint8_t address[] = {0xff, 0x03}, behind[] = {0xff, 0x03, 0x01, 0x00, 0x31};
    const struct span none = span_of(NULL, 0), full = span_of(address, sizeof address);
    struct ppp_observer before = *o, other = *o;
    bool control = ppp_is_control(frame);

    observe_copy(o, from, frame, none);
    check_login(frame);

    CHECK(o->method <= PPP_METHOD_EAP_MSCHAPV2 && o->result <= PPP_RESULT_FAILURE);
    CHECK(o->user_len <= PPP_USER_MAX);
    CHECK(o->proof_len <= PPP_PROOF_MAX && (o->proof_given || o->proof_len == 0));
    CHECK(o->challenge_len == 0 || o->challenge_len == 8 || o->challenge_len == 16);
    CHECK(control || same(o, &before));

    /* The client cannot say that it succeeded, nor undo what the server said. */
    if (from == PPP_FROM_CLIENT) {
        CHECK(o->result == before.result);
        CHECK(memcmp(&o->confirmed, &before.confirmed, sizeof o->confirmed) == 0);
        CHECK(memcmp(o->challenge, before.challenge, sizeof o->challenge) == 0);
        CHECK(before.user_named == false || o->user_len == 0 || o->user_len == before.user_len);
    } else {
        CHECK(o->user_len == before.user_len || o->user_len == 0);
        CHECK(o->last.seen == before.last.seen || !o->last.seen);
    }

    if (frame.n < 2 || frame.p[0] != 0xff || frame.p[1] != 0x03) {
        observe_copy(&other, from, full, frame);
        CHECK(same(o, &other));
        other = before;
    }
    /* Octets behind change nothing, where there was a frame that meant something without them. */
    if (!same(o, &before)) {
        observe_copy(&other, from, frame, span_of(behind, sizeof behind));
        CHECK(same(o, &other));
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
    CHECK(ppp_method_name(o.method) != NULL);
    (void)ppp_method_has_keys(o.method);
    return 0;
}
