#include "radius/radius_logins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "radius_fixture.h"

static struct keyring *keyring;
static struct radius_logins logins;
static uint8_t scratch[RADIUS_MAX];

static int setup(void **state)
{
    (void)state;
    keyring = keyring_new();
    radius_logins_init(&logins, keyring, 64);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    radius_logins_fini(&logins);
    keyring_free(keyring);
    return 0;
}

/* State, and EAP: Response/Identity "bob", a Request and a Response of type 250. */
#define STATE "1804 'ab'"
#define IDENTITY "4f0a 02010008 01'bob'"
#define REQUEST "4f0a 01020008 fa'one'"
#define RESPONSE "4f0a 02020008 fa'two'"

static size_t server_of(uint8_t code, const char *hex)
{
    struct radius_out o;
    const struct radius_packet p = packet_of(&o, code, hex);
    return radius_logins_server(&logins, &p);
}

static void put(const char *challenge, size_t server, struct keyring_marks marks)
{
    struct radius_out o;
    const struct radius_packet p = packet_of(&o, RADIUS_ACCESS_CHALLENGE, challenge);
    radius_logins_put(&logins, &p, server, marks, scratch);
}

static bool find(const char *hex, struct keyring_login *out)
{
    struct radius_out o;
    const struct radius_packet p = packet_of(&o, RADIUS_ACCESS_REQUEST, hex);
    return radius_logins_find(&logins, &p, scratch, out);
}

static void a_state_leads_back_to_its_server(void **state)
{
    (void)state;
    assert_true(server_of(RADIUS_ACCESS_REQUEST, STATE) == RADIUS_LOGINS_NONE);
    put(STATE, 0, (struct keyring_marks){0});
    assert_true(server_of(RADIUS_ACCESS_REQUEST, STATE) == 0);
    put(STATE, 3, (struct keyring_marks){0});
    assert_true(server_of(RADIUS_ACCESS_REQUEST, STATE) == 3);
    assert_true(server_of(RADIUS_ACCESS_REQUEST, "1804 'ac'") == RADIUS_LOGINS_NONE);
    assert_true(server_of(RADIUS_ACCESS_REQUEST, "0104 'ab'") == RADIUS_LOGINS_NONE);
    assert_true(server_of(RADIUS_ACCOUNTING_REQUEST, STATE) == RADIUS_LOGINS_NONE);
}

static void a_challenge_without_state_is_not_kept(void **state)
{
    struct keyring_login first, next;

    (void)state;
    assert_true(find(IDENTITY, &first));
    put(REQUEST, 0, first.marks);
    assert_false(find(RESPONSE, &next));
    assert_true(next.marks.chain == 0 && next.marks.proof == 0);
}

/* The marks are those that the gate sees in PPP: keyring_follow of each packet. */
static void marks_continue_with_the_state(void **state)
{
    struct keyring_marks ppp = {0};
    struct keyring_login first, next;
    static const char *const packets[] = {"02010008 01'bob'", "01020008 fa'one'",
                                          "02020008 fa'two'"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct span eap = octets_hex(packets[i]);
        keyring_follow(keyring, &ppp, eap);
        octets_free(eap);
    }
    assert_true(find("0105 'bob'" IDENTITY, &first));
    put(STATE REQUEST, 0, first.marks);
    assert_true(find(STATE RESPONSE, &next));
    assert_true(next.marks.chain == ppp.chain);
    assert_false(find("1804 'ac'" RESPONSE, &next));
}

static void a_state_that_is_forgotten_is_unknown(void **state)
{
    struct radius_out o;
    struct keyring_login first, next;

    (void)state;
    assert_true(find(IDENTITY, &first));
    put(STATE REQUEST, 1, first.marks);
    const struct radius_packet request = packet_of(&o, RADIUS_ACCESS_REQUEST, STATE RESPONSE);
    radius_logins_forget(&logins, &request);
    assert_true(server_of(RADIUS_ACCESS_REQUEST, STATE) == RADIUS_LOGINS_NONE);
    assert_false(find(STATE RESPONSE, &next));
    put(STATE REQUEST, 1, first.marks);
    radius_logins_clear(&logins);
    assert_true(server_of(RADIUS_ACCESS_REQUEST, STATE) == RADIUS_LOGINS_NONE);
}

/* Without EAP the proof is in the request itself; PAP has none. */
static void without_eap_no_state_is_needed(void **state)
{
    struct keyring_login login;

    (void)state;
    assert_true(find("0105 'bob' 0212 00112233445566778899aabbccddeeff", &login));
    assert_true(login.marks.chain == 0 && login.marks.proof == 0);
    assert_true(find("0105 'bob' 0313 0700112233445566778899aabbccddeeff", &login));
    assert_true(login.marks.chain == 0 && login.marks.proof != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_state_leads_back_to_its_server, setup, teardown),
        cmocka_unit_test_setup_teardown(a_challenge_without_state_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(marks_continue_with_the_state, setup, teardown),
        cmocka_unit_test_setup_teardown(a_state_that_is_forgotten_is_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(without_eap_no_state_is_needed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
