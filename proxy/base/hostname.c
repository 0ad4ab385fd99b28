#include "base/hostname.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/fold.h"

/* ---- normal form ---- */

/* Returns whether text is empty, or a colon and digits. */
static bool is_port(struct span text)
{
    for (size_t i = 1; i < text.n; i++)
        if (!ascii_is_digit(text.p[i]))
            return false;
    return text.n == 0 || text.p[0] == ':';
}

/* Returns name without brackets and port. A name with two colons has no port, so it remains
 * unchanged. */
static struct span without_port(struct span name)
{
    const uint8_t *close = name.n > 0 && name.p[0] == '[' ? memchr(name.p, ']', name.n) : NULL;

    if (close != NULL && is_port(span_from(name, (size_t)(close - name.p) + 1)))
        return span_sub(name, 1, (size_t)(close - name.p) - 1);
    const uint8_t *colon = name.n > 0 ? memchr(name.p, ':', name.n) : NULL;
    const size_t n = colon != NULL ? (size_t)(colon - name.p) : name.n;
    return is_port(span_from(name, n)) ? span_sub(name, 0, n) : name;
}

/* Writes an IPv6 address in its normal form. False: name is not one. */
static bool normal_ip6(struct span name, char out[HOSTNAME_SIZE])
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr ip;
    const uint8_t *zone = name.n > 0 ? memchr(name.p, '%', name.n) : NULL;

    if (zone != NULL)
        name.n = (size_t)(zone - name.p);
    if (name.n == 0 || name.n >= sizeof text)
        return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    if (strlen(text) != name.n || inet_pton(AF_INET6, text, &ip) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&ip))
        return inet_ntop(AF_INET, ip.s6_addr + 12, out, HOSTNAME_SIZE) != NULL;
    return inet_ntop(AF_INET6, &ip, out, HOSTNAME_SIZE) != NULL;
}

static bool ends_with_dot(struct span name)
{
    return name.n > 1 && name.p[name.n - 1] == '.' && name.p[name.n - 2] != '.';
}

bool hostname_normal(struct span name, char out[HOSTNAME_SIZE])
{
    if (normal_ip6(name, out))
        return true;
    name = without_port(name);
    if (normal_ip6(name, out))
        return true;
    if (ends_with_dot(name)) /* the same name (RFC 1034 3.1) */
        name.n--;
    if (name.n == 0 || name.n >= HOSTNAME_SIZE)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (!ascii_is_visible(name.p[i]))
            return false;
        out[i] = (char)ascii_lower(name.p[i]);
    }
    out[name.n] = '\0';
    return true;
}

bool hostname_equal(struct span a, struct span b)
{
    char x[HOSTNAME_SIZE], y[HOSTNAME_SIZE];

    return hostname_normal(a, x) && hostname_normal(b, y) && strcmp(x, y) == 0;
}

bool hostname_matches(const char *pattern, struct span name)
{
    char end[HOSTNAME_SIZE], whole[HOSTNAME_SIZE];

    if (pattern[0] != '*' || pattern[1] != '.')
        return hostname_equal(span_str(pattern), name);
    if (!hostname_normal(span_str(pattern + 2), end) || !hostname_normal(name, whole))
        return false;
    const size_t n = strlen(end), all = strlen(whole);
    return all > n + 1 && whole[all - n - 1] == '.' && strcmp(whole + all - n, end) == 0;
}

bool hostname_is_address(const char *text)
{
    char out[HOSTNAME_SIZE];
    struct in_addr ip;

    return inet_pton(AF_INET, text, &ip) == 1 || normal_ip6(span_str(text), out);
}

/* ---- letters beyond ASCII ---- */

/* Parameters of RFC 3492 5. */
enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 128 };

static unsigned adapt(unsigned delta, unsigned points, bool first)
{
    unsigned k = 0;

    delta = first ? delta / DAMP : delta / 2;
    for (delta += delta / points; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
        delta /= BASE - T_MIN;
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static char digit(unsigned d)
{
    return (char)(d < 26 ? 'a' + d : '0' + (d - 26));
}

/* Writes a number of variable length (RFC 3492 3.3). */
static void put_number(FILE *out, unsigned q, unsigned bias)
{
    for (unsigned k = BASE;; k += BASE) {
        const unsigned t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
        if (q < t)
            break;
        fputc(digit(t + (q - t) % (BASE - t)), out);
        q = (q - t) / (BASE - t);
    }
    fputc(digit(q), out);
}

static uint32_t smallest_from(const uint32_t *label, size_t n, uint32_t from)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < n; i++)
        if (label[i] >= from && label[i] < least)
            least = label[i];
    return least;
}

/* Writes a label in Punycode (RFC 3492 6.3). n: at most 63, so no number overflows. */
static void put_label(FILE *out, const uint32_t *label, size_t n)
{
    unsigned basic = 0, delta = 0, bias = BIAS;
    uint32_t next = FIRST;

    for (size_t i = 0; i < n; i++)
        if (label[i] < FIRST)
            basic++;
    fputs(basic < n ? "xn--" : "", out);
    for (size_t i = 0; i < n; i++)
        if (label[i] < FIRST)
            fputc((int)label[i], out);
    fputs(basic > 0 && basic < n ? "-" : "", out);
    for (unsigned done = basic; done < n; next++, delta++) {
        const uint32_t least = smallest_from(label, n, next);
        delta += (least - next) * (done + 1);
        next = least;
        for (size_t i = 0; i < n; i++) {
            delta += label[i] < next;
            if (label[i] != next)
                continue;
            put_number(out, delta, bias);
            bias = adapt(delta, done + 1, done == basic);
            delta = 0;
            done++;
        }
    }
}

/* Reads the characters up to a dot or a colon, without regard to their case. Returns their number;
 * 0: none, too many, or not UTF-8. */
static size_t take_label(struct span *rest, uint32_t label[63])
{
    size_t n = 0, len;

    for (; rest->n > 0 && rest->p[0] != '.' && rest->p[0] != ':'; *rest = span_from(*rest, len)) {
        uint8_t folded[6];
        size_t ignored;
        const int32_t c = fold_decode(*rest, &len);
        if (c < 0 || n == 63)
            return 0;
        const size_t m = fold_case(span_sub(*rest, 0, len), folded);
        label[n++] = (uint32_t)fold_decode(span_of(folded, m), &ignored);
    }
    return n;
}

static bool has_more_than_ascii(const char *text)
{
    while (*text != '\0')
        if ((uint8_t)*text++ >= 0x80)
            return true;
    return false;
}

bool hostname_ascii(const char *text, char out[HOSTNAME_ASCII_SIZE])
{
    struct span rest = span_str(text);
    FILE *f = has_more_than_ascii(text) ? fmemopen(out, HOSTNAME_ASCII_SIZE, "w") : NULL;
    uint32_t label[63];
    size_t n = 0;

    if (f == NULL)
        return false;
    do {
        n = take_label(&rest, label);
        put_label(f, label, n);
        if (rest.n > 0 && n > 0)
            fputc(rest.p[0], f);
        rest = span_from(rest, n > 0);
    } while (rest.n > 0 && n > 0);
    const bool good = n > 0 && rest.n == 0 && !ferror(f) && ftell(f) < HOSTNAME_ASCII_SIZE;
    return fclose(f) == 0 && good;
}
