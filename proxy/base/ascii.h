/* ascii: classes of ASCII characters, the same in every locale. The argument may be a char or a
 * byte; other values, such as EOF, are in no class. Inline and without any state, so that parsers
 * may use it. */
#ifndef SSTPGATE_BASE_ASCII_H
#define SSTPGATE_BASE_ASCII_H

#include <stdbool.h>
#include <stdint.h>

static inline bool ascii_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Returns whether c is a space or a tab. */
static inline bool ascii_is_blank(int c)
{
    return c == ' ' || c == '\t';
}

/* Returns whether c is a space, tab, line feed, vertical tab, form feed or carriage return. */
static inline bool ascii_is_space(int c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Returns whether c is a character from '!' to '~'. */
static inline bool ascii_is_visible(int c)
{
    return c > ' ' && c < 0x7f;
}

/* Returns the value of a hexadecimal digit; -1: c is not one. */
static inline int ascii_hex_digit(int c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static inline uint8_t ascii_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

#endif
