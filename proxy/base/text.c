#include "base/text.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

/* ---- encodings ---- */

#define UTF16 "UTF-16, as PowerShell and some editors of Windows write it: save it as UTF-8"
#define UTF32 "UTF-32: save it as UTF-8"

/* UTF-32 precedes UTF-16, whose mark begins that of UTF-32. */
static const struct mark {
    const char *bytes;
    size_t n;
    const char *problem; /* NULL: readable */
} marks[] = {
    {"\xef\xbb\xbf", 3, NULL}, {"\xff\xfe\0\0", 4, UTF32}, {"\0\0\xfe\xff", 4, UTF32},
    {"\xff\xfe", 2, UTF16},    {"\xfe\xff", 2, UTF16},
};

/* Returns the encoding of a text that begins with two ASCII characters and has no mark, by its NUL
 * bytes, which no text has; NULL: not one of these encodings. */
static const char *unmarked_problem(struct span s)
{
    unsigned zeros = 0; /* bit i: byte i is 0 */

    if (s.n < 4)
        return s.n >= 2 && (s.p[0] == 0) != (s.p[1] == 0) ? UTF16 : NULL;
    for (unsigned i = 0; i < 4; i++)
        zeros |= s.p[i] == 0 ? 1U << i : 0;
    return zeros == 0x5 || zeros == 0xa ? UTF16 : zeros == 0x7 || zeros == 0xe ? UTF32 : NULL;
}

const char *text_begin(struct span *text)
{
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        if (!span_eq(span_sub(*text, 0, marks[i].n), span_of(marks[i].bytes, marks[i].n)))
            continue;
        *text = span_from(*text, marks[i].n);
        return marks[i].problem;
    }
    return unmarked_problem(*text);
}

size_t text_char(struct span text, uint32_t *c)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t lead = text.p[0];
    const size_t n = lead < 0x80 ? 1 : lead < 0xc0 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

    if (n == 0 || n > text.n || lead > 0xf4)
        return 0;
    *c = n == 1 ? lead : lead & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((text.p[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (text.p[i] & 0x3f);
    }
    const bool surrogate = (*c & ~0x7ffU) == 0xd800;
    return *c >= least[n] && *c <= 0x10ffff && !surrogate ? n : 0;
}

bool text_not_utf8(struct span line, char reason[TEXT_REASON_SIZE])
{
    uint32_t c;

    for (size_t at = 0, n; at < line.n; at += n) {
        n = text_char(span_from(line, at), &c);
        if (n > 0)
            continue;
        snprintf(reason, TEXT_REASON_SIZE,
                 "byte %zu of this line (0x%02X) is not UTF-8: save the file as UTF-8", at + 1,
                 line.p[at]);
        return true;
    }
    return false;
}

/* ---- lines ---- */

bool text_take_line(struct span *rest, struct span *line)
{
    if (rest->n == 0)
        return false;
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    const size_t n = end == NULL ? rest->n : (size_t)(end - rest->p);
    *line = span_sub(*rest, 0, n);
    *rest = span_from(*rest, n + 1);
    if (line->n > 0 && line->p[line->n - 1] == '\r')
        line->n--;
    return true;
}

/* ---- files ---- */

/* Maps a copy of the file. Returns NULL, or the cause of a failure. */
static const char *map_copy(int fd, struct text *out)
{
    const char *reason;
    struct stat st;
    const int copy = file_copy(fd, &reason);

    if (copy < 0)
        return reason;
    bool good = fstat(copy, &st) == 0;
    if (good && st.st_size > 0) {
        void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, copy, 0);
        good = map != MAP_FAILED;
        if (good)
            *out = (struct text){.map = map, .map_n = (size_t)st.st_size};
    }
    reason = good ? NULL : strerror(errno);
    close(copy);
    return reason;
}

bool text_read(int fd, const char *path, struct text *out, FILE *problems)
{
    *out = (struct text){.map = NULL};
    const char *failed = map_copy(fd, out);

    if (failed != NULL) {
        fprintf(problems, "%s: cannot be read: %s\n", path, failed);
        return false;
    }
    out->bytes = span_of(out->map, out->map_n);
    const char *reason = text_begin(&out->bytes);
    if (reason == NULL)
        return true;
    fprintf(problems, "%s: %s\n", path, reason);
    text_free(out);
    return false;
}

bool text_load(const char *path, struct text *out, FILE *problems)
{
    const char *reason;
    const int fd = file_open(path, &reason);

    *out = (struct text){.map = NULL};
    if (fd < 0) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
        return false;
    }
    const bool good = text_read(fd, path, out, problems);
    close(fd);
    return good;
}

void text_free(struct text *t)
{
    if (t->map != NULL)
        munmap(t->map, t->map_n);
    *t = (struct text){.map = NULL};
}
