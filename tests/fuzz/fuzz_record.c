/* The first byte of the input selects a suite, the second what the others are: received bytes, or
 * the inside of a record that the right key seals, as it is or with a changed bit. Both libraries
 * of ciphers open it, with the same result. */
#include <stdlib.h>

#include "base/insist.h"
#include "tls/aead.h"
#include "tls/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint16_t suites[] = {0x1301, 0x1302, 0x1303, 0x009c, 0xc030, 0xcca8};
enum { SUITES = sizeof suites / sizeof *suites };

static const uint8_t material[48] = "the secret of this target, which has 48 bytes:..";

static struct record_side *side_of(uint16_t suite)
{
    if (suite >> 8 != 0x13)
        return record_side_12(suite, span_of(material, record_key_size(suite)),
                              span_of(material + 32, record_iv_size(suite)), 9);
    return record_side_13(suite, span_of(material, suite == 0x1302 ? 48 : 32), 9);
}

struct result {
    enum record_verdict verdict;
    enum record_type type;
    size_t n, used;
    uint8_t out[RECORD_SEALED_MAX];
};

static struct result results[2];

/* Opens a record with one library, in a block of exactly its size, and in place, too. */
static void open_with(enum aead_library library, uint16_t suite, struct span in, struct result *r)
{
    uint8_t *copy = insist_alloc(malloc(in.n > 0 ? in.n : 1));
    enum record_type type = RECORD_CCS;
    size_t n, used;

    INSIST(aead_use(library));
    if (in.n > 0)
        memcpy(copy, in.p, in.n);
    struct record_side *s = side_of(suite), *again = side_of(suite);
    r->type = RECORD_CCS;
    memset(r->out, 0, sizeof r->out);
    r->verdict = record_open(s, span_of(copy, in.n), r->out, &r->n, &r->type, &r->used);
    INSIST(in.n == 0 || memcmp(copy, in.p, in.n) == 0);
    INSIST(record_seq(s) == (r->verdict == RECORD_OK ? 10 : 9));
    const size_t gap = record_gap(again);
    if (in.n >= gap) {
        const enum record_verdict v =
            record_open(again, span_of(copy, in.n), copy + gap, &n, &type, &used);
        INSIST(v == r->verdict && n == r->n && used == r->used);
        INSIST(v != RECORD_OK || (type == r->type && memcmp(copy + gap, r->out, n) == 0));
        if (v == RECORD_OK && in.n > used)
            INSIST(memcmp(copy + used, in.p + used, in.n - used) == 0);
    }
    record_side_free(s);
    record_side_free(again);
    free(copy);
}

static void check_sane(const struct result *r, struct span in)
{
    switch (r->verdict) {
    case RECORD_OK:
        INSIST(r->used <= in.n && r->used >= RECORD_HEAD + AEAD_TAG);
        INSIST(r->n <= RECORD_PLAIN_MAX && r->n <= r->used - RECORD_HEAD - AEAD_TAG);
        INSIST(r->type >= RECORD_CCS && r->type <= RECORD_DATA);
        break;
    case RECORD_MORE:
        INSIST(in.n < RECORD_HEAD ? r->used == 0 : r->used > in.n);
        INSIST(r->used <= RECORD_HEAD + RECORD_SEALED_MAX);
        INSIST(r->n == 0);
        break;
    default: INSIST(r->used == 0 && r->n == 0);
    }
    if (r->verdict == RECORD_BAD_MAC)
        for (size_t i = 0; i < sizeof r->out; i++)
            INSIST(r->out[i] == 0);
}

static const struct result *open_both(uint16_t suite, struct span in)
{
    open_with(AEAD_EVP, suite, in, &results[0]);
    check_sane(&results[0], in);
    if (aead_use(AEAD_MB)) {
        open_with(AEAD_MB, suite, in, &results[1]);
        INSIST(results[0].verdict == results[1].verdict && results[0].type == results[1].type);
        INSIST(results[0].n == results[1].n && results[0].used == results[1].used);
        INSIST(memcmp(results[0].out, results[1].out, sizeof results[0].out) == 0);
    }
    return &results[0];
}

/* Received bytes. Less of them is incomplete, or refused for the same reason. */
static void check_received(uint16_t suite, struct span in)
{
    const enum record_verdict whole = open_both(suite, in)->verdict;
    const size_t cuts[] = {0, 1, 4, 5, 6, in.n / 2, in.n - (in.n > 0)};

    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        const enum record_verdict v = open_both(suite, span_sub(in, 0, cuts[i]))->verdict;
        INSIST(v == RECORD_MORE || v == whole);
    }
}

/* Seals the bytes, the last of which is the type, with any type and any zeros before it. */
static struct span seal_inside(uint16_t suite, struct span inside, uint8_t *out)
{
    struct record_side *s = side_of(suite);
    const size_t n = record_seal(s, (enum record_type)inside.p[inside.n - 1],
                                 span_sub(inside, 0, inside.n - 1), out);

    record_side_free(s);
    return span_of(out, n);
}

static void check_inside(uint16_t suite, struct span inside, struct span record)
{
    const struct result *r = open_both(suite, record);
    size_t n = inside.n - 1;

    if (suite >> 8 == 0x13)
        while (n > 0 && inside.p[n] == 0)
            n--;
    const uint8_t type = inside.p[n];
    const bool good = suite >> 8 != 0x13 ? type >= 20 && type <= 23
                                         : type == 23 || (n > 0 && (type == 21 || type == 22));
    INSIST(r->verdict == (good ? RECORD_OK : RECORD_UNEXPECTED));
    INSIST(!good || (r->type == type && r->n == n && memcmp(r->out, inside.p, n) == 0));
}

/* A changed bit of the record: never opened. */
static void check_changed(uint16_t suite, struct span record, size_t bit)
{
    uint8_t *changed = (uint8_t *)(uintptr_t)record.p;

    bit %= record.n * 8;
    changed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    INSIST(open_both(suite, record)->verdict != RECORD_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t record[RECORD_PLAIN_MAX + RECORD_OVERHEAD];

    if (size < 2)
        return 0;
    const uint16_t suite = suites[data[0] % SUITES];
    const struct span rest = span_of(data + 2, size - 2);
    if (data[1] % 3 == 0) {
        check_received(suite, rest);
    } else if (rest.n > 3 && rest.n <= RECORD_PLAIN_MAX) {
        const struct span inside = span_from(rest, 2);
        const struct span sealed = seal_inside(suite, inside, record);
        if (data[1] % 3 == 1)
            check_inside(suite, inside, sealed);
        else
            check_changed(suite, sealed, (size_t)rest.p[0] << 8 | rest.p[1]);
    }
    return 0;
}
