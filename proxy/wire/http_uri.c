#include "wire/http_uri.h"

#include "base/ascii.h"

struct span http_split(struct span s, char mark, struct span *after)
{
    const uint8_t *at = s.n > 0 ? memchr(s.p, mark, s.n) : NULL;
    size_t n = at != NULL ? (size_t)(at - s.p) : s.n;

    *after = span_from(s, n + (at != NULL));
    return span_sub(s, 0, n);
}

/* ---- escapes ---- */

int http_escaped(struct span s, size_t i)
{
    if (s.p[i] != '%' || s.n - i <= 2)
        return -1;
    const int high = ascii_hex_digit(s.p[i + 1]), low = ascii_hex_digit(s.p[i + 2]);
    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

size_t http_unescape(struct span s, uint8_t *out)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        const int octet = http_escaped(s, i);
        out[n++] = octet < 0 ? s.p[i] : (uint8_t)octet;
        if (octet >= 0)
            i += 2;
    }
    return n;
}

/* ---- path ---- */

enum err http_path_match(struct span path)
{
    const struct span want = span_str(HTTP_SSTP_PATH);
    size_t n = 0;

    if (path.n > 0 && path.p[0] != '/')
        return ERR_SYNTAX;
    for (size_t i = 0; i < path.n; n++) {
        const bool escape = path.p[i] == '%';
        if (n == want.n)
            return ERR_SYNTAX;
        if (escape && path.n - i <= 2)
            return ERR_MORE;
        const int octet = escape ? http_escaped(path, i) : path.p[i];
        if (octet < 0 || ascii_lower((uint8_t)octet) != ascii_lower(want.p[n]))
            return ERR_SYNTAX;
        i += escape ? 3 : 1;
    }
    return n == want.n ? ERR_OK : ERR_MORE;
}

/* ---- tenant ---- */

/* tenantid is the only variable that SSTP defines ([MS-SSTP] 3.2.4.1). */
struct span http_tenant_find(struct span query)
{
    while (query.n > 0) {
        struct span value;
        struct span key = http_split(http_split(query, '&', &query), '=', &value);
        if (span_eq_nocase(key, span_str("tenantid")))
            return value;
    }
    return span_of(NULL, 0);
}

static bool is_tenant_char(uint8_t c)
{
    return ascii_is_letter(c) || ascii_is_digit(c) ||
           (c != 0 && strchr("-._~!$'()*+,;=:@/?%{}", c) != NULL);
}

static bool escapes_are_plain(struct span value)
{
    for (size_t i = 0; i < value.n; i++) {
        const int octet = value.p[i] == '%' ? http_escaped(value, i) : 'x';
        if (octet < ' ' || octet == 0x7f)
            return false;
    }
    return true;
}

bool http_tenant_is_plain(struct span tenant)
{
    for (size_t i = 0; i < tenant.n; i++)
        if (!is_tenant_char(tenant.p[i]))
            return false;
    return tenant.n <= HTTP_TENANT_MAX && escapes_are_plain(tenant);
}
