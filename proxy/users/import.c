#include "users/import.h"

#include "base/ascii.h"
#include "base/hex.h"
#include "users/users.h"

bool import_kind_from(const char *word, enum import_kind *out)
{
    if (strcmp(word, "chap-secrets") == 0)
        *out = IMPORT_CHAP_SECRETS;
    else if (strcmp(word, "smbpasswd") == 0)
        *out = IMPORT_SMBPASSWD;
    else
        return false;
    return true;
}

static void report_skipped(const struct import_events *to, unsigned line, struct span name,
                           const char *reason)
{
    to->on_skipped(to->arg, line, users_name_valid(name) ? name : span_of(NULL, 0), reason);
}

static void report_user(const struct import_events *to, unsigned line, struct span name,
                        struct span secret)
{
    const struct import_user u = {.line = line, .name = name, .secret = secret};

    if (users_name_valid(name))
        to->on_user(to->arg, &u);
    else
        report_skipped(to, line, name, "a users file cannot contain this name");
}

/* ---- pppd's files of secrets (PROTOCOL.md 5.7) ---------------------------------------------- */

struct import_reader {
    struct span rest;
    unsigned line; /* of the next byte */
};

struct import_word {
    uint8_t bytes[IMPORT_WORD_MAX];
    size_t n;
};

enum import_got { GOT_WORD, GOT_END, GOT_PROBLEM };

enum { END = -1 };

static int reader_peek(const struct import_reader *r)
{
    return r->rest.n == 0 ? END : r->rest.p[0];
}

static void reader_next(struct import_reader *r)
{
    r->line += r->rest.p[0] == '\n';
    r->rest = span_from(r->rest, 1);
}

static bool is_octal(int c)
{
    return c >= '0' && c <= '7';
}

/* Returns whether the next two bytes are a '\' and a line end, which join two lines. */
static bool joins_lines(const struct import_reader *r)
{
    return r->rest.n >= 2 && r->rest.p[0] == '\\' && r->rest.p[1] == '\n';
}

static void skip_line_end(struct import_reader *r)
{
    reader_next(r);
    reader_next(r);
}

/* Reads the rest of an escape sequence, after its '\'. */
static uint8_t read_escape(struct import_reader *r)
{
    static const char letters[] = "abfnrst", means[] = "\a\b\f\n\r \t";
    const int c = reader_peek(r);
    unsigned value = 0;

    if (is_octal(c)) {
        for (int n = 0; n < 3 && is_octal(reader_peek(r)); n++, reader_next(r))
            value = value << 3 | (unsigned)(reader_peek(r) - '0');
        return (uint8_t)value;
    }
    reader_next(r);
    if (c == 'x') {
        for (int n = 0; n < 2 && ascii_hex_digit(reader_peek(r)) >= 0; n++, reader_next(r))
            value = value << 4 | (unsigned)ascii_hex_digit(reader_peek(r));
        return (uint8_t)value;
    }
    const char *letter = c == 0 ? NULL : strchr(letters, c);
    return (uint8_t)(letter == NULL ? c : means[letter - letters]);
}

static bool ends_line(int c)
{
    return c == END || c == '\n';
}

static void skip_blanks(struct import_reader *r)
{
    while (joins_lines(r) || (ascii_is_space(reader_peek(r)) && reader_peek(r) != '\n'))
        if (reader_peek(r) == '\\')
            skip_line_end(r);
        else
            reader_next(r);
}

/* Appends a byte, which may be escaped, to w. Returns NULL, or a reason. */
static const char *read_byte(struct import_reader *r, struct import_word *w)
{
    const int c = reader_peek(r);

    reader_next(r);
    if (c == '\\' && reader_peek(r) == END)
        return "a '\\' at the end of the file";
    const uint8_t byte = c == '\\' ? read_escape(r) : (uint8_t)c;
    if (byte == 0)
        return "a NUL in a word";
    if (w->n == sizeof w->bytes)
        return "a word is longer than 1023 bytes";
    w->bytes[w->n++] = byte;
    return NULL;
}

/* Reads the next word of this line. quote: the open quote, which may begin and end in the
 * middle of a word; 0: none. A quote must end on its line, although pppd would continue on the
 * next one: so a missing quote makes one bad line, not a word as long as half the file. */
static enum import_got read_word(struct import_reader *r, struct import_word *w,
                                 const char **reason)
{
    int quote = 0;

    skip_blanks(r);
    if (ends_line(reader_peek(r)) || reader_peek(r) == '#')
        return GOT_END;
    for (w->n = 0;;) {
        const int c = reader_peek(r);
        if (joins_lines(r)) {
            skip_line_end(r);
        } else if (quote == 0 && (c == END || ascii_is_space(c) || c == '#')) {
            return GOT_WORD;
        } else if (quote != 0 && ends_line(c)) {
            *reason = "a quote is not closed on its line";
            return GOT_PROBLEM;
        } else if (quote != 0 ? c == quote : c == '"' || c == '\'') {
            quote = quote != 0 ? 0 : c;
            reader_next(r);
        } else if ((*reason = read_byte(r, w)) != NULL) {
            return GOT_PROBLEM;
        }
    }
}

/* Skips the rest of a line: the addresses and options of a client. */
static void skip_line(struct import_reader *r, struct import_word *w)
{
    const char *reason;

    while (read_word(r, w, &reason) == GOT_WORD)
        ;
    while (reader_peek(r) != END && reader_peek(r) != '\n')
        reader_next(r);
    if (reader_peek(r) == '\n')
        reader_next(r);
}

enum { CLIENT, SERVER, SECRET, WORDS };

static void read_client(struct import_reader *r, struct import_word word[WORDS],
                        const struct import_events *to)
{
    const unsigned line = r->line;
    const char *reason = NULL;
    size_t n = 0;
    enum import_got got = GOT_WORD;

    while (n < WORDS && (got = read_word(r, &word[n], &reason)) == GOT_WORD)
        n++;
    const struct span client = span_of(word[CLIENT].bytes, n > CLIENT ? word[CLIENT].n : 0);
    const struct span secret = span_of(word[SECRET].bytes, n > SECRET ? word[SECRET].n : 0);
    if (got == GOT_END && n > 0)
        reason = "not a line of three words: client, server and secret";
    if (reason != NULL)
        to->on_problem(to->arg, line, reason);
    else if (n < WORDS)
        ; /* blank, or a comment */
    else if (span_eq(client, span_str("*")))
        report_skipped(to, line, client,
                       "it applies to every client, and a key belongs to one user");
    else if (secret.n == 0)
        report_skipped(to, line, client, "its secret is empty");
    else if (secret.n > 1 && memcmp(secret.p, "@/", 2) == 0)
        report_skipped(to, line, client, "its secret is in another file");
    else
        report_user(to, line, client, secret);
}

static void read_chap_secrets(struct span text, const struct import_events *to)
{
    struct import_reader r = {.rest = text, .line = 1};
    struct import_word word[WORDS];

    while (r.rest.n > 0) {
        read_client(&r, word, to);
        skip_line(&r, &word[SECRET]);
    }
    explicit_bzero(word, sizeof word);
}

/* ---- smbpasswd ------------------------------------------------------------------------------ */

/* Takes the text up to the next ':', and removes both from line. */
static struct span take_field(struct span *line)
{
    const uint8_t *colon = line->n == 0 ? NULL : memchr(line->p, ':', line->n);
    const struct span field =
        span_sub(*line, 0, colon == NULL ? line->n : (size_t)(colon - line->p));
    *line = span_from(*line, field.n + 1);
    return field;
}

static bool has_flag(struct span flags, const char *any)
{
    for (size_t i = 0; i < flags.n; i++)
        if (flags.p[i] != 0 && strchr(any, flags.p[i]) != NULL)
            return true;
    return false;
}

static bool span_begins(struct span s, const char *with)
{
    return span_eq(span_sub(s, 0, strlen(with)), span_str(with));
}

/* Returns why an account is skipped; NULL: it is imported. */
static const char *account_reason(struct span name, struct span flags, struct span hex,
                                  bool machines)
{
    /* placeholders of smbpasswd(5) for a missing hash */
    static const char none[] = "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
                      empty[] = "31d6cfe0d16ae931b73c59d7e0c089c0";

    if (!machines && (has_flag(flags, "WSI") || name.p[name.n - 1] == '$'))
        return "the account of a machine or a domain (--machines imports it)";
    if (has_flag(flags, "D"))
        return "the account is disabled";
    if (has_flag(flags, "N") || span_begins(hex, "NO PASSWORD"))
        return "the account has no password";
    if (span_eq(hex, span_str(none)))
        return "the account has no NT hash";
    if (span_eq_nocase(hex, span_str(empty)))
        return "its password is empty";
    return NULL;
}

static void read_account(struct span line, unsigned number, bool machines,
                         const struct import_events *to)
{
    uint8_t hash[IMPORT_NT_HASH];
    struct span rest = line;
    const struct span name = take_field(&rest);
    take_field(&rest); /* uid */
    take_field(&rest); /* LM hash */
    const struct span hex = take_field(&rest);
    const struct span flags = span_begins(rest, "[") ? take_field(&rest) : span_of(NULL, 0);
    const char *reason =
        hex.n == 0 || name.n == 0 ? NULL : account_reason(name, flags, hex, machines);

    if (reason != NULL)
        report_skipped(to, number, name, reason);
    else if (hex.n == 0 || name.n == 0)
        to->on_problem(to->arg, number,
                       "not a line of smbpasswd: name:uid:LM hash:NT hash:[flags]:time:");
    else if (!hex_read(hex, hash, sizeof hash))
        to->on_problem(to->arg, number, "the NT hash is not 32 hex digits");
    else
        report_user(to, number, name, span_of(hash, sizeof hash));
    explicit_bzero(hash, sizeof hash);
}

static void read_smbpasswd(struct span text, bool machines, const struct import_events *to)
{
    for (unsigned number = 1; text.n > 0; number++) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        const size_t n = end == NULL ? text.n : (size_t)(end - text.p);
        struct span line = span_sub(text, 0, n);
        if (line.n > 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n > 0 && line.p[0] != '#')
            read_account(line, number, machines, to);
        text = span_from(text, n + 1);
    }
}

void import_read(enum import_kind kind, bool machines, struct span text,
                 const struct import_events *to)
{
    switch (kind) {
    case IMPORT_CHAP_SECRETS: read_chap_secrets(text, to); break;
    case IMPORT_SMBPASSWD: read_smbpasswd(text, machines, to); break;
    }
}
