/* Admission: the rules of the listener, the limits, and points, for a call that has fakes in place
 * of its streams. */
#include "call/admission.h"

#include "call_fixture.h"
#include "policy/limits_bans.h"
#include "policy/rules_read.h"

enum { NOW = 1700000000 };

static void add_rule(bool allow, const char *text)
{
    char problem[RULES_PROBLEM_MAX];
    if (!rules_add(&scene.listener_config.rules, allow, text, "/", 1, problem))
        fail_msg("%s: %s", text, problem);
}

static void set_text(char **field, const char *text)
{
    record_keep(field, span_str(text));
}

/* ---- the address ---- */

static void a_denied_address_is_reset_dropped_or_a_decoy(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        enum call_state then;
        bool decoy;
    } cases[] = {
        {"192.0.2.0/24", CALL_CLOSED, false},
        {"192.0.2.0/24 action reset", CALL_CLOSED, false},
        {"192.0.2.0/24 action drop", CALL_CLOSED, false},
        {"192.0.2.0/24 action decoy", CALL_HELLO, true},
        {"198.51.100.0/24", CALL_HELLO, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_prepare();
        add_rule(false, cases[i].rule);
        scene_open();
        assert_int_equal(scene.call->state, cases[i].then);
        assert_int_equal(scene.call->admission.decoy, cases[i].decoy);
        if (cases[i].then == CALL_CLOSED)
            assert_int_equal(scene.call->reason, REASON_ADDRESS_DENIED);
        scene_close();
    }
}

static void a_dry_run_denies_nothing(void **state)
{
    (void)state;
    scene_prepare();
    add_rule(false, "192.0.2.0/24");
    scene.listener_config.dry_run = true;
    scene_open();
    assert_int_equal(scene.call->state, CALL_HELLO);
    assert_true(scene.call->admission.overruled);
    assert_int_equal(admission_judge_request(scene.call), ADMISSION_OK); /* not asked again */
    scene_close();
}

/* A call is counted from HELLO on, and no longer than it lasts. */
static void a_call_is_counted_once(void **state)
{
    (void)state;
    static const struct limits_settings one = {
        .tunnels_per_address = 1, .prefix_ipv4 = 32, .prefix_ipv6 = 64};
    struct addr client;

    scene_reach(CALL_HELLO);
    client = scene.call->record.client;
    limits_configure(scene.shared.limits, &one);
    assert_int_equal(limits_enter(scene.shared.limits, &client, scene.now), LIMITS_PER_ADDRESS);
    assert_int_equal(admission_judge_address(scene.call, NOW), ADMISSION_LIMITED);
    call_end(scene.call, REASON_CLIENT_CLOSED);
    admission_leave(scene.call);
    assert_int_equal(limits_enter(scene.shared.limits, &client, scene.now), LIMITS_OK);
    scene_close(); /* leaves once more, for the call that the line above has counted */
}

/* A call that ends before its address was admitted has no count to give up. */
static void a_call_that_was_not_admitted_is_not_counted(void **state)
{
    (void)state;
    static const struct limits_settings one = {
        .tunnels_per_address = 1, .prefix_ipv4 = 32, .prefix_ipv6 = 64};

    scene_reach(CALL_PROXY);
    limits_configure(scene.shared.limits, &one);
    const struct addr client = scene.call->record.client = scene.call->record.proxy;
    assert_int_equal(limits_enter(scene.shared.limits, &client, scene.now), LIMITS_OK);
    call_end(scene.call, REASON_BAD_PROXY_HEADER);
    admission_leave(scene.call);
    assert_int_equal(limits_enter(scene.shared.limits, &client, scene.now), LIMITS_PER_ADDRESS);
    limits_leave(scene.shared.limits, &client);
    scene_close();
}

/* Such a connection has no client to which a rule, a limit or a ban could apply. */
static void a_connection_of_a_proxy_is_not_judged(void **state)
{
    (void)state;
    static const struct limits_settings one = {.tunnels_per_address = 1,
                                               .prefix_ipv4 = 32,
                                               .prefix_ipv6 = 64,
                                               .ban_points = 1,
                                               .ban_time = 1000,
                                               .ban_reset = 1000};

    scene_reach(CALL_PROXY);
    add_rule(false, "any");
    limits_configure(scene.shared.limits, &one);
    assert_int_equal(limits_enter(scene.shared.limits, &scene.call->record.proxy, scene.now),
                     LIMITS_OK);
    assert_false(record_has_client(&scene.call->record));
    assert_int_equal(admission_judge_address(scene.call, NOW), ADMISSION_OK);
    call_enter(scene.call, CALL_HELLO);
    assert_int_equal(scene.call->admission.accepted, NOW);
    limits_leave(scene.shared.limits, &scene.call->record.proxy);
    assert_true(limits_unused(scene.shared.limits));
    call_end(scene.call, REASON_EARLY_DATA);
    admission_leave(scene.call);
    struct limits_counts counts;
    limits_count(scene.shared.limits, &counts);
    assert_int_equal(counts.bans, 0);
    scene_close();
}

/* ---- the request ---- */

static void rules_about_the_request(void **state)
{
    (void)state;
    static const struct {
        const char *rule;
        enum admission_verdict verdict;
    } cases[] = {
        {"host vpn.example action reset", ADMISSION_REJECTED},
        {"sni vpn.example action drop", ADMISSION_DROPPED},
        {"tenant blue action decoy", ADMISSION_DECOY},
        {"host other.example", ADMISSION_OK},
        {"user alice", ADMISSION_OK}, /* PPP has not shown a user */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_prepare();
        add_rule(false, cases[i].rule);
        scene_open();
        assert_int_equal(scene.call->state, CALL_HELLO); /* the request has not arrived */
        set_text(&scene.call->record.host, "vpn.example");
        set_text(&scene.call->record.sni, "vpn.example:443"); /* as sstpc sends it */
        set_text(&scene.call->record.tenant, "blue");
        assert_int_equal(admission_judge_request(scene.call), cases[i].verdict);
        assert_int_equal(scene.call->state, CALL_HELLO); /* decides, ends nothing */
        scene_close();
    }
}

/* ---- the user ---- */

static void rules_about_the_user(void **state)
{
    (void)state;
    scene_prepare();
    add_rule(false, "user alice");
    scene_open();
    assert_true(admission_user_allowed(scene.call, span_str("bob")));
    assert_false(admission_user_allowed(scene.call, span_str("alice")));
    assert_false(admission_user_allowed(scene.call, span_of(NULL, 0))); /* could be alice */
    scene_close();
}

static void a_user_has_a_number_of_tunnels(void **state)
{
    (void)state;
    scene_reach(CALL_NEGOTIATE);
    set_text(&scene.call->record.user, "DOMAIN\\alice");
    assert_int_equal(limits_user_enter(scene.shared.limits, span_str("alice")), LIMITS_OK);
    assert_false(admission_count_user(scene.call));
    assert_null(scene.call->admission.counted_user);
    limits_user_leave(scene.shared.limits, span_str("alice"));
    assert_true(admission_count_user(scene.call));
    assert_string_equal(scene.call->admission.counted_user, "alice");
    assert_int_equal(limits_user_enter(scene.shared.limits, span_str("alice")), LIMITS_PER_USER);
    scene_close();
}

/* No name, a name that the login did not prove, and a name that is empty without its realm. */
static void a_name_that_is_not_counted(void **state)
{
    (void)state;
    static const struct {
        const char *user;
        bool claim;
    } cases[] = {{"", false}, {"alice", true}, {"@example.com", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_reach(CALL_NEGOTIATE);
        set_text(&scene.call->record.user, cases[i].user);
        scene.call->record.user_is_claim = cases[i].claim;
        assert_true(admission_count_user(scene.call));
        assert_null(scene.call->admission.counted_user);
        scene_close();
    }
}

/* ---- a reload ---- */

static void new_rules_are_asked_about_tunnels(void **state)
{
    (void)state;
    static const struct {
        enum call_state state;
        const char *user;
        bool recheck, dry_run, allowed;
    } cases[] = {
        {CALL_RELAY, "alice", true, false, false}, {CALL_RELAY, "bob", true, false, true},
        {CALL_RELAY, "", true, false, false},      {CALL_NEGOTIATE, "", true, false, true},
        {CALL_RELAY, "alice", false, false, true}, {CALL_RELAY, "alice", true, true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_reach(cases[i].state);
        add_rule(false, "user alice");
        scene.listener_config.recheck_tunnels = cases[i].recheck;
        scene.listener_config.dry_run = cases[i].dry_run;
        set_text(&scene.call->record.user, cases[i].user);
        assert_int_equal(admission_still_allows(scene.call, &scene.site, NOW), cases[i].allowed);
        assert_int_equal(scene.call->state, cases[i].state);
        scene_close();
    }
}

static void a_listener_that_is_gone_denies_nothing(void **state)
{
    (void)state;
    scene_reach(CALL_RELAY);
    const struct config none = {.listener_count = 0};
    const struct site later = {.config = &none};
    assert_true(admission_still_allows(scene.call, &later, NOW));
    scene_close();
}

/* ---- points ---- */

/* Gives the client points; returns whether they have led to a ban. */
static bool bans(unsigned points)
{
    return limits_points(scene.shared.limits, &scene.call->record.client, points, scene.now);
}

static void a_reason_costs_its_points(void **state)
{
    (void)state;
    static const struct {
        enum reason reason;
        bool forged;
        unsigned points;
    } cases[] = {
        {REASON_CLIENT_CLOSED, false, 0},   {REASON_CLIENT_BAD_PACKET, false, POINTS_REQUEST},
        {REASON_BINDING_MAC, false, 0},     {REASON_BINDING_MAC, true, POINTS_REQUEST},
        {REASON_NOT_SSTP, false, 0}, /* of every reason of a visitor of the web site */
        {REASON_HOST_REFUSED, false, 0},    {REASON_RULE_DENIED, false, 0},
        {REASON_REQUEST_TIMEOUT, false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        scene_reach(CALL_RELAY);
        scene.call->record.forged = cases[i].forged;
        call_end(scene.call, cases[i].reason);
        admission_leave(scene.call);
        assert_int_equal(limits_enter(scene.shared.limits, &scene.call->record.client, scene.now),
                         LIMITS_OK); /* scene_close leaves once more */
        scene.call->record.forged = false;
        scene.call->reason = REASON_CLIENT_CLOSED;
        assert_false(bans(SCENE_BAN_POINTS - 1 - cases[i].points));
        assert_true(bans(1));
        scene_close();
    }
}

static void a_failed_login_costs_points_once(void **state)
{
    (void)state;
    scene_reach(CALL_NEGOTIATE);
    scene.call->record.failures = 2;
    admission_count_failures(scene.call);
    admission_count_failures(scene.call);
    assert_false(bans(SCENE_BAN_POINTS - 1 - 2 * POINTS_LOGIN));
    assert_true(bans(1));
    scene_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_denied_address_is_reset_dropped_or_a_decoy),
        cmocka_unit_test(a_dry_run_denies_nothing),
        cmocka_unit_test(a_call_is_counted_once),
        cmocka_unit_test(a_call_that_was_not_admitted_is_not_counted),
        cmocka_unit_test(a_connection_of_a_proxy_is_not_judged),
        cmocka_unit_test(rules_about_the_request),
        cmocka_unit_test(rules_about_the_user),
        cmocka_unit_test(a_user_has_a_number_of_tunnels),
        cmocka_unit_test(a_name_that_is_not_counted),
        cmocka_unit_test(new_rules_are_asked_about_tunnels),
        cmocka_unit_test(a_listener_that_is_gone_denies_nothing),
        cmocka_unit_test(a_reason_costs_its_points),
        cmocka_unit_test(a_failed_login_costs_points_once),
    };
    return cmocka_run_group_tests(tests, scene_log_off, NULL);
}
