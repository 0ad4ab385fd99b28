#include "call/trace.h"

#include <stdarg.h>
#include <stdio.h>

#include "wire/ppp.h"
#include "wire/ppp_codes.h"

enum {
    CONTROL_MIN = 0x8000, /* network data has lower numbers (RFC 1661 2) */
    DISCARD_REQUEST = 11,
    VALUE_MAX = 4, /* a longer value of an option is no number */
};

/* ---- names ---- */

struct name {
    unsigned number;
    const char *word;
};

/* Returns the word of a number in a list that ends with NULL; NULL: none. */
static const char *find_name(const struct name *list, unsigned number)
{
    while (list->word != NULL && list->number != number)
        list++;
    return list->word;
}

static const struct name configure_codes[] = {{1, "configure-request"},
                                              {2, "configure-ack"},
                                              {3, "configure-nak"},
                                              {4, "configure-reject"},
                                              {5, "terminate-request"},
                                              {6, "terminate-ack"},
                                              {7, "code-reject"},
                                              {8, "protocol-reject"},
                                              {12, "identification"},
                                              {13, "time-remaining"},
                                              {0, NULL}};
static const struct name pap_codes[] = {{1, "request"}, {2, "ack"}, {3, "nak"}, {0, NULL}};
static const struct name chap_codes[] = {{1, "challenge"}, {2, "response"},        {3, "success"},
                                         {4, "failure"},   {7, "change-password"}, {0, NULL}};
static const struct name eap_codes[] = {
    {1, "request"}, {2, "response"}, {3, "success"}, {4, "failure"}, {0, NULL}};
static const struct name eap_types[] = {
    {1, "identity"}, {2, "notification"}, {3, "nak"},   {4, "md5"},       {6, "gtc"},
    {13, "tls"},     {21, "ttls"},        {25, "peap"}, {26, "mschapv2"}, {0, NULL}};
static const struct name lcp_options[] = {
    {1, "mru"},  {2, "accm"},      {3, "auth"},  {5, "magic"},     {7, "pfc"},
    {8, "acfc"}, {13, "callback"}, {17, "mrru"}, {19, "endpoint"}, {0, NULL}};
static const struct name ipcp_options[] = {{2, "compression"}, {3, "address"}, {129, "dns1"},
                                           {130, "nbns1"},     {131, "dns2"},  {132, "nbns2"},
                                           {0, NULL}};
static const struct name ip6cp_options[] = {{1, "interface-id"}, {0, NULL}};
static const struct name ccp_options[] = {{17, "stac"}, {18, "mppe"}, {0, NULL}};

/* A protocol whose frames are logged. bit: of record.acked, for the server; the next bit is the
 * client's; NO_PHASE: the protocol has no phase. done: the code that ends an authentication. */
enum { NO_PHASE = 8 };
static const struct protocol {
    unsigned number;
    const char *word;
    const struct name *codes, *options; /* options NULL: none that are logged */
    unsigned bit, done;
} protocols[] = {
    {PPP_LCP, "lcp", configure_codes, lcp_options, 0, 0},
    {PPP_PAP, "pap", pap_codes, NULL, NO_PHASE, 2},
    {PPP_CHAP, "chap", chap_codes, NULL, NO_PHASE, 3},
    {PPP_EAP, "eap", eap_codes, NULL, NO_PHASE, 3},
    {0x8021, "ipcp", configure_codes, ipcp_options, 2, 0},
    {0x8057, "ip6cp", configure_codes, ip6cp_options, 4, 0},
    {0x80fd, "ccp", configure_codes, ccp_options, 6, 0},
};

static const struct protocol *protocol_of(unsigned number)
{
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (protocols[i].number == number)
            return &protocols[i];
    return NULL;
}

/* ---- options ---- */

struct words {
    char text[256];
    size_t n;
};

/* Adds text that fits; the rest of a long list is left out. */
__attribute__((format(printf, 2, 3))) static void add(struct words *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    const int n = vsnprintf(w->text + w->n, sizeof w->text - w->n, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < sizeof w->text - w->n)
        w->n += (size_t)n;
    else
        w->text[w->n] = '\0';
}

static void add_auth(struct words *w, struct span value)
{
    struct cursor c = cursor_of(value);
    const uint16_t protocol = cursor_u16(&c);
    const enum ppp_method m = ppp_method_of(protocol, cursor_u8(&c));

    if (m == PPP_METHOD_NONE)
        add(w, "=0x%04x", protocol);
    else
        add(w, "=%s", ppp_method_name(m));
}

/* Adds the value of an option that describes the link. */
static void add_value(struct words *w, const char *word, struct span value)
{
    if (word != NULL && strcmp(word, "auth") == 0)
        add_auth(w, value);
    else if (word != NULL && strcmp(word, "mru") == 0 && value.n == 2)
        add(w, "=%u", (unsigned)value.p[0] << 8 | value.p[1]);
    else if (word != NULL &&
             (strstr(word, "dns") != NULL || strstr(word, "nbns") != NULL ||
              strcmp(word, "address") == 0) &&
             value.n == VALUE_MAX)
        add(w, "=%u.%u.%u.%u", value.p[0], value.p[1], value.p[2], value.p[3]);
}

static void add_options(struct words *w, const struct name *names, struct span data)
{
    struct cursor c = cursor_of(data);

    while (c.rest.n > 0) {
        const uint8_t type = cursor_u8(&c), len = cursor_u8(&c);
        const struct span value = cursor_take(&c, len < 2 ? c.rest.n + 1 : len - 2u);
        if (c.short_)
            return;
        const char *word = find_name(names, type);
        add(w, "%s", w->n == 0 ? "" : ",");
        if (word == NULL)
            add(w, "%u", type);
        else
            add(w, "%s", word);
        add_value(w, word, value);
    }
}

/* ---- lines ---- */

/* Returns the phase that the packet completes; NULL: none. A phase of negotiation is open when each
 * side has acknowledged the other one's options (RFC 1661 4.2). */
static const char *note_phase(struct record *s, const struct protocol *p, enum ppp_from from,
                              uint8_t code)
{
    if (p->bit == NO_PHASE)
        return from == PPP_FROM_SERVER && code == p->done ? "authenticated" : NULL;
    const uint8_t both = (uint8_t)(3u << p->bit);
    const uint8_t own = (uint8_t)((from == PPP_FROM_SERVER ? 1u : 2u) << p->bit);
    if (code == LCP_CONFIGURE_REQUEST && (s->acked & both) == both)
        s->acked &= (uint8_t)~both;
    if (code != LCP_CONFIGURE_ACK || (s->acked & own) != 0)
        return NULL;
    s->acked |= own;
    return (s->acked & both) == both ? "open" : NULL;
}

static bool is_echo(const struct protocol *p, uint8_t code)
{
    return p->number == PPP_LCP && code >= LCP_ECHO_REQUEST && code <= DISCARD_REQUEST;
}

/* Adds the kind of a packet. data: what follows its length. */
static void log_packet(struct log_line *l, const struct protocol *p, uint8_t code, uint8_t id,
                       struct span data)
{
    struct words options = {.n = 0};
    const char *word = find_name(p->codes, code);

    if (word != NULL)
        log_str(l, "code", word);
    else
        log_num(l, "code", code);
    log_num(l, "packet", id);
    if (p->number == PPP_EAP && code <= 2 && data.n > 0) {
        const char *type = find_name(eap_types, data.p[0]);
        if (type != NULL)
            log_str(l, "type", type);
        else
            log_num(l, "type", data.p[0]);
    }
    if (p->options == NULL || code < LCP_CONFIGURE_REQUEST || code > LCP_CONFIGURE_REJECT)
        return;
    add_options(&options, p->options, data);
    log_str(l, "options", options.text);
}

void trace_ppp(struct record *s, enum ppp_from from, struct span frame, const char *verdict,
               uint64_t now_ms)
{
    struct ppp_frame f;
    struct log_line l;

    if (!ppp_frame_read(from, frame, &f) || f.protocol < CONTROL_MIN)
        return;
    const struct protocol *p = protocol_of(f.protocol);
    struct cursor c = cursor_of(f.info);
    const uint8_t code = cursor_u8(&c), id = cursor_u8(&c);
    const uint16_t len = cursor_u16(&c);
    if (p == NULL || c.short_ || is_echo(p, code))
        return;
    const char *phase = note_phase(s, p, from, code);
    if (!record_line_limited(s, &l, LOG_LEVEL_DEBUG, "ppp", s->debug_lines, now_ms,
                             TRACE_LINES_PER_SECOND))
        return;
    log_str(&l, "from", from == PPP_FROM_CLIENT ? "client" : "server");
    log_str(&l, "protocol", p->word);
    log_packet(&l, p, code, id, span_sub(c.rest, 0, len < 4 ? 0 : len - 4u));
    if (phase != NULL)
        log_str(&l, "phase", phase);
    log_str(&l, "verdict", verdict);
    log_end(&l);
}
