/* The input is the beginning of a connection. */
#include <stdlib.h>

#include "base/insist.h"
#include "wire/proxyproto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies to a block of exactly this size, so that a sanitizer detects a read past its end. */
static struct span copy_of(struct span s)
{
    uint8_t *p = insist_alloc(malloc(s.n > 0 ? s.n : 1));

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return span_of(p, s.n);
}

static void free_copy(struct span s)
{
    free((void *)(uintptr_t)s.p);
}

static void check_inside(struct span part, struct span whole)
{
    INSIST(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static bool same_end(const struct proxyproto_end *a, const struct proxyproto_end *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, 16) == 0;
}

static void check_same_ends(const struct proxyproto *a, const struct proxyproto *b)
{
    INSIST(same_end(&a->source, &b->source) && same_end(&a->destination, &b->destination));
}

/* Checks that a parsed header can be built, and that the result is parsed as the same. */
static void check_build(const struct proxyproto *p)
{
    uint8_t out[PROXYPROTO_MAX];
    struct proxyproto again;

    size_t n = proxyproto_build_v1(out, &p->source, &p->destination);
    INSIST(n > 0 && n <= PROXYPROTO_V1_MAX);
    INSIST(proxyproto_parse(span_of(out, n), &again) == ERR_OK && again.len == n);
    check_same_ends(p, &again);

    n = proxyproto_build_v2(out, sizeof out, p);
    INSIST(n > 0 || p->len > PROXYPROTO_MAX - 24); /* a mixed pair takes 24 octets more */
    if (n == 0)
        return;
    INSIST(proxyproto_parse(span_of(out, n), &again) == ERR_OK && again.len == n);
    check_same_ends(p, &again);
    INSIST(again.local == p->local);
    if (p->source.family == 0)
        return;
    INSIST(again.crc32c == p->crc32c && again.tls.present == p->tls.present);
    INSIST(again.tls.client == p->tls.client && again.tls.verify == p->tls.verify);
    INSIST(span_eq(again.alpn, p->alpn) && span_eq(again.authority, p->authority));
    INSIST(span_eq(again.unique_id, p->unique_id) && span_eq(again.tls.name, p->tls.name));
    INSIST(span_eq(again.tls.version, p->tls.version) && span_eq(again.tls.cipher, p->tls.cipher));
    INSIST(span_eq(again.tls.signature, p->tls.signature) && span_eq(again.tls.key, p->tls.key));
}

static void check_header(const struct proxyproto *p, struct span in)
{
    const struct span header = span_sub(in, 0, p->len);

    INSIST(p->len <= in.n && p->len <= PROXYPROTO_MAX);
    INSIST(p->version == 1 || p->version == 2);
    INSIST(p->version == 2 || p->len <= PROXYPROTO_V1_MAX);
    INSIST((p->source.family == 0) == (p->destination.family == 0));
    INSIST(p->source.family == 0 || p->source.family == 4 || p->source.family == 6);
    INSIST(!p->local || (p->version == 2 && p->source.family == 0));
    check_inside(p->alpn, header);
    check_inside(p->authority, header);
    check_inside(p->unique_id, header);
    check_inside(p->tls.version, header);
    check_inside(p->tls.cipher, header);
    check_inside(p->tls.name, header);
    check_inside(p->tls.signature, header);
    check_inside(p->tls.key, header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { CUTS = 200 };
    struct span in = copy_of(span_of(data, size));
    struct proxyproto p, early;

    const enum err e = proxyproto_parse(in, &p);
    INSIST(e != ERR_MORE || in.n < PROXYPROTO_MAX);
    if (e == ERR_OK) {
        check_header(&p, in);
        check_build(&p);
    }
    for (size_t cut = 0, step = in.n / CUTS + 1; cut < in.n; cut += step) {
        struct span begin = copy_of(span_sub(in, 0, cut));
        const enum err sooner = proxyproto_parse(begin, &early);
        INSIST(sooner == ERR_MORE || sooner == e);
        INSIST(e != ERR_OK || (sooner == ERR_OK) == (cut >= p.len));
        free_copy(begin);
    }
    free_copy(in);
    return 0;
}
