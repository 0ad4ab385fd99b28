/* The input is an EAP packet, or a PPP frame with one. */
#include <stdlib.h>

#include "base/insist.h"
#include "radius/keyring.h"
#include "wire/eap.h"
#include "wire/ppp_codes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct span part, struct span whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_packet(struct span s)
{
    struct eap_packet p;

    if (!eap_parse(s, &p))
        return;
    INSIST(p.whole.p == s.p && p.whole.n <= s.n && p.data.n > 0 && inside(p.data, p.whole));
    INSIST(inside(p.nt_response, p.data));
    INSIST(p.nt_response.n == 0 || (p.nt_response.n == PPP_NT_RESPONSE && !p.request));
    INSIST(!p.accepted || (p.request && !p.identity));
}

/* Checks that a packet changes the marks of a login in progress, and that padding does not. */
static void check_marks(struct span s)
{
    static struct keyring *k;
    struct keyring_marks before = {.chain = 1, .proof = 2}, a = before, b = before;
    struct eap_packet p;

    if (k == NULL)
        k = keyring_new();
    keyring_follow(k, &a, s);
    INSIST(a.chain != before.chain);
    if (eap_parse(s, &p)) {
        keyring_follow(k, &b, p.whole);
        INSIST(a.chain == b.chain && a.proof == b.proof);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* in a block of exactly this size, so that a sanitizer detects a read past its end */
    uint8_t *copy = insist_alloc(malloc(size > 0 ? size : 1));
    const struct span s = span_of(copy, size);
    struct span packet;

    if (size > 0)
        memcpy(copy, data, size);
    check_packet(s);
    check_marks(s);
    if (eap_of_frame(s, &packet)) {
        INSIST(inside(packet, s));
        check_packet(packet);
    }
    free(copy);
    return 0;
}
