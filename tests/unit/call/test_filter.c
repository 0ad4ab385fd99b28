#include "call/filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void rows(void **state)
{
    (void)state;
    struct addr client;
    assert_int_equal(addr_parse("192.0.2.7:5000", 0, &client), ERR_OK);
    const struct call_facts call = {.worker = 0,
                                    .number = 12,
                                    .client = &client,
                                    .user = "CORP\\Alice",
                                    .listener = "front",
                                    .backend = "back",
                                    .server = "10.0.0.5:443",
                                    .server_name = "sstp.example:443"};
    static const struct call_facts unknown;
    static const struct {
        struct call_filter filter;
        const char *net;
        bool matches;
    } table[] = {
        {{0}, NULL, true},
        {{.id = "0-12"}, NULL, true},
        {{.id = "0-1"}, NULL, false},
        {{.id = "0-123"}, NULL, false},
        {{.user = "alice"}, NULL, true},
        {{.user = "corp\\ALICE"}, NULL, true},
        {{.user = "other\\alice"}, NULL, false},
        {{.user = "bob"}, NULL, false},
        {{.listener = "front"}, NULL, true},
        {{.listener = "fron"}, NULL, false},
        {{.server = "back"}, NULL, true},
        {{.server = "bac"}, NULL, false},
        {{.server = "back2"}, NULL, false},
        {{.server = "back/10.0.0.5:443"}, NULL, true},
        {{.server = "back/sstp.example:443"}, NULL, true},
        {{.server = "back/10.0.0.5:4433"}, NULL, false},
        {{.server = "other/10.0.0.5:443"}, NULL, false},
        {{0}, "192.0.2.0/24", true},
        {{0}, "192.0.3.0/24", false},
        {{.user = "alice"}, "192.0.3.0/24", false},
        {{.user = "alice", .listener = "front", .id = "0-12"}, "192.0.2.7", true},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct call_filter f = table[i].filter;
        f.has_address = table[i].net != NULL;
        if (f.has_address)
            assert_int_equal(cidr_parse(table[i].net, &f.address), ERR_OK);
        if (filter_matches(&f, &call) != table[i].matches)
            fail_msg("row %zu", i);
        assert_int_equal(filter_is_set(&f), i != 0);
        if (filter_is_set(&f) && f.id == NULL)
            assert_false(filter_matches(&f, &unknown));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
