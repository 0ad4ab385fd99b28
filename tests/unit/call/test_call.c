/* The facts of the states of a call, and its end in each of them for each kind of reason. */
#include "call/call.h"

#include "call_fixture.h"

static enum call_state state_named(const char *name)
{
    for (int s = 0; s < CALL_STATES; s++)
        if (strcmp(call_state_name((enum call_state)s), name) == 0)
            return (enum call_state)s;
    fail_msg("no state %s", name);
    return CALL_STATES;
}

struct end_case {
    const char *states; /* names, separated by blanks */
    enum reason reason;
    const char *then;   /* the state afterwards */
    const char *events; /* what happens to the streams */
};

/* Before there is a backend its events are missing; a client always exists. */
static const struct end_case cases[] = {
    /* the reason has a message, which is sent only in states that allow it */
    {"PROXY HELLO HANDSHAKE", REASON_SHUTDOWN, "CLOSED", "client closed"},
    {"REQUEST DIAL", REASON_SHUTDOWN, "LINGER", "client gets 503, client shutdown"},
    {"ANSWER", REASON_SHUTDOWN, "LINGER", "client gets 503, client shutdown, backend reset"},
    {"ANSWER", REASON_REQUEST_TIMEOUT, "LINGER", "client shutdown, backend reset"},
    {"ANSWER", REASON_EARLY_DATA, "LINGER", "client gets 400, client shutdown, backend reset"},
    {"NEGOTIATE KEY RELAY", REASON_SHUTDOWN, "LINGER",
     "client gets message 6, backend gets message 6, client shutdown, backend notify"},
    {"NEGOTIATE KEY RELAY", REASON_BINDING_MAC, "LINGER",
     "client gets message 5, client shutdown, backend notify"},
    {"NEGOTIATE KEY RELAY", REASON_CLIENT_BAD_PACKET, "LINGER", "client shutdown, backend notify"},
    {"WEB DRAIN", REASON_SHUTDOWN, "CLOSED", "client closed, backend closed"},
    {"ACME", REASON_SHUTDOWN, "LINGER", "client shutdown, backend notify"},
    {"ACME", REASON_ACME_FAILED, "LINGER", "client shutdown, backend notify"},
    {"LINGER", REASON_SHUTDOWN, "LINGER", ""},
    /* one side has ended */
    {"PROXY HELLO HANDSHAKE REQUEST DIAL", REASON_CLIENT_CLOSED, "CLOSED", "client closed"},
    {"ANSWER", REASON_CLIENT_CLOSED, "CLOSED", "client closed, backend reset"},
    {"NEGOTIATE KEY RELAY WEB ACME", REASON_CLIENT_CLOSED, "DRAIN", ""},
    {"NEGOTIATE KEY RELAY", REASON_BACKEND_DISCONNECT, "DRAIN", ""},
    {"DRAIN", REASON_CLIENT_CLOSED, "DRAIN", ""},
    {"LINGER", REASON_CLIENT_CLOSED, "LINGER", ""},
    /* not an orderly end */
    {"HELLO REQUEST DIAL", REASON_CLIENT_RESET, "CLOSED", "client reset"},
    {"ANSWER NEGOTIATE KEY RELAY WEB DRAIN", REASON_CLIENT_RESET, "CLOSED",
     "client reset, backend reset"},
    {"LINGER", REASON_CLIENT_RESET, "CLOSED", "client closed, backend closed"},
    {"REQUEST", REASON_RULE_REJECTED, "CLOSED", "client reset"},
    {"HANDSHAKE REQUEST DIAL", REASON_TLS_FAILED, "CLOSED", "client closed"},
    {"ANSWER NEGOTIATE RELAY WEB DRAIN LINGER", REASON_TLS_FAILED, "CLOSED",
     "client closed, backend reset"},
    {"DIAL", REASON_BACKEND_TLS, "LINGER", "client gets 503, client shutdown"},
    {"NEGOTIATE RELAY WEB DRAIN LINGER", REASON_BACKEND_TLS, "CLOSED",
     "client reset, backend closed"},
    /* the end of an end, and the second request to stop */
    {"DRAIN LINGER", REASON_DRAINED, "CLOSED", "client closed, backend closed"},
    {"DRAIN LINGER", REASON_DRAIN_TIMEOUT, "CLOSED", "client closed, backend reset"},
    {"PROXY HELLO HANDSHAKE REQUEST DIAL", REASON_SHUTDOWN_NOW, "CLOSED", "client closed"},
    {"ANSWER NEGOTIATE KEY RELAY WEB DRAIN LINGER", REASON_SHUTDOWN_NOW, "CLOSED",
     "client closed, backend closed"},
};

static void check_end(const char *name, const struct end_case *c)
{
    scene_reach(state_named(name));
    call_end(scene.call, c->reason);
    if (strcmp(scene.events, c->events) != 0 ||
        strcmp(call_state_name(scene.call->state), c->then) != 0)
        fail_msg("%s, %s: %s: %s", name, reason_info(c->reason)->name,
                 call_state_name(scene.call->state), scene.events);
    scene_close();
}

static void each_kind_of_reason_in_each_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char names[128];
        snprintf(names, sizeof names, "%s", cases[i].states);
        for (char *at = names, *name; (name = strsep(&at, " ")) != NULL;)
            check_end(name, &cases[i]);
    }
}

/* "stage outcome" of a call that ends in each of these states for this reason */
static const struct end_case verdicts[] = {
    {"PROXY", REASON_CLIENT_CLOSED, "proxy", "ended"},
    {"PROXY", REASON_BAD_PROXY_HEADER, "proxy", "failed"},
    {"HELLO", REASON_CLIENT_CLOSED, "hello", "ended"},
    {"HELLO", REASON_HANDSHAKE_TIMEOUT, "hello", "ended"},
    {"HANDSHAKE", REASON_HANDSHAKE_TIMEOUT, "tls", "failed"},
    {"HANDSHAKE", REASON_TLS_FAILED, "tls", "failed"},
    {"REQUEST", REASON_NOT_SSTP, "request", "refused"},
    {"REQUEST", REASON_REQUEST_TIMEOUT, "request", "failed"},
    {"DIAL ANSWER", REASON_NO_SERVER, "backend", "failed"},
    {"DIAL ANSWER", REASON_CLIENT_CLOSED, "backend", "failed"},
    {"NEGOTIATE", REASON_CLIENT_DISCONNECT, "negotiate", "failed"},
    {"NEGOTIATE", REASON_USER_DENIED, "negotiate", "refused"},
    {"KEY", REASON_BINDING_MAC, "binding", "failed"},
    {"RELAY", REASON_CLIENT_DISCONNECT, "up", "ended"},
    {"RELAY", REASON_CLIENT_RESET, "up", "ended"},
    {"RELAY", REASON_BACKEND_RESET, "up", "failed"},
    {"RELAY", REASON_BACKEND_ABORT, "up", "failed"},
    {"RELAY", REASON_RULES_CHANGED, "up", "refused"},
    {"RELAY", REASON_SHUTDOWN, "up", "ended"},
    {"WEB", REASON_BACKEND_CLOSED, "web", "ended"},
    {"ACME", REASON_ACME_PASSED, "acme", "ended"},
    {"ACME", REASON_CLIENT_RESET, "acme", "ended"},
    {"ACME", REASON_ACME_FAILED, "acme", "failed"},
};

static const char *outcome_of(const struct call *call)
{
    static const char *const names[] = {"by-state", "ended", "failed", "refused"};
    return names[call_outcome(call)];
}

static void each_end_has_a_stage_and_an_outcome(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
        char names[128];
        snprintf(names, sizeof names, "%s", verdicts[i].states);
        for (char *at = names, *name; (name = strsep(&at, " ")) != NULL;) {
            scene_reach(state_named(name));
            call_end(scene.call, verdicts[i].reason);
            assert_string_equal(call_stage(scene.call), verdicts[i].then);
            assert_string_equal(outcome_of(scene.call), verdicts[i].events);
            scene_close();
        }
    }
}

/* The end of the call depends on the peer's action, and not on the reason in the log. */
static void a_refused_login_is_the_reason(void **state)
{
    (void)state;
    scene_reach(CALL_NEGOTIATE);
    scene.call->record.refusal = 691;
    call_end(scene.call, REASON_CLIENT_RESET);
    assert_int_equal(scene.call->reason, REASON_LOGIN_REFUSED);
    assert_string_equal(scene.events, "client reset, backend reset");
    scene_close();
    scene_reach(CALL_NEGOTIATE);
    scene.call->record.refusal = 691;
    call_end(scene.call, REASON_NEGOTIATE_TIMEOUT); /* not a peer's end */
    assert_int_equal(scene.call->reason, REASON_NEGOTIATE_TIMEOUT);
    scene_close();
}

/* The record distinguishes the three stages of NEGOTIATE. */
static void negotiate_has_three_stages(void **state)
{
    (void)state;
    scene_reach(CALL_NEGOTIATE);
    call_end(scene.call, REASON_CLIENT_CLOSED);
    assert_string_equal(call_stage(scene.call), "negotiate");
    scene.call->record.method = "pap";
    assert_string_equal(call_stage(scene.call), "login");
    scene.call->record.binding = RECORD_BINDING_VERIFIED; /* early: the server has not decided */
    assert_string_equal(call_stage(scene.call), "login");
    scene.call->record.binding = RECORD_BINDING_FAILED;
    assert_string_equal(call_stage(scene.call), "binding");
    scene_close();
}

static void the_first_reason_is_kept(void **state)
{
    (void)state;
    scene_reach(CALL_RELAY);
    call_end(scene.call, REASON_CLIENT_ABORT);
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
        call_end(scene.call, (enum reason)r);
        assert_int_equal(scene.call->reason, REASON_CLIENT_ABORT);
    }
    assert_int_equal(scene.call->state, CALL_CLOSED);
    scene_close();
}

/* call_end may be called again in a call that has ended, and has no effect. */
static void a_closed_call_ends_no_more(void **state)
{
    (void)state;
    scene_reach(CALL_CLOSED);
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++)
        call_end(scene.call, (enum reason)r);
    assert_string_equal(scene.events, "");
    scene_close();
}

static void a_call_remembers_where_its_end_began(void **state)
{
    (void)state;
    scene_reach(CALL_WEB);
    call_end(scene.call, REASON_CLIENT_CLOSED);
    assert_int_equal(scene.call->ended_in, CALL_WEB);
    call_end(scene.call, REASON_DRAIN_TIMEOUT); /* from DRAIN */
    assert_int_equal(scene.call->state, CALL_CLOSED);
    assert_int_equal(scene.call->ended_in, CALL_WEB);
    scene_close();
}

static void a_state_has_its_deadline(void **state)
{
    (void)state;
    static const struct {
        enum call_state state;
        uint64_t ms;
    } deadlines[] = {{CALL_PROXY, 1000}, {CALL_HANDSHAKE, 1000}, {CALL_ANSWER, 1000},
                     {CALL_KEY, 2000},   {CALL_WEB, 3000},       {CALL_LINGER, 2000},
                     {CALL_ACME, 1000}};
    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        scene_reach(deadlines[i].state);
        assert_int_equal(scene.call->deadline, scene.now + deadlines[i].ms);
        scene_close();
    }
}

/* Calls that wait get a new timeout only if it is shorter. */
static void a_timeout_is_shortened(void **state)
{
    (void)state;
    scene_reach(CALL_REQUEST);
    scene.config.gate.timeout_request = 500;
    call_set_timeouts(&scene.set, &scene.config.gate);
    assert_int_equal(scene.call->deadline, scene.now + 500);
    scene.config.gate.timeout_request = 5000;
    call_set_timeouts(&scene.set, &scene.config.gate);
    assert_int_equal(scene.call->deadline, scene.now + 500);
    scene_close();
}

/* Data moves the deadline of RELAY and WEB, and of no other state. */
static void data_renews_a_tunnel(void **state)
{
    (void)state;
    for (int s = 0; s < CALL_CLOSED; s++) {
        const bool renewed = s == CALL_RELAY || s == CALL_WEB;
        scene_reach((enum call_state)s);
        const uint64_t due = scene.call->deadline;
        assert_false(call_renew(scene.call, due));
        scene.call->active += 10;
        assert_int_equal(call_renew(scene.call, due), renewed);
        assert_int_equal(scene.call->deadline, due + (renewed ? 10 : 0));
        scene_close();
    }
}

static void a_date_is_an_imf_fixdate(void **state)
{
    (void)state;
    char date[32];
    const struct span text = call_http_date(date, 784111777); /* the example of RFC 9110 5.6.7 */
    assert_int_equal(text.n, 29);
    assert_memory_equal(text.p, "Sun, 06 Nov 1994 08:49:37 GMT", 29);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_reason_in_each_state),
        cmocka_unit_test(each_end_has_a_stage_and_an_outcome),
        cmocka_unit_test(a_refused_login_is_the_reason),
        cmocka_unit_test(negotiate_has_three_stages),
        cmocka_unit_test(the_first_reason_is_kept),
        cmocka_unit_test(a_closed_call_ends_no_more),
        cmocka_unit_test(a_call_remembers_where_its_end_began),
        cmocka_unit_test(a_state_has_its_deadline),
        cmocka_unit_test(a_timeout_is_shortened),
        cmocka_unit_test(data_renews_a_tunnel),
        cmocka_unit_test(a_date_is_an_imf_fixdate),
    };
    return cmocka_run_group_tests(tests, scene_log_off, NULL);
}
