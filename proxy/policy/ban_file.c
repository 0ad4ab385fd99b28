#include "policy/ban_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/hidden.h"
#include "base/text.h"
#include "base/value.h"
#include "policy/limits_bans.h"

/* ---- reading ---- */

/* The longest line is a user's name of 256 bytes, each with three characters, and a time. */
enum { LINE_SIZE = 1024, PROBLEMS_MAX = 10 };

/* The longest ban of an administrator, in case the clock was set. */
static const uint64_t longest_ms = VALUE_DURATION_MAX;

/* Reads the time of a line, in seconds since 1970. Fifteen digits are enough for any ban. */
static bool parse_end(const char *text, int64_t *end)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 15 || text[digits] != '\0')
        return false;
    *end = strtoll(text, NULL, 10);
    return true;
}

static const char user_mark[] = "user:", manual_mark[] = " manual";

/* Removes the mark of a manual ban from the end of a line. */
static bool take_manual(char *line)
{
    const size_t n = strlen(line), mark = strlen(manual_mark);

    if (n < mark || strcmp(line + n - mark, manual_mark) != 0)
        return false;
    line[n - mark] = '\0';
    return true;
}

/* Decodes the name behind user_mark in place. */
static bool decode_name(char *line)
{
    char *to = line + strlen(user_mark);

    for (const char *from = to; *from != '\0'; from++) {
        uint8_t byte = (uint8_t)*from;
        if (byte == '%') {
            if (strlen(from) < 3 || !hex_read(span_of(from + 1, 2), &byte, 1) || byte == 0)
                return false;
            from += 2;
        }
        *to++ = (char)byte;
    }
    *to = '\0';
    return line[strlen(user_mark)] != '\0';
}

/* Restores a ban by an administrator, which lasts as long as the administrator has said. */
static const char *restore_manual(struct limits *l, const struct cidr *net, const char *user,
                                  uint64_t left_ms, uint64_t now_ms)
{
    const struct limits_target target = {.net = net, .user = net == NULL ? user : NULL};
    const uint64_t most = longest_ms;

    switch (limits_ban(l, &target, left_ms > most ? most : left_ms, now_ms)) {
    case LIMITS_BAN_DONE: break;
    case LIMITS_BAN_EXEMPT: return "ban-exempt or trusted-proxies contains it";
    case LIMITS_BAN_LONG: return "not a user's name";
    case LIMITS_BAN_FULL: return "there are too many bans";
    }
    return NULL;
}

/* Restores the ban of a line. Returns NULL, or why the line is skipped, which may be in h. */
static const char *ban_load_line(struct limits *l, char *line, uint64_t now_ms, int64_t wall_s,
                                 struct hidden *h)
{
    struct cidr net;
    int64_t end;

    if (line[0] == '#' || line[0] == '\0')
        return NULL;
    if (hidden_find(span_str(line), h))
        return h->name;
    char *blank = strchr(line, ' ');
    if (blank == NULL)
        return "not PREFIX END";
    *blank = '\0';
    const bool user = strncmp(line, user_mark, strlen(user_mark)) == 0;
    const bool manual = user || take_manual(blank + 1);
    if (user && !decode_name(line))
        return "not a user's name";
    if (!user && cidr_parse(line, &net) != ERR_OK)
        return "not a prefix";
    if (!parse_end(blank + 1, &end))
        return "not a time in seconds since 1970";
    if (end <= wall_s)
        return NULL;
    /* Unsigned, because wall_s may have any value, and the difference must not overflow. */
    const uint64_t left_s = (uint64_t)end - (uint64_t)wall_s;
    const uint64_t left_ms = left_s > UINT64_MAX / 1000 ? UINT64_MAX : left_s * 1000;
    if (manual)
        return restore_manual(l, user ? NULL : &net, line + strlen(user_mark), left_ms, now_ms);
    if (!limits_restore(l, &net, left_ms, now_ms))
        return "its length is not address-prefix-ipv4 or -ipv6, which have changed";
    return NULL;
}

/* Copies a line. Returns false if it is damaged: without an end (the disk was full), with a NUL,
 * or longer than any line that ban_file_save() writes. */
static bool ban_copy_line(struct span line, bool ended, char out[LINE_SIZE])
{
    if (!ended || line.n >= LINE_SIZE || (line.n > 0 && memchr(line.p, '\0', line.n) != NULL))
        return false;
    if (line.n > 0)
        memcpy(out, line.p, line.n);
    out[line.n] = '\0';
    return true;
}

void ban_file_read(struct limits *l, struct span rest, const char *path, uint64_t now_ms,
                   int64_t wall_s, FILE *problems)
{
    const bool ended = rest.n > 0 && rest.p[rest.n - 1] == '\n';
    char text[LINE_SIZE];
    struct hidden h;
    struct span line;
    unsigned skipped = 0;

    for (unsigned number = 1; text_take_line(&rest, &line); number++) {
        const char *reason = ban_copy_line(line, ended || rest.n > 0, text)
                                 ? ban_load_line(l, text, now_ms, wall_s, &h)
                                 : "damaged";
        if (reason != NULL && skipped++ < PROBLEMS_MAX)
            fprintf(problems, "%s:%u: %s; line skipped\n", path, number, reason);
    }
    if (skipped > PROBLEMS_MAX)
        fprintf(problems, "%s: %u more lines skipped\n", path, skipped - PROBLEMS_MAX);
}

enum err ban_file_load(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s,
                       FILE *problems)
{
    const char *reason;
    const int fd = file_open(path, &reason);
    struct text text;

    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    if (fd < 0) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
        return ERR_SYSTEM;
    }
    const bool good = text_read(fd, path, &text, problems);
    close(fd);
    if (!good)
        return ERR_SYSTEM;
    ban_file_read(l, text.bytes, path, now_ms, wall_s, problems);
    text_free(&text);
    return ERR_OK;
}

/* ---- writing ---- */

struct ban_writer {
    struct limits *limits;
    uint64_t now_ms;
    int64_t wall_s;
    FILE *out;
};

/* Writes a name so that it is one word of visible ASCII. */
static void write_name(FILE *out, const char *name)
{
    fputs(user_mark, out);
    for (; *name != '\0'; name++) {
        const uint8_t byte = (uint8_t)*name;
        fprintf(out, byte > 0x20 && byte < 0x7f && byte != '%' ? "%c" : "%%%02x", byte);
    }
}

static void write_ban(void *user, const struct limits_ban *ban)
{
    const struct ban_writer *w = user;
    char text[ADDR_TEXT_MAX];

    if (ban->user != NULL)
        write_name(w->out, ban->user);
    else
        fputs(cidr_format(&ban->net, text), w->out);
    fprintf(w->out, " %" PRId64 "%s\n", w->wall_s + (int64_t)((ban->left_ms + 999) / 1000),
            ban->manual && ban->user == NULL ? manual_mark : "");
}

static bool write_bans(FILE *out, void *arg)
{
    struct ban_writer *w = arg;

    w->out = out;
    fputs("# bans of sstpgate: PREFIX END [manual], or user:NAME END; END in seconds since 1970\n",
          out);
    limits_bans(w->limits, w->now_ms, write_ban, w);
    return true; /* file_replace() finds the errors of out */
}

void ban_file_print(struct limits *l, FILE *out, uint64_t now_ms, int64_t wall_s)
{
    struct ban_writer w = {.limits = l, .now_ms = now_ms, .wall_s = wall_s};
    (void)write_bans(out, &w);
}

enum err ban_file_save(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s)
{
    struct ban_writer w = {.limits = l, .now_ms = now_ms, .wall_s = wall_s};
    return file_replace(path, 0640, write_bans, &w) ? ERR_OK : ERR_SYSTEM;
}
