#include "base/value.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/ascii.h"

/* RFC 1035 2.3.4: 253 bytes for a name, without the dot at its end. */
enum { NAME_MAX_LENGTH = 32, LABEL_MAX = 63, HOST_MAX = 253 };

static const struct unit {
    const char *name;
    uint32_t ms;
} units[] = {
    {"d", 24 * 3600 * 1000}, {"h", 3600 * 1000}, {"m", 60 * 1000}, {"s", 1000}, {"ms", 1},
};
enum { UNIT_COUNT = sizeof units / sizeof *units };

/* Reads digits up to the first other character, which *end points to. */
static enum err read_digits(const char *text, const char **end, uint32_t *out)
{
    uint64_t n = 0;
    const char *p = text;
    for (; ascii_is_digit(*p); p++) {
        n = n * 10 + (uint64_t)(*p - '0');
        if (n > UINT32_MAX)
            return ERR_RANGE;
    }
    *end = p;
    *out = (uint32_t)n;
    return p == text ? ERR_SYNTAX : ERR_OK;
}

enum err value_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
    const char *end;
    enum err e = read_digits(text, &end, out);
    if (e != ERR_OK)
        return e;
    if (*end != '\0')
        return ERR_SYNTAX;
    return *out < min || *out > max ? ERR_RANGE : ERR_OK;
}

enum err value_duration(const char *text, uint32_t *ms)
{
    const char *end;
    uint32_t n = 0;
    enum err e = read_digits(text, &end, &n);
    if (e != ERR_OK)
        return e;
    if (*end == '\0') {
        *ms = n;
        return n == 0 ? ERR_OK : ERR_MISSING;
    }
    for (size_t i = 0; i < UNIT_COUNT; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        uint64_t all = (uint64_t)n * units[i].ms;
        *ms = (uint32_t)all;
        return all > VALUE_DURATION_MAX ? ERR_RANGE : ERR_OK;
    }
    return ERR_SYNTAX;
}

void value_duration_format(uint32_t ms, char out[VALUE_DURATION_SIZE])
{
    size_t i = 0;
    while (i < UNIT_COUNT - 1 && (ms < units[i].ms || ms % units[i].ms != 0))
        i++;
    snprintf(out, VALUE_DURATION_SIZE, "%u%s", (unsigned)(ms / units[i].ms), units[i].name);
}

/* The units of a rate. */
static const struct unit rate_units[] = {{"s", 1000}, {"m", 60 * 1000}, {"h", 3600 * 1000}};
enum { RATE_UNIT_COUNT = sizeof rate_units / sizeof *rate_units };

enum err value_rate(const char *text, uint32_t *count, uint32_t *per_ms)
{
    const char *end;
    uint32_t n = 0;
    enum err e = read_digits(text, &end, &n);
    if (e != ERR_OK)
        return e;
    *count = n;
    *per_ms = 0;
    if (*end == '\0')
        return n == 0 ? ERR_OK : ERR_MISSING;
    for (size_t i = 0; *end == '/' && i < RATE_UNIT_COUNT; i++) {
        if (strcmp(end + 1, rate_units[i].name) != 0)
            continue;
        *per_ms = rate_units[i].ms;
        return n == 0 || n > VALUE_RATE_MAX ? ERR_RANGE : ERR_OK;
    }
    return ERR_SYNTAX;
}

void value_rate_format(uint32_t count, uint32_t per_ms, char out[VALUE_RATE_SIZE])
{
    size_t i = 0;
    while (i < RATE_UNIT_COUNT - 1 && per_ms != rate_units[i].ms)
        i++;
    snprintf(out, VALUE_RATE_SIZE, "%u/%s", (unsigned)count, rate_units[i].name);
}

enum err value_hex(const char *text, uint8_t *out, size_t cap, size_t *n)
{
    *n = 0;
    do {
        if (*n > 0 && (*text == ':' || *text == ' '))
            text++;
        int high = ascii_hex_digit(text[0]);
        int low = high < 0 ? -1 : ascii_hex_digit(text[1]);
        if (low < 0)
            return ERR_SYNTAX;
        if (*n == cap)
            return ERR_TOO_LARGE;
        out[(*n)++] = (uint8_t)(high << 4 | low);
        text += 2;
    } while (*text != '\0');
    return ERR_OK;
}

/* Returns whether text is letters, digits, '-' and '_' (which occurs in names of Windows machines)
 * in labels. The last label is not a number, since such a name is a mistyped address (RFC 3696 2).
 */
static bool is_dns_name(const char *text)
{
    bool number = true;
    if (strlen(text) > HOST_MAX)
        return false;
    for (;;) {
        size_t n = strcspn(text, ".");
        if (n == 0 || n > LABEL_MAX || text[0] == '-' || text[n - 1] == '-')
            return false;
        number = true;
        for (size_t i = 0; i < n; i++) {
            if (!ascii_is_letter(text[i]) && !ascii_is_digit(text[i]) && text[i] != '-' &&
                text[i] != '_')
                return false;
            number = number && ascii_is_digit(text[i]);
        }
        if (text[n] == '\0')
            return !number;
        text += n + 1;
    }
}

/* Returns whether text, without brackets, is an IPv6 address, perhaps with a zone. */
static bool is_ip6(const char *text)
{
    char bracketed[VALUE_HOST_SIZE + 2];
    struct addr a;
    snprintf(bracketed, sizeof bracketed, "[%s]", text);
    return strchr(text, ']') == NULL && addr_parse(bracketed, 0, &a) == ERR_OK;
}

enum err value_host(const char *text, char out[VALUE_HOST_SIZE], bool *is_address)
{
    struct in_addr ip;
    size_t n = strlen(text);
    bool brackets = n >= 2 && text[0] == '[' && text[n - 1] == ']';

    if (brackets) {
        text++;
        n -= 2;
    }
    if (n > HOST_MAX)
        return ERR_TOO_LARGE;
    if (n > 1 && text[n - 1] == '.' && !brackets)
        n--;
    memcpy(out, text, n);
    out[n] = '\0';
    *is_address = is_ip6(out) || (!brackets && inet_pton(AF_INET, out, &ip) == 1);
    return *is_address || (!brackets && is_dns_name(out)) ? ERR_OK : ERR_SYNTAX;
}

enum err value_host_port(const char *text, char out[VALUE_HOST_SIZE], uint16_t *port)
{
    char host[VALUE_HOST_SIZE];
    bool is_address;
    uint32_t number = 0;
    const char *colon = strrchr(text, ':');

    if (text[0] == '[') {
        const char *close = strchr(text, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':'))
            return ERR_SYNTAX;
        colon = close[1] == ':' ? close + 1 : NULL;
    } else if (colon != NULL && strchr(text, ':') != colon) {
        return ERR_SYNTAX; /* "::1": the beginning of the port would be a guess */
    }
    size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
    if (n >= sizeof host)
        return ERR_TOO_LARGE;
    memcpy(host, text, n);
    host[n] = '\0';
    enum err e = value_host(host, out, &is_address);
    if (e == ERR_OK && !is_address && n > 0 && host[n - 1] == '.')
        memcpy(out, host, n + 1); /* with the dot, but without brackets: a name */
    if (e == ERR_OK && colon != NULL)
        e = value_number(colon + 1, 1, UINT16_MAX, &number);
    *port = (uint16_t)number;
    return e;
}

bool value_is_name(const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++)
        if (!ascii_is_letter(text[i]) && !ascii_is_digit(text[i]) && strchr("_.-", text[i]) == NULL)
            return false;
    return n >= 1 && n <= NAME_MAX_LENGTH;
}

static bool is_control(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f;
}

/* Refuses, among others, a blank before ';' or '#', because it begins a comment. */
bool value_is_writable(const char *text)
{
    const size_t n = strlen(text);

    if (n == 0 || n > VALUE_TEXT_MAX || ascii_is_blank(text[0]) || ascii_is_blank(text[n - 1]) ||
        strchr("\"'#;", text[0]) != NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        if (is_control(text[i]) ||
            (ascii_is_blank(text[i]) && (text[i + 1] == ';' || text[i + 1] == '#')))
            return false;
    return true;
}
