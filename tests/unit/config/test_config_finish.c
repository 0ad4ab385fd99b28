#include "config/config_finish.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "config/config_fixture.h"
#include "policy/backends.h"

static void problems_of_whole_files(void **state)
{
    (void)state;
    assert_true(run_files("tests/config/finish.cases") >= 25);
}

static void a_backend_has_so_many_servers(void **state)
{
    (void)state;
    for (int over = 0; over < 2; over++) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);
        assert_non_null(f);
        fputs(MINIMAL, f); /* contains the first server */
        for (int i = 1; i < BACKENDS_SERVERS_MAX + over; i++)
            fprintf(f, "server = s%d\n", i);
        fclose(f);
        char *problems = problems_of(text, n);
        assert_string_equal(problems, over ? "70: server: a backend has at most 64 servers\n" : "");
        free(problems);
        free(text);
    }
}

static void defaults(void **state)
{
    (void)state;
    struct config *c = parse_good(MINIMAL);
    assert_string_equal(c->path, "/etc/gate/f.conf");
    const struct config_gate *g = &c->gate;
    assert_int_equal(g->workers, 0);
    assert_string_equal(g->log, "stderr");
    assert_int_equal(g->log_level, CONFIG_LOG_INFO);
    assert_int_equal(g->max_tunnels, 10000);
    assert_int_equal(g->timeout_handshake, 10000);
    assert_int_equal(g->timeout_request, 10000);
    assert_int_equal(g->timeout_connect, 5000);
    assert_int_equal(g->timeout_answer, 30000);
    assert_int_equal(g->timeout_negotiate, 90000);
    assert_int_equal(g->timeout_idle, 0);
    assert_int_equal(g->timeout_drain, 5000);
    assert_int_equal(c->listener_count, 1);
    const struct config_listener *l = &c->listener[0];
    assert_string_equal(l->name, "a");
    assert_int_equal(l->certificate_count, 1);
    assert_string_equal(l->certificate[0].file, "/etc/gate/c.pem");
    assert_int_equal(l->certificate[0].line, 3);
    assert_null(l->certificate[0].key);
    assert_null(l->certificate[0].passphrase_file);
    assert_null(l->certificate[0].ocsp_file);
    assert_false(l->strict_sni);
    assert_int_equal(l->tls_min, CONFIG_TLS_1_2);
    assert_int_equal(l->tls_max, CONFIG_TLS_1_3);
    assert_null(l->ciphers);
    assert_null(l->groups);
    assert_true(l->rules.default_allow);
    assert_int_equal(l->rules.count, 0);
    assert_int_equal(l->rules.deny_action, RULES_RESET);
    assert_false(l->dry_run);
    assert_false(l->recheck_tunnels);
    assert_int_equal(l->host.count, 0);
    assert_string_equal(l->backend_name, "b");
    assert_ptr_equal(l->backend, &c->backend[0]);
    assert_int_equal(c->backend_count, 1);
    const struct config_backend *b = &c->backend[0];
    assert_string_equal(b->servers.item[0].host, "s");
    assert_int_equal(b->servers.item[0].port, 443);
    assert_true(b->tls);
    assert_int_equal(b->verify, CONFIG_VERIFY_OFF);
    assert_int_equal(b->tls_min, CONFIG_TLS_1_2);
    assert_int_equal(b->tls_max, CONFIG_TLS_1_3);
    assert_int_equal(b->security_level, -1);
    assert_null(b->groups);
    assert_int_equal(b->binding, CONFIG_BINDING_REWRITE);
    assert_false(b->binding_sha1_known);
    assert_false(b->binding_sha256_known);
    config_free(c);
}

/* The pointers to backends are right, whatever the order of the sections. */
static void listeners_find_their_backend(void **state)
{
    (void)state;
    struct config *c =
        parse_good("[backend x]\nserver = [::1]\nverify = off\n" LISTENER_TEXT "backend = y\n"
                   "[backend y]\nserver = t:1\nverify = off\nbinding-cert-hash = " SHA1 "\n"
                   "[listener b]\nlisten = 192.0.2.1\ncertificate = c\nbackend = x\n"
                   "allow = 192.0.2.0/24\n[gate]\nworkers = 3\n");
    assert_ptr_equal(c->listener[0].backend, &c->backend[1]);
    assert_ptr_equal(c->listener[1].backend, &c->backend[0]);
    assert_string_equal(c->backend[0].servers.item[0].host, "::1");
    assert_true(c->backend[1].binding_sha1_known);
    assert_int_equal(c->backend[1].binding_sha1[19], 0x13);
    assert_false(c->listener[1].rules.default_allow);
    const struct addr who = {.family = AF_INET, .ip = {192, 0, 2, 1}};
    const struct rules_facts facts = {.client = &who};
    assert_int_equal(rules_decide(&c->listener[1].rules, &facts).line, 16);
    assert_int_equal(c->gate.workers, 3);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_of_whole_files),
        cmocka_unit_test(a_backend_has_so_many_servers),
        cmocka_unit_test(defaults),
        cmocka_unit_test(listeners_find_their_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
