#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "users/users.h"

/* Distinct hash-hashes: HASH("1") and so on. */
#define HASH(digit) digit "0000000000000000000000000000000"

/* The result of a reader: the users, or NULL, and the problems. */
struct reading {
    struct users *users;
    char *problems;
    size_t problems_len;
    FILE *stream;
};

static void reading_init(struct reading *r)
{
    *r = (struct reading){0};
    r->stream = open_memstream(&r->problems, &r->problems_len);
    assert_non_null(r->stream);
}

static void reading_fini(struct reading *r)
{
    users_free(r->users);
    fclose(r->stream);
    free(r->problems);
}

static void parse_n(struct reading *r, const char *text, size_t n)
{
    reading_init(r);
    r->users = users_parse("users", text, n, r->stream);
    fflush(r->stream);
}

static void parse(struct reading *r, const char *text)
{
    parse_n(r, text, strlen(text));
}

static void assert_says(const char *text, const char *problems)
{
    struct reading r;
    parse(&r, text);
    assert_null(r.users);
    assert_string_equal(r.problems, problems);
    reading_fini(&r);
}

/* Asserts the first hex digits of the hash-hashes of a name, in order. */
static void assert_finds(const struct users *u, const char *name, const char *digits)
{
    struct users_match found[USERS_MATCH_MAX];
    char have[USERS_MATCH_MAX + 1] = {0};
    const size_t n = users_find(u, span_str(name), found);
    for (size_t i = 0; i < n; i++)
        have[i] = (char)('0' + (found[i].hash_hash[0] >> 4));
    if (strcmp(have, digits) != 0)
        fail_msg("%s: found '%s', wanted '%s'", name, have, digits);
}

static void good_file(void **state)
{
    (void)state;
    static const uint8_t want[USERS_HASH] = {0x41, 0xc0, 0x0c, 0x58, 0x4b, 0xd2, 0xd9, 0x1c,
                                             0x40, 0x17, 0xa2, 0xa1, 0x2f, 0xa5, 0x9f, 0x3f};
    struct users_match found[USERS_MATCH_MAX];
    struct reading r;
    parse(&r, "# staff\n"
              "\n"
              "   \t \n"
              "  # indented\n"
              "User:41c00c584bd2d91c4017a2a12fa59f3f\n"
              "upper:41C00C584BD2D91C4017A2A12FA59F3F\n"
              "dos:41c00c584bd2d91c4017a2a12fa59f3f\r\n"
              "\r\n"
              "tail:41c00c584bd2d91c4017a2a12fa59f3f \t\n"
              "two words:41c00c584bd2d91c4017a2a12fa59f3f\n"
              "J\xc3\xb6rg#1:41c00c584bd2d91c4017a2a12fa59f3f\n"
              "last:41c00c584bd2d91c4017a2a12fa59f3f");
    assert_string_equal(r.problems, "");
    assert_non_null(r.users);
    assert_int_equal(users_count(r.users), 7);
    assert_string_equal(users_path(r.users), "users");
    static const char *const names[] = {"User",      "upper",         "dos", "tail",
                                        "two words", "J\xc3\xb6rg#1", "last"};
    static const unsigned lines[] = {5, 6, 7, 9, 10, 11, 12};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(users_find(r.users, span_str(names[i]), found), 1);
        assert_memory_equal(found[0].hash_hash, want, USERS_HASH);
        assert_int_equal(found[0].line, lines[i]);
    }
    reading_fini(&r);
}

/* The third field is the end of a line. */
static void ends_of_lines(void **state)
{
    (void)state;
    struct users_match found[USERS_MATCH_MAX];
    struct reading r;
    parse(&r, "a:" HASH("1") "\n"
                             "b:" HASH("2") ":2027-01-31\n"
                                            "c:" HASH("3") ":2027-01-31T18:30Z \t\r\n"
                                                           "d:" HASH("4") ":2027-01-31T18:30:15Z");
    assert_string_equal(r.problems, "");
    assert_non_null(r.users);
    static const int64_t until[] = {UNTIL_NEVER, 1801440000, 1801420200, 1801420215};
    for (size_t i = 0; i < 4; i++) {
        const char name[] = {(char)('a' + i), '\0'};
        assert_int_equal(users_find(r.users, span_str(name), found), 1);
        assert_true(found[0].until == until[i]);
        assert_int_equal(found[0].hash_hash[0], 0x10 * (i + 1));
    }
    reading_fini(&r);
}

static void bad_ends(void **state)
{
    (void)state;
    static const char *const ends[] = {
        "", "never", "2027-02-29", "2027-01-31T18:30", "2027-01-31:", " 2027-01-31", "1801440000"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        char text[128];
        snprintf(text, sizeof text, "a:" HASH("1") ":%s\n", ends[i]);
        assert_says(text, "users:1: the text after the second ':' is not a date such as 2027-01-31 "
                          "or a time such as 2027-01-31T18:00Z\n");
    }
    assert_says("a:" HASH("1") " :2027-01-31\n",
                "users:1: the text after ':' is not a hash-hash of 32 hex digits\n");
    assert_says("a:" HASH("1") "0:2027-01-31\n",
                "users:1: the text after ':' is not a hash-hash of 32 hex digits\n");
    assert_says("a:" HASH("1") ":2027-01-31\xc2\xad\n",
                "users:1: the text after ':' contains U+00AD SOFT HYPHEN, which cannot be seen\n");
}

/* Every prefix of a line with an end is either complete or a problem; none is read as a line
 * without an end, except the one that is such a line. */
static void cut_lines(void **state)
{
    (void)state;
    static const char line[] = "a:" HASH("1") ":2027-01-31T18:30:15Z";
    struct users_match found[USERS_MATCH_MAX];
    for (size_t n = 1; n < sizeof line; n++) {
        struct reading r;
        parse_n(&r, line, n);
        const bool complete = n == 34 || n == 34 + 11 || n == sizeof line - 1;
        assert_int_equal(r.users != NULL, complete);
        if (complete) {
            assert_int_equal(users_find(r.users, span_str("a"), found), 1);
            assert_int_equal(found[0].until == UNTIL_NEVER, n == 34);
        }
        reading_fini(&r);
    }
}

/* A line is valid until its end; a name has expired if it has no valid line. */
static void expiry(void **state)
{
    (void)state;
    enum { END = 1801420200 };
    struct users_match found[USERS_MATCH_MAX], line;
    struct reading r;
    parse(&r, "alice:" HASH("1") "\n"
                                 "CORP\\alice:" HASH(
                                     "2") ":2027-01-31T18:30Z\n"
                                          "bob:" HASH("3") ":2027-01-31T18:30Z\n"
                                                           "CORP\\bob:" HASH("4") ":2027-01-31\n");
    assert_non_null(r.users);
    assert_int_equal(users_find_current(r.users, span_str("CORP\\alice"), END - 1, found), 2);
    assert_int_equal(found[0].line, 2);
    assert_int_equal(users_find_current(r.users, span_str("CORP\\alice"), END, found), 1);
    assert_int_equal(found[0].line, 1);
    assert_false(users_expired(r.users, span_str("CORP\\alice"), END, &line));
    assert_false(users_expired(r.users, span_str("bob"), END - 1, &line));
    assert_true(users_expired(r.users, span_str("BOB@realm"), END, &line));
    assert_int_equal(line.line, 3);
    assert_int_equal(users_find_current(r.users, span_str("bob"), END, found), 0);
    assert_false(users_expired(r.users, span_str("CORP\\bob"), END, &line));
    assert_true(users_expired(r.users, span_str("corp\\bob"), INT64_MAX - 1, &line));
    assert_int_equal(line.line, 4);
    assert_false(users_expired(r.users, span_str("carol"), INT64_MAX - 1, &line));
    assert_false(users_expired(r.users, span_of(NULL, 0), INT64_MAX - 1, &line));

    struct users_ending e = users_ending(r.users, INT64_MIN, END - 1);
    assert_int_equal(e.count, 0);
    assert_int_equal(e.line, 0);
    e = users_ending(r.users, INT64_MIN, END);
    assert_int_equal(e.count, 2);
    assert_int_equal(e.line, 2);
    assert_int_equal(e.until, END);
    e = users_ending(r.users, END, INT64_MAX - 1);
    assert_int_equal(e.count, 1);
    assert_int_equal(e.line, 4);
    reading_fini(&r);
}

static void empty_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "\n\n", "#", "\xef\xbb\xbf", "\r\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct reading r;
        parse(&r, texts[i]);
        assert_non_null(r.users);
        assert_int_equal(users_count(r.users), 0);
        assert_finds(r.users, "User", "");
        assert_finds(r.users, "", "");
        assert_string_equal(r.problems, "");
        reading_fini(&r);
    }
}

static void byte_order_mark(void **state)
{
    (void)state;
    struct reading r;
    parse(&r, "\xef\xbb\xbf"
              "first:" HASH("1") "\n");
    assert_non_null(r.users);
    assert_finds(r.users, "first", "1");
    reading_fini(&r);
}

static void letter_case(void **state)
{
    (void)state;
    struct reading r;
    parse(&r, "MiXeD:" HASH("1") "\n"
                                 "CORP\\\xc3\x96"
                                 "del@Example.COM:" HASH("2") "\n"
                                                              "[@`{:" HASH("3") "\n");
    assert_non_null(r.users);
    assert_finds(r.users, "mixed", "1");
    assert_finds(r.users, "MIXED", "1");
    assert_finds(r.users,
                 "corp\\\xc3\x96"
                 "DEL@EXAMPLE.com",
                 "2");
    assert_finds(r.users,
                 "corp\\\xc3\xb6"
                 "del@example.com",
                 "2");
    assert_finds(r.users,
                 "corp\\o"
                 "del@example.com",
                 "");
    /* [ and { are no letters */
    assert_finds(r.users, "[@`{", "3");
    assert_finds(r.users, "{@`[", "");
    assert_finds(r.users, "[``{", "");
    reading_fini(&r);
}

static void forms_of_a_name(void **state)
{
    (void)state;
    struct reading r;
    parse(&r, "CORP\\user@example.com:" HASH(
                  "1") "\n"
                       "user@example.com:" HASH(
                           "2") "\n"
                                "CORP\\user:" HASH(
                                    "3") "\n"
                                         "user:" HASH(
                                             "4") "\n"
                                                  "a@b:" HASH("5") "\n"
                                                                   "a@b@c:" HASH(
                                                                       "6") "\n"
                                                                            "x\\y:" HASH(
                                                                                "7") "\n"
                                                                                     "dom@in:" HASH(
                                                                                         "8") "\n");
    assert_non_null(r.users);
    assert_finds(r.users, "CORP\\user@example.com", "1234");
    assert_finds(r.users, "corp\\USER@other.example", "34");
    assert_finds(r.users, "OTHER\\user@example.com", "24");
    assert_finds(r.users, "OTHER\\user@other.example", "4");
    assert_finds(r.users, "user@example.com", "24");
    assert_finds(r.users, "CORP\\user", "34");
    assert_finds(r.users, "user", "4");
    /* RFC 2759 8.2: a domain before the name is not part of it */
    assert_finds(r.users, "ELSEWHERE\\User", "4");
    /* the last @ begins the realm */
    assert_finds(r.users, "a@b@c", "65");
    assert_finds(r.users, "a@b@d", "5");
    /* the last \ ends the domain, and an @ before it does not begin a realm */
    assert_finds(r.users, "w\\x\\user", "4");
    assert_finds(r.users, "w\\x\\y", "");
    assert_finds(r.users, "dom@in\\user", "4");
    assert_finds(r.users, "dom@in\\nobody", "");
    /* empty parts */
    assert_finds(r.users, "", "");
    assert_finds(r.users, "\\", "");
    assert_finds(r.users, "@", "");
    assert_finds(r.users, "\\@", "");
    assert_finds(r.users, "CORP\\", "");
    assert_finds(r.users, "@example.com", "");
    assert_finds(r.users, "\\user", "4");
    assert_finds(r.users, "user@", "4");
    assert_finds(r.users, "\\user@", "4");
    assert_finds(r.users, "use", "");
    assert_finds(r.users, "users", "");
    reading_fini(&r);
}

static void name_that_is_counted(void **state)
{
    static const char *const names[] = {"alice",     "CORP\\alice",     "alice@a",
                                        "alice@a@b", "X\\CORP\\alice@", "CORP\\alice@a@@"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_true(span_eq(users_counted_name(span_str(names[i])), span_str("alice")));
    assert_int_equal(users_counted_name(span_str("CORP\\")).n, 0);
    assert_int_equal(users_counted_name(span_str("@a")).n, 0);
}

/* Names come from attackers: any bytes, any length. */
static void strange_names(void **state)
{
    (void)state;
    struct reading r;
    struct users_match found[USERS_MATCH_MAX];
    static char line[USERS_NAME_MAX + 64], name[4096];

    memset(line, 'n', USERS_NAME_MAX);
    memcpy(line + USERS_NAME_MAX, ":" HASH("9"), 34);
    parse(&r, line);
    assert_non_null(r.users);

    memset(name, 'N', sizeof name);
    assert_int_equal(users_find(r.users, span_of(name, USERS_NAME_MAX), found), 1);
    assert_int_equal(users_find(r.users, span_of(name, USERS_NAME_MAX + 1), found), 0);
    assert_int_equal(users_find(r.users, span_of(name, sizeof name), found), 0);
    assert_int_equal(users_find(r.users, span_of("n", 0), found), 0);
    assert_int_equal(users_find(r.users, span_of(NULL, 0), found), 0);
    memset(name, 0, sizeof name);
    assert_int_equal(users_find(r.users, span_of(name, 5), found), 0);
    /* a name of the maximum length between a domain and a realm */
    memset(name, 'n', sizeof name);
    name[300] = '\\';
    name[301 + USERS_NAME_MAX] = '@';
    assert_int_equal(users_find(r.users, span_of(name, sizeof name), found), 1);
    reading_fini(&r);
}

static void wrong_lines(void **state)
{
    (void)state;
    static char line[USERS_NAME_MAX + 64];

    assert_says("User\n", "users:1: no ':' in the line, which should be name:hash-hash\n");
    assert_says(":" HASH("1"), "users:1: the name is empty\n");
    assert_says(" User:" HASH("1"), "users:1: the name begins or ends with a blank\n");
    assert_says("User :" HASH("1"), "users:1: the name begins or ends with a blank\n");
    assert_says("\tUser:" HASH("1"), "users:1: the name begins or ends with a blank\n");
    assert_says("\n\xef\xbb\xbfUser:" HASH("1"),
                "users:2: the name contains U+FEFF ZERO WIDTH NO-BREAK SPACE (a byte order mark), "
                "which cannot be seen\n");
    assert_says("U\x01ser:" HASH("1"), "users:1: the name contains a control character\n");
    assert_says("User\x7f:" HASH("1"), "users:1: the name contains a control character\n");
    memset(line, 'n', USERS_NAME_MAX + 1);
    memcpy(line + USERS_NAME_MAX + 1, ":" HASH("9"), 34);
    assert_says(line, "users:1: the name is longer than 256 bytes\n");

    const char *hash = "users:1: the text after ':' is not a hash-hash of 32 hex digits\n";
    assert_says("User:", hash);
    assert_says("User:41c00c584bd2d91c4017a2a12fa59f3", hash);
    assert_says("User:41c00c584bd2d91c4017a2a12fa59f3f0", hash);
    assert_says("User:41c00c584bd2d91c4017a2a12fa59f3g", hash);
    assert_says("User:0x1c00c584bd2d91c4017a2a12fa59f3f", hash);
    assert_says("User: " HASH("1"), hash);
    assert_says("User::" HASH("1"), hash);
    assert_says("User:" HASH("1") " # staff", hash);
    assert_says("User:clientPass", hash);
    assert_says("User\xc2\xa0:" HASH("1"),
                "users:1: the name contains U+00A0 NO-BREAK SPACE, which cannot be seen\n");
    assert_says("\xe2\x80\x8eUser:" HASH("1"),
                "users:1: the name contains U+200E LEFT-TO-RIGHT MARK, which cannot be seen\n");
    assert_says(
        "User:" HASH("1") "\xc2\xa0",
        "users:1: the text after ':' contains U+00A0 NO-BREAK SPACE, which cannot be seen\n");
    assert_says("j\xfcrgen:" HASH("1"),
                "users:1: byte 2 of this line (0xFC) is not UTF-8: save the file as UTF-8\n");
    assert_says("a:" HASH("1") "\n# j\xfcrgen\nUser\xe9",
                "users:3: byte 5 of this line (0xE9) is not UTF-8: save the file as UTF-8\n");
    assert_says("User\xa0:" HASH("1"), "users:1: the name contains byte A0 (NO-BREAK SPACE in "
                                       "Windows-1252), which cannot be seen\n");
    assert_says("User:4\r1c00c584bd2d91c4017a2a12fa59f3", hash);
}

static void bytes_that_are_not_text(void **state)
{
    (void)state;
    struct reading r;
    parse_n(&r, "a\0b:" HASH("1"), 36);
    assert_null(r.users);
    assert_string_equal(r.problems, "users:1: the name contains a control character\n");
    reading_fini(&r);
    parse_n(&r, "a:" HASH("1") "\0", 35);
    assert_null(r.users);
    reading_fini(&r);
    parse_n(&r, "\xff\xfe#\0\n\0", 6);
    assert_null(r.users);
    assert_string_equal(r.problems,
                        "users: UTF-16, as PowerShell and some editors of Windows write "
                        "it: save it as UTF-8\n");
    reading_fini(&r);
    parse(&r, "# a comment\xc2\xa0\n\xc2\xa0\n");
    assert_null(r.users);
    assert_string_equal(r.problems,
                        "users:2: U+00A0 NO-BREAK SPACE, which cannot be seen, and no ':'\n");
    reading_fini(&r);
}

/* Every error is reported, not only the first, and never the secret. */
static void all_problems(void **state)
{
    (void)state;
    assert_says(
        "good:" HASH("1") "\n"
                          "no colon\n"
                          "# fine\n"
                          "GOOD:" HASH(
                              "2") "\n"
                                   "short:12\n"
                                   "other:" HASH(
                                       "3") "\n"
                                            "good:" HASH(
                                                "1") "\n"
                                                     "41c00c584bd2d91c4017a2a12fa59f3f:User\n",
        "users:2: no ':' in the line, which should be name:hash-hash\n"
        "users:4: the name is already on line 1 (letter case does not count)\n"
        "users:5: the text after ':' is not a hash-hash of 32 hex digits\n"
        "users:7: the name is already on line 1 (letter case does not count)\n"
        "users:8: the text after ':' is not a hash-hash of 32 hex digits\n");
}

static void valid_names(void **state)
{
    (void)state;
    static const char *const good[] = {"u",   "User", "CORP\\User",  "user@example.com",
                                       "a b", "a#",   "J\xc3\xb6rg", "-h"};
    static const char *const bad[] = {"\xef\xbb\xbf"
                                      "a",
                                      "\xef\xbb\xbf",
                                      "",
                                      "#a",
                                      " a",
                                      "a ",
                                      "\ta",
                                      "a\t",
                                      "a:b",
                                      ":",
                                      "a\nb",
                                      "a\x1f",
                                      "\x7f",
                                      "a\r",
                                      "a\xc2\xa0",
                                      "a\xe2\x80\x8b"
                                      "b",
                                      "J\xf6rg",
                                      "\xff"};
    char longest[USERS_NAME_MAX + 1];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(users_name_valid(span_str(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(users_name_valid(span_str(bad[i])));
    assert_false(users_name_valid(span_of(NULL, 0)));
    assert_false(users_name_valid(span_of("a\0b", 3)));
    memset(longest, 'x', sizeof longest);
    assert_true(users_name_valid(span_of(longest, USERS_NAME_MAX)));
    assert_false(users_name_valid(span_of(longest, USERS_NAME_MAX + 1)));
}

/* --- files --- */

struct temp {
    char dir[64], path[80];
};

static void temp_init(struct temp *t)
{
    strcpy(t->dir, "/tmp/sstpgate-users-XXXXXX");
    assert_non_null(mkdtemp(t->dir));
    snprintf(t->path, sizeof t->path, "%s/users", t->dir);
}

static void temp_fini(struct temp *t)
{
    unlink(t->path);
    rmdir(t->dir);
}

static void temp_write(const struct temp *t, const char *text, mode_t mode)
{
    FILE *f = fopen(t->path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(t->path, mode), 0);
}

static void load(struct reading *r, const struct temp *t)
{
    reading_init(r);
    r->users = users_load(t->path, r->stream);
    fflush(r->stream);
}

/* Asserts that the problems are "path" and this rest. */
static void assert_load_says(const struct temp *t, const char *rest)
{
    struct reading r;
    load(&r, t);
    assert_null(r.users);
    assert_int_equal(strncmp(r.problems, t->path, strlen(t->path)), 0);
    assert_string_equal(r.problems + strlen(t->path), rest);
    reading_fini(&r);
}

static void load_file(void **state)
{
    (void)state;
    static const mode_t fine[] = {0600, 0400, 0640, 0440, 0660};
    struct temp t;
    struct reading r;
    temp_init(&t);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        unlink(t.path);
        temp_write(&t, "User:" HASH("1") "\n", fine[i]);
        load(&r, &t);
        assert_string_equal(r.problems, "");
        assert_non_null(r.users);
        assert_finds(r.users, "user", "1");
        reading_fini(&r);
    }
    unlink(t.path);
    temp_write(&t, "", 0600);
    load(&r, &t);
    assert_non_null(r.users);
    reading_fini(&r);
    temp_write(&t, "User\n", 0600);
    assert_load_says(&t, ":1: no ':' in the line, which should be name:hash-hash\n");
    temp_fini(&t);
}

static void load_refuses(void **state)
{
    (void)state;
    struct temp t;
    temp_init(&t);
    assert_load_says(&t, ": cannot be opened: No such file or directory\n");

    temp_write(&t, "User:" HASH("1") "\n", 0644);
    assert_load_says(
        &t,
        ": accessible to other users (mode 0644), but it contains secrets: run chmod o= on it (a "
        "mounted secret: defaultMode: 0440 and fsGroup in Kubernetes, mode: 0440 and gid in "
        "Swarm)\n");
    for (mode_t bit = 1; bit <= 4; bit <<= 1) {
        struct reading r;
        assert_int_equal(chmod(t.path, 0600 | bit), 0);
        load(&r, &t);
        assert_null(r.users);
        reading_fini(&r);
    }
    /* the target of a link is checked */
    char other[100];
    snprintf(other, sizeof other, "%s-target", t.path);
    assert_int_equal(chmod(t.path, 0644), 0);
    assert_int_equal(rename(t.path, other), 0);
    assert_int_equal(symlink(other, t.path), 0);
    assert_load_says(
        &t,
        ": accessible to other users (mode 0644), but it contains secrets: run chmod o= on it (a "
        "mounted secret: defaultMode: 0440 and fsGroup in Kubernetes, mode: 0440 and gid in "
        "Swarm)\n");
    unlink(t.path);
    unlink(other);

    assert_int_equal(mkdir(t.path, 0700), 0);
    assert_load_says(&t, ": cannot be opened: Is a directory\n");
    rmdir(t.path);
    /* a FIFO without a writer does not block */
    assert_int_equal(mkfifo(t.path, 0600), 0);
    assert_load_says(&t, ": cannot be opened: not a regular file\n");
    unlink(t.path);
    /* too large: not read at all (the file is sparse) */
    temp_write(&t, "", 0600);
    assert_int_equal(truncate(t.path, 1LL << 40), 0);
    assert_load_says(&t, ": too large for a users file\n");
    temp_fini(&t);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void a_hundred_thousand(void **state)
{
    (void)state;
    enum { USERS = 100000 };
    struct temp t;
    struct reading r;
    temp_init(&t);
    FILE *f = fopen(t.path, "w");
    assert_non_null(f);
    for (unsigned i = 0; i < USERS; i++)
        fprintf(f, "CORP\\user.%u@example.com:%032x\n", i, i);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(t.path, 0600), 0);

    const double before = seconds();
    load(&r, &t);
    const double loaded = seconds();
    assert_non_null(r.users);
    assert_int_equal(users_count(r.users), USERS);
    for (unsigned i = 0; i < USERS; i++) {
        char name[64];
        struct users_match found[USERS_MATCH_MAX];
        snprintf(name, sizeof name, "corp\\USER.%u@example.com", i);
        assert_int_equal(users_find(r.users, span_str(name), found), 1);
        assert_int_equal(found[0].hash_hash[15], i & 0xff);
        assert_int_equal(found[0].hash_hash[14], i >> 8 & 0xff);
        assert_int_equal(found[0].hash_hash[13], i >> 16);
    }
    print_message("# %d users: loaded in %.0f ms, looked up in %.0f ms\n", USERS,
                  1e3 * (loaded - before), 1e3 * (seconds() - loaded));
    /* far more than needed, even with sanitizers; a list would need minutes */
    assert_true(seconds() - before < 10);
    reading_fini(&r);
    temp_fini(&t);
}

/* Returns the ns of a look-up, some of which fail; the best of a few rounds. */
static double time_lookups(const struct users *u, unsigned users)
{
    enum { ROUNDS = 5, LOOKUPS = 20000 };
    double best = 1e9;
    for (unsigned round = 0; round < ROUNDS; round++) {
        const double before = seconds();
        for (unsigned i = 0; i < LOOKUPS; i++) {
            char name[64];
            struct users_match found[USERS_MATCH_MAX];
            const unsigned n = i * 7919 % (users + users / 4);
            snprintf(name, sizeof name, "CORP\\user.%u@example.com", n);
            assert_int_equal(users_find(u, span_str(name), found), n < users);
        }
        const double took = (seconds() - before) / LOOKUPS * 1e9;
        best = took < best ? took : best;
    }
    return best;
}

/* With a thousand times the users, a list would need a thousand times as long, a tree three
 * times. The additional time of a table is that of cache misses. */
static void constant_time(void **state)
{
    (void)state;
    static const unsigned sizes[] = {100, 100000};
    double took[2];
    for (size_t i = 0; i < 2; i++) {
        struct users *u = users_new("users");
        static const uint8_t hash[USERS_HASH];
        for (unsigned n = 0; n < sizes[i]; n++) {
            char name[64];
            snprintf(name, sizeof name, "user.%u", n);
            assert_int_equal(users_add(u, span_str(name), hash, UNTIL_NEVER, n + 1), 0);
        }
        took[i] = time_lookups(u, sizes[i]);
        users_free(u);
    }
    print_message("# a lookup: %.0f ns among %u users, %.0f ns among %u\n", took[0], sizes[0],
                  took[1], sizes[1]);
    assert_true(took[1] < 30 * took[0]);
}

static void free_nothing(void **state)
{
    (void)state;
    users_free(NULL);
}

/* A domain or realm counts only if both names have one. */
static void same_names(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"alice", "ALICE", true},
        {"alice", "bob", false},
        {"CORP\\alice", "alice", true},
        {"alice@corp.example", "alice", true},
        {"CORP\\alice", "corp\\Alice", true},
        {"CORP\\alice", "HOME\\alice", false},
        {"CORP\\alice", "alice@corp.example", false},
        {"CORP\\alice", "bob", false},
        {"alice", "", false},
        {"CORP\\j\xc3\xbcrgen", "J\xc3\x9cRGEN", true},
        {"j\xc3\xbcrgen", "j\xfcrgen", false},
        {"", "", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct span a = span_str(cases[i].a), b = span_str(cases[i].b);
        assert_int_equal(users_same_name(a, b), cases[i].same);
        assert_int_equal(users_same_name(b, a), cases[i].same);
    }
}

/* A name without domain and realm covers every form of it; with one, only itself. */
static void names_cover_forms(void **state)
{
    (void)state;
    static const struct {
        const char *user, *name;
        bool covers;
    } cases[] = {
        {"alice", "alice", true},
        {"Alice", "CORP\\ALICE", true},
        {"alice", "alice@corp@x", true},
        {"alice", "alice2", false},
        {"CORP\\alice", "corp\\Alice", true},
        {"CORP\\alice", "alice", false},
        {"alice@a", "alice@b", false},
        {"alice@a", "ALICE@A", true},
        {"alice", "", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(users_covers(span_str(cases[i].user), span_str(cases[i].name)),
                         cases[i].covers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_file),
        cmocka_unit_test(ends_of_lines),
        cmocka_unit_test(bad_ends),
        cmocka_unit_test(cut_lines),
        cmocka_unit_test(expiry),
        cmocka_unit_test(empty_files),
        cmocka_unit_test(byte_order_mark),
        cmocka_unit_test(letter_case),
        cmocka_unit_test(forms_of_a_name),
        cmocka_unit_test(name_that_is_counted),
        cmocka_unit_test(strange_names),
        cmocka_unit_test(wrong_lines),
        cmocka_unit_test(bytes_that_are_not_text),
        cmocka_unit_test(all_problems),
        cmocka_unit_test(valid_names),
        cmocka_unit_test(load_file),
        cmocka_unit_test(load_refuses),
        cmocka_unit_test(a_hundred_thousand),
        cmocka_unit_test(constant_time),
        cmocka_unit_test(same_names),
        cmocka_unit_test(free_nothing),
        cmocka_unit_test(names_cover_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
