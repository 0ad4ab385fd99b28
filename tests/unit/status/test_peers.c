#include "status/peers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct addr host(unsigned number)
{
    char text[32];
    struct addr a;

    snprintf(text, sizeof text, "10.0.0.%u:%u", number, 1000 + number);
    assert_int_equal(addr_parse(text, 0, &a), ERR_OK);
    return a;
}

static void a_connection_is_found_until_it_is_removed(void **state)
{
    struct peers p;
    const struct addr a = host(1);

    (void)state;
    peers_init(&p);
    assert_null(peers_find(&p, 7));
    struct peer *peer = peers_add(&p, 7, &a, 100);
    assert_ptr_equal(peers_find(&p, 7), peer);
    assert_true(peer->waiting && !peer->is_unix && addr_equal(&peer->addr, &a));
    assert_int_equal(p.count, 1);
    peers_remove(&p, peer);
    assert_null(peers_find(&p, 7));
    assert_int_equal(p.count, 0);
}

/* The deadline of each step, relative to its start. */
static void each_step_has_its_deadline(void **state)
{
    struct peers p;
    const struct addr a = host(1);

    (void)state;
    peers_init(&p);
    assert_true(peers_next(&p) == PEERS_NEVER);
    struct peer *peer = peers_add(&p, 7, &a, 100);
    assert_int_equal(peers_next(&p), 100 + PEERS_REQUEST_MS);
    assert_null(peers_expired(&p, 99 + PEERS_REQUEST_MS));
    peer_asked(peer, 200);
    assert_true(peer->waiting); /* for the body */
    assert_int_equal(peers_next(&p), 200 + PEERS_REQUEST_MS);
    peer_pends(peer);
    assert_true(peers_next(&p) == PEERS_NEVER);
    assert_false(peer->waiting);
    peer_answered(peer, 300);
    assert_int_equal(peers_next(&p), 300 + PEERS_RECEIVE_MS);
    peer_awaits(peer, 400);
    assert_true(peer->waiting);
    assert_ptr_equal(peers_expired(&p, 400 + PEERS_REQUEST_MS), peer);
    assert_null(peers_expired(&p, 400 + PEERS_REQUEST_MS)); /* once */
}

static void the_one_that_waits_longest_makes_room_for_its_own_address(void **state)
{
    struct peers p;
    const struct addr a = host(1), b = host(2);
    bool full;

    (void)state;
    peers_init(&p);
    assert_non_null(peers_add(&p, 500, &b, 0)); /* older, but of another address */
    for (int i = 0; i < PEERS_PER_ADDRESS; i++) {
        assert_null(peers_victim(&p, &a, 60, &full));
        assert_false(full);
        assert_non_null(peers_add(&p, 100 + i, &a, 10 + (uint64_t)i));
    }
    assert_int_equal(peers_victim(&p, &a, 60, &full)->fd, 100);
    peer_asked(peers_find(&p, 100), 50);
    assert_int_equal(peers_victim(&p, &a, 60, &full)->fd, 100);
    peer_pends(peers_find(&p, 100)); /* it is being answered now */
    assert_int_equal(peers_victim(&p, &a, 60, &full)->fd, 101);
    assert_null(peers_victim(&p, &b, 60, &full));
    assert_false(full);
    for (int i = 1; i < PEERS_PER_ADDRESS; i++)
        peer_pends(peers_find(&p, 100 + i));
    assert_null(peers_victim(&p, &a, 60, &full));
    assert_true(full);
}

/* Clients that do not read their answers keep nobody out. */
static void a_slow_reader_makes_room(void **state)
{
    struct peers p;
    const struct addr a = host(1);
    bool full;

    (void)state;
    peers_init(&p);
    for (int i = 0; i < PEERS_PER_ADDRESS; i++)
        peer_answered(peers_add(&p, 100 + i, &a, 10), 60 + (uint64_t)i);
    assert_null(peers_victim(&p, &a, 59 + PEERS_SLOW_MS, &full));
    assert_true(full);
    assert_int_equal(peers_victim(&p, &a, 60 + PEERS_SLOW_MS, &full)->fd, 100);
    peer_pends(peers_find(&p, 100)); /* the next request */
    assert_null(peers_victim(&p, &a, 60 + PEERS_SLOW_MS, &full));
    assert_int_equal(peers_victim(&p, &a, 61 + PEERS_SLOW_MS, &full)->fd, 101);
}

static void the_one_that_waits_longest_makes_room_for_all(void **state)
{
    struct peers p;
    bool full;

    (void)state;
    peers_init(&p);
    for (unsigned i = 0; i < PEERS_MAX; i++) {
        const struct addr a = host(i);
        assert_non_null(peers_add(&p, 100 + (int)i, &a, 10 + i));
    }
    const struct addr other = host(200);
    assert_int_equal(peers_victim(&p, &other, 60, &full)->fd, 100);
    assert_null(peers_add(&p, 999, &other, 0));
    for (int i = 0; i < PEERS_MAX; i++)
        peer_pends(peers_find(&p, 100 + i));
    assert_null(peers_victim(&p, &other, 60, &full));
    assert_true(full);
}

static void unix_sockets_are_one_address(void **state)
{
    struct peers p;
    const struct addr a = host(1);
    bool full;

    (void)state;
    peers_init(&p);
    for (int i = 0; i < PEERS_PER_ADDRESS; i++)
        assert_true(peers_add(&p, 100 + i, NULL, 10 + (uint64_t)i)->is_unix);
    assert_int_equal(peers_victim(&p, NULL, 60, &full)->fd, 100);
    assert_null(peers_victim(&p, &a, 60, &full));
    assert_false(full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_is_found_until_it_is_removed),
        cmocka_unit_test(each_step_has_its_deadline),
        cmocka_unit_test(the_one_that_waits_longest_makes_room_for_its_own_address),
        cmocka_unit_test(a_slow_reader_makes_room),
        cmocka_unit_test(the_one_that_waits_longest_makes_room_for_all),
        cmocka_unit_test(unix_sockets_are_one_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
