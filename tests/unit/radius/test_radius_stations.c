#include "radius/radius_stations.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "radius_fixture.h"

enum { MS = 1, SECOND = 1000, MINUTE = 60 * SECOND };

static struct radius_stations stations;
static uint64_t now_ms;

static int setup(void **state)
{
    (void)state;
    radius_stations_init(&stations);
    now_ms = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    radius_stations_fini(&stations);
    return 0;
}

static struct addr addr_of(const char *text)
{
    struct addr a = {0};

    if (text != NULL)
        assert_int_equal(addr_parse(text, 1, &a), ERR_OK);
    return a;
}

#define VPN "10.0.0.5"
#define ALICE "0107'alice'"
#define BOB "0105'bob'"
#define S1 "2c04's1'"
#define S2 "2c04's2'"
#define START "2806 00000001"
#define STOP "2806 00000002"
#define INTERIM "2806 00000003"
#define ON "2806 00000007"
#define OFF "2806 00000008"

static void login_at(const char *vpn, const char *request, const char *accept, const char *client)
{
    struct radius_out one, two;
    const struct radius_packet p = packet_of(&one, RADIUS_ACCESS_REQUEST, request);
    const struct radius_packet q = packet_of(&two, RADIUS_ACCESS_ACCEPT, accept);
    const struct addr from = addr_of(vpn), a = addr_of(client);

    radius_stations_accept(&stations, &from, &p, &q, &a, now_ms);
}

static void login(const char *request, const char *client)
{
    login_at(VPN ":1645", request, "", client);
}

/* Returns the address of the client without its port; "": unknown. */
static const char *account_at(const char *vpn, const char *hex)
{
    static char text[ADDR_TEXT_MAX];
    struct radius_out o;
    const struct radius_packet p = packet_of(&o, RADIUS_ACCOUNTING_REQUEST, hex);
    const struct addr from = addr_of(vpn);
    const struct addr *client = radius_stations_account(&stations, &from, &p, now_ms);

    if (client == NULL)
        return "";
    struct addr bare = *client;
    bare.port = 0;
    addr_format(&bare, text);
    *strrchr(text, ':') = '\0';
    return text;
}

static const char *account(const char *hex)
{
    return account_at(VPN ":1646", hex);
}

static void a_start_takes_the_login_of_its_user(void **state)
{
    (void)state;
    login(ALICE, "192.0.2.7");
    login(BOB, "[2001:db8::7]");
    assert_string_equal(account(INTERIM S1 ALICE), "");
    assert_string_equal(account(START S1 ALICE), "192.0.2.7");
    assert_string_equal(account(START S2 BOB), "[2001:db8::7]");
    assert_string_equal(account(INTERIM S1 ALICE), "192.0.2.7");
    assert_string_equal(account(STOP S1 ALICE), "192.0.2.7");
    assert_string_equal(account(STOP S2 BOB), "[2001:db8::7]");
    /* each login has one session */
    assert_string_equal(account(START "2c04's3'" ALICE), "");
}

static void a_session_belongs_to_a_user_and_a_vpn_server(void **state)
{
    (void)state;
    login(ALICE, "192.0.2.7");
    assert_string_equal(account_at("10.0.0.6:1646", START S1 ALICE), "");
    assert_string_equal(account(START S1 BOB), "");
    assert_string_equal(account(START S1 ALICE), "192.0.2.7");
    assert_string_equal(account(STOP S1 BOB), "");
    assert_string_equal(account(STOP S1), "");
    assert_string_equal(account_at("10.0.0.6:1646", STOP S1 ALICE), "");
    assert_string_equal(account_at("[2001:db8::5]:1646", STOP S1 ALICE), "");
    assert_string_equal(account(STOP S1 ALICE), "192.0.2.7");
}

static void an_access_request_may_name_its_session(void **state)
{
    (void)state;
    login(ALICE S1, "192.0.2.7");
    login(ALICE S2, "192.0.2.8");
    assert_string_equal(account(START S2 ALICE), "192.0.2.8");
    assert_string_equal(account(START S1 ALICE), "192.0.2.7");
    /* the session is used again */
    login(ALICE S1, "192.0.2.9");
    assert_string_equal(account(START S1 ALICE), "192.0.2.9");
    assert_string_equal(account(STOP S2 ALICE), "192.0.2.8");
}

static void an_accept_may_change_the_name(void **state)
{
    (void)state;
    for (int own = 0; own < 2; own++) {
        login_at(VPN ":1645", ALICE, BOB, "192.0.2.7");
        assert_string_equal(account(own ? START S1 ALICE : START S1 BOB), "192.0.2.7");
        assert_string_equal(account(own ? START S2 BOB : START S2 ALICE), "");
        assert_string_equal(account(own ? STOP S1 ALICE : STOP S1 BOB), "192.0.2.7");
        assert_string_equal(account(ON), "");
    }
}

static void two_addresses_of_one_user_are_unknown(void **state)
{
    (void)state;
    login(ALICE, "192.0.2.7:1");
    login(ALICE, "192.0.2.8:1");
    assert_string_equal(account(START S1 ALICE), "");
    assert_string_equal(account(START S2 ALICE), "");
    assert_string_equal(account(STOP S1 ALICE), "");
    /* both have started, so the next login is the only one */
    login(ALICE, "192.0.2.9");
    assert_string_equal(account(START "2c04's3'" ALICE), "192.0.2.9");
    /* an address and an unknown one are two */
    login(ALICE, NULL);
    login(ALICE, "192.0.2.9");
    assert_string_equal(account(START "2c04's4'" ALICE), "");
}

/* The VPN server repeats the Class of the Accept, if there is one. */
static void a_class_distinguishes_logins(void **state)
{
    (void)state;
    login_at(VPN ":1645", ALICE, "1903'a'", "192.0.2.7");
    login_at(VPN ":1645", ALICE, "1903'b'", "192.0.2.8");
    login_at(VPN ":1645", ALICE, "1903'a'", "192.0.2.7");
    assert_string_equal(account(START S1 ALICE "1903'b'"), "192.0.2.8");
    assert_string_equal(account(START S2 ALICE "1903'a'"), "192.0.2.7");
    assert_string_equal(account(START "2c04's3'" ALICE "1903'c'"), "");
    assert_string_equal(account(START "2c04's4'" BOB "1903'a'"), "");
    assert_string_equal(account(START "2c04's5'" ALICE), "192.0.2.7"); /* does not repeat it */
    /* a login without one fits any Start */
    login(ALICE, "192.0.2.9");
    assert_string_equal(account(START "2c04's7'" ALICE "1903'a'"), "192.0.2.9");
    /* one Class for all logins says nothing */
    login_at(VPN ":1645", ALICE, "1903'a'", "192.0.2.7");
    login_at(VPN ":1645", ALICE, "1903'a'", "192.0.2.8");
    assert_string_equal(account(START "2c04's6'" ALICE "1903'a'"), "");
}

static void two_logins_from_one_address_are_known(void **state)
{
    (void)state;
    login(ALICE, "192.0.2.7:1");
    login(ALICE, "192.0.2.7:2");
    assert_string_equal(account(START S1 ALICE), "192.0.2.7");
    assert_string_equal(account(START S2 ALICE), "192.0.2.7");
}

static void a_start_that_is_retransmitted_takes_no_login(void **state)
{
    (void)state;
    assert_string_equal(account(START S1 ALICE), ""); /* its login was not seen */
    login(ALICE, "192.0.2.7");
    assert_string_equal(account(START S1 ALICE), "");
    assert_string_equal(account(START S2 ALICE), "192.0.2.7");
    login(ALICE, "192.0.2.8");
    assert_string_equal(account(START S2 ALICE), "192.0.2.7");
    /* much later, it is another session of this name */
    now_ms += 5 * MINUTE;
    assert_string_equal(account(START S2 ALICE), "");
    login(ALICE, "192.0.2.9");
    now_ms += 5 * MINUTE;
    login(ALICE, "192.0.2.10");
    assert_string_equal(account(START S2 ALICE), "192.0.2.10");
}

static void a_restart_of_the_vpn_server_ends_its_sessions(void **state)
{
    static const char *const signs[] = {ON, OFF, ON S1 ALICE};

    (void)state;
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        login(ALICE, "192.0.2.7");
        assert_string_equal(account(START S1 ALICE), "192.0.2.7");
        login(BOB, "192.0.2.8");
        login_at("10.0.0.6:1645", BOB, "", "192.0.2.9");
        assert_string_equal(account(signs[i]), "");
        assert_string_equal(account(STOP S1 ALICE), "");
        assert_string_equal(account(START S2 BOB), "");
        assert_string_equal(account_at("10.0.0.6:1646", START S2 BOB), "192.0.2.9");
    }
}

static void notes_expire(void **state)
{
    (void)state;
    login(ALICE, "192.0.2.7");
    login(BOB S2, "192.0.2.8");
    now_ms += RADIUS_STATIONS_LOGIN_MS - MS;
    login(ALICE, "192.0.2.9");
    now_ms += MS;
    assert_string_equal(account(INTERIM S2 BOB), "");
    assert_string_equal(account(START S1 ALICE), "192.0.2.9");
    now_ms += (uint64_t)RADIUS_STATIONS_RUNNING_MS - MS;
    assert_string_equal(account(INTERIM S1 ALICE), "192.0.2.9");
    now_ms += (uint64_t)RADIUS_STATIONS_RUNNING_MS - MS;
    assert_string_equal(account(STOP S1 ALICE), "192.0.2.9");
    now_ms += RADIUS_STATIONS_STOPPED_MS - MS;
    assert_string_equal(account(STOP S1 ALICE), "192.0.2.9");
    now_ms += RADIUS_STATIONS_STOPPED_MS;
    assert_string_equal(account(STOP S1 ALICE), "");
    login(ALICE, "192.0.2.7");
    assert_string_equal(account(START S1 ALICE), "192.0.2.7");
    now_ms += RADIUS_STATIONS_RUNNING_MS;
    assert_string_equal(account(STOP S1 ALICE), "");
}

static void packets_that_belong_to_no_session(void **state)
{
    static const char *const packets[] = {START ALICE, S1 ALICE, "2805 000001" S1 ALICE,
                                          "2806 0000000f" S1 ALICE, START "2c02" ALICE};

    (void)state;
    login(ALICE, "192.0.2.7");
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++)
        assert_string_equal(account(packets[i]), "");
    assert_string_equal(account(START S1 ALICE), "192.0.2.7");
}

/* A login from this client, whose user has this number as name. */
static void login_number(unsigned i, const char *client)
{
    char hex[32];

    snprintf(hex, sizeof hex, "0106 %08x", i);
    login(hex, client);
}

/* A packet about the session of that user. */
static const char *account_number(const char *status, unsigned i)
{
    char hex[64];

    snprintf(hex, sizeof hex, "%s 0106 %08x 2c06 %08x", status, i, i);
    return account(hex);
}

/* A login that had to be removed may be the one that a Start belongs to. */
static void too_many_logins(void **state)
{
    (void)state;
    login(ALICE, "192.0.2.7");
    for (unsigned i = 0; i < RADIUS_STATIONS_LOGINS_MAX; i++)
        login_number(i, "192.0.2.8");
    assert_int_equal(stations.login_count, RADIUS_STATIONS_LOGINS_MAX);
    login(ALICE, "192.0.2.9");
    assert_string_equal(account(START S1 ALICE), "");
    now_ms += RADIUS_STATIONS_LOGIN_MS;
    login(ALICE, "192.0.2.9");
    assert_string_equal(account(START S2 ALICE), "192.0.2.9");
}

/* Sessions that have stopped make room first, then those that were not used for the longest time.
 */
static void too_many_sessions(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        login_number(i, "192.0.2.7");
        assert_string_equal(account_number(START, i), "192.0.2.7");
    }
    assert_string_equal(account_number(STOP, 1), "192.0.2.7");
    now_ms += RADIUS_STATIONS_STOPPED_MS;
    for (unsigned i = 3; i < RADIUS_STATIONS_SESSIONS_MAX + 1; i++)
        assert_string_equal(account_number(START, i), "");
    assert_string_equal(account_number(INTERIM, 0), "192.0.2.7");
    assert_string_equal(account_number(START, 1), "");
    assert_string_equal(account_number(INTERIM, 0), "192.0.2.7");
    assert_string_equal(account_number(INTERIM, 2), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_start_takes_the_login_of_its_user, setup, teardown),
        cmocka_unit_test_setup_teardown(a_session_belongs_to_a_user_and_a_vpn_server, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_access_request_may_name_its_session, setup, teardown),
        cmocka_unit_test_setup_teardown(an_accept_may_change_the_name, setup, teardown),
        cmocka_unit_test_setup_teardown(two_addresses_of_one_user_are_unknown, setup, teardown),
        cmocka_unit_test_setup_teardown(a_class_distinguishes_logins, setup, teardown),
        cmocka_unit_test_setup_teardown(two_logins_from_one_address_are_known, setup, teardown),
        cmocka_unit_test_setup_teardown(a_start_that_is_retransmitted_takes_no_login, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_restart_of_the_vpn_server_ends_its_sessions, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(notes_expire, setup, teardown),
        cmocka_unit_test_setup_teardown(packets_that_belong_to_no_session, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_logins, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_sessions, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
