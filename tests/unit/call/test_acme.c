/* Validations of ACME, with fakes in place of the streams. */
#include "call/acme.h"

#include "call_fixture.h"

/* ClientHellos: the first offers acme-tls/1, the second http/1.1. */
static const uint8_t validation[] =
    "\x16\x03\x01\x00\x40\x01\x00\x00\x3c\x03\x03"
    "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
    "\x00\x00\x02\x13\x01\x01\x00\x00\x11\x00\x10\x00\x0d\x00\x0b\x0a"
    "acme-tls/1";
static const uint8_t other[] = "\x16\x03\x01\x00\x3e\x01\x00\x00\x3a\x03\x03"
                               "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr"
                               "\x00\x00\x02\x13\x01\x01\x00\x00\x0f\x00\x10\x00\x0b\x00\x09\x08"
                               "http/1.1";
enum { VALIDATION = sizeof validation - 1, OTHER = sizeof other - 1 };

static int connect_result;

int __wrap_stream_connect(struct stream *s, const struct addr *to);
int __wrap_stream_connect(struct stream *s, const struct addr *to)
{
    char text[ADDR_TEXT_MAX], what[ADDR_TEXT_MAX + 16];

    s->handle = STREAM_HANDLE_LIVE;
    snprintf(what, sizeof what, "connects to %s", addr_format(to, text));
    note_event(s, what);
    if (connect_result != 0)
        s->handle = STREAM_HANDLE_CLOSING;
    return connect_result;
}

/* Opens a call at a listener with `acme`, whose rules allow or deny the client. */
static void open_listener(bool allow, enum rules_action action)
{
    connect_result = 0;
    scene_prepare();
    assert_int_equal(addr_parse("127.0.0.1:8443", 0, &scene.listener_config.acme), ERR_OK);
    scene.listener_config.rules.default_allow = allow;
    scene.listener_config.rules.deny_action = action;
    scene_open();
    scene.events[0] = '\0';
}

static size_t client_sends(const void *octets, size_t n)
{
    return scene.client_ops->on_read(&scene.call->client, span_of(octets, n));
}

static size_t answer(const void *octets, size_t n)
{
    return scene.backend_ops->on_read(&scene.call->backend, span_of(octets, n));
}

static void connected(int status)
{
    scene.backend_ops->on_connect(&scene.call->backend, status);
    if (status == 0)
        scene.call->backend.in = STREAM_IN_OPEN;
}

static void a_validation_is_passed_unchanged(void **state)
{
    (void)state;
    open_listener(true, RULES_RESET);
    assert_int_equal(scene.call->state, CALL_HELLO);
    for (size_t n = 1; n < VALIDATION; n++)
        assert_int_equal(client_sends(validation, n), 0);
    assert_string_equal(scene.events, "");
    assert_int_equal(client_sends(validation, VALIDATION), 0);
    assert_string_equal(scene.events, "client paused, backend connects to 127.0.0.1:8443");
    assert_int_equal(scene.call->state, CALL_ACME);
    scene.events[0] = '\0';
    connected(0);
    assert_int_equal(client_sends(validation, VALIDATION), VALIDATION);
    assert_int_equal(answer("abc", 3), 3);
    assert_string_equal(scene.events, "backend gets 69 bytes, client gets 3 bytes");
    scene.client_ops->on_end(&scene.call->client, STREAM_EOF);
    assert_int_equal(scene.call->reason, REASON_ACME_PASSED);
    scene_close();
}

static void any_other_client_gets_tls(void **state)
{
    (void)state;
    static const char http[] = "GET / HTTP/1.1\r\n";

    open_listener(true, RULES_RESET);
    for (size_t n = 1; n < OTHER; n++)
        assert_int_equal(client_sends(other, n), 0);
    assert_false(scene.secured);
    assert_int_equal(client_sends(other, OTHER), 0); /* TLS gets all of them */
    assert_true(scene.secured);
    assert_int_equal(scene.call->state, CALL_HELLO);
    scene_close();

    open_listener(true, RULES_RESET);
    assert_int_equal(client_sends(http, 1), 0); /* not TLS: OpenSSL answers at once */
    assert_true(scene.secured);
    scene_close();
}

/* Rules do not stop a validation, and stop all others after their first bytes. */
static void a_denied_address_may_validate(void **state)
{
    (void)state;
    open_listener(false, RULES_RESET);
    assert_int_equal(scene.call->state, CALL_ACME);
    assert_int_equal(client_sends(validation, VALIDATION), 0);
    assert_string_equal(scene.events, "client paused, backend connects to 127.0.0.1:8443");
    assert_int_equal(tally_get(&scene.call->tally->calls.denials[TALLY_RESET]), 0);
    scene_close();

    open_listener(false, RULES_RESET);
    assert_int_equal(client_sends(other, OTHER - 1), 0);
    assert_int_equal(client_sends(other, OTHER), OTHER);
    assert_string_equal(scene.events, "client reset");
    assert_int_equal(scene.call->reason, REASON_ADDRESS_DENIED);
    assert_int_equal(tally_get(&scene.call->tally->calls.denials[TALLY_RESET]), 1);
    scene_close();

    open_listener(false, RULES_DROP);
    assert_int_equal(client_sends(other, OTHER), OTHER);
    assert_string_equal(scene.events, "client vanishes");
    scene_close();
}

static void a_denied_address_does_not_wait_longer(void **state)
{
    (void)state;
    open_listener(false, RULES_RESET);
    assert_int_equal(client_sends(other, 5), 0);
    course_expire(scene.call);
    assert_int_equal(scene.call->reason, REASON_ADDRESS_DENIED);
    scene_close();

    open_listener(false, RULES_RESET);
    scene.client_ops->on_end(&scene.call->client, STREAM_EOF);
    assert_int_equal(scene.call->reason, REASON_ADDRESS_DENIED);
    scene_close();
}

/* A decoy is what a denied client gets at its request, and its first bytes are read before. */
static void a_decoy_is_no_denial_at_accept(void **state)
{
    (void)state;
    open_listener(false, RULES_DECOY);
    assert_int_equal(scene.call->state, CALL_HELLO);
    assert_true(scene.call->admission.decoy);
    scene_close();
}

static void a_missing_acme_client_ends_the_call(void **state)
{
    (void)state;
    open_listener(true, RULES_RESET);
    connect_result = -111;
    (void)client_sends(validation, VALIDATION);
    assert_int_equal(scene.call->reason, REASON_ACME_FAILED);
    scene_close();

    open_listener(true, RULES_RESET);
    (void)client_sends(validation, VALIDATION);
    scene.events[0] = '\0';
    connected(-111);
    assert_int_equal(scene.call->reason, REASON_ACME_FAILED);
    assert_string_equal(scene.events, "backend reset, client shutdown");
    scene_close();
}

/* Each direction has its bound, and nothing of the bytes beyond it is passed. */
static void a_flood_ends_the_call(void **state)
{
    (void)state;
    static const uint8_t many[ACME_OCTETS_MAX];

    for (int up = 0; up < 2; up++) {
        open_listener(true, RULES_RESET);
        (void)client_sends(validation, VALIDATION);
        connected(0);
        assert_int_equal(up ? client_sends(many, sizeof many) : answer(many, sizeof many),
                         sizeof many);
        assert_int_equal(scene.call->reason, REASON_NONE);
        scene.events[0] = '\0';
        assert_int_equal(up ? client_sends(many, 1) : answer(many, 1), 1);
        assert_int_equal(scene.call->reason, REASON_ACME_FAILED);
        assert_string_equal(scene.events, "client shutdown, backend notify");
        scene_close();
    }
}

/* A stall ends as a failure, before an answer and after one. */
static void a_stall_ends_at_the_deadline(void **state)
{
    (void)state;
    for (int answered = 0; answered < 2; answered++) {
        scene_reach(CALL_ACME);
        if (answered)
            assert_int_equal(answer("abc", 3), 3);
        scene.events[0] = '\0';
        course_expire(scene.call);
        assert_int_equal(scene.call->reason, REASON_ACME_FAILED);
        assert_string_equal(scene.call->record.detail, "timed out");
        assert_string_equal(scene.events, "client shutdown, backend notify");
        scene_close();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_validation_is_passed_unchanged),
        cmocka_unit_test(any_other_client_gets_tls),
        cmocka_unit_test(a_denied_address_may_validate),
        cmocka_unit_test(a_denied_address_does_not_wait_longer),
        cmocka_unit_test(a_decoy_is_no_denial_at_accept),
        cmocka_unit_test(a_missing_acme_client_ends_the_call),
        cmocka_unit_test(a_flood_ends_the_call),
        cmocka_unit_test(a_stall_ends_at_the_deadline),
    };
    return cmocka_run_group_tests(tests, scene_log_off, NULL);
}
