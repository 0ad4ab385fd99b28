#include "policy/rules_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char *printed(const struct rules *r)
{
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    rules_print(r, f);
    fclose(f);
    return out;
}

static void good_rules_print_as_themselves(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed; /* NULL: the text */
    } table[] = {
        {"10.0.0.0/8", NULL},
        {"::1", NULL},
        {"address 10.0.0.0/8", NULL},
        {"any", NULL},
        {"any action drop", NULL},
        {"10.0.0.0/8 user a host b.example sni *.c.example tenant d time Mon,Wed-Fri 08:00-24:00 "
         "local action decoy",
         NULL},
        {"file  a\taction reset ", "file /dir/a action reset"},
        {"file /x/y", NULL},
        {"time sat-mon 23:59-00:00 UTC address ::/0", NULL},
        {"country de", NULL},
        {"user user", NULL},
        {"user \"bob smith\" action drop", NULL},
        {"user \"CORP\\bob  smith\"", NULL},
        {"user \"bob\"", "user bob"},
        {"user J\xc3\x9cRGEN", NULL},
        {"user O\"Neil", NULL}, /* a quote inside */
        {"tenant \"a b\" host vpn.example.com.", NULL},
        {"host [::1]", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char problem[RULES_PROBLEM_MAX], expected[256];
        struct rules r;
        rules_init(&r);
        if (!rules_add(&r, false, table[i].text, "/dir", 1, problem))
            fail_msg("%s: %s", table[i].text, problem);
        char *out = printed(&r);
        snprintf(expected, sizeof expected, "deny = %s\n",
                 table[i].printed != NULL ? table[i].printed : table[i].text);
        assert_string_equal(out, expected);
        free(out);
        rules_fini(&r);
    }
}

static void bad_rules_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *text, *problem;
    } table[] = {
        {"10.0.0.256", "'10.0.0.256' is not an address or a network such as 198.51.100.0/24"},
        {"10.0.0.1/8", "'10.0.0.1/8' is not a network: bits after the prefix are set; the network "
                       "is 10.0.0.0/8"},
        {"vpn.example.com", "'vpn.example.com' is not an address or a network such as "
                            "198.51.100.0/24"},
        {"address", "address needs a network"},
        {"address x", "'x' is not an address or a network such as 198.51.100.0/24"},
        {"usr bob", "unknown condition 'usr'; did you mean 'user'?"},
        {"everybody", "unknown condition 'everybody': to match every client, write any"},
        {"tomorrow", "unknown condition 'tomorrow': use address, file, country, any, user, "
                     "host, sni, tenant, time, action or dry-run"},
        {"user John Smith",
         "unknown condition 'Smith'; a name with a blank needs quotes: \"John Smith\""},
        {"user", "user needs a name"},
        {"user a 10.0.0.0/8", "unknown condition '10.0.0.0/8': a rule begins with its network and "
                              "has only one: write others on lines of their own"},
        {"user a user b", "user is set twice in this rule"},
        {"user bob smith", "unknown condition 'smith'; a name with a blank needs quotes: "
                           "\"bob smith\""},
        {"user \"bob smith", "user: a quote is not closed, or text follows it"},
        {"user \"bob\"smith", "user: a quote is not closed, or text follows it"},
        {"user \"\"", "user needs a name"},
        {"\"any\"", "unknown condition '\"any\"'; did you mean 'any'?"},
        {"host vpn.m\xc3\xbcller.example",
         "host: 'vpn.m\xc3\xbcller.example' has letters beyond ASCII; in its ASCII form: "
         "'vpn.xn--mller-kva.example'"},
        {"sni *.M\xc3\x9cLLER.example",
         "sni: '*.M\xc3\x9cLLER.example' has letters beyond ASCII; in its ASCII form: "
         "'*.xn--mller-kva.example'"},
        {"10.0.0.0/8 any", "a rule has only one of address, file, country and any"},
        {"file /a file /b", "a rule has only one of address, file, country and any"},
        {"action drop", "the rule has no condition: write `any` to match every client"},
        {"any action", "action needs reset, drop or decoy"},
        {"any action close", "action: unknown value 'close': write reset, drop or decoy"},
        {"country Germany", "country: 'Germany' is not a two-letter country code such as DE"},
        {"country D", "country: 'D' is not a two-letter country code such as DE"},
        {"country 49", "country: '49' is not a two-letter country code such as DE"},
        {"host a:443", "host: 'a:443' is not a name, *.NAME or an address (without a port)"},
        {"host *.192.0.2.1",
         "host: '*.192.0.2.1' is not a name, *.NAME or an address (without a port)"},
        {"host a.*.b", "host: 'a.*.b' is not a name, *.NAME or an address (without a port)"},
        {"sni 192.0.2.1", "sni: '192.0.2.1' is an address, but TLS has only server names"},
        {"sni *", "sni: '*' is not a name or *.NAME"},
        {"time Mon 08:00-18:00",
         "time needs days, hours and a zone: Mon-Fri 08:00-18:00 Europe/Berlin"},
        {"time Mo 08:00-18:00 UTC",
         "time: 'Mo 08:00-18:00': write days as Mon-Fri, or Mon,Wed,Sat-Sun"},
        {"time Mon-Fri 8-18 UTC", "time: 'Mon-Fri 8-18': write hours as 08:00-18:00"},
        {"time Mon 08:00-08:00 UTC",
         "time: 'Mon 08:00-08:00': the start equals the end; write 00:00-24:00 for the whole day"},
        {"time Mon 08:00-18:00 ../x", "time: '../x' is not a zone such as Europe/Berlin, UTC or "
                                      "local"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char problem[RULES_PROBLEM_MAX] = "";
        struct rules r;
        rules_init(&r);
        assert_false(rules_add(&r, false, table[i].text, "/dir", 1, problem));
        assert_string_equal(problem, table[i].problem);
        assert_int_equal(r.count, 0);
    }
    char problem[RULES_PROBLEM_MAX];
    struct rules r;
    rules_init(&r);
    assert_false(rules_add(&r, true, "any action drop", "/dir", 1, problem));
    assert_string_equal(problem, "action: only deny rules have one");
    assert_false(rules_add(&r, true, "file x", "/my dir", 1, problem));
    assert_string_equal(problem, "'/my dir/x' is too long or contains a blank: use an absolute "
                                 "path, or allow-file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rules_print_as_themselves),
        cmocka_unit_test(bad_rules_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
