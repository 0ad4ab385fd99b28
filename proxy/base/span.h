/* span: a view of bytes that belong to the caller, and a cursor that reads them without running
 * past the end. Nothing here allocates or copies. Numbers are in network byte order unless a name
 * says otherwise. */
#ifndef SSTPGATE_BASE_SPAN_H
#define SSTPGATE_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/ascii.h"

struct span {
    const uint8_t *p;
    size_t n; /* bytes */
};

static inline struct span span_of(const void *p, size_t n)
{
    return (struct span){.p = (const uint8_t *)p, .n = n};
}

static inline struct span span_str(const char *text)
{
    return span_of(text, strlen(text));
}

/* Returns the part of s from byte `from`, `n` bytes long, cut at the end of s. */
static inline struct span span_sub(struct span s, size_t from, size_t n)
{
    if (from > s.n)
        from = s.n;
    if (n > s.n - from)
        n = s.n - from;
    return span_of(s.p == NULL ? NULL : s.p + from, n);
}

static inline struct span span_from(struct span s, size_t from)
{
    return span_sub(s, from, s.n);
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Compares as span_eq does, but ignores the case of the 26 ASCII letters, the same in every
 * locale. */
static inline bool span_eq_nocase(struct span a, struct span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

/* The cursor. A read past the end returns zeros and sets `short_`, which remains set, so that a
 * parser can read a whole structure and check once. */
struct cursor {
    struct span rest;
    bool short_;
};

static inline struct cursor cursor_of(struct span s)
{
    return (struct cursor){.rest = s, .short_ = false};
}

static inline struct span cursor_take(struct cursor *c, size_t n)
{
    if (n > c->rest.n) {
        c->short_ = true;
        n = 0;
    }
    struct span out = span_of(c->rest.p, n);
    if (n > 0)
        c->rest = span_of(c->rest.p + n, c->rest.n - n);
    return out;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    struct span s = cursor_take(c, 1);
    return s.n == 1 ? s.p[0] : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    struct span s = cursor_take(c, 2);
    return s.n == 2 ? (uint16_t)((unsigned)s.p[0] << 8 | s.p[1]) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    uint32_t high = cursor_u16(c);
    return high << 16 | cursor_u16(c);
}

#endif
