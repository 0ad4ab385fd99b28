#include "cli/setup_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/memo.h"
#include "config/config_load.h"

static char listen_text[] = "*:443", host[] = "vpn.example.com", server[] = "10.0.0.5",
            users[] = "/etc/sstpgate/users", none[] = "", word[8], secret[] = "/etc/s",
            self_signed[] = "self-signed", evil[] = "x\n[backend evil]\nserver = 192.0.2.66\n";
static char *names[] = {evil};

static struct setup_answers answers;
static struct setup_config plan;
static struct probe_settings settings;
static struct probe_result result;
static struct probe_report report;

static int set_up(void **state)
{
    (void)state;
    answers = (struct setup_answers){.text = {[SETUP_LISTEN] = listen_text,
                                              [SETUP_HOST] = host,
                                              [SETUP_SERVER] = server,
                                              [SETUP_SERVER_NAME] = none,
                                              [SETUP_LOGINS] = word,
                                              [SETUP_USERS_FILE] = users,
                                              [SETUP_RADIUS] = server,
                                              [SETUP_RADIUS_LISTEN] = server,
                                              [SETUP_RADIUS_CLIENT] = server,
                                              [SETUP_RADIUS_SECRET] = secret,
                                              [SETUP_CERTIFICATES] = self_signed}};
    strcpy(word, "file");
    settings = (struct probe_settings){
        .host = "10.0.0.5", .port = 443, .name = "10.0.0.5", .http_host = "10.0.0.5"};
    result = (struct probe_result){.call = {.step = STEP_LCP, .has_leaf = true},
                                   .verified = PROBE_NO,
                                   .head_status = 401,
                                   .kind = {.kind = KIND_RRAS}};
    report = (struct probe_report){.target = "10.0.0.5", .settings = &settings, .result = &result};
    plan = (struct setup_config){.answers = &answers,
                                 .probe = &report,
                                 .path = "/etc/sstpgate/sstpgate.conf",
                                 .certificate = "/etc/sstpgate/vpn.pem",
                                 .key = "/etc/sstpgate/vpn.key",
                                 .user = "sstpgate",
                                 .admin = "/run/sstpgate/admin.sock"};
    return 0;
}

/* Returns the configuration, to be freed: the loader has accepted it. */
static struct config *load(struct memo *text)
{
    setup_config_write(&plan, memo_open(text));
    const char *config = memo_text(text);
    struct config *c = config_parse("sstpgate.conf", config, text->n, stderr);
    assert_non_null(c);
    assert_true(c->sound);
    assert_int_equal(c->listener_count, 1);
    assert_int_equal(c->backend_count, 1);
    return c;
}

static void expect(const char *part, bool present)
{
    struct memo text;

    config_free(load(&text));
    if ((strstr(text.text, part) != NULL) != present)
        fail_msg("'%s' is %sin:\n%s", part, present ? "not " : "", text.text);
    memo_free(&text);
}

static void users_file(void **state)
{
    struct memo text;

    (void)state;
    struct config *c = load(&text);
    assert_string_equal(c->backend[0].users_file, users);
    assert_int_equal(c->backend[0].binding, CONFIG_BINDING_REWRITE);
    assert_string_equal(c->listener[0].certificate[0].key, "/etc/sstpgate/vpn.key");
    config_free(c);
    memo_free(&text);
    expect("user = sstpgate\n", true);
    expect("admin = unix:/run/sstpgate/admin.sock\n", true);
}

static void radius_section(void **state)
{
    struct memo text;

    (void)state;
    strcpy(word, "radius");
    struct config *c = load(&text);
    assert_int_equal(c->radius_count, 1);
    assert_string_equal(c->radius[0].secret_file, secret);
    assert_int_equal(c->backend[0].binding, CONFIG_BINDING_REWRITE);
    config_free(c);
    memo_free(&text);
}

static void without_keys_auto_names_the_step_to_rewrite(void **state)
{
    (void)state;
    strcpy(word, "none");
    expect("\ncrypto-binding = auto\n", true);
    expect("One step allows rewrite", true);
    expect("users-file = users; sstpgate user -f users NAME", true);
    expect("\nusers-file", false);
}

static void placeholders_refuse_every_server(void **state)
{
    struct memo text;
    const uint8_t zeros[32] = {0};

    (void)state;
    plan.probe = NULL;
    struct config *c = load(&text);
    assert_int_equal(c->backend[0].verify, CONFIG_VERIFY_PIN);
    assert_int_equal(c->backend[0].pin_count, 1);
    assert_memory_equal(&c->backend[0].pin[0], zeros, sizeof zeros);
    config_free(c);
    memo_free(&text);
    expect("sstpgate probe --section 10.0.0.5\n", true);
}

static void other_user_has_no_admin_socket(void **state)
{
    (void)state;
    plan.user = plan.admin = NULL;
    expect("\nuser = ", false);
    expect("\nadmin = ", false);
}

/* Nothing that a server has sent as text is written. */
static void hostile_server_writes_no_line(void **state)
{
    (void)state;
    result.has_facts = true;
    result.facts =
        (struct tls_facts){.subject = evil, .issuer = evil, .name = names, .name_count = 1};
    snprintf(result.call.server, sizeof result.call.server, "%s", evil);
    snprintf(result.call.detail, sizeof result.call.detail, "%s", evil);
    snprintf(result.why_not, sizeof result.why_not, "%s", evil);
    result.kind.evidence[0] = evil;
    result.kind.count = 1;
    expect("evil", false);
    expect("192.0.2.66", false);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, set_up)
    const struct CMUnitTest tests[] = {
        TEST(users_file),
        TEST(radius_section),
        TEST(without_keys_auto_names_the_step_to_rewrite),
        TEST(placeholders_refuse_every_server),
        TEST(other_user_has_no_admin_socket),
        TEST(hostile_server_writes_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
