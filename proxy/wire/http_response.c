#include "wire/http_response.h"

/* Takes a line of any bytes off the front of *rest, with its LF or CR LF. ERR_MORE: *line is an
 * unfinished line. */
static enum err take_loose_line(struct span *rest, struct span *line)
{
    const uint8_t *lf = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = lf != NULL ? (size_t)(lf - rest->p) : rest->n;

    *line = span_sub(*rest, 0, n > 0 && rest->p[n - 1] == '\r' ? n - 1 : n);
    if (lf == NULL)
        return ERR_MORE;
    *rest = span_from(*rest, n + 1);
    return ERR_OK;
}

struct http_status_line {
    struct http_version version;
    unsigned status;
};

/* Parses a status line (RFC 9112 4); the reason, and the space before it, may be missing
 * (PROTOCOL.md 2.1). */
static enum err parse_status_line(struct span line, struct http_status_line *out)
{
    enum err e = http_take_version(&line, &out->version);
    if (e != ERR_OK)
        return e;

    out->status = 0;
    for (size_t i = 0; i < sizeof(" 200") - 1; i++) {
        if (i == line.n)
            return ERR_MORE;
        if (i == 0 ? line.p[i] != ' ' : !ascii_is_digit(line.p[i]) || (i == 1 && line.p[i] == '0'))
            return ERR_SYNTAX;
        if (i > 0)
            out->status = out->status * 10 + (line.p[i] - (unsigned)'0');
    }
    line = span_from(line, sizeof(" 200") - 1);
    return line.n == 0 || line.p[0] == ' ' ? ERR_OK : ERR_SYNTAX;
}

static enum err parse_response(struct span in, struct http_response *out)
{
    struct span rest = in, line;
    struct http_status_line start = {0};

    enum err e = take_loose_line(&rest, &line);
    e = http_judge_line(e, parse_status_line(line, &start));
    if (e != ERR_OK)
        return e;
    if (start.version.major != 1)
        return ERR_VERSION;
    do {
        e = take_loose_line(&rest, &line);
        if (e != ERR_OK)
            return e;
    } while (line.n > 0);
    out->len = in.n - rest.n;
    out->status = start.status;
    return ERR_OK;
}

/* Parses one response, interim or not. */
static enum err parse_any(struct span in, struct http_response *out)
{
    *out = (struct http_response){0};
    enum err e = parse_response(span_sub(in, 0, HTTP_HEAD_MAX), out);
    return e == ERR_MORE && in.n >= HTTP_HEAD_MAX ? ERR_TOO_LARGE : e;
}

static bool is_interim(unsigned status)
{
    return status < 200 && status != 101;
}

enum err http_response_parse(struct span in, struct http_response *out)
{
    const struct span heads = span_sub(in, 0, HTTP_HEADS_MAX);
    size_t skipped = 0;

    for (unsigned n = 0; n <= HTTP_INTERIM_MAX; n++, skipped += out->len) {
        enum err e = parse_any(span_from(heads, skipped), out);
        if (e == ERR_MORE && heads.n == HTTP_HEADS_MAX)
            return ERR_TOO_LARGE;
        if (e != ERR_OK)
            return e;
        if (!is_interim(out->status)) {
            out->len += skipped;
            return ERR_OK;
        }
    }
    return ERR_TOO_LARGE;
}

static struct span trimmed(struct span s)
{
    while (s.n > 0 && ascii_is_blank(s.p[0]))
        s = span_from(s, 1);
    while (s.n > 0 && ascii_is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct span http_response_field(struct span heads, const char *name)
{
    const struct span wanted = span_str(name);
    struct span line, found = span_of(NULL, 0);

    while (take_loose_line(&heads, &line) == ERR_OK)
        if (line.n > wanted.n && line.p[wanted.n] == ':' &&
            span_eq_nocase(span_sub(line, 0, wanted.n), wanted))
            found = trimmed(span_from(line, wanted.n + 1));
    return found;
}
