#include "config/config_read.h"

#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "base/insist.h"
#include "base/value.h"

/* libinih 55 (Debian 12) and 59 (Debian 13), found by experiment: inih asks its reader for
 * lines of 200 bytes with the NUL. Of a longer line, 55 reads the rest as another line. 59
 * takes a line of 199 bytes without "\n" for the start of a longer line and skips the next line
 * of the reader. Both silently cut a section's name to 49 bytes, take a line with leading
 * blanks as one more value of the previous key, ignore text after "]", and report only the
 * first line that they reject. So this file passes one line at a time, trimmed and never of 199
 * bytes, and detects a line for which inih does not call the handler. */
enum { NAME_MAX_INIH = 49 };

/* Far larger than a file written by hand; bounds the memory for a wrong file. */
enum { FILE_MAX = 1 << 20 };

struct config_reading {
    struct span rest;
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

/* Returns the next line without its end. The last newline may be missing; CR LF is a newline. */
static struct span take_input_line(struct config_reading *r)
{
    struct span line = r->rest;
    const uint8_t *lf = memchr(line.p, '\n', line.n);
    if (lf != NULL)
        line.n = (size_t)(lf - line.p);
    r->rest = span_from(r->rest, lf == NULL ? line.n : line.n + 1);
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    r->line++;
    return line;
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
    char name[NAME_MAX_INIH + 1];
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
        else if (inner.n > NAME_MAX_INIH)
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

/* Returns the reason why inih must not get this line; NULL: it may. Comments may have any
 * length, because inih does not get them. */
static const char *line_problem(struct span line, bool comment, size_t size)
{
    if (has_control(line))
        return "this line contains a control character (or a lone CR)";
    if (!comment && (line.n > CONFIG_LINE_MAX || line.n + 1 >= size))
        return "this line is longer than 198 bytes: repeat the key instead of writing a list, and "
               "write comments on lines of their own";
    return NULL;
}

/* Reads a line for inih, instead of fgets(). inih gets an empty line for comments, headers and
 * lines with a problem, so that it counts the same lines. */
static char *next_line(char *out, int size, void *stream)
{
    struct config_reading *r = stream;
    if (r->key_due) {
        report_problem(r, "expected `key = value` or [section]");
        r->key_due = false;
    }
    if (r->rest.n == 0)
        return NULL;
    struct span line = take_input_line(r);
    if (r->line == 1 && line.n >= 3 && memcmp(line.p, "\xef\xbb\xbf", 3) == 0)
        line = span_from(line, 3); /* the byte order mark of some editors */
    line = trim_blanks(line);
    out[0] = '\0';
    bool comment = line.n > 0 && (line.p[0] == ';' || line.p[0] == '#');
    const char *reason = line_problem(line, comment, (size_t)size);
    if (reason != NULL) {
        report_problem(r, reason);
        if (line.p[0] == '[')
            r->to->on_section(r->to->user, r->line, NULL);
    } else if (line.n > 0 && line.p[0] == '[') {
        read_section(r, line);
    } else if (line.n > 0 && !comment) {
        memcpy(out, line.p, line.n);
        out[line.n] = '\0';
        r->key_due = true;
    }
    return out;
}

/* Returns whether mark follows a blank, which is how inih finds a comment after a value. */
static bool has_comment(const char *value, char mark)
{
    for (const char *p = strchr(value, mark); p != NULL; p = strchr(p + 1, mark))
        if (p > value && ascii_is_blank(p[-1]))
            return true;
    return false;
}

/* Handles a key for inih. section: ignored, because read_section() has reported it. */
static int on_pair(void *user, const char *section, const char *key, const char *value)
{
    struct config_reading *r = user;
    (void)section;
    r->key_due = false;
    if (*key == '\0' || strpbrk(key, " \t") != NULL)
        report_problem(r, "expected `key = value` or [section]");
    else if (strlen(key) > NAME_MAX_INIH)
        report_problem(r, "a key's name is longer than 49 bytes");
    else if (has_comment(value, '#') || *value == '#')
        report_problem(
            r, "` #` after a value would be part of it: a comment after a value starts with ` ;`");
    else if (*value == '"' || *value == '\'')
        report_problem(r, "values are written without quotes");
    else if (strlen(value) > VALUE_TEXT_MAX)
        report_problem(r, "a value is longer than 176 bytes");
    else
        r->to->on_key(r->to->user, r->line, key, value);
    return 1;
}

void config_read(struct span text, const struct config_events *to)
{
    struct config_reading r = {.rest = text, .to = to};
    int rejected = ini_parse_stream(next_line, &r, on_pair, &r);
    /* A positive number is the first line that inih rejected, which next_line() has reported.
     * Negative numbers mean that it cannot open a file or has no memory. */
    INSIST(rejected >= 0);
}

/* Reads a file that cannot change meanwhile. Returns the text, or NULL with *reason. */
static char *read_copy(int fd, size_t *len, const char **reason)
{
    char *text = insist_alloc(malloc(FILE_MAX + 1));
    const ssize_t n = file_read(fd, text, FILE_MAX + 1);

    if (n >= 0 && n <= FILE_MAX) {
        *len = (size_t)n;
        return text;
    }
    *reason = n < 0 ? strerror(errno) : "larger than 1 MiB: not a configuration file";
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
