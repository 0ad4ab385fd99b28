#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "users/import.h"

/* The events as text: "3 user NAME SECRET", "3 skipped NAME: REASON", "3 problem: REASON". */
struct said {
    char *text;
    size_t n;
    FILE *stream;
};

static void on_user(void *arg, const struct import_user *u)
{
    struct said *s = arg;
    fprintf(s->stream, "%u user %.*s ", u->line, (int)u->name.n, (const char *)u->name.p);
    if (!u->hash)
        fwrite(u->secret.p, 1, u->secret.n, s->stream);
    else
        for (size_t i = 0; i < u->secret.n; i++)
            fprintf(s->stream, "%02x", u->secret.p[i]);
    fputc('\n', s->stream);
}

static void on_skipped(void *arg, unsigned line, struct span name, const char *reason)
{
    struct said *s = arg;
    fprintf(s->stream, "%u skipped %.*s: %s\n", line, (int)name.n,
            name.n == 0 ? "" : (const char *)name.p, reason);
}

static void on_problem(void *arg, unsigned line, const char *reason)
{
    struct said *s = arg;
    fprintf(s->stream, "%u problem: %s\n", line, reason);
}

static char *read_n(const struct import_options *o, const char *text, size_t n)
{
    struct said s = {.n = 0};
    const struct import_events to = {
        .arg = &s, .on_user = on_user, .on_skipped = on_skipped, .on_problem = on_problem};
    /* on the heap, without the NUL, so that a sanitizer detects a read past the end */
    char *exact = malloc(n + (n == 0));

    assert_non_null(exact);
    memcpy(exact, text, n);
    s.stream = open_memstream(&s.text, &s.n);
    assert_non_null(s.stream);
    import_read(o, span_of(exact, n), &to);
    assert_int_equal(fclose(s.stream), 0);
    free(exact);
    return s.text;
}

static const struct import_options pppd = {.kind = IMPORT_PPPD},
                                   either = {.kind = IMPORT_CHAP_SECRETS},
                                   accel = {.kind = IMPORT_ACCEL_PPP},
                                   accel_plain = {IMPORT_ACCEL_PPP, IMPORT_PLAIN, false},
                                   accel_encrypted = {IMPORT_ACCEL_PPP, IMPORT_ENCRYPTED, false},
                                   smb = {.kind = IMPORT_SMBPASSWD},
                                   smb_machines = {.kind = IMPORT_SMBPASSWD, .machines = true};

static void says(const struct import_options *o, const char *text, const char *want)
{
    char *have = read_n(o, text, strlen(text));
    assert_string_equal(have, want);
    free(have);
}

static void chap_says(const char *text, const char *want)
{
    char *have = read_n(&pppd, text, strlen(text));
    assert_string_equal(have, want);
    free(have);
}

static void smb_says(bool machines, const char *text, const char *want)
{
    char *have = read_n(machines ? &smb_machines : &smb, text, strlen(text));
    assert_string_equal(have, want);
    free(have);
}

static void kinds(void **state)
{
    (void)state;
    enum import_kind kind;
    assert_true(import_kind_from("chap-secrets", &kind));
    assert_int_equal(kind, IMPORT_CHAP_SECRETS);
    assert_true(import_kind_from("smbpasswd", &kind));
    assert_int_equal(kind, IMPORT_SMBPASSWD);
    assert_true(import_kind_from("pppd", &kind));
    assert_int_equal(kind, IMPORT_PPPD);
    assert_true(import_kind_from("accel-ppp", &kind));
    assert_int_equal(kind, IMPORT_ACCEL_PPP);
    assert_false(import_kind_from("passwd", &kind));
    assert_false(import_kind_from("", &kind));
}

static void lines_of_three_words(void **state)
{
    (void)state;
    chap_says("", "");
    chap_says("\n\n \t\n# comment\n  # comment\n", "");
    chap_says("alice * sesame *\n", "1 user alice sesame\n");
    chap_says("# client server secret addresses\n\n\talice\tvpn\tsesame\n",
              "3 user alice sesame\n");
    chap_says("alice * sesame", "1 user alice sesame\n");
    chap_says("alice * sesame\r\nbob * x\r\n", "1 user alice sesame\n2 user bob x\n");
    /* the addresses of a client are ignored, and the options after -- too */
    chap_says("alice * sesame 10.0.0.1 10.0.0.2 -- mtu 1400\nbob * x\n",
              "1 user alice sesame\n2 user bob x\n");
    /* a comment may begin right after a word, but not in a quoted word */
    chap_says("alice * sesame#x\nbob * \"a#b\" # y\n", "1 user alice sesame\n2 user bob a#b\n");
    chap_says("alice * sesame # \\\nbob * x\n", "1 user alice sesame\n2 user bob x\n");
}

static void quotes(void **state)
{
    (void)state;
    chap_says("\"alice b\" \"*\" \"se same\" *\n", "1 user alice b se same\n");
    chap_says("'alice' * 'it\"s'\n", "1 user alice it\"s\n");
    chap_says("alice * \"it's \\\"it\\\"\"\n", "1 user alice it's \"it\"\n");
    /* quotes in the middle of words, as in a shell */
    chap_says("alice * it's\nbob * x\n",
              "1 problem: a quote is not closed on its line\n2 user bob x\n");
    chap_says("alice * it\\'s\nb'o b' * a\" b\"c'#'d#e\n",
              "1 user alice it's\n2 user bo b a bc#d\n");
    chap_says("\"a\"b \"\"* x'\"'y\"'\"\n", "1 user ab x\"y'\n");
    chap_says("\"alice\"* sesame\n", "1 problem: not a line of three words: client, server and "
                                     "secret\n");
    chap_says("alice * \"se\"\\\n\"same\"\n", "1 user alice sesame\n");
}

static void escapes(void **state)
{
    (void)state;
    chap_says("CORP\\\\alice * sesame\n", "1 user CORP\\alice sesame\n");
    chap_says("\"CORP\\\\alice\" * sesame\n", "1 user CORP\\alice sesame\n");
    chap_says("alice * a\\sb\\ c\\#d\\\"e\\qf\n", "1 user alice a b c#d\"eqf\n");
    chap_says("\\#alice * \\'x\n\\a * x\n", "1 skipped : the name begins with '#'\n"
                                            "2 skipped : the name contains a control character\n");
    chap_says("alice * \\a\\b\\f\\n\\r\\t.\n", "1 user alice \a\b\f\n\r\t.\n");
    chap_says("alice * \\101\\1012\\x41\\x4g\\xe4\n", "1 user alice AA2A\004g\xe4\n");
    chap_says("alice * \\400x\n",
              "1 problem: a NUL in a word\n"); /* the value is reduced to one byte, as in pppd */
    chap_says("alice * a\\000b\nbob * \\xg\ncarol * x\n",
              "1 problem: a NUL in a word\n2 problem: a NUL in a word\n3 user carol x\n");
}

static void joined_lines(void **state)
{
    (void)state;
    chap_says("alice \\\n * \\\n sesame \\\n10.0.0.1\nbob * x\n",
              "1 user alice sesame\n5 user bob x\n");
    chap_says("al\\\nice * \"ses\\\name\"\nbob * x\n", "1 user alice sesame\n4 user bob x\n");
    chap_says("\\\nalice * x", "1 user alice x\n");
    chap_says("alice * x\\", "1 problem: a '\\' at the end of the file\n");
    chap_says("alice * x \\", "1 user alice x\n");
}

static void lines_that_are_none(void **state)
{
    (void)state;
    const char *words = "not a line of three words: client, server and secret";
    char want[200];
    snprintf(want, sizeof want, "1 problem: %s\n2 problem: %s\n3 user carol x\n", words, words);
    chap_says("alice\nbob *\ncarol * x\n", want);
    snprintf(want, sizeof want, "1 problem: %s\n", words);
    chap_says("alice:5f4dcc3b5aa765d61d8327deb882cf99", want);
    chap_says("alice * # sesame", want);
    chap_says("alice * \"sesame\nbob * x\n",
              "1 problem: a quote is not closed on its line\n2 user bob x\n");
    chap_says("alice * 'sesame", "1 problem: a quote is not closed on its line\n");
    /* the text after the secret is ignored */
    chap_says("alice * sesame \"\nbob * x\n", "1 user alice sesame\n2 user bob x\n");
}

static void not_taken(void **state)
{
    (void)state;
    chap_says("* * sesame\n\"*\" vpn sesame\n*a * x\n",
              "1 skipped *: it applies to every client, and a key belongs to one user\n"
              "2 skipped *: it applies to every client, and a key belongs to one user\n"
              "3 user *a x\n");
    chap_says("alice * @/etc/ppp/alice *\nbob * @x\ncarol * \"@/x\"\n",
              "1 skipped alice: its secret is in another file\n"
              "2 user bob @x\n"
              "3 skipped carol: its secret is in another file\n");
    chap_says("alice * \"\" *\n\"\" * x\n", "1 skipped alice: its secret is empty\n"
                                            "2 skipped : the name is empty\n");
    chap_says("a:b * x\na\\nb * x\n", "1 skipped : the name contains a ':'\n"
                                      "2 skipped : the name contains a control character\n");
}

static void long_words(void **state)
{
    (void)state;
    static char text[2 * IMPORT_WORD_MAX];
    char *have;

    memcpy(text, "alice * ", 8);
    memset(text + 8, 'x', IMPORT_WORD_MAX);
    have = read_n(&pppd, text, 8 + IMPORT_WORD_MAX);
    assert_int_equal(strlen(have), strlen("1 user alice \n") + IMPORT_WORD_MAX);
    free(have);
    memcpy(text + 8 + IMPORT_WORD_MAX, "x\nb * y", 7);
    have = read_n(&pppd, text, 8 + IMPORT_WORD_MAX + 7);
    assert_string_equal(have, "1 problem: a word is longer than 1023 bytes\n2 user b y\n");
    free(have);
    /* still a word of a few bytes */
    memset(text, '\\', 4);
    for (size_t i = 0; i + 1 < 1200; i += 2)
        memcpy(text + i, "\\\n", 2);
    memcpy(text + 1200, "b * y", 5);
    have = read_n(&pppd, text, 1205);
    assert_string_equal(have, "1 user b y\n");
    free(have);
}

/* The values come from accel-ppp's reader (chap-secrets.c: split, skip_word), compiled alone. */
static void accel_ppp(void **state)
{
    (void)state;
    const char *open = "1 problem: a quote is not closed on its line\n";
    const char *fourth =
        "1 skipped alice: accel-ppp ignores a line without a fourth word, the address or *\n";

    says(&accel, "", "");
    says(&accel, "# x\n\n \t\nalice * sesame *\r\nbob\tvpn\tx\t10.0.0.1 rate\n",
         "4 user alice sesame\n5 user bob x\n");
    /* nothing but a quote at the start of a word, and a '\\' in it, is special */
    says(&accel, "CORP\\alice * a#b\\n'c\"d *\n", "1 user CORP\\alice a#b\\n'c\"d\n");
    says(&accel, "\"alice\" '*' \"se same\" *", "1 user alice se same\n");
    says(&accel, "'al\\ice' * \"a\\\"b\\\\c#'\" *\n", "1 user alice a\"b\\c#'\n");
    says(&accel, "alice * \"se\"same *\n", "1 user alice se\n");
    says(&accel, "alice * x'y' *\n", "1 user alice x'y'\n");
    says(&accel, "alice * @/x *\n* * x *\n", "1 user alice @/x\n2 user * x\n");
    says(&accel, "alice * \"sesame *\n", open);
    says(&accel, "alice * 'sesame\\' *\n", open);
    says(&accel, "alice * \"\" *\n", "1 skipped alice: its secret is empty\n");
    /* the address is required, but a blank or a quote in front of the line's end is enough */
    says(&accel, "alice * sesame\n", fourth);
    says(&accel, "alice * sesame", fourth);
    says(&accel, "alice * sesame ", fourth);
    says(&accel, "alice\n", fourth);
    says(&accel, "alice *\n", fourth);
    says(&accel, "alice * sesame \n", "1 user alice sesame\n");
    says(&accel, "alice * \"sesame\"\n", "1 user alice sesame\n");
    says(&accel, "alice * \"sesame\"", fourth);
    says(&accel, " alice * sesame *\n",
         "1 skipped : accel-ppp reads an empty name here, as in a line that begins with a blank\n");
    says(&accel, "a:b * x *\n", "1 skipped : the name contains a ':'\n");
    says(&accel,
         "\xef\xbb\xbf"
         "alice * x *\n",
         "1 user alice x\n");
    char *have = read_n(&accel, "alice * x\0y *\nbob * y *\n", 24);
    assert_string_equal(have, "1 problem: a NUL in the line\n2 user bob y\n");
    free(have);
}

static void accel_ppp_encrypted(void **state)
{
    (void)state;
    static const char hash[] = "44ebba8d5312b8d611474411f56989ae";
    char line[200], want[200];

    snprintf(line, sizeof line, "\"alice\" * %s *\nbob * sesame *\n", hash);
    snprintf(want, sizeof want,
             "1 user alice %s\n2 problem: the secret is not 32 hex digits, as with encrypted=1\n",
             hash);
    says(&accel_encrypted, line, want);
    snprintf(want, sizeof want, "1 user alice %s\n2 user bob sesame\n", hash);
    says(&accel_plain, line, want);
    says(
        &accel, line,
        "1 problem: the secret is 32 hex digits: write --encrypted 1 (an NT hash) or --encrypted 0 "
        "(a password), as accel-ppp.conf does\n2 user bob sesame\n");
    snprintf(line, sizeof line, "%s * %s *\n", hash, hash);
    says(
        &accel_encrypted, line,
        "1 problem: the name is a hash (username-hash), from which the name cannot be recovered\n");
}

/* If the program is unknown, a line is imported if both programs read it in the same way, or if
 * only pppd can read it. */
static void either_program(void **state)
{
    (void)state;
#define DIFFERENT                                                                                  \
    "1 problem: pppd and accel-ppp read this line differently: write --import pppd or "            \
    "--import accel-ppp\n"
    static const char *const same[] = {
        "alice * sesame *\n",       "alice * sesame\n",     "alice vpn sesame 10.0.0.1 # x\n",
        "\"alice\" * 'sesame' *\n", "\talice * sesame *\n", "alice * sesame # x\n",
        "alice \\\n * sesame\n",    "alice * sesame",       "alice * sesame *\r\n"};
    static const char *const different[] = {
        "alice * sesame#x *\n",  "alice * ses\\ame *\n",      "alice * it's *\n",
        "alice * it's it's *\n", "alice * \"se\"same *\n",    "CORP\\\\alice * x *\n",
        "CORP\\alice * x *\n",   "alice * \"a\\tb\" *\n",     "al'i'ce * x *\n",
        "alice#x * y *\n",       "\"alice\"bob * sesame *\n", "alice * \\\n sesame *\n"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        says(&either, same[i], "1 user alice sesame\n");
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        char *have = read_n(&either, different[i], strlen(different[i]));
        if (strncmp(have, DIFFERENT, strlen(DIFFERENT)) != 0)
            fail_msg("%s: %s", different[i], have);
        free(have);
    }
    says(&either, "# x\n  # y\nalice * x *\n", "3 user alice x\n");
    says(&either, "* * x *\nalice * @/x *\n",
         "1 skipped *: it applies to every client, and a key belongs to one user\n"
         "2 skipped alice: its secret is in another file\n");
    says(&either, "alice * 44ebba8d5312b8d611474411f56989ae *\nbob * x *\n",
         "1 problem: the secret is 32 hex digits: an NT hash of accel-ppp (--import accel-ppp "
         "--encrypted 1), or a password (--import pppd)\n2 user bob x\n");
    says(&pppd, "alice * 44ebba8d5312b8d611474411f56989ae *\n",
         "1 user alice 44ebba8d5312b8d611474411f56989ae\n");
}

static void files_of_other_systems(void **state)
{
    (void)state;
    const struct import_options *const all[] = {&pppd, &either, &accel, &accel_plain};
    const char *utf16 = "1 problem: UTF-16, as PowerShell and some editors of Windows write it: "
                        "save it as UTF-8\n";
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        says(all[i], "\xef\xbb\xbf# x\r\nalice * x *\r\n", "2 user alice x\n");
        says(all[i], "alice * x\xc2\xa0 *\nal\xe2\x80\x8bice * x *\nbob * a\xc2\xa0z *\n",
             "1 problem: the secret begins or ends with U+00A0 NO-BREAK SPACE, which cannot be "
             "seen\n"
             "2 skipped : the name contains U+200B ZERO WIDTH SPACE, which cannot be seen\n"
             "3 user bob a\xc2\xa0z\n");
        says(all[i], "j\xfcrgen * x *\nj\xc3\xbcrgen * x *\n",
             "1 skipped : the name is not UTF-8\n2 user j\xc3\xbcrgen x\n");
        says(all[i],
             "\xff\xfe"
             "a",
             utf16);
    }
    says(&smb,
         "\xff\xfe"
         "a",
         utf16);
    says(&smb,
         "\xef\xbb\xbf"
         "alice:1:X:44ebba8d5312b8d611474411f56989ae:[U]:LCT-1:\r\n",
         "1 user alice 44ebba8d5312b8d611474411f56989ae\n");
}

#define LM "XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX"
#define NT "44EBBA8D5312B8D611474411F56989AE"
#define nt "44ebba8d5312b8d611474411f56989ae"

static void accounts(void **state)
{
    (void)state;
    smb_says(false, "", "");
    smb_says(false, "# comment\n\n", "");
    smb_says(false, "alice:1000:" LM ":" NT ":[U          ]:LCT-5D8B1C2A:\n",
             "1 user alice " nt "\n");
    smb_says(false,
             "alice:1000:" LM ":" nt ":[UX         ]:LCT-5D8B1C2A:\r\nbob:1:" LM ":" NT
             ":[UL         ]:LCT-00000000:",
             "1 user alice " nt "\n2 user bob " nt "\n");
    /* the old form without flags, and one without text after the hash */
    smb_says(false, "alice:1000:" LM ":" NT ":Alice D. N.:/home/alice:/bin/sh\n",
             "1 user alice " nt "\n");
    smb_says(false, "two words:1000:" LM ":" NT, "1 user two words " nt "\n");
}

/* Output of pdbedit of Samba 4.17.12: a user without a password, three with one (that of `mail`
 * is "b\xc3\xa4r"), one that is disabled, one that needs none. */
static void accounts_of_samba(void **state)
{
    (void)state;
    smb_says(false,
             "nobody:65534:" LM ":" LM ":[U          ]:LCT-00000000:\n"
             "root:0:" LM ":" NT ":[U          ]:LCT-6B03643B:\n"
             "www-data:33:" LM ":" NT ":[U          ]:LCT-6B03643B:\n"
             "mail:8:" LM ":3563EBC87AF1E8F9B6B5B48AB87788A1:[U          ]:LCT-6B03643B:\n"
             "daemon:1:" LM ":" NT ":[DU         ]:LCT-6B03643B:\n"
             "games:5:NO PASSWORDXXXXXXXXXXXXXXXXXXXXX:" NT ":[NU         ]:LCT-6B03643B:\n",
             "1 skipped nobody: the account has no NT hash\n"
             "2 user root " nt "\n"
             "3 user www-data " nt "\n"
             "4 user mail 3563ebc87af1e8f9b6b5b48ab87788a1\n"
             "5 skipped daemon: the account is disabled\n"
             "6 skipped games: the account has no password\n");
}

static void accounts_not_taken(void **state)
{
    (void)state;
    const char *machine = "the account of a machine or a domain (--machines imports it)";
    char want[400];

    smb_says(false,
             "a:1:" LM ":" NT ":[DU         ]:LCT-1:\n"
             "b:1:NO PASSWORDXXXXXXXXXXXXXXXXXXXXX:NO PASSWORDXXXXXXXXXXXXXXXXXXXXX:"
             "[NU         ]:LCT-1:\n"
             "c:1:" LM ":" NT ":[NU         ]:LCT-1:\n"
             "d:1:" LM ":NO PASSWORD*********************:[U          ]:LCT-1:\n"
             "e:1:" LM ":" LM ":[U          ]:LCT-1:\n"
             "f:1:" LM ":31D6CFE0D16AE931B73C59D7E0C089C0:[U          ]:LCT-1:\n",
             "1 skipped a: the account is disabled\n"
             "2 skipped b: the account has no password\n"
             "3 skipped c: the account has no password\n"
             "4 skipped d: the account has no password\n"
             "5 skipped e: the account has no NT hash\n"
             "6 skipped f: its password is empty\n");
    static const char machines[] = "pc$:1:" LM ":" NT ":[U          ]:LCT-1:\n"
                                   "pc:1:" LM ":" NT ":[W          ]:LCT-1:\n"
                                   "dc:1:" LM ":" NT ":[S          ]:LCT-1:\n"
                                   "dom:1:" LM ":" NT ":[I          ]:LCT-1:\n";
    snprintf(want, sizeof want,
             "1 skipped pc$: %s\n2 skipped pc: %s\n3 skipped dc: %s\n"
             "4 skipped dom: %s\n",
             machine, machine, machine, machine);
    smb_says(false, machines, want);
    smb_says(true, machines,
             "1 user pc$ " nt "\n2 user pc " nt "\n3 user dc " nt "\n4 user dom " nt "\n");
}

static void accounts_that_are_none(void **state)
{
    (void)state;
    const char *form =
        "1 problem: not a line of smbpasswd: name:uid:LM hash:NT hash:[flags]:time:\n";
    const char *hash = "1 problem: the NT hash is not 32 hex digits\n";

    smb_says(false, "alice\n", form);
    smb_says(false, "alice:1000:Alice A.", form); /* pdbedit -L without -w */
    smb_says(false, ":1000:" LM ":" NT ":", form);
    smb_says(false, "alice:1000:" LM ":", form);
    smb_says(false, " ", form);
    smb_says(false, "alice:1000:" LM ":44EBBA8D5312B8D611474411F56989A:", hash);
    smb_says(false, "alice:1000:" LM ":" NT "0:", hash);
    smb_says(false, "alice:1000:" LM ":44EBBA8D5312B8D611474411F56989AG:", hash);
    smb_says(false, "alice * sesame", form);
    smb_says(false, " alice:1:" LM ":" NT ":",
             "1 skipped : the name begins or ends with a blank\n");
}

/* Reads every prefix of a text, and bytes of every value, with both readers. */
static void cut_and_odd(void **state)
{
    (void)state;
    static const char chap[] =
        "\"CORP\\\\al\\x41\\101\\\nice\" 'v' \"a\\\"b\\s\" 10.0.0.1 # x\n* * @/x";
    static const char accounts_of[] = "alice:1000:" LM ":" NT ":[U          ]:LCT-5D8B1C2A:\r\n#\n";
    char bytes[256];

    for (size_t n = 0; n < sizeof chap; n++) {
        free(read_n(&pppd, chap, n));
        free(read_n(&either, chap, n));
        free(read_n(&accel, chap, n));
        free(read_n(&accel_encrypted, chap, n));
    }
    for (size_t n = 0; n < sizeof accounts_of; n++)
        free(read_n(&smb_machines, accounts_of, n));
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)i;
    free(read_n(&pppd, bytes, sizeof bytes));
    free(read_n(&either, bytes, sizeof bytes));
    free(read_n(&accel, bytes, sizeof bytes));
    free(read_n(&smb_machines, bytes, sizeof bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(lines_of_three_words),
        cmocka_unit_test(quotes),
        cmocka_unit_test(escapes),
        cmocka_unit_test(joined_lines),
        cmocka_unit_test(lines_that_are_none),
        cmocka_unit_test(not_taken),
        cmocka_unit_test(long_words),
        cmocka_unit_test(accel_ppp),
        cmocka_unit_test(accel_ppp_encrypted),
        cmocka_unit_test(either_program),
        cmocka_unit_test(files_of_other_systems),
        cmocka_unit_test(accounts),
        cmocka_unit_test(accounts_of_samba),
        cmocka_unit_test(accounts_not_taken),
        cmocka_unit_test(accounts_that_are_none),
        cmocka_unit_test(cut_and_odd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
