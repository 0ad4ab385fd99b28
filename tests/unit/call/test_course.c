/* The course of a call: how each row of the table handles bytes, ends and deadlines, with fakes in
 * place of the streams. */
#include "call/course.h"

#include "call_fixture.h"

static const uint8_t data[] = {0x10, 0, 0, 8, 0, 0x21, 0x45, 0};

static size_t client_sends(struct span in)
{
    return scene.client_ops->on_read(&scene.call->client, in);
}

static size_t backend_sends(struct span in)
{
    return scene.backend_ops->on_read(&scene.call->backend, in);
}

static void an_empty_cell_discards(void **state)
{
    (void)state;
    static const enum call_state no_client[] = {CALL_HANDSHAKE, CALL_CLOSED};
    static const enum call_state no_backend[] = {
        CALL_PROXY, CALL_HELLO, CALL_HANDSHAKE, CALL_REQUEST, CALL_DIAL, CALL_LINGER, CALL_CLOSED};
    const struct span in = span_of(data, sizeof data);

    for (size_t i = 0; i < sizeof no_client / sizeof *no_client; i++) {
        scene_reach(no_client[i]);
        assert_int_equal(client_sends(in), in.n);
        assert_int_equal(scene.call->state, no_client[i]);
        assert_string_equal(scene.events, "");
        scene_close();
    }
    for (size_t i = 0; i < sizeof no_backend / sizeof *no_backend; i++) {
        scene_reach(no_backend[i]);
        assert_int_equal(backend_sends(in), in.n);
        assert_int_equal(scene.call->state, no_backend[i]);
        assert_string_equal(scene.events, "");
        scene_close();
    }
}

static void late_gives_the_reason_of_the_row(void **state)
{
    (void)state;
    static const struct {
        enum call_state state;
        enum reason reason;
        enum call_state then;
    } rows[] = {
        {CALL_PROXY, REASON_HANDSHAKE_TIMEOUT, CALL_CLOSED},
        {CALL_HELLO, REASON_HANDSHAKE_TIMEOUT, CALL_CLOSED},
        {CALL_HANDSHAKE, REASON_HANDSHAKE_TIMEOUT, CALL_CLOSED},
        {CALL_REQUEST, REASON_REQUEST_TIMEOUT, CALL_LINGER},
        {CALL_NEGOTIATE, REASON_NEGOTIATE_TIMEOUT, CALL_LINGER},
        {CALL_RELAY, REASON_IDLE_TIMEOUT, CALL_LINGER},
        {CALL_WEB, REASON_IDLE_TIMEOUT, CALL_CLOSED},
        {CALL_ACME, REASON_ACME_FAILED, CALL_LINGER},
        {CALL_DRAIN, REASON_CLIENT_ABORT, CALL_CLOSED},  /* the first reason */
        {CALL_LINGER, REASON_IDLE_TIMEOUT, CALL_CLOSED}, /* the first reason */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        scene_reach(rows[i].state);
        course_expire(scene.call);
        if (scene.call->reason != rows[i].reason || scene.call->state != rows[i].then)
            fail_msg("%s: %s, %s", call_state_name(rows[i].state),
                     reason_info(scene.call->reason)->name, call_state_name(scene.call->state));
        scene_close();
    }
}

/* A client whose first bytes were not read in time has done nothing wrong. */
static void a_client_without_a_turn_has_a_reason_of_its_own(void **state)
{
    (void)state;
    scene_reach(CALL_HELLO);
    scene.client_waits = true;
    course_expire(scene.call);
    assert_int_equal(scene.call->reason, REASON_HANDSHAKE_QUEUE);
    scene_close();
}

/* DRAIN reads by the row of the state in which the end began. */
static void drain_goes_on_as_before(void **state)
{
    (void)state;
    scene_reach(CALL_RELAY);
    call_end(scene.call, REASON_BACKEND_ABORT);
    assert_int_equal(client_sends(span_of(data, sizeof data)), sizeof data);
    assert_int_equal(client_sends(span_of(data, 3)), 0); /* packets are whole */
    assert_string_equal(scene.events, "backend gets 8 bytes");
    assert_int_equal(scene.call->record.up.packets, 1);
    scene_close();

    scene_reach(CALL_WEB);
    call_end(scene.call, REASON_CLIENT_CLOSED);
    assert_int_equal(backend_sends(span_of(data, 3)), 3); /* bytes as they come */
    assert_string_equal(scene.events, "client gets 3 bytes");
    scene_close();
}

/* A client that does not wait for its answer: its bytes remain unread, up to a bound. */
static void early_bytes_wait(void **state)
{
    (void)state;
    static const uint8_t many[16385];
    static const enum call_state states[] = {CALL_DIAL, CALL_ANSWER};
    for (size_t i = 0; i < 2; i++) {
        scene_reach(states[i]);
        assert_int_equal(client_sends(span_of(many, sizeof many - 1)), 0);
        assert_int_equal(scene.call->state, states[i]);
        assert_int_equal(client_sends(span_of(many, sizeof many)), sizeof many);
        assert_int_equal(scene.call->reason, REASON_EARLY_DATA);
        scene_close();
    }
}

/* Bytes that a client sends after its call are discarded, up to a bound. */
static void late_bytes_are_thrown_away(void **state)
{
    (void)state;
    static const uint8_t many[65536];
    scene_reach(CALL_LINGER);
    assert_int_equal(client_sends(span_of(many, sizeof many)), sizeof many);
    assert_string_equal(scene.events, "");
    assert_int_equal(client_sends(span_of(many, 1)), 1);
    assert_string_equal(scene.events, "client paused");
    scene_close();
}

struct end_case {
    enum call_state state;
    enum stream_end why;
    enum reason reason;
    enum call_state then;
    const char *events;
};

static void check_ends(const struct end_case *cases, size_t count, bool of_client)
{
    for (size_t i = 0; i < count; i++) {
        scene_reach(cases[i].state);
        if (of_client)
            scene.client_ops->on_end(&scene.call->client, cases[i].why);
        else
            scene.backend_ops->on_end(&scene.call->backend, cases[i].why);
        if (scene.call->reason != cases[i].reason || scene.call->state != cases[i].then ||
            strcmp(scene.events, cases[i].events) != 0)
            fail_msg("case %zu: %s, %s: %s", i, reason_info(scene.call->reason)->name,
                     call_state_name(scene.call->state), scene.events);
        scene_close();
    }
}

static void the_client_ends(void **state)
{
    (void)state;
    static const struct end_case cases[] = {
        {CALL_PROXY, STREAM_EOF, REASON_CLIENT_CLOSED, CALL_CLOSED, "client closed"},
        {CALL_REQUEST, STREAM_EOF, REASON_CLIENT_REJECTED_CERTIFICATE, CALL_CLOSED,
         "client closed"},
        {CALL_REQUEST, STREAM_RESET, REASON_CLIENT_REJECTED_CERTIFICATE, CALL_CLOSED,
         "client reset"},
        {CALL_ANSWER, STREAM_EOF, REASON_CLIENT_CLOSED, CALL_CLOSED,
         "client closed, backend reset"},
        {CALL_RELAY, STREAM_EOF, REASON_CLIENT_CLOSED, CALL_DRAIN, "backend notify"},
        /* a web site need not take close_notify alone for the end */
        {CALL_WEB, STREAM_EOF, REASON_CLIENT_CLOSED, CALL_DRAIN, "backend shutdown"},
        {CALL_ACME, STREAM_EOF, REASON_ACME_FAILED, CALL_DRAIN, "backend notify"},
        {CALL_ACME, STREAM_RESET, REASON_ACME_FAILED, CALL_CLOSED, "client reset, backend reset"},
        {CALL_LINGER, STREAM_EOF, REASON_IDLE_TIMEOUT, CALL_LINGER, "backend notify"},
        {CALL_RELAY, STREAM_RESET, REASON_CLIENT_RESET, CALL_CLOSED, "client reset, backend reset"},
        {CALL_RELAY, STREAM_OVERFLOW, REASON_EARLY_DATA, CALL_LINGER,
         "client shutdown, backend notify"},
        {CALL_ANSWER, STREAM_OVERFLOW, REASON_EARLY_DATA, CALL_LINGER,
         "client gets 400, client shutdown, backend reset"},
    };
    check_ends(cases, sizeof cases / sizeof *cases, true);
}

/* A client that sends nothing is a health check, if it ends the connection itself. */
static void a_silent_client_is_a_check(void **state)
{
    (void)state;
    static const struct {
        enum call_state state;
        enum stream_end why;
        enum check check;
    } cases[] = {
        {CALL_PROXY, STREAM_EOF, CHECK_SILENT}, {CALL_PROXY, STREAM_RESET, CHECK_SILENT},
        {CALL_HELLO, STREAM_EOF, CHECK_SILENT}, {CALL_HELLO, STREAM_RESET, CHECK_SILENT},
        {CALL_REQUEST, STREAM_EOF, CHECK_TLS},  {CALL_REQUEST, STREAM_RESET, CHECK_TLS},
        {CALL_DIAL, STREAM_EOF, CHECK_NONE},    {CALL_RELAY, STREAM_EOF, CHECK_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_reach(cases[i].state);
        scene.client_ops->on_end(&scene.call->client, cases[i].why);
        assert_int_equal(scene.call->check, cases[i].check);
        scene_close();
        assert_int_equal(scene.shared.checks.count[CHECK_SILENT], cases[i].check == CHECK_SILENT);
        assert_int_equal(scene.shared.checks.count[CHECK_TLS], cases[i].check == CHECK_TLS);
    }
}

static void the_backend_ends(void **state)
{
    (void)state;
    static const struct end_case cases[] = {
        {CALL_RELAY, STREAM_EOF, REASON_BACKEND_CLOSED, CALL_DRAIN, "client shutdown"},
        {CALL_WEB, STREAM_EOF, REASON_BACKEND_CLOSED, CALL_DRAIN, "client shutdown"},
        {CALL_ACME, STREAM_EOF, REASON_ACME_FAILED, CALL_LINGER,
         "client shutdown, backend notify, client shutdown"},
        {CALL_ACME, STREAM_RESET, REASON_ACME_FAILED, CALL_CLOSED,
         "client shutdown, backend notify, client closed, backend closed"},
        {CALL_RELAY, STREAM_RESET, REASON_BACKEND_RESET, CALL_CLOSED,
         "client reset, backend reset"},
        {CALL_LINGER, STREAM_RESET, REASON_IDLE_TIMEOUT, CALL_CLOSED,
         "client closed, backend closed"},
        {CALL_RELAY, STREAM_OVERFLOW, REASON_BACKEND_BAD_PACKET, CALL_LINGER,
         "client shutdown, backend notify"},
    };
    check_ends(cases, sizeof cases / sizeof *cases, false);
}

/* One side does not take the bytes of the other one, which is paused only in states that forward
 * data. */
static void a_full_side_pauses_the_other(void **state)
{
    (void)state;
    for (int s = 0; s < CALL_CLOSED; s++) {
        const bool forwards = s >= CALL_NEGOTIATE && s <= CALL_DRAIN;
        scene_reach((enum call_state)s);
        scene.call->backend.handle = STREAM_HANDLE_LIVE;
        scene.client_ops->on_full(&scene.call->client);
        assert_string_equal(scene.events, forwards ? "backend paused" : "");
        scene_close();
    }
}

/* Both peers have received all bytes: the call need not wait for its deadline. */
static void a_drained_call_ends(void **state)
{
    (void)state;
    scene_reach(CALL_DRAIN);
    scene.call->client.in = scene.call->backend.in = STREAM_IN_ENDED;
    scene.call->client.out = STREAM_OUT_ENDED;
    scene.client_ops->on_sent(&scene.call->client);
    assert_int_equal(scene.call->state, CALL_DRAIN);
    scene.call->backend.out = STREAM_OUT_ENDED;
    scene.backend_ops->on_sent(&scene.call->backend);
    assert_int_equal(scene.call->state, CALL_CLOSED);
    assert_string_equal(scene.events, "client closed, backend closed");
    scene_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_cell_discards),
        cmocka_unit_test(late_gives_the_reason_of_the_row),
        cmocka_unit_test(a_client_without_a_turn_has_a_reason_of_its_own),
        cmocka_unit_test(drain_goes_on_as_before),
        cmocka_unit_test(early_bytes_wait),
        cmocka_unit_test(late_bytes_are_thrown_away),
        cmocka_unit_test(the_client_ends),
        cmocka_unit_test(a_silent_client_is_a_check),
        cmocka_unit_test(the_backend_ends),
        cmocka_unit_test(a_full_side_pauses_the_other),
        cmocka_unit_test(a_drained_call_ends),
    };
    return cmocka_run_group_tests(tests, scene_log_off, NULL);
}
