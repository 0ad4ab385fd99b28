/* The sockets that a reload keeps, on loopback. integration/test_activation.py has the sockets
 * of a service manager. */
#include "gate/sockets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

enum { WORKERS = 2 };

static struct {
    struct config_listener listener;
    struct config config;
    struct addr listen[4];
    bool plain[4];
    struct sockets now, next;
} g;

static int setup(void **state)
{
    static char name[] = "front";

    (void)state;
    memset(&g, 0, sizeof g);
    g.listener = (struct config_listener){
        .name = name, .listen = g.listen, .listen_plain = g.plain, .v6only = true};
    g.config = (struct config){.listener = &g.listener, .listener_count = 1};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sockets_free(&g.now);
    sockets_free(&g.next);
    return 0;
}

static void configure(size_t count, const char *const addresses[])
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(addr_parse(addresses[i], 0, &g.listen[i]), ERR_OK);
    g.listener.listen_count = count;
}

/* Does the part of the workers at a commit: they own the descriptors then, and close them
 * here. */
static void commit(void)
{
    for (size_t i = 0; i < g.next.count; i++) {
        for (size_t w = 0; g.next.item[i].fds != NULL && w < WORKERS; w++)
            close(g.next.item[i].fds[w]);
        free(g.next.item[i].fds);
        g.next.item[i].fds = NULL;
    }
    sockets_free(&g.now);
    g.now = g.next;
    memset(&g.next, 0, sizeof g.next);
}

static bool prepare(void)
{
    return sockets_prepare(&g.next, &g.now, &g.config, WORKERS, stderr);
}

static bool listens(int fd)
{
    int on = 0;
    socklen_t len = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 && on != 0;
}

static void each_worker_has_a_socket_of_its_own(void **state)
{
    (void)state;
    configure(1, (const char *const[]){"127.0.0.1:0"});
    assert_true(prepare());
    assert_int_equal(g.next.count, 1);
    assert_true(listens(g.next.item[0].fds[0]) && listens(g.next.item[0].fds[1]));
    assert_int_not_equal(g.next.item[0].fds[0], g.next.item[0].fds[1]);
    assert_true(g.next.item[0].bound.port != 0);
    assert_int_equal(g.next.item[0].want.port, 0);
}

static void an_address_that_stays_keeps_its_socket(void **state)
{
    (void)state;
    configure(1, (const char *const[]){"127.0.0.1:0"});
    assert_true(prepare());
    const size_t id = g.next.item[0].id;
    const struct addr bound = g.next.item[0].bound;
    commit();
    configure(2, (const char *const[]){"127.0.0.2:0", "127.0.0.1:0"});
    assert_true(prepare());
    assert_int_equal(g.next.count, 2);
    assert_int_not_equal(g.next.item[0].id, id);
    assert_non_null(g.next.item[0].fds);
    assert_int_equal(g.next.item[1].id, id);
    assert_null(g.next.item[1].fds);
    assert_true(addr_equal(&g.next.item[1].bound, &bound));
}

/* Each address keeps one socket, and no socket is kept twice. */
static void the_same_address_several_times(void **state)
{
    (void)state;
    configure(2, (const char *const[]){"127.0.0.1:0", "127.0.0.1:0"});
    assert_true(prepare());
    const size_t first = g.next.item[0].id, second = g.next.item[1].id;
    assert_int_not_equal(first, second);
    commit();
    configure(3, (const char *const[]){"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"});
    assert_true(prepare());
    assert_int_equal(g.next.item[0].id, first);
    assert_int_equal(g.next.item[1].id, second);
    assert_true(g.next.item[2].id > second);
    assert_null(g.next.item[1].fds);
    assert_non_null(g.next.item[2].fds);
}

static void another_interface_or_v6only_is_another_socket(void **state)
{
    static char lo[] = "lo";

    (void)state;
    configure(1, (const char *const[]){"[::]:0"});
    assert_true(prepare());
    const size_t id = g.next.item[0].id;
    commit();
    g.listener.v6only = false;
    assert_true(prepare());
    assert_int_not_equal(g.next.item[0].id, id);
    sockets_free(&g.next);
    g.listener.v6only = true;
    g.listener.interface = lo;
    assert_true(prepare()); /* needs CAP_NET_RAW */
    assert_int_not_equal(g.next.item[0].id, id);
    sockets_free(&g.next);
    g.listener.interface = NULL;
    assert_true(prepare());
    assert_int_equal(g.next.item[0].id, id);
}

/* The workers know a socket by its id, so no later socket gets the same id. */
static void an_id_is_used_once(void **state)
{
    size_t latest = 0;

    (void)state;
    for (int i = 0; i < 3; i++) {
        configure(1, (const char *const[]){i % 2 == 0 ? "127.0.0.1:0" : "127.0.0.2:0"});
        assert_true(prepare());
        assert_true(i == 0 || g.next.item[0].id > latest);
        latest = g.next.item[0].id;
        commit();
    }
}

static void nothing_stays_open_after_a_failure(void **state)
{
    (void)state;
    configure(2, (const char *const[]){"127.0.0.1:0",
                                       "192.0.2.1:1"}); /* not an address of this machine */
    char *text = NULL;
    size_t n;
    FILE *problems = open_memstream(&text, &n);
    const int lowest = dup(0);

    assert_non_null(problems);
    assert_true(lowest >= 0);
    close(lowest);
    unsigned lines[2] = {0};
    g.listener.listen_line = lines;
    assert_false(sockets_prepare(&g.next, &g.now, &g.config, WORKERS, problems));
    fclose(problems);
    assert_non_null(strstr(text, "listener front: cannot listen on 192.0.2.1:1: "));
    free(text);
    assert_int_equal(g.next.count, 0);
    const int again = dup(0);
    assert_int_equal(again, lowest);
    close(again);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_worker_has_a_socket_of_its_own),
        TEST(an_address_that_stays_keeps_its_socket),
        TEST(the_same_address_several_times),
        TEST(another_interface_or_v6only_is_another_socket),
        TEST(an_id_is_used_once),
        TEST(nothing_stays_open_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
