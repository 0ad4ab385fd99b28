#include "net/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "stream_fixture.h"

static void a_full_listener_lets_callers_wait(void **state)
{
    (void)state;
    struct owner first, second;
    struct peer p, q;
    struct door d;
    loop_open();
    door_open(&d);
    peer_open(&p, connect_to(&d.at, 0));
    UNTIL(d.knocks == 1);
    assert_true(d.l.waiting);
    peer_open(&q, connect_to(&d.at, 0));
    turn();
    assert_int_equal(d.knocks, 1); /* the kernel keeps the second one */
    listener_retry(&d.l);
    assert_int_equal(d.knocks, 2);
    assert_true(d.l.waiting);

    owner_init(&first);
    d.next = &first;
    listener_retry(&d.l);
    assert_false(d.l.waiting);
    stream_start(&first.s, NULL);
    UNTIL(d.l.waiting); /* the second one */
    owner_init(&second);
    d.next = &second;
    listener_retry(&d.l);
    stream_start(&second.s, NULL);
    say(&first, "1");
    say(&second, "2");
    UNTIL(peer_received(&p, "1") && peer_received(&q, "2"));
    listener_retry(&d.l); /* no connection waits */
    assert_int_equal(d.knocks, 5);
    owner_fini(&first);
    owner_fini(&second);
    door_close(&d);
    listener_retry(&d.l);
    peer_fini(&p);
    peer_fini(&q);
    loop_close();
}

enum { CALLERS = 3 * LISTENER_ACCEPTS };

static bool accept_each(struct listener *l)
{
    struct owner *o = l->owner;
    struct addr peer;
    while (o->s.handle != STREAM_HANDLE_NONE)
        o++;
    assert_int_equal(stream_accept(&o->s, &l->tcp, &peer), 0);
    return true;
}

static size_t accepted(const struct owner *o)
{
    size_t n = 0;
    while (n < CALLERS && o[n].s.handle != STREAM_HANDLE_NONE)
        n++;
    return n;
}

/* A round of the loop accepts at most LISTENER_ACCEPTS of many simultaneous connections. */
static void few_are_accepted_in_a_round(void **state)
{
    (void)state;
    struct owner o[CALLERS];
    struct peer p[CALLERS];
    struct door d;

    loop_open();
    door_open(&d);
    d.l.owner = o;
    d.l.on_connection = accept_each;
    for (size_t i = 0; i < CALLERS; i++) {
        owner_init(&o[i]);
        peer_open(&p[i], connect_to(&d.at, 0));
    }
    for (size_t n = 0; n < CALLERS; n = accepted(o)) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        assert_in_range(accepted(o), n, n + LISTENER_ACCEPTS);
    }
    door_close(&d);
    for (size_t i = 0; i < CALLERS; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

static void a_connection_in_the_queue_of_a_closing_listener_is_reset(void **state)
{
    (void)state;
    struct peer p;
    struct door d;
    loop_open();
    door_open(&d);
    peer_open(&p, connect_to(&d.at, 0));
    UNTIL(d.l.waiting);
    door_close(&d);
    UNTIL(p.eof || p.error != 0);
    peer_fini(&p);
    loop_close();
}

static void an_address_in_use_is_reported(void **state)
{
    (void)state;
    struct addr any, bound, again;
    int fds[3], other[1];
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &any), ERR_OK);
    assert_int_equal(bind_to(&any, 3, fds, &bound), ERR_OK);
    assert_int_not_equal(bound.port, 0);
    errno = 0;
    assert_int_equal(bind_to(&bound, 1, other, &again), ERR_SYSTEM);
    assert_int_equal(errno, EADDRINUSE);
    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        struct addr a;
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&sa, &len), 0);
        assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &a), ERR_OK);
        assert_true(addr_equal(&a, &bound));
        close(fds[i]);
    }
    assert_int_equal(addr_parse("192.0.2.1:0", 0, &any),
                     ERR_OK); /* not an address of this machine */
    assert_int_equal(bind_to(&any, 2, fds, &bound), ERR_SYSTEM);
    assert_int_equal(errno, EADDRNOTAVAIL);
}

static void an_address_of_another_machine(void **state)
{
    (void)state;
    static const char *const addresses[] = {"192.0.2.1:0", "[2001:db8::1]:0"};
    const struct listener_options options = {.freebind = true};
    for (size_t i = 0; i < 2; i++) {
        struct addr want, bound;
        int fds[2];
        assert_int_equal(addr_parse(addresses[i], 0, &want), ERR_OK);
        if (listener_bind(&want, &options, 2, fds, &bound) != ERR_OK) {
            assert_int_equal(errno, EAFNOSUPPORT); /* a machine without IPv6 */
            continue;
        }
        assert_int_equal(bound.family, want.family);
        assert_true(bound.port != 0);
        close(fds[0]);
        close(fds[1]);
    }
}

static void ipv6_only(void **state)
{
    (void)state;
    struct addr any, bound;
    int fd, v6only = 0;
    socklen_t len = sizeof v6only;
    assert_int_equal(addr_parse("[::1]:0", 0, &any), ERR_OK);
    if (bind_to(&any, 1, &fd, &bound) != ERR_OK)
        return; /* a machine without IPv6 */
    assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len), 0);
    assert_int_equal(v6only, 1);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_listener_lets_callers_wait),
        cmocka_unit_test(few_are_accepted_in_a_round),
        cmocka_unit_test(a_connection_in_the_queue_of_a_closing_listener_is_reset),
        cmocka_unit_test(an_address_in_use_is_reported),
        cmocka_unit_test(an_address_of_another_machine),
        cmocka_unit_test(ipv6_only),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
