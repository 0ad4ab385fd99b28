#include "explain/explain_query.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hidden.h"
#include "base/hostname.h"
#include "base/suggest.h"
#include "policy/rules.h"
#include "policy/zone.h"

/* ---- the options ---- */

static const struct option_row {
    const char *name, *argument; /* argument NULL: none */
    size_t field;                /* in struct explain_query; a text */
    const char *help;
} rows[] = {
    {"--listener", "NAME", offsetof(struct explain_query, listener), "listener that is dialled"},
    {"--address", "ADDRESS", 0, "address of the client"},
    {"--user", "USER", offsetof(struct explain_query, user),
     "user that the login shows; \"\": a login that shows no reliable name"},
    {"--host", "HOST", offsetof(struct explain_query, host), "Host of the request"},
    {"--sni", "NAME", offsetof(struct explain_query, sni),
     "server name that the client requests in TLS; \"\": none"},
    {"--tenant", "TENANT", offsetof(struct explain_query, tenant),
     "tenant in the request, without escapes; \"\": none"},
    {"--at", "TIME", offsetof(struct explain_query, at),
     "time of the call, instead of now: 2026-12-24T18:00:00Z, or '2026-12-24 18:00' in the zone of "
     "the listener's rules"},
    {"--new", "FILE", offsetof(struct explain_query, new_file),
     "with ctl, without the options above: list the tunnels that this configuration would end"},
    {"--json", NULL, 0, "the answer as a JSON object"},
};
enum { ROWS = sizeof rows / sizeof *rows };

const char *explain_query_option(size_t i)
{
    return i < ROWS ? rows[i].name : NULL;
}

void explain_query_help(FILE *out)
{
    for (size_t i = 0; i < ROWS; i++)
        fprintf(out, "  %-10s %-8s  %s\n", rows[i].name,
                rows[i].argument == NULL ? "" : rows[i].argument, rows[i].help);
}

static const struct option_row *find_row(const char *name, size_t n)
{
    for (size_t i = 0; i < ROWS; i++)
        if (strlen(rows[i].name) == n && strncmp(rows[i].name, name, n) == 0)
            return &rows[i];
    return NULL;
}

static bool unknown(const char *word, char error[EXPLAIN_ERROR_MAX])
{
    struct suggest s = suggest_init(word);

    for (size_t i = 0; i < ROWS; i++)
        suggest_offer(&s, rows[i].name);
    if (s.best != NULL)
        snprintf(error, EXPLAIN_ERROR_MAX, "unknown option '%.100s'; did you mean '%s'?", word,
                 s.best);
    else
        snprintf(error, EXPLAIN_ERROR_MAX, "unknown option '%.100s'; the options are in explain -h",
                 word);
    return false;
}

/* Reads an address without a port, with or without the brackets of IPv6. */
static bool read_address(const char *text, struct addr *out, char error[EXPLAIN_ERROR_MAX])
{
    struct cidr net;
    const size_t n = strlen(text);
    const bool brackets = n > 2 && text[0] == '[' && text[n - 1] == ']';
    char plain[ADDR_TEXT_MAX];

    if (n < sizeof plain) {
        (void)snprintf(plain, sizeof plain, "%.*s", (int)(n - 2 * brackets), text + brackets);
        if (strchr(plain, '/') == NULL && cidr_parse(plain, &net) == ERR_OK) {
            *out = (struct addr){.family = net.family};
            memcpy(out->ip, net.ip, sizeof net.ip);
            if (!addr_is_any(out))
                return true;
        }
    }
    snprintf(error, EXPLAIN_ERROR_MAX, "--address: '%.100s' is not an IP address", text);
    return false;
}

static bool set_option(struct explain_query *q, const struct option_row *row, char *value,
                       char error[EXPLAIN_ERROR_MAX])
{
    if (row->argument == NULL) {
        q->json = true;
        return true;
    }
    if (strcmp(row->name, "--address") == 0)
        return read_address(value, &q->address, error);
    const char **field = (const char **)((char *)q + row->field);
    if (*field != NULL)
        snprintf(error, EXPLAIN_ERROR_MAX, "%s is set twice", row->name);
    else
        *field = value;
    return *field == value;
}

/* Checks that a name is one that a client can send. */
static bool check_name(const char *option, const char *name, char error[EXPLAIN_ERROR_MAX])
{
    char normal[HOSTNAME_SIZE];

    if (name == NULL || *name == '\0' || hostname_normal(span_str(name), normal))
        return true;
    snprintf(error, EXPLAIN_ERROR_MAX, "%s: '%.100s' is not a name or an address", option, name);
    return false;
}

static bool check(const struct explain_query *q, char error[EXPLAIN_ERROR_MAX])
{
    const char *missing = q->listener == NULL      ? "--listener NAME"
                          : q->address.family == 0 ? "--address ADDRESS"
                                                   : NULL;

    if (q->new_file != NULL) {
        const bool alone = q->listener == NULL && q->address.family == 0 && q->user == NULL &&
                           q->host == NULL && q->sni == NULL && q->tenant == NULL && q->at == NULL;
        if (!alone)
            snprintf(error, EXPLAIN_ERROR_MAX, "--new is used without other options but --json");
        return alone;
    }
    if (missing != NULL)
        snprintf(error, EXPLAIN_ERROR_MAX, "%s is missing", missing);
    return missing == NULL && check_name("--host", q->host, error) &&
           check_name("--sni", q->sni, error);
}

/* Returns whether a terminal shows the text as it is, so that a message may quote it. */
static bool is_visible(const char *text)
{
    struct hidden h;

    for (const char *c = text; *c != '\0'; c++)
        if ((*c > '\0' && *c < ' ') || *c == 0x7f)
            return false;
    return !hidden_find(span_str(text), &h);
}

/* Returns whether the words of an option may have any characters: no message quotes them. */
static bool takes_any(const struct option_row *row)
{
    return row != NULL && (strcmp(row->name, "--user") == 0 || strcmp(row->name, "--tenant") == 0);
}

bool explain_query_read(char *const *words, size_t n, struct explain_query *out,
                        char error[EXPLAIN_ERROR_MAX])
{
    *out = (struct explain_query){.listener = NULL};
    for (size_t i = 0; i < n; i++) {
        const size_t length = strcspn(words[i], "=");
        const struct option_row *row = find_row(words[i], length);
        char *value = words[i][length] == '=' ? words[i] + length + 1 : NULL;
        const bool any = takes_any(row);
        if (!any &&
            (!is_visible(words[i]) || (i + 1 < n && row != NULL && !is_visible(words[i + 1])))) {
            snprintf(error, EXPLAIN_ERROR_MAX, "word %zu has a character that cannot be seen",
                     i + 1);
            return false;
        }
        if (row == NULL || (value != NULL && row->argument == NULL))
            return unknown(words[i], error);
        if (row->argument != NULL && value == NULL)
            value = ++i < n ? words[i] : NULL;
        if (row->argument != NULL && value == NULL) {
            snprintf(error, EXPLAIN_ERROR_MAX, "%s needs %s", row->name, row->argument);
            return false;
        }
        if (!set_option(out, row, value, error))
            return false;
    }
    return check(out, error);
}

/* ---- the time ---- */

/* Reads a number of exactly n digits at *p. */
static bool read_digits(const char **p, unsigned n, int *out)
{
    *out = 0;
    for (; n > 0; n--, ++*p) {
        if (**p < '0' || **p > '9')
            return false;
        *out = 10 * *out + (**p - '0');
    }
    return true;
}

static bool read_char(const char **p, const char *one_of)
{
    if (**p == '\0' || strchr(one_of, **p) == NULL)
        return false;
    ++*p;
    return true;
}

/* Reads date and clock as if they were UTC. */
static bool read_local(const char **p, int64_t *out)
{
    struct tm tm = {0}, same;

    if (!read_digits(p, 4, &tm.tm_year) || !read_char(p, "-") || !read_digits(p, 2, &tm.tm_mon) ||
        !read_char(p, "-") || !read_digits(p, 2, &tm.tm_mday) || !read_char(p, " Tt") ||
        !read_digits(p, 2, &tm.tm_hour) || !read_char(p, ":") || !read_digits(p, 2, &tm.tm_min))
        return false;
    if (read_char(p, ":") && !read_digits(p, 2, &tm.tm_sec))
        return false;
    if (read_char(p, "."))
        *p += strspn(*p, "0123456789");
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    same = tm;
    *out = timegm(&same); /* turns an impossible date into another one */
    return same.tm_mday == tm.tm_mday && same.tm_mon == tm.tm_mon && same.tm_hour == tm.tm_hour &&
           same.tm_min == tm.tm_min && same.tm_sec == tm.tm_sec;
}

/* Reads Z or +HH:MM, in seconds. */
static bool read_offset(const char *p, int *seconds)
{
    int hours, minutes;
    const bool west = *p == '-';

    *seconds = 0;
    if (read_char(&p, "Zz"))
        return *p == '\0';
    if (!read_char(&p, "+-") || !read_digits(&p, 2, &hours) || !read_char(&p, ":") ||
        !read_digits(&p, 2, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = (hours * 60 + minutes) * (west ? -60 : 60);
    return *p == '\0';
}

/* Converts a local time of the listener. */
static bool find_time(int64_t local, const struct rules *rules, int64_t *out,
                      char error[EXPLAIN_ERROR_MAX])
{
    const char *name = rules_zone(rules);
    char problem[ZONE_PROBLEM_MAX];
    struct zone *zone = zone_load(name == NULL ? "local" : name, problem);
    const bool found = zone != NULL && zone_find(zone, local, out);

    if (zone == NULL)
        snprintf(error, EXPLAIN_ERROR_MAX, "--at: %.200s", problem);
    else if (!found)
        snprintf(error, EXPLAIN_ERROR_MAX, "--at: the clocks of %s skip this time",
                 name == NULL ? "this machine" : name);
    zone_free(zone);
    return found;
}

bool explain_query_time(const char *text, const struct rules *rules, int64_t *out,
                        char error[EXPLAIN_ERROR_MAX])
{
    const char *p = text;
    int64_t local;
    int offset;

    if (read_local(&p, &local)) {
        if (*p == '\0')
            return find_time(local, rules, out, error);
        if (read_offset(p, &offset)) {
            *out = local - offset;
            return true;
        }
    }
    snprintf(error, EXPLAIN_ERROR_MAX,
             "--at: '%.100s' is not a time such as 2026-12-24T18:00:00Z or '2026-12-24 18:00'",
             text);
    return false;
}
