#include "net/dial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "loop_fixture.h"

WRAP(pthread_create, (pthread_t * t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
     (t, attr, fn, arg))
/* ---- a resolver that has one name and may be slow ---- */

static struct {
    atomic_bool slow;
    sem_t asked, answers, freed;
} resolver;

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **all);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **all);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **all)
{
    if ((hints->ai_flags & AI_NUMERICHOST) != 0)
        return __real_getaddrinfo(node, service, hints, all);
    if (resolver.slow) {
        sem_post(&resolver.asked);
        sem_wait(&resolver.answers);
    }
    /* The machine's resolver is never asked, because it may be slow and need not know localhost. */
    if (strcasecmp(node, "localhost") != 0)
        return EAI_NONAME;
    return __real_getaddrinfo("127.0.0.1", service, hints, all);
}

void __real_freeaddrinfo(struct addrinfo *all);
void __wrap_freeaddrinfo(struct addrinfo *all);
void __wrap_freeaddrinfo(struct addrinfo *all)
{
    __real_freeaddrinfo(all);
    if (resolver.slow)
        sem_post(&resolver.freed);
}

static int setup(void **state)
{
    (void)state;
    sem_init(&resolver.asked, 0, 0);
    sem_init(&resolver.answers, 0, 0);
    sem_init(&resolver.freed, 0, 0);
    return 0;
}

/* ---- dials ---- */

struct answer {
    struct dial *dial;
    unsigned count;
    int status;
    bool inside, free_in_callback;
};

static void on_resolved(void *arg, int status)
{
    struct answer *a = arg;
    assert_false(a->inside);
    a->count++;
    a->status = status;
    if (a->free_in_callback) {
        dial_free(a->dial);
        a->dial = NULL;
    }
}

static void resolve(struct answer *a, const char *host)
{
    *a = (struct answer){.inside = true};
    a->dial = dial_new(&w, host, 4433, on_resolved, a);
    a->inside = false;
}

static void addresses_need_no_resolver(void **state)
{
    (void)state;
    static const struct {
        const char *host, *want;
    } cases[] = {{"127.0.0.1", "127.0.0.1:4433"}, {"2001:db8::1", "[2001:db8::1]:4433"}};
    loop_open();
    fault.name = "pthread_create"; /* and no thread is started */
    fault.in = 1;
    for (size_t i = 0; i < 2; i++) {
        struct answer a;
        struct addr to;
        char text[ADDR_TEXT_MAX];
        resolve(&a, cases[i].host);
        UNTIL(a.count == 1);
        assert_int_equal(a.status, 0);
        assert_true(dial_next(a.dial, &to));
        assert_string_equal(addr_format(&to, text), cases[i].want);
        assert_false(dial_next(a.dial, &to));
        assert_false(dial_next(a.dial, &to));
        dial_free(a.dial);
    }
    assert_int_equal(fault.in, 1);
    dial_free(NULL);
    loop_close();
}

static void no_such_name(void **state)
{
    (void)state;
    struct answer a;
    struct addr to;
    loop_open();
    resolve(&a, "999.1.1.1"); /* neither an address nor a name */
    UNTIL(a.count == 1);
    assert_true(a.status < 0);
    assert_false(dial_next(a.dial, &to));
    dial_free(a.dial);
    loop_close();
}

static void a_freed_look_up_reports_nothing(void **state)
{
    (void)state;
    for (int literal = 0; literal < 2; literal++) {
        struct answer many[12];
        char name[12][10];
        loop_open();
        for (size_t i = 0; i < 12; i++) {
            /* the same name for the C library, different ones for a worker */
            strcpy(name[i], literal ? "127.0.0.1" : "localhost");
            for (size_t bit = 0; bit < 4 && !literal; bit++)
                name[i][bit] ^= (i >> bit & 1) != 0 ? 0x20 : 0;
            resolve(&many[i], name[i]);
        }
        for (size_t i = 0; i < 12; i++)
            dial_free(many[i].dial);
        struct answer last[12];
        for (size_t i = 0; i < 12; i++) {
            resolve(&last[i], name[i]);
            last[i].free_in_callback = true;
        }
        for (size_t i = 0; i < 12; i++)
            UNTIL(last[i].count == 1);
        for (size_t i = 0; i < 12; i++) {
            assert_int_equal(last[i].status, 0);
            assert_int_equal(many[i].count, 0);
        }
        loop_close();
    }
}

static void free_the_next(void *arg, int status)
{
    struct answer *a = arg;
    on_resolved(a, status);
    dial_free(a[1].dial);
}

/* A worker must not start another look-up for each call if the resolver does not answer. */
static void a_name_is_looked_up_once(void **state)
{
    (void)state;
    struct answer many[12];
    loop_open();
    fault.name = "pthread_create";
    fault.in = 2;
    fault.error = EAGAIN;
    for (size_t i = 0; i < 12; i++) {
        resolve(&many[i], "localhost");
        many[i].free_in_callback = i < 6;
    }
    assert_int_equal(fault.in, 1);
    dial_free(many[0].dial);
    UNTIL(many[11].count == 1);
    for (size_t i = 1; i < 12; i++) {
        struct addr to;
        assert_int_equal(many[i].count, 1);
        assert_int_equal(many[i].status, 0);
        if (i < 6)
            continue;
        assert_true(dial_next(many[i].dial, &to));
        assert_int_equal(to.port, 4433);
        dial_free(many[i].dial);
    }
    assert_int_equal(many[0].count, 0);
    struct answer failed; /* after the answer, the next dial asks again */
    resolve(&failed, "localhost");
    assert_int_equal(fault.in, 0);
    UNTIL(failed.count == 1);
    assert_int_equal(failed.status, UV_EAGAIN);
    dial_free(failed.dial);

    /* the callback of one dial may free another */
    struct answer two[2] = {0};
    two[0].dial = dial_new(&w, "localhost", 1, free_the_next, two);
    resolve(&two[1], "localhost");
    UNTIL(two[0].count == 1);
    dial_free(two[0].dial);
    turn();
    assert_int_equal(two[1].count, 0);
    loop_close();
}

static void a_look_up_that_cannot_start_is_reported_later(void **state)
{
    (void)state;
    for (int freed = 0; freed < 2; freed++) {
        struct answer a;
        struct addr to;
        loop_open();
        fault.name = "pthread_create";
        fault.in = 1;
        fault.error = EAGAIN;
        resolve(&a, "localhost");
        assert_int_equal(fault.in, 0);
        if (!freed) {
            UNTIL(a.count == 1);
            assert_int_equal(a.status, UV_EAGAIN);
            assert_false(dial_next(a.dial, &to));
        }
        dial_free(a.dial);
        loop_close();
        assert_int_equal(a.count, !freed);
    }
}

static void a_worker_does_not_wait_for_a_resolver(void **state)
{
    (void)state;
    struct answer a;
    loop_open();
    alarm(GUARD_MS / 1000); /* ends the test in any of its waits */
    resolver.slow = true;
    resolve(&a, "localhost");
    sem_wait(&resolver.asked);
    dial_free(a.dial);
    loop_close();
    sem_post(&resolver.answers);
    sem_wait(&resolver.freed); /* no worker takes the answer: its thread frees it */
    alarm(0);
    assert_int_equal(a.count, 0);
    resolver.slow = false;
}

static bool has_mail(void)
{
    uv_mutex_lock(&w.mailbox_lock);
    bool has = w.first != NULL;
    uv_mutex_unlock(&w.mailbox_lock);
    return has;
}

static void an_answer_that_was_never_read_is_not_lost_memory(void **state)
{
    (void)state;
    struct answer a;
    loop_open();
    resolve(&a, "localhost");
    while (!has_mail())
        sched_yield();
    dial_free(a.dial);
    loop_close();
    assert_int_equal(a.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_need_no_resolver),
        cmocka_unit_test(no_such_name),
        cmocka_unit_test(a_freed_look_up_reports_nothing),
        cmocka_unit_test(a_name_is_looked_up_once),
        cmocka_unit_test(a_look_up_that_cannot_start_is_reported_later),
        cmocka_unit_test(a_worker_does_not_wait_for_a_resolver),
        cmocka_unit_test(an_answer_that_was_never_read_is_not_lost_memory),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
