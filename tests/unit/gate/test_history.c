#include "gate/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "call/tally.h"
#include "config/config.h"

static struct tally t;

/* A gate with one listener and one backend. */
static void begin(void)
{
    static struct config_backend backend = {.name = (char *)"b"};
    static struct config_listener listener = {.name = (char *)"l", .backend = &backend};
    static struct config c = {.listener = &listener, .listener_count = 1};

    tally_init(&t);
    tally_switch(&t, &c);
}

/* Sums become what the step has added; the number of tunnels is that at its end. */
static void a_point_has_what_its_step_has_added(void **state)
{
    static struct history h;

    (void)state;
    begin();
    struct tally_listener *l = t.of[0];
    for (unsigned i = 1; i <= 3; i++) {
        tally_add(&l->calls.bytes[TALLY_UP], 100 * i);
        tally_add(&l->calls.bytes[TALLY_DOWN], 1000 * i);
        tally_add(&l->calls.ended[REASON_BINDING_MAC][OUTCOME_FAILED], i);
        tally_add(&l->calls.ended[REASON_LIMIT][OUTCOME_REFUSED], 50);
        tally_add(&tally_tunnels_at(l, "b")->now, 1);
        for (unsigned k = 0; k < i; k++)
            tally_time(&t.gate.setup, 20);
        history_add(&h, &t, 1000 + 10 * (time_t)i);
        assert_int_equal(h.count, i);
        assert_int_equal(h.time, 1000 + 10 * i);
        const struct history_point *p = history_at(&h, i - 1);
        assert_int_equal(p->up_bytes, 100 * i);
        assert_int_equal(p->down_bytes, 1000 * i);
        assert_int_equal(p->failures, i);
        assert_int_equal(p->tunnels, i);
        assert_int_equal(p->setups, i);
        assert_int_equal(p->setup_ms, 20 * i);
    }
    assert_int_equal(history_at(&h, 0)->up_bytes, 100);
    tally_fini(&t);
}

static void an_hour_is_kept_the_oldest_first(void **state)
{
    static struct history h;

    (void)state;
    begin();
    for (unsigned i = 0; i < HISTORY_POINTS + 5; i++) {
        tally_add(&t.of[0]->calls.bytes[TALLY_UP], i);
        history_add(&h, &t, (time_t)i * HISTORY_STEP);
    }
    assert_int_equal(h.count, HISTORY_POINTS);
    for (unsigned i = 0; i < HISTORY_POINTS; i++)
        assert_int_equal(history_at(&h, i)->up_bytes, i + 5);
    tally_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_point_has_what_its_step_has_added),
        cmocka_unit_test(an_hour_is_kept_the_oldest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
