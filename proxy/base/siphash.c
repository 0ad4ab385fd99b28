#include "base/siphash.h"

/* Section numbers are those of "SipHash: a fast short-input PRF", 2012. */

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void rounds(struct state *s, unsigned count)
{
    while (count-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = rotate(s->v1, 13) ^ s->v0;
        s->v3 = rotate(s->v3, 16) ^ s->v2;
        s->v0 = rotate(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = rotate(s->v1, 17) ^ s->v2;
        s->v3 = rotate(s->v3, 21) ^ s->v0;
        s->v2 = rotate(s->v2, 32);
    }
}

static void compress(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    rounds(s, 2);
    s->v0 ^= word;
}

uint64_t siphash(const struct siphash_key *key, const void *octets, size_t n)
{
    const uint8_t *p = octets;
    uint64_t word = 0;
    struct state s = {/* 2.1: "somepseudorandomlygeneratedbytes" */
                      .v0 = key->k0 ^ 0x736f6d6570736575,
                      .v1 = key->k1 ^ 0x646f72616e646f6d,
                      .v2 = key->k0 ^ 0x6c7967656e657261,
                      .v3 = key->k1 ^ 0x7465646279746573};

    for (size_t i = 0; i < n; i++) {
        word |= (uint64_t)p[i] << 8 * (i % 8);
        if (i % 8 == 7) {
            compress(&s, word);
            word = 0;
        }
    }
    compress(&s, word | (uint64_t)n << 56); /* 2.2: the remaining bytes, and n mod 256 above them */
    s.v2 ^= 0xff;
    rounds(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
