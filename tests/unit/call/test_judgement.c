/* What a listener's configuration says about a client, without a call. */
#include "call/judgement.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "config/config.h"
#include "policy/rules_read.h"

static void add(struct rules *r, bool allow, const char *text)
{
    char problem[RULES_PROBLEM_MAX];
    if (!rules_add(r, allow, text, "/", 1, problem))
        fail_msg("%s: %s", text, problem);
}

static void what_an_answer_means(void **state)
{
    static const struct {
        struct rules_answer answer;
        bool dry_run;
        enum judgement judgement;
    } table[] = {
        {{.verdict = RULES_ALLOW}, false, JUDGEMENT_PASS},
        {{.verdict = RULES_UNDECIDED}, false, JUDGEMENT_PASS},
        {{.verdict = RULES_ALLOW}, true, JUDGEMENT_PASS},
        {{.verdict = RULES_DENY, .action = RULES_RESET}, false, JUDGEMENT_RESET},
        {{.verdict = RULES_DENY, .action = RULES_DROP}, false, JUDGEMENT_DROP},
        {{.verdict = RULES_DENY, .action = RULES_DECOY}, false, JUDGEMENT_DECOY},
        {{.verdict = RULES_DENY, .action = RULES_DROP}, true, JUDGEMENT_OVERRULED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct config_listener c = {.dry_run = table[i].dry_run};
        assert_int_equal(judgement_of(&c, &table[i].answer), table[i].judgement);
    }
}

static void the_names_that_a_listener_serves(void **state)
{
    char one[] = "vpn.example", two[] = "192.0.2.1", *names[] = {one, two};
    const struct config_listener all = {0}, some = {.host = {.item = names, .count = 2}};

    (void)state;
    assert_true(judgement_serves_host(&all, span_str("other.example")));
    assert_true(judgement_serves_sni(&all, span_str("other.example")));
    assert_true(judgement_serves_host(&some, span_str("VPN.example:443")));
    assert_true(judgement_serves_host(&some, span_str("192.0.2.1")));
    assert_false(judgement_serves_host(&some, span_str("other.example")));
    assert_false(judgement_serves_host(&some, span_of(NULL, 0)));
    assert_true(judgement_serves_sni(&some, span_of(NULL, 0))); /* old clients send none */
    assert_false(judgement_serves_sni(&some, span_str("other.example")));
}

static void the_backend_of_a_route(void **state)
{
    struct config_backend backends[2] = {0};
    struct config_route routes[] = {{.backend = &backends[1]}};
    const struct config_listener c = {.backend = &backends[0], .route = routes, .route_count = 1};
    const struct rules_answer none = {.verdict = RULES_DENY}, first = {.rule = 1};

    (void)state;
    assert_ptr_equal(judgement_backend(&c, &none), &backends[0]);
    assert_ptr_equal(judgement_backend(&c, &first), &backends[1]);
}

static void which_tunnels_new_rules_end(void **state)
{
    static const struct {
        const char *listener, *user;
        bool recheck, dry_run;
        enum judgement_recheck recheck_is;
    } table[] = {
        {"front", "bob", true, false, RECHECK_ENDS},
        {"front", "alice", true, false, RECHECK_STAYS},
        {"front", "bob", false, false, RECHECK_TOLERATED},
        {"front", "bob", true, true, RECHECK_TOLERATED},
        {"front", "alice", false, true, RECHECK_STAYS},
        {"other", "bob", true, false, RECHECK_NO_LISTENER},
    };
    struct addr who;

    (void)state;
    assert_int_equal(addr_parse("192.0.2.1:1", 0, &who), ERR_OK);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char front[] = "front";
        struct config_listener l = {
            .name = front, .recheck_tunnels = table[i].recheck, .dry_run = table[i].dry_run};
        const struct config c = {.listener = &l, .listener_count = 1};
        const struct rules_facts facts = {.client = &who,
                                          .request = RULES_REQUEST,
                                          .user_known = RULES_USER_KNOWN,
                                          .user = span_str(table[i].user)};
        struct rules_answer answer;
        add(&l.rules, false, "user bob");
        add(&l.rules, true, "any");
        assert_int_equal(judgement_recheck(&c, table[i].listener, &facts, &answer),
                         table[i].recheck_is);
        if (table[i].recheck_is == RECHECK_ENDS)
            assert_int_equal(answer.rule, 1);
        assert_int_equal(judgement_rechecking(&c, table[i].listener) != NULL,
                         i != 5 && table[i].recheck && !table[i].dry_run);
        rules_fini(&l.rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_answer_means),
        cmocka_unit_test(the_names_that_a_listener_serves),
        cmocka_unit_test(the_backend_of_a_route),
        cmocka_unit_test(which_tunnels_new_rules_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
