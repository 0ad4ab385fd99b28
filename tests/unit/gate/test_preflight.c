/* Errors and warnings about configurations in a temporary directory. */
#include "gate/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "certs.h"
#include "site/site.h"
#include "site/snapshot.h"

static struct certs certs;
static struct cert cert;
static const char *path;

static int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    cert_make(&certs, &cert, "cert.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .hours = 365 * 24});
    assert_int_equal(chmod(cert.pem, 0600), 0);
    path = certs_path(&certs, "gate.conf");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cert_free(&cert);
    certs_fini(&certs);
    return 0;
}

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Writes a configuration. Lines 1 to 3 are [listener l], its address and its certificate. */
static void write_config(const char *listener, const char *backend)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fprintf(f,
            "[listener l]\nlisten = 127.0.0.1:0\ncertificate = %s\n%s"
            "[backend b]\nserver = 127.0.0.1:1\ntls = no\n%s",
            cert.pem, listener, backend);
    assert_int_equal(fclose(f), 0);
}

/* Asserts the result of preflight_config for the file, and that it writes a line for each
 * of the texts (which end with NULL), in this order and no others. A text is the end of a line that
 * begins with the path of the file. */
static void assert_checked(enum preflight_result result, const char *const texts[])
{
    char *text = NULL;
    size_t n, i = 0;
    FILE *problems = open_memstream(&text, &n);

    assert_non_null(problems);
    assert_int_equal(preflight_config(path, problems, NULL), result);
    fclose(problems);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; i++) {
        if (texts[i] == NULL || strncmp(line, path, strlen(path)) != 0 ||
            strstr(line, texts[i]) == NULL)
            fail_msg("%s: not %s", line, texts[i] == NULL ? "expected" : texts[i]);
    }
    assert_null(texts[i]);
    free(text);
}

static void a_good_configuration_has_no_warnings(void **state)
{
    static const char *const texts[] = {NULL};

    (void)state;
    write_config("", "crypto-binding = off\n");
    assert_checked(PREFLIGHT_GOOD, texts);
}

static void likely_mistakes_are_warnings(void **state)
{
    static const char *const texts[] = {
        ":5: warning: listener l: this rule is never reached",
        ":6: warning: listener l: groups: with a finite-field group (ffdhe), one packet of the "
        "peer costs up to 150 ms of CPU time",
        ":10: warning: backend b: crypto-binding = rewrite without users-file or radius: no key "
        "for MS-CHAPv2 and EAP, so their calls are refused",
        NULL};

    (void)state;
    write_config("deny = 10.0.0.0/8\nallow = 10.1.0.0/16\ngroups = X25519:ffdhe2048\n",
                 "crypto-binding = rewrite\nbinding-cert-hash = " HASH "\n");
    assert_checked(PREFLIGHT_WARNINGS, texts);
}

static void a_private_key_that_others_may_use_is_an_error(void **state)
{
    static const char *const texts[] = {"cert.pem: accessible to other users (mode 0", NULL};
    static const mode_t bad[] = {0604, 0644, 0444, 0601}, good[] = {0440, 0640, 0600, 0400};

    (void)state;
    write_config("", "crypto-binding = off\n");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(chmod(cert.pem, bad[i]), 0);
        assert_checked(PREFLIGHT_ERRORS, texts);
    }
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(chmod(cert.pem, good[i]), 0);
        assert_checked(PREFLIGHT_GOOD, (const char *const[]){NULL});
    }
    assert_int_equal(chmod(cert.pem, 0600), 0);
}

static void a_ca_that_verifies_nothing_is_a_warning(void **state)
{
    static const char *const texts[] = {"ca.pem: a CA has expired: /CN=ca.pem", NULL};
    struct cert ca;
    FILE *f;

    (void)state;
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){.begins = -48, .hours = -24});
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f,
            "[listener l]\nlisten = 127.0.0.1:0\ncertificate = %s\n\n[backend b]\n"
            "server = h\ncrypto-binding = off\nca-file = %s\n",
            cert.pem, ca.pem);
    assert_int_equal(fclose(f), 0);
    assert_checked(PREFLIGHT_WARNINGS, texts);
    cert_free(&ca);
}

/* Writes the warnings and the steps at a time. */
static void warnings_at(const struct site *site, time_t now, char warnings[512], char steps[512])
{
    char *text[2];
    size_t n[2];
    FILE *to = open_memstream(&text[0], &n[0]), *steps_to = open_memstream(&text[1], &n[1]);

    assert_true(to != NULL && steps_to != NULL);
    preflight_expiry(site, now, to, steps_to);
    fclose(to);
    fclose(steps_to);
    snprintf(warnings, 512, "%s", text[0]);
    snprintf(steps, 512, "%s", text[1]);
    free(text[0]);
    free(text[1]);
}

/* steps changes at 30, 7 and 1 days, and not between two checks in the same step. */
static void an_end_that_is_near_is_a_warning_in_steps(void **state)
{
    static const int hours[] = {24 * 40, 24 * 29, 24 * 20, 24 * 6, 24 * 5, 12, 6};
    static const bool new_step[] = {true, true, false, true, false, true, false};
    char warnings[512], steps[512], before[512] = "";

    (void)state;
    write_config("", "crypto-binding = off\n");
    struct snapshot *snapshot = snapshot_load(path, NULL, stderr);
    assert_non_null(snapshot);
    struct site *site = site_new(snapshot, stderr);
    assert_non_null(site);
    for (size_t i = 0; i < sizeof hours / sizeof *hours; i++) {
        warnings_at(site, time(NULL) + (365 * 24 - hours[i]) * 3600L, warnings, steps);
        assert_int_equal(strstr(warnings, "gate.conf:3: warning: listener l: ") != NULL, i > 0);
        assert_int_equal(strcmp(steps, before) != 0, new_step[i]);
        strcpy(before, steps);
    }
    site_unref(site);
    snapshot_unref(snapshot);
}

/* A line comes within 14 days of its end, and expires. */
static void an_end_of_a_line_is_a_warning_in_steps(void **state)
{
    static const struct {
        int days; /* before the end */
        const char *warning;
        bool new_step;
    } table[] = {{15, NULL, true},
                 {13, "1 line will expire within 14 days, line 2 at ", true},
                 {1, "1 line will expire within 14 days, line 2 at ", false},
                 {0, "1 line expired: these users are refused, line 2 at ", true},
                 {-1, "1 line expired: these users are refused, line 2 at ", false}};
    const time_t end = 1893456000; /* 2030-01-01T00:00Z */
    char warnings[512], steps[512], before[512] = "";
    FILE *f = fopen(certs_path(&certs, "users"), "w");

    (void)state;
    assert_non_null(f);
    fprintf(f, "a:%.32s\nb:%.32s:2030-01-01T00:00Z\n", HASH, HASH);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(certs_path(&certs, "users"), 0600), 0);
    write_config("", "users-file = users\nbinding-cert-hash = " HASH "\n");
    struct snapshot *snapshot = snapshot_load(path, NULL, stderr);
    assert_non_null(snapshot);
    struct site *site = site_new(snapshot, stderr);
    assert_non_null(site);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        warnings_at(site, end - table[i].days * 24 * 3600L, warnings, steps);
        const char *line = strstr(warnings, "gate.conf:7: warning: backend b: users-file: ");
        assert_int_equal(line != NULL, table[i].warning != NULL);
        if (line != NULL)
            assert_non_null(strstr(line, table[i].warning));
        assert_int_equal(strcmp(steps, before) != 0, table[i].new_step);
        strcpy(before, steps);
    }
    site_unref(site);
    snapshot_unref(snapshot);
}

static void an_error_is_no_warning(void **state)
{
    static const char *const texts[] = {":4: unknown key 'nonsense'", NULL};

    (void)state;
    write_config("nonsense = 1\n", "crypto-binding = off\n");
    assert_checked(PREFLIGHT_ERRORS, texts);
}

static void the_configuration_in_force_is_printed_if_it_is_sound(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *print = open_memstream(&text, &n);

    (void)state;
    assert_non_null(print);
    write_config("", "crypto-binding = off\n");
    assert_int_equal(preflight_config(path, stderr, print), PREFLIGHT_GOOD);
    fclose(print);
    assert_non_null(strstr(text, "[listener l]\n"));
    assert_non_null(strstr(text, "crypto-binding = off\n"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_configuration_has_no_warnings),
        cmocka_unit_test(likely_mistakes_are_warnings),
        cmocka_unit_test(a_private_key_that_others_may_use_is_an_error),
        cmocka_unit_test(an_end_that_is_near_is_a_warning_in_steps),
        cmocka_unit_test(an_end_of_a_line_is_a_warning_in_steps),
        cmocka_unit_test(an_error_is_no_warning),
        cmocka_unit_test(a_ca_that_verifies_nothing_is_a_warning),
        cmocka_unit_test(the_configuration_in_force_is_printed_if_it_is_sound),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
