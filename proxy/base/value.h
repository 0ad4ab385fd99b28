/* value: parses the words of a configuration file. Pure functions of the text; the caller writes
 * the messages about errors. */
#ifndef SSTPGATE_BASE_VALUE_H
#define SSTPGATE_BASE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    VALUE_TEXT_MAX = 1024,                       /* the longest value of a key, in bytes */
    VALUE_HOST_SIZE = 256,                       /* a host and its NUL always fit */
    VALUE_DURATION_MAX = 30 * 24 * 3600 * 1000u, /* 30 days in milliseconds */
    VALUE_DURATION_SIZE = 16,
    VALUE_RATE_MAX = 1000000,
    VALUE_RATE_SIZE = 16,
};

/* Parses decimal digits. ERR_RANGE: outside of min..max. */
enum err value_number(const char *text, uint32_t min, uint32_t max, uint32_t *out) MUST_CHECK;

/* Parses a number with one of the units ms, s, m, h, d, or "0". ERR_MISSING: another number without
 * a unit. ERR_RANGE: more than VALUE_DURATION_MAX. */
enum err value_duration(const char *text, uint32_t *ms) MUST_CHECK;

/* Writes the shortest text that value_duration() reads as ms. */
void value_duration_format(uint32_t ms, char out[VALUE_DURATION_SIZE]);

/* Parses a rate: "20/s", "100/m" or "5/h" (per second, minute or hour), or "0", for which *per_ms
 * is 0, too. ERR_MISSING: another number without a unit. ERR_RANGE: more than VALUE_RATE_MAX, or 0
 * with a unit. */
enum err value_rate(const char *text, uint32_t *count, uint32_t *per_ms) MUST_CHECK;

/* Writes the text that value_rate() reads as this rate. per_ms: a value that value_rate()
 * returns. */
void value_rate_format(uint32_t count, uint32_t per_ms, char out[VALUE_RATE_SIZE]);

/* Parses pairs of hexadecimal digits, with or without single colons or, as Windows shows them,
 * single blanks between them. ERR_TOO_LARGE: more than cap bytes. */
enum err value_hex(const char *text, uint8_t *out, size_t cap, size_t *n) MUST_CHECK;

/* Parses a DNS name, an IPv4 address, or an IPv6 address with or without brackets; out has none,
 * and no dot at the end of a name. Wildcards, ports and invalid addresses ("10.0.0.256") are an
 * ERR_SYNTAX. */
enum err value_host(const char *text, char out[VALUE_HOST_SIZE], bool *is_address) MUST_CHECK;

/* Parses a host as value_host() does, with or without ":port"; *port is 0 if the text has no port.
 * IPv6 needs its brackets. A port outside of 1..65535 is an ERR_RANGE. A dot at the end of a name
 * stays in out: the resolver then ignores its search list. */
enum err value_host_port(const char *text, char out[VALUE_HOST_SIZE], uint16_t *port) MUST_CHECK;

/* Returns whether text can be the name of a listener or a backend: 1..32 letters, digits, '_', '.'
 * and '-'. */
bool value_is_name(const char *text);

/* Returns whether a configuration file can hold text as the value of a key, which is then read as
 * exactly this text. */
bool value_is_writable(const char *text);

#endif
