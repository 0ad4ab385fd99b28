#include "cli/setup_answers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memo.h"
#include "certs.h"

static struct certs certs;
static struct setup_answers answers;
static struct memo said;

static int set_up(void **state)
{
    (void)state;
    certs_init(&certs);
    answers = (struct setup_answers){.directory = certs.folder, .out = memo_open(&said)};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (answers.in != NULL)
        fclose(answers.in);
    setup_answers_fini(&answers);
    memo_free(&said);
    certs_fini(&certs);
    return 0;
}

static void type(const char *lines)
{
    if (answers.in != NULL)
        fclose(answers.in);
    answers.in = fmemopen((void *)lines, strlen(lines), "r");
    assert_non_null(answers.in);
}

static bool get(enum setup_question first, enum setup_question last)
{
    return setup_answers_get(&answers, first, last);
}

static void expect_said(const char *part)
{
    assert_int_equal(fflush(said.file), 0);
    if (strstr(said.text, part) == NULL)
        fail_msg("'%s' is not in:\n%s", part, said.text);
}

static void expect(enum setup_question q, const char *text)
{
    if (text == NULL)
        assert_null(setup_answer(&answers, q));
    else
        assert_string_equal(setup_answer(&answers, q), text);
}

static void empty_line_is_the_default(void **state)
{
    (void)state;
    type("\nvpn.example.com\n");
    assert_true(get(SETUP_LISTEN, SETUP_HOST));
    expect(SETUP_LISTEN, "*:443");
    expect(SETUP_HOST, "vpn.example.com");
    expect_said("Address and port that clients connect to [*:443]: ");
}

/* Each wrong answer is asked for again, with the sentence of the configuration. */
static void wrong_answers_are_asked_for_again(void **state)
{
    (void)state;
    type("10.0.0.256:443\n127.0.0.1:0x50\n 127.0.0.1:8443 \r\nvpn example\n\n?\nvpn.example.com\n"
         "10.0.0.7 backup\n10.0.0.5:0\n10.0.0.5\n");
    assert_true(get(SETUP_LISTEN, SETUP_SERVER));
    expect(SETUP_LISTEN, "127.0.0.1:8443");
    expect(SETUP_HOST, "vpn.example.com");
    expect(SETUP_SERVER, "10.0.0.5");
    expect_said("  listen: '10.0.0.256:443'");
    expect_said("  host: 'vpn example'");
    expect_said("  an answer is needed; ? explains");
    expect_said("  the public name, which clients dial");
    expect_said("  write HOST or HOST:PORT");
}

/* None of them may become more than one value of one key. */
static void answer_is_one_value(void **state)
{
    static const char *const bad[] = {"vpn.example.com\nallow = any",
                                      "a.example ; comment",
                                      "a.example\x01",
                                      "\"a.example\"",
                                      "${HOME}",
                                      "a.example\xe2\x80\xae",
                                      "[backend x]",
                                      ";a",
                                      "m\xc3\xbcller"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        answers.given[SETUP_HOST] = bad[i];
        assert_false(get(SETUP_HOST, SETUP_HOST));
        expect(SETUP_HOST, NULL);
    }
    expect_said("--host 'a.example ; comment' is not possible: see above");
}

static void long_line_is_one_wrong_answer(void **state)
{
    static char lines[5000 + 32];

    (void)state;
    memset(lines, 'a', 5000);
    strcpy(lines + 5000, "\nvpn.example.com\n");
    type(lines);
    assert_true(get(SETUP_HOST, SETUP_HOST));
    expect(SETUP_HOST, "vpn.example.com");
}

static void end_of_the_input(void **state)
{
    (void)state;
    type("*:443\n");
    assert_false(get(SETUP_LISTEN, SETUP_HOST));
    assert_true(answers.exhausted);
    expect_said("The input has ended. Nothing was written.");
}

static void without_input_a_needed_option_is_named(void **state)
{
    (void)state;
    assert_false(get(SETUP_LISTEN, SETUP_HOST));
    assert_false(answers.exhausted);
    expect(SETUP_LISTEN, "*:443");
    expect_said("sstpgate setup: --host is needed");
}

static void only_questions_that_fit_are_asked(void **state)
{
    (void)state;
    type("none\nself-signed\n");
    assert_true(get(SETUP_LOGINS, SETUP_KEY));
    expect(SETUP_USERS_FILE, NULL);
    expect(SETUP_RADIUS, NULL);
    expect(SETUP_CERTIFICATE, NULL);
}

static void radius_has_four_questions(void **state)
{
    char secret[64];

    (void)state;
    type("radius\n10.0.0.9\n10.0.0.1\n10.0.0.5\n\n");
    assert_true(get(SETUP_LOGINS, SETUP_RADIUS_SECRET));
    expect(SETUP_RADIUS, "10.0.0.9");
    expect(SETUP_RADIUS_LISTEN, "10.0.0.1");
    expect(SETUP_RADIUS_CLIENT, "10.0.0.5");
    snprintf(secret, sizeof secret, "%s/radius.secret", certs.folder);
    expect(SETUP_RADIUS_SECRET, secret);
}

static void option_that_does_not_fit_is_an_error(void **state)
{
    (void)state;
    answers.given[SETUP_LOGINS] = "none";
    answers.given[SETUP_USERS_FILE] = "users";
    assert_false(get(SETUP_LOGINS, SETUP_USERS_FILE));
    expect_said("--users-file is not possible: it contradicts");
}

static void word_of_a_list(void **state)
{
    (void)state;
    type("fil\nfile radius\nFILE\nnone\n");
    assert_true(get(SETUP_LOGINS, SETUP_LOGINS));
    expect(SETUP_LOGINS, "none");
    expect_said("'fil' is not one of: file radius none");
    expect_said("'file radius' is not one of");
}

static void existing_users_file_must_be_good_and_gets_no_user(void **state)
{
    const char *path = certs_path(&certs, "users");
    FILE *f = fopen(path, "w");

    (void)state;
    fputs("not a line of a users file\n", f);
    fclose(f);
    chmod(path, 0600);
    answers.given[SETUP_LOGINS] = "file";
    answers.given[SETUP_USERS_FILE] = path;
    assert_false(get(SETUP_LOGINS, SETUP_USER));
    expect_said("users:1: ");
    assert_int_equal(truncate(path, 0), 0);
    answers.given[SETUP_USER] = "alice";
    assert_false(get(SETUP_LOGINS, SETUP_USER));
    expect_said("--user is not possible: the users file exists");
    answers.given[SETUP_USER] = NULL;
    assert_true(get(SETUP_LOGINS, SETUP_USER));
    expect(SETUP_USER, NULL);
}

static void name_of_a_user_is_checked(void **state)
{
    (void)state;
    type("\n\na:b\nalice\n");
    assert_true(get(SETUP_LOGINS, SETUP_USER));
    expect(SETUP_USER, "alice");
}

static void certificate_and_key_are_loaded(void **state)
{
    struct cert own, other;

    (void)state;
    cert_make(&certs, &own, "own.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    cert_make(&certs, &other, "other.pem", &(struct cert_spec){.name = "DNS:other.test"});
    answers.given[SETUP_CERTIFICATES] = "files";
    answers.given[SETUP_CERTIFICATE] = own.pem;
    answers.given[SETUP_KEY] = other.pem;
    assert_false(get(SETUP_CERTIFICATES, SETUP_KEY));
    expect_said("--key '");
    answers.given[SETUP_KEY] = NULL;
    assert_true(get(SETUP_CERTIFICATES, SETUP_KEY));
    expect(SETUP_CERTIFICATE, own.pem);
    expect(SETUP_KEY, "");
    answers.given[SETUP_CERTIFICATE] = "/nonexistent.pem";
    assert_false(get(SETUP_CERTIFICATES, SETUP_KEY));
    expect_said("/nonexistent.pem: ");
    cert_free(&own);
    cert_free(&other);
}

static void relative_path_starts_at_the_working_directory(void **state)
{
    char here[4096], expected[4200];

    (void)state;
    answers.given[SETUP_LOGINS] = "file";
    answers.given[SETUP_USERS_FILE] = "no-such-users";
    assert_true(get(SETUP_LOGINS, SETUP_USERS_FILE));
    assert_non_null(getcwd(here, sizeof here));
    snprintf(expected, sizeof expected, "%s/no-such-users", here);
    expect(SETUP_USERS_FILE, expected);
}

static void confirmation_is_yes_or_no(void **state)
{
    (void)state;
    assert_true(setup_answers_confirm(&answers, "Go on?", true));
    assert_false(setup_answers_confirm(&answers, "Go on?", false));
    type("maybe\nyes\nno\n\n");
    assert_true(setup_answers_confirm(&answers, "Go on?", false));
    assert_false(setup_answers_confirm(&answers, "Go on?", true));
    assert_true(setup_answers_confirm(&answers, "Go on?", true));
    assert_false(setup_answers_confirm(&answers, "Go on?", true));
    assert_true(answers.exhausted);
    expect_said("  write yes or no");
}

static void every_option_is_explained(void **state)
{
    char option[64];

    (void)state;
    setup_answers_help(said.file);
    for (int q = 0; q < SETUP_QUESTIONS; q++) {
        snprintf(option, sizeof option, "--%s ", setup_question_option((enum setup_question)q));
        expect_said(option);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(empty_line_is_the_default),
        TEST(wrong_answers_are_asked_for_again),
        TEST(answer_is_one_value),
        TEST(long_line_is_one_wrong_answer),
        TEST(end_of_the_input),
        TEST(without_input_a_needed_option_is_named),
        TEST(only_questions_that_fit_are_asked),
        TEST(radius_has_four_questions),
        TEST(option_that_does_not_fit_is_an_error),
        TEST(word_of_a_list),
        TEST(existing_users_file_must_be_good_and_gets_no_user),
        TEST(name_of_a_user_is_checked),
        TEST(certificate_and_key_are_loaded),
        TEST(relative_path_starts_at_the_working_directory),
        TEST(confirmation_is_yes_or_no),
        TEST(every_option_is_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
