#include "users/import.h"

#include <stdio.h>

#include "base/ascii.h"
#include "base/hex.h"
#include "base/hidden.h"
#include "base/text.h"
#include "users/import_accel.h"
#include "users/users.h"

bool import_kind_from(const char *word, enum import_kind *out)
{
    static const char *const words[] = {[IMPORT_CHAP_SECRETS] = "chap-secrets",
                                        [IMPORT_PPPD] = "pppd",
                                        [IMPORT_ACCEL_PPP] = "accel-ppp",
                                        [IMPORT_SMBPASSWD] = "smbpasswd"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(word, words[i]) == 0) {
            *out = (enum import_kind)i;
            return true;
        }
    return false;
}

static void report_skipped(const struct import_events *to, unsigned line, struct span name,
                           const char *reason)
{
    to->on_skipped(to->arg, line, users_name_valid(name) ? name : span_of(NULL, 0), reason);
}

/* hash: the secret is an NT hash. */
static void report_user(const struct import_events *to, unsigned line, struct span name,
                        struct span secret, bool hash)
{
    const struct import_user u = {.line = line, .name = name, .secret = secret, .hash = hash};
    char text[USERS_REASON_MAX];
    const char *problem = users_name_problem(name, text);

    if (problem == NULL)
        to->on_user(to->arg, &u);
    else
        report_skipped(to, line, name, problem);
}

static bool is_hash_text(struct span s)
{
    uint8_t hash[IMPORT_NT_HASH];
    const bool is = hex_read(s, hash, sizeof hash);

    explicit_bzero(hash, sizeof hash);
    return is;
}

/* Reports a user with a password, unless it is doubtful that the secret is one. hint: the problem
 * if the secret has 32 hexadecimal digits; NULL: such a secret is a password. */
static void report_password(const struct import_events *to, unsigned line, struct span name,
                            struct span secret, const char *hint)
{
    char text[HIDDEN_NAME_SIZE + 64];
    struct hidden h;

    if (secret.n == 0) {
        report_skipped(to, line, name, "its secret is empty");
    } else if (hidden_find_at_ends(secret, &h)) {
        snprintf(text, sizeof text, "the secret begins or ends with %s, which cannot be seen",
                 h.name);
        to->on_problem(to->arg, line, text);
    } else if (hint != NULL && is_hash_text(secret)) {
        to->on_problem(to->arg, line, hint);
    } else {
        report_user(to, line, name, secret, false);
    }
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

/* Returns why the two programs that have a chap-secrets do not agree about a line; NULL: they do,
 * or only pppd can read it. client, secret: what pppd reads; without a span: nothing. */
static const char *dispute(struct span line, struct span client, struct span secret)
{
    struct import_accel accel;
    const char *reason = NULL;

    if (line.n > IMPORT_ACCEL_MAX || line.n == 0 || memchr(line.p, '\0', line.n) != NULL ||
        line.p[0] == '#')
        return NULL;
    import_accel_read(line, true, &accel);
    if (accel.words >= 3 && !accel.open && accel.client.n > 0 &&
        !(span_eq(accel.client, client) && span_eq(accel.secret, secret)))
        reason = "pppd and accel-ppp read this line differently: write --import pppd or "
                 "--import accel-ppp";
    explicit_bzero(&accel, sizeof accel);
    return reason;
}

/* Returns the next line of r, without its end. No word of it was read yet. */
static struct span line_ahead(const struct import_reader *r)
{
    struct span rest = r->rest, line = span_of(NULL, 0);
    (void)text_take_line(&rest, &line);
    return line;
}

static void read_client(struct import_reader *r, bool either, struct import_word word[WORDS],
                        const struct import_events *to)
{
    const unsigned number = r->line;
    const struct span line = line_ahead(r);
    const char *reason = NULL;
    size_t n = 0;
    enum import_got got = GOT_WORD;

    while (n < WORDS && (got = read_word(r, &word[n], &reason)) == GOT_WORD)
        n++;
    const struct span client = span_of(word[CLIENT].bytes, n > CLIENT ? word[CLIENT].n : 0);
    const struct span secret = span_of(word[SECRET].bytes, n > SECRET ? word[SECRET].n : 0);
    if (got == GOT_END && n > 0)
        reason = "not a line of three words: client, server and secret";
    const char *disputed = either ? dispute(line, client, secret) : NULL;
    if (disputed != NULL || reason != NULL)
        to->on_problem(to->arg, number, disputed != NULL ? disputed : reason);
    else if (n < WORDS)
        ; /* blank, or a comment */
    else if (span_eq(client, span_str("*")))
        report_skipped(to, number, client,
                       "it applies to every client, and a key belongs to one user");
    else if (secret.n > 1 && memcmp(secret.p, "@/", 2) == 0)
        report_skipped(to, number, client, "its secret is in another file");
    else
        report_password(to, number, client, secret,
                        either ? "the secret is 32 hex digits: an NT hash of accel-ppp (--import "
                                 "accel-ppp --encrypted 1), or a password (--import pppd)"
                               : NULL);
}

/* either: the file may be accel-ppp's, so lines that it reads differently are problems. */
static void read_pppd(struct span text, bool either, const struct import_events *to)
{
    struct import_reader r = {.rest = text, .line = 1};
    struct import_word word[WORDS];

    while (r.rest.n > 0) {
        read_client(&r, either, word, to);
        skip_line(&r, &word[SECRET]);
    }
    explicit_bzero(word, sizeof word);
}

/* ---- accel-ppp ------------------------------------------------------------------------------ */

static bool is_hex(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (ascii_hex_digit(s.p[i]) < 0)
            return false;
    return s.n > 0;
}

/* With encrypted=1 the secret is an NT hash, and with username-hash the name a hash, too. */
static void report_encrypted(const struct import_events *to, unsigned line,
                             const struct import_accel *a)
{
    uint8_t hash[IMPORT_NT_HASH];

    if (!hex_read(a->secret, hash, sizeof hash))
        to->on_problem(to->arg, line, "the secret is not 32 hex digits, as with encrypted=1");
    else if (a->client.n >= 2 * IMPORT_NT_HASH && is_hex(a->client))
        to->on_problem(
            to->arg, line,
            "the name is a hash (username-hash), from which the name cannot be recovered");
    else
        report_user(to, line, a->client, span_of(hash, sizeof hash), true);
    explicit_bzero(hash, sizeof hash);
}

static void report_accel(const struct import_events *to, unsigned line,
                         const struct import_accel *a, enum import_encrypted encrypted)
{
    if (a->open)
        to->on_problem(to->arg, line, "a quote is not closed on its line");
    else if (a->client.n == 0)
        report_skipped(to, line, a->client,
                       "accel-ppp reads an empty name here, as in a line that begins with a blank");
    else if (a->words < 4)
        report_skipped(to, line, a->client,
                       "accel-ppp ignores a line without a fourth word, the address or *");
    else if (encrypted == IMPORT_ENCRYPTED)
        report_encrypted(to, line, a);
    else
        report_password(to, line, a->client, a->secret,
                        encrypted == IMPORT_PLAIN
                            ? NULL
                            : "the secret is 32 hex digits: write --encrypted 1 (an NT hash) or "
                              "--encrypted 0 (a password), as accel-ppp.conf does");
}

static bool is_blank(struct span line)
{
    for (size_t i = 0; i < line.n; i++)
        if (!ascii_is_blank(line.p[i]))
            return false;
    return true;
}

static void read_accel(struct span text, enum import_encrypted encrypted,
                       const struct import_events *to)
{
    const bool ended = text.n > 0 && text.p[text.n - 1] == '\n';
    struct import_accel a;
    struct span line;

    for (unsigned number = 1; text_take_line(&text, &line); number++) {
        if (is_blank(line) || line.p[0] == '#')
            continue;
        if (line.n > IMPORT_ACCEL_MAX || memchr(line.p, '\0', line.n) != NULL) {
            to->on_problem(to->arg, number,
                           line.n > IMPORT_ACCEL_MAX
                               ? "longer than 4094 bytes, which accel-ppp reads as two lines"
                               : "a NUL in the line");
            continue;
        }
        import_accel_read(line, ended || text.n > 0, &a);
        report_accel(to, number, &a, encrypted);
    }
    explicit_bzero(&a, sizeof a);
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
        report_user(to, number, name, span_of(hash, sizeof hash), true);
    explicit_bzero(hash, sizeof hash);
}

static void read_smbpasswd(struct span text, bool machines, const struct import_events *to)
{
    struct span line;

    for (unsigned number = 1; text_take_line(&text, &line); number++)
        if (line.n > 0 && line.p[0] != '#')
            read_account(line, number, machines, to);
}

void import_read(const struct import_options *o, struct span text, const struct import_events *to)
{
    const char *problem = text_begin(&text);

    if (problem != NULL) {
        to->on_problem(to->arg, 1, problem);
        return;
    }
    switch (o->kind) {
    case IMPORT_CHAP_SECRETS: read_pppd(text, true, to); break;
    case IMPORT_PPPD: read_pppd(text, false, to); break;
    case IMPORT_ACCEL_PPP: read_accel(text, o->encrypted, to); break;
    case IMPORT_SMBPASSWD: read_smbpasswd(text, o->machines, to); break;
    }
}
