#include "call/tunnels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>
#include <stdio.h>
#include <time.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/call.h"
#include "net/worker.h"

enum { TUNNELS = 5000 };

struct fixture {
    struct worker worker;
    struct call_set set;
    struct call **call;
};

static void on_sweep(void *arg, uint64_t now_ms)
{
    (void)arg;
    (void)now_ms;
}

static int prepare(void **state)
{
    struct fixture *f = NEW(struct fixture);
    char text[64];

    worker_init(&f->worker, 0, on_sweep, NULL);
    f->set.worker = &f->worker;
    f->call = insist_alloc(calloc(TUNNELS, sizeof(void *)));
    for (size_t i = 0; i < TUNNELS; i++) {
        struct call *call = f->call[i] = NEW(struct call);
        struct record *r = &call->record;
        call->set = &f->set;
        r->number = i + 1;
        r->started = worker_now(&f->worker);
        r->listener = "front";
        r->method = "ms-chapv2";
        r->binding = RECORD_BINDING_VERIFIED;
        r->up.octets = 1000 + i;
        memcpy(r->assigned, "\x0a\x00\x00\x05", 4);
        assert_int_equal(addr_parse("192.0.2.7:5000", 0, &r->client), ERR_OK);
        snprintf(text, sizeof text, "user-%zu", i % 10);
        record_keep(&r->user, span_str(text));
        record_keep(&r->host, span_str("vpn.example.com"));
        record_keep(&r->sni, span_str("vpn.example.com"));
        record_keep(&r->backend, span_str("back"));
        record_keep(&r->server, span_str("10.0.0.5:443"));
        DL_APPEND(f->set.list[CALL_RELAY], call);
    }
    *state = f;
    return 0;
}

static int clean(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < TUNNELS; i++) {
        record_fini(&f->call[i]->record);
        free(f->call[i]);
    }
    worker_stop(&f->worker);
    worker_run(&f->worker);
    worker_fini(&f->worker);
    free(f->call);
    free(f);
    return 0;
}

static void facts_are_copies(void **state)
{
    struct fixture *f = *state;
    const struct call_filter all = {0};
    struct tunnels list;
    struct timespec from, to;
    size_t n = 0;

    tunnels_init(&list);
    tunnels_reserve(&list, TUNNELS);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    tunnels_collect(&list, &f->set, &all);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    print_message("%d tunnels in %ld us\n", (int)TUNNELS,
                  (to.tv_sec - from.tv_sec) * 1000000 + (to.tv_nsec - from.tv_nsec) / 1000);
    assert_int_equal(list.count, TUNNELS);
    for (const struct tunnel_facts *t = list.first; t != NULL; t = t->next) {
        char user[16];
        snprintf(user, sizeof user, "user-%zu", n % 10);
        assert_int_equal(t->number, ++n);
        assert_string_equal(t->user, user);
        assert_ptr_not_equal(t->user, f->call[n - 1]->record.user);
        assert_string_equal(t->server, "10.0.0.5:443");
        assert_string_equal(t->binding, "verified");
        assert_int_equal(t->up.octets, 999 + n);
        assert_memory_equal(t->assigned, "\x0a\x00\x00\x05", 4);
        assert_null(t->key);
    }
    assert_int_equal(n, TUNNELS);
    tunnels_fini(&list);
    assert_null(list.first);
}

static void only_those_that_match(void **state)
{
    struct fixture *f = *state;
    const struct call_filter some = {.user = "USER-3", .server = "back/10.0.0.5:443"},
                             none = {.user = "user-30"};
    struct tunnels list;

    tunnels_init(&list);
    tunnels_collect(&list, &f->set, &none);
    assert_int_equal(list.count, 0);
    tunnels_collect(&list, &f->set, &some);
    assert_int_equal(list.count, TUNNELS / 10);
    tunnels_fini(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_copies),
        cmocka_unit_test(only_those_that_match),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
