#include "config/config_read.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "base/hidden.h"
#include "base/insist.h"
#include "base/text.h"
#include "base/value.h"

/* libinih 55 (Debian 12) and 59 (Debian 13), found by experiment: inih asks its reader for lines
 * of 200 bytes with the NUL. Of a longer line, 55 reads the rest as another line. 59 takes a
 * line of 199 bytes without "\n" for the start of a longer line and skips the next line of the
 * reader. Both silently cut a section's name to 49 bytes, take a line with leading blanks as one
 * more value of the previous key, ignore text after "]", and report only the first line that
 * they reject. So this file passes the first HEAD_MAX bytes of one line at a time, trimmed, in
 * which inih finds the key; takes the value from the line itself; and notices when inih does not
 * call the handler. */
enum { KEY_MAX_INIH = 49, HEAD_MAX = 198 };

/* Far larger than a file written by hand; bounds the memory for a wrong file. */
enum { FILE_MAX = 1 << 20 };

/* Bytes of a value with `$${` for each `${`. */
enum { RAW_MAX = VALUE_TEXT_MAX * 3 / 2 };

struct config_reading {
    struct span rest;
    struct span pair; /* the line of which inih has read the first bytes */
    unsigned line;
    bool key_due; /* inih has a line for which it should call on_pair() */
    const struct config_events *to;
};

static struct span trim_blanks(struct span s)
{
    while (s.n > 0 && ascii_is_blank(s.p[0]))
        s = span_from(s, 1);
    while (s.n > 0 && ascii_is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static void report_problem(const struct config_reading *r, const char *reason)
{
    r->to->on_problem(r->to->user, r->line, reason);
}

static bool has_control(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
            return true;
    return false;
}

/* Reads "[name]", which a comment may follow. inih would not call the handler for a section
 * without keys, and would ignore text after the bracket, so headers are parsed here. */
static void read_section(struct config_reading *r, struct span line)
{
    char name[CONFIG_SECTION_MAX + 1];
    const char *reason = NULL;
    const uint8_t *close = memchr(line.p, ']', line.n);
    struct span inner = span_of(NULL, 0);

    if (close == NULL) {
        reason = "a section is written [NAME]: the `]` is missing";
    } else {
        inner = trim_blanks(span_of(line.p + 1, (size_t)(close - line.p - 1)));
        struct span after = trim_blanks(span_from(line, (size_t)(close - line.p + 1)));
        if (after.n > 0 && after.p[0] != ';' && after.p[0] != '#')
            reason = "text after [section]: write each key on a line of its own";
        else if (inner.n > CONFIG_SECTION_MAX)
            reason = "a section's name is longer than 49 bytes";
    }
    if (reason != NULL) {
        report_problem(r, reason);
        r->to->on_section(r->to->user, r->line, NULL);
        return;
    }
    if (inner.n > 0)
        memcpy(name, inner.p, inner.n);
    name[inner.n] = '\0';
    r->to->on_section(r->to->user, r->line, name);
}

static bool begins_with(struct span line, const char *any)
{
    return line.n > 0 && line.p[0] != '\0' && strchr(any, line.p[0]) != NULL;
}

/* Returns the part of a line in front of a comment: a ';' after a blank, which is how inih finds
 * it, or what follows the bracket of a section. */
static struct span without_comment(struct span line)
{
    const uint8_t *close = begins_with(trim_blanks(line), "[") ? memchr(line.p, ']', line.n) : NULL;

    for (size_t i = close == NULL ? 1 : (size_t)(close - line.p) + 1; i < line.n; i++)
        if (close != NULL ? strchr(";#", line.p[i]) != NULL
                          : line.p[i] == ';' && ascii_is_blank(line.p[i - 1]))
            return span_sub(line, 0, i);
    return line;
}

/* Reports a control character and, outside of comments, a hidden character and a byte that is not
 * UTF-8. Returns whether the line may be read. */
static bool check_characters(const struct config_reading *r, struct span line)
{
    struct hidden h;
    char reason[HIDDEN_NAME_SIZE + TEXT_REASON_SIZE];
    const bool comment = begins_with(trim_blanks(line), ";#");
    const struct span text = comment ? span_of(NULL, 0) : without_comment(line);

    if (has_control(line))
        snprintf(reason, sizeof reason, "this line contains a control character (or a lone CR)");
    else if (hidden_find(text, &h))
        snprintf(reason, sizeof reason,
                 "%s at byte %zu of this line cannot be seen: type that part again", h.name,
                 h.at + 1);
    else if (!text_not_utf8(text, reason))
        return true;
    report_problem(r, reason);
    return false;
}

/* Returns whether a line that cannot be read looks like a header. If so, the keys below it must not
 * be read as those of the section above. */
static bool looks_like_header(struct span line)
{
    for (size_t i = 0; i < line.n; i++)
        if (line.p[i] == '[' || line.p[i] == '=' || line.p[i] == ':')
            return line.p[i] == '[';
    return false;
}

/* Writes the first bytes of a line to out, for inih. */
static void write_pair(struct config_reading *r, struct span line, char *out, size_t size)
{
    const size_t n = line.n < HEAD_MAX ? line.n : HEAD_MAX;

    INSIST(n + 1 < size);
    memcpy(out, line.p, n);
    out[n] = '\0';
    r->pair = line;
    r->key_due = true;
}

/* Reads a line for inih, instead of fgets(). inih gets an empty line for comments, headers and
 * lines with a problem, so that it counts the same lines. */
static char *next_line(char *out, int size, void *stream)
{
    struct config_reading *r = stream;
    struct span line;

    if (r->key_due) {
        report_problem(r, "expected `key = value` or [section]");
        r->key_due = false;
    }
    if (!text_take_line(&r->rest, &line))
        return NULL;
    r->line++;
    out[0] = '\0';
    const bool good = check_characters(r, line);
    line = trim_blanks(line);
    if (begins_with(line, ";#") || line.n == 0)
        return out;
    if (!good && looks_like_header(line))
        r->to->on_section(r->to->user, r->line, NULL);
    else if (good && begins_with(line, "["))
        read_section(r, line);
    else if (good)
        write_pair(r, line, out, (size_t)size);
    return out;
}

/* Returns the value of the line that inih has, by the rules of inih. */
static struct span pair_value(const struct config_reading *r, const char *key)
{
    const struct span rest = trim_blanks(span_from(without_comment(r->pair), strlen(key)));

    INSIST(rest.n > 0 && (rest.p[0] == '=' || rest.p[0] == ':'));
    return trim_blanks(span_from(rest, 1));
}

/* Returns whether a '#' begins the value, or follows a blank in it. */
static bool has_comment(struct span value)
{
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] == '#' && (i == 0 || ascii_is_blank(value.p[i - 1])))
            return true;
    return false;
}

/* Returns the number of `$${`, each of which becomes two bytes (config_variables.h). */
static size_t count_literals(struct span value)
{
    size_t n = 0;
    for (size_t i = 0; i + 2 < value.n; i++)
        n += memcmp(value.p + i, "$${", 3) == 0;
    return n;
}

/* The handler for inih. section: ignored, because read_section() has reported it. in_head: of the
 * first bytes of the line only. */
static int on_pair(void *user, const char *section, const char *key, const char *in_head)
{
    struct config_reading *r = user;
    char text[RAW_MAX + 1];
    (void)section, (void)in_head;
    r->key_due = false;
    const struct span value = pair_value(r, key);
    if (*key == '\0' || strpbrk(key, " \t") != NULL)
        report_problem(r, "expected `key = value` or [section]");
    else if (strlen(key) > KEY_MAX_INIH)
        report_problem(r, "a key's name is longer than 49 bytes");
    else if (has_comment(value))
        report_problem(
            r, "` #` after a value would be part of it: a comment after a value starts with ` ;`");
    else if (begins_with(value, "\"'"))
        report_problem(r, "values are written without quotes");
    else if (value.n > RAW_MAX || value.n - count_literals(value) > VALUE_TEXT_MAX)
        report_problem(r, "a value is longer than 1024 bytes: a key with a list may be repeated");
    else {
        if (value.n > 0)
            memcpy(text, value.p, value.n);
        text[value.n] = '\0';
        r->to->on_key(r->to->user, r->line, key, text);
    }
    return 1;
}

void config_read(struct span text, const struct config_events *to)
{
    struct config_reading r = {.rest = text, .line = 1, .to = to};
    const char *problem = text_begin(&r.rest);

    if (problem != NULL) {
        report_problem(&r, problem);
        to->on_section(to->user, r.line, NULL);
        return;
    }
    r.line = 0;
    int rejected = ini_parse_stream(next_line, &r, on_pair, &r);
    /* A positive number is the first line that inih rejected, which next_line() has reported.
     * Negative numbers mean that it cannot open a file or has no memory. */
    INSIST(rejected >= 0);
}

/* Reads a file that cannot change meanwhile. Returns the text, or NULL with *reason. */
static char *read_copy(int fd, size_t *len, const char **reason)
{
    struct stat st;

    if (fstat(fd, &st) != 0) {
        *reason = strerror(errno);
        return NULL;
    }
    if (st.st_size > FILE_MAX) {
        *reason = "larger than 1 MiB: not a configuration file";
        return NULL;
    }
    char *text = insist_alloc(malloc((size_t)st.st_size + 1)); /* not 0 bytes */
    const ssize_t n = file_read(fd, text, (size_t)st.st_size);
    if (n >= 0) {
        *len = (size_t)n;
        return text;
    }
    *reason = strerror(errno);
    free(text);
    return NULL;
}

char *config_read_file(const char *path, size_t *len, FILE *problems)
{
    const char *reason;
    char *text = NULL;
    const int fd = file_open(path, &reason);
    if (fd < 0) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
        return NULL;
    }
    const int copy = file_copy(fd, &reason); /* half of a file could admit too many clients */
    close(fd);
    if (copy >= 0) {
        text = read_copy(copy, len, &reason);
        close(copy);
    }
    if (text == NULL)
        fprintf(problems, "%s: cannot be read: %s\n", path, reason);
    return text;
}
