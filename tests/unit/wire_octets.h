/* wire_octets: octets for the tests of proxy/wire, from hex or text, in blocks of exactly their
 * size so that a sanitizer detects a read past the end. Include it after cmocka.h. */
#ifndef SSTPGATE_TESTS_WIRE_OCTETS_H
#define SSTPGATE_TESTS_WIRE_OCTETS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

static inline struct span octets_copy(struct span s)
{
    uint8_t *p = malloc(s.n > 0 ? s.n : 1);

    assert_non_null(p);
    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return span_of(p, s.n);
}

/* Converts lower-case hex; ignores spaces, and copies text between single quotes as it is. */
static inline struct span octets_hex(const char *text)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *p = calloc(1, strlen(text) + 1);
    size_t halves = 0;
    bool quoted = false;

    assert_non_null(p);
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            quoted = !quoted;
        } else if (quoted) {
            p[halves / 2] = (uint8_t)*text;
            halves += 2;
        } else if (*text != ' ') {
            const char *at = strchr(digits, *text);
            assert_non_null(at);
            p[halves / 2] = (uint8_t)(p[halves / 2] << 4 | (at - digits));
            halves++;
        }
    }
    assert_int_equal(halves % 2, 0);
    struct span out = octets_copy(span_of(p, halves / 2));
    free(p);
    return out;
}

static inline void octets_free(struct span s)
{
    free((void *)(uintptr_t)s.p);
}

#define assert_octets(s, text)                                                                     \
    do {                                                                                           \
        struct span want_ = octets_hex(text);                                                      \
        assert_int_equal((s).n, want_.n);                                                          \
        assert_memory_equal((s).p, want_.p, want_.n);                                              \
        octets_free(want_);                                                                        \
    } while (0)

#endif
