#include "gate/state_text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static const char first_line[] = "sstpgate-handover ";
enum { VERSION = 1 };

/* ---- writing ---- */

void state_text_begin(FILE *out)
{
    fprintf(out, "%s%d\n", first_line, VERSION);
}

static void print_span(FILE *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        fputc(s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i], out);
}

static void print_server(FILE *out, const struct state_item *i)
{
    fputs("server\t", out);
    print_span(out, i->server.backend);
    fputc('\t', out);
    print_span(out, i->server.host);
    fprintf(out, "\t%u\t%s\t%s\t%" PRIu64 "\t", (unsigned)i->server.port,
            i->server.up ? "up" : "down", i->server.draining ? "drain" : "ready",
            i->server.changed_ms);
    print_span(out, i->server.cause);
}

static void print_points(FILE *out, const struct state_item *i)
{
    char text[ADDR_TEXT_MAX];

    fprintf(out, "points\t%s\t%" PRIu64 "\t%" PRIu64, cidr_format(&i->points.net, text),
            i->points.slot_ms, i->points.points.newest);
    for (unsigned k = 0; k < POINTS_SLOTS; k++)
        fprintf(out, "\t%u", (unsigned)i->points.points.in[k]);
}

void state_text_print(FILE *out, const struct state_item *i)
{
    char text[ADDR_TEXT_MAX];

    switch (i->kind) {
    case STATE_NUMBERS: fprintf(out, "numbers\t%" PRIu64, i->numbers); break;
    case STATE_SOCKET:
        fprintf(out, "socket\t%s\t%s\t", addr_format(&i->socket.want, text),
                i->socket.shared ? "shared" : "own");
        print_span(out, i->socket.names);
        break;
    case STATE_BAN:
        fputs("ban\t", out);
        print_span(out, i->ban);
        break;
    case STATE_POINTS: print_points(out, i); break;
    case STATE_SERVER: print_server(out, i); break;
    }
    fputc('\n', out);
}

/* ---- reading ---- */

/* Takes a field, up to the next tab or the end of the line. */
static struct span field(struct span *line)
{
    const uint8_t *tab = line->n == 0 ? NULL : memchr(line->p, '\t', line->n);
    const struct span one = span_sub(*line, 0, tab == NULL ? line->n : (size_t)(tab - line->p));

    *line = span_from(*line, one.n + 1);
    return one;
}

static bool field_text(struct span *line, char out[ADDR_TEXT_MAX])
{
    const struct span s = field(line);

    if (s.n == 0 || s.n >= ADDR_TEXT_MAX || memchr(s.p, '\0', s.n) != NULL)
        return false;
    memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

static bool field_number(struct span *line, uint64_t max, uint64_t *out)
{
    const struct span s = field(line);

    *out = 0;
    for (size_t i = 0; i < s.n; i++) {
        const unsigned digit = s.p[i] - (unsigned)'0';
        if (digit > 9 || *out > (max - digit) / 10)
            return false;
        *out = *out * 10 + digit;
    }
    return s.n > 0;
}

/* Reads one of two words. */
static bool field_word(struct span *line, const char *yes, const char *no, bool *out)
{
    const struct span s = field(line);

    *out = span_eq(s, span_str(yes));
    return *out || span_eq(s, span_str(no));
}

static bool read_numbers(struct span line, struct state_item *i)
{
    return field_number(&line, UINT64_MAX, &i->numbers);
}

static bool read_socket(struct span line, struct state_item *i)
{
    char text[ADDR_TEXT_MAX];

    if (!field_text(&line, text) || addr_parse(text, 0, &i->socket.want) != ERR_OK ||
        !field_word(&line, "shared", "own", &i->socket.shared))
        return false;
    i->socket.names = field(&line);
    return i->socket.names.n > 0;
}

static bool read_ban(struct span line, struct state_item *i)
{
    i->ban = line;
    return line.n > 0;
}

static bool read_points(struct span line, struct state_item *i)
{
    char text[ADDR_TEXT_MAX];
    uint64_t points;

    if (!field_text(&line, text) || cidr_parse(text, &i->points.net) != ERR_OK ||
        !field_number(&line, UINT64_MAX, &i->points.slot_ms) ||
        !field_number(&line, UINT64_MAX, &i->points.points.newest))
        return false;
    for (unsigned k = 0; k < POINTS_SLOTS; k++) {
        if (!field_number(&line, UINT16_MAX, &points))
            return false;
        i->points.points.in[k] = (uint16_t)points;
    }
    return true;
}

static bool read_server(struct span line, struct state_item *i)
{
    uint64_t port;

    i->server.backend = field(&line);
    i->server.host = field(&line);
    if (!field_number(&line, UINT16_MAX, &port) ||
        !field_word(&line, "up", "down", &i->server.up) ||
        !field_word(&line, "drain", "ready", &i->server.draining) ||
        !field_number(&line, UINT64_MAX, &i->server.changed_ms))
        return false;
    i->server.port = (uint16_t)port;
    i->server.cause = field(&line);
    return i->server.backend.n > 0 && i->server.host.n > 0;
}

static const struct {
    const char *word;
    bool (*read)(struct span line, struct state_item *i);
} words[] = {
    [STATE_NUMBERS] = {"numbers", read_numbers},
    [STATE_SOCKET] = {"socket", read_socket},
    [STATE_BAN] = {"ban", read_ban},
    [STATE_POINTS] = {"points", read_points},
    [STATE_SERVER] = {"server", read_server},
};

static bool read_item(struct span line, struct state_item *out)
{
    const struct span word = field(&line);

    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (span_eq(word, span_str(words[k].word))) {
            *out = (struct state_item){.kind = (enum state_kind)k};
            return words[k].read(line, out);
        }
    return false;
}

bool state_text_check(struct span *text)
{
    const size_t n = sizeof first_line - 1;
    struct span line;

    return text_take_line(text, &line) && line.n > n && memcmp(line.p, first_line, n) == 0;
}

bool state_text_next(struct span *text, struct state_item *out, unsigned *skipped)
{
    struct span line;

    while (text->n > 0) {
        /* The end of the text is damaged if it is no line end. */
        const bool whole = memchr(text->p, '\n', text->n) != NULL;
        if (text_take_line(text, &line) && whole && read_item(line, out))
            return true;
        ++*skipped;
    }
    return false;
}
