#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/shared_link.h"

/* The pause doubles up to a bound, and two gates rarely have the same one. */
static void pauses(void **state)
{
    (void)state;
    uint32_t most = SHARED_PAUSE_MS;

    for (unsigned failures = 1; failures < 100; failures++) {
        assert_int_equal(shared_link_pause(failures, 0), most / 2);
        assert_int_equal(shared_link_pause(failures, most / 2), most);
        assert_int_equal(shared_link_pause(failures, most / 2 + 1), most / 2);
        for (uint32_t chance = 1; chance != 0; chance *= 3 * (chance < 0x40000000)) {
            const uint32_t pause = shared_link_pause(failures, chance);
            assert_true(pause >= most / 2 && pause <= most);
        }
        most = most * 2 > SHARED_PAUSE_MAX_MS ? SHARED_PAUSE_MAX_MS : most * 2;
    }
    assert_int_equal(shared_link_pause(0, 0), SHARED_PAUSE_MS / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
