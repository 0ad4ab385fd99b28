/* One [radius NAME] between a client and its servers, which are plain sockets here. A datagram of
 * the client is handed to the section directly; answers of a server come through the loop. */
#include "radius/radius_section.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/log.h"
#include "net/udp.h"
#include "net/worker.h"
#include "radius/keyring.h"
#include "radius/radius_table.h"
#include "site/snapshot.h"
#include "users/secret.h"
#include "wire_octets.h"

enum { SERVERS = 2 };

static struct secret client_secret = {.n = 3, .bytes = "nas"};
static struct secret server_secret = {.n = 6, .bytes = "server"};
static struct secret other_secret = {.n = 5, .bytes = "other"};

static struct {
    struct worker w;
    struct keyring *keyring;
    struct radius_section *section;
    struct udp listening; /* socket of the section for the client's requests */
    int client;           /* the client's socket */
    struct udp_path path; /* of a datagram from the client */
    int server[SERVERS];
    struct addr from[SERVERS]; /* sender of the latest datagram at the server */
    struct config_host host[SERVERS];
    struct cidr allowed;
    struct config_radius radius; /* for the next configure() */
    struct config_radius
        used[2]; /* two, because the section compares the new one with the old one */
    unsigned configured;
    struct config config;
    struct snapshot_secrets secrets;
    struct snapshot snapshot;
    struct radius_out out; /* of the client's latest request */
} g;

static void on_sweep(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
}

static void on_datagram(struct udp *u, struct span octets, const struct udp_path *path)
{
    (void)u, (void)octets, (void)path;
}

static int socket_open(struct addr *bound)
{
    struct addr want;

    assert_int_equal(addr_parse("127.0.0.1:0", 0, &want), ERR_OK);
    const int fd = udp_bind(&want, bound);
    assert_true(fd >= 0);
    return fd;
}

static void configure(void)
{
    struct config_radius *next = &g.used[g.configured++ % 2];

    *next = g.radius;
    g.config = (struct config){.radius = next, .radius_count = 1};
    radius_section_configure(g.section, &g.snapshot, 0);
}

static int setup(void **state)
{
    static char name[] = "home", host[] = "127.0.0.1";
    struct addr bound;

    (void)state;
    memset(&g, 0, sizeof g);
    worker_init(&g.w, 0, on_sweep, NULL);
    g.keyring = keyring_new();
    for (size_t i = 0; i < SERVERS; i++) {
        g.server[i] = socket_open(&bound);
        g.host[i] = (struct config_host){.host = host, .port = bound.port};
    }
    assert_int_equal(udp_open(&g.listening, &g.w, socket_open(&bound), on_datagram, NULL), 0);
    g.client = socket_open(&g.path.peer);
    assert_int_equal(cidr_parse("127.0.0.0/8", &g.allowed), ERR_OK);
    g.radius = (struct config_radius){.name = name,
                                      .clients = {.item = &g.allowed, .count = 1},
                                      .server = {.item = g.host, .count = 1},
                                      .timeout_server = 3000};
    g.secrets = (struct snapshot_secrets){.client = &client_secret, .server = &server_secret};
    g.snapshot = (struct snapshot){.config = &g.config, .radius = &g.secrets, .sound = true};
    g.section = radius_section_new(&g.w, g.keyring, name);
    configure();
    return log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    radius_section_free(g.section);
    udp_close(&g.listening, NULL);
    worker_stop(&g.w);
    worker_run(&g.w);
    worker_fini(&g.w);
    keyring_free(g.keyring);
    for (size_t i = 0; i < SERVERS; i++)
        close(g.server[i]);
    close(g.client);
    return log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

/* ---- the client ---- */

/* Takes the request in g.out once more, as a retransmission. */
static void resend(void)
{
    radius_section_take(g.section, &g.listening, false, span_of(g.out.octets, g.out.len), &g.path);
}

/* Sends a request with a new authenticator, signed with `secret`. hex: the attributes. */
static void send_request(uint8_t code, uint8_t id, const char *hex, const struct secret *secret)
{
    struct span attributes = octets_hex(hex);
    struct cursor c = cursor_of(attributes);
    struct radius_attribute a;

    radius_begin(&g.out, code, id);
    while (radius_next(&c, &a))
        radius_add(&g.out, a.type, a.value);
    octets_free(attributes);
    assert_true(radius_end(&g.out));
    radius_random(g.out.octets + RADIUS_AUTHENTICATOR_AT, RADIUS_AUTHENTICATOR);
    radius_sign(&g.out, NULL, secret_span(secret));
    resend();
}

#define SEAL "5012 00000000000000000000000000000000"
#define ALICE "0107 'alice'"

static void ask(uint8_t id)
{
    send_request(RADIUS_ACCESS_REQUEST, id, ALICE SEAL, &client_secret);
}

/* ---- datagrams that arrive ---- */

/* Reads a datagram at fd; false: none has arrived. */
static bool receive(int fd, struct radius_out *out, struct addr *from)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;
    const ssize_t n =
        recvfrom(fd, out->octets, sizeof out->octets, 0, (struct sockaddr *)&sa, &len);

    if (n < 0)
        return false;
    out->len = (size_t)n;
    assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, from), ERR_OK);
    return true;
}

static bool at_server(size_t i, struct radius_out *out)
{
    return receive(g.server[i], out, &g.from[i]);
}

static bool at_client(struct radius_out *out)
{
    struct addr from;
    return receive(g.client, out, &from);
}

/* Answers a request of the section as server i, signed with `secret`. */
static void answer(size_t i, const struct radius_out *request, uint8_t code,
                   const struct secret *secret)
{
    static const uint8_t to_be_signed[RADIUS_AUTHENTICATOR];
    struct radius_out out;
    struct sockaddr_storage sa;
    const socklen_t len = addr_to_sockaddr(&g.from[i], &sa);

    radius_begin(&out, code, request->octets[1]);
    radius_add(&out, RADIUS_MESSAGE_AUTHENTICATOR, span_of(to_be_signed, sizeof to_be_signed));
    if (code == RADIUS_ACCESS_CHALLENGE)
        radius_add(&out, RADIUS_STATE, span_str("ab"));
    assert_true(radius_end(&out));
    radius_sign(&out, request->octets + RADIUS_AUTHENTICATOR_AT, secret_span(secret));
    assert_int_equal(sendto(g.server[i], out.octets, out.len, 0, (struct sockaddr *)&sa, len),
                     out.len);
    (void)uv_run(&g.w.loop, UV_RUN_NOWAIT);
}

/* Asserts that the counters contain this text. */
static void assert_counted(const char *text)
{
    char *line = NULL;
    size_t n;
    FILE *f = open_memstream(&line, &n);

    assert_non_null(f);
    radius_section_print(g.section, f);
    fclose(f);
    if (strstr(line, text) == NULL)
        fail_msg("not '%s': %s", text, line);
    free(line);
}

/* ---- tests ---- */

static void a_request_and_its_answer_go_through(void **state)
{
    struct radius_out request, reply, none;
    struct radius_packet p;

    (void)state;
    ask(7);
    assert_true(at_server(0, &request));
    assert_int_equal(radius_parse(span_of(request.octets, request.len), &p), ERR_OK);
    assert_int_equal(radius_verify(&p, NULL, secret_span(&server_secret)), RADIUS_SIGNED);
    assert_counted("requests 1, repeated 0, waiting 1,");
    answer(0, &request, RADIUS_ACCESS_ACCEPT, &server_secret);
    assert_true(at_client(&reply));
    assert_int_equal(radius_parse(span_of(reply.octets, reply.len), &p), ERR_OK);
    assert_int_equal(p.code, RADIUS_ACCESS_ACCEPT);
    assert_int_equal(p.id, 7);
    assert_int_equal(
        radius_verify(&p, g.out.octets + RADIUS_AUTHENTICATOR_AT, secret_span(&client_secret)),
        RADIUS_SIGNED);
    assert_counted("waiting 0, answers 1, accepts 1,");
    assert_counted("dropped stranger 0, malformed 0, forged 0, unsigned 0, replayed 0, "
                   "unexpected 0, no-room 0, full 0, no-server 0; silent none\n");
    /* the same request again gets the same answer, and the server is not asked */
    resend();
    assert_false(at_server(0, &none));
    assert_true(at_client(&none));
    assert_int_equal(none.len, reply.len);
    assert_memory_equal(none.octets, reply.octets, reply.len);
    assert_counted("requests 2, repeated 1,");
}

static void each_drop_has_its_reason(void **state)
{
    struct radius_out request;

    (void)state;
    send_request(RADIUS_ACCOUNTING_REQUEST, 1, ALICE, &client_secret);
    assert_counted("malformed 1,");
    radius_section_take(g.section, &g.listening, false, span_str("not RADIUS"), &g.path);
    assert_counted("malformed 2,");
    send_request(RADIUS_ACCESS_REQUEST, 1, ALICE SEAL, &other_secret);
    assert_counted("forged 1,");
    send_request(RADIUS_ACCESS_REQUEST, 1, ALICE "4f0a 02010008 01'bob'", &client_secret);
    assert_counted("unsigned 1,");
    assert_int_equal(cidr_parse("192.0.2.0/24", &g.allowed), ERR_OK);
    ask(1);
    assert_counted("stranger 1,");
    assert_counted("requests 0,");
    assert_int_equal(cidr_parse("127.0.0.1", &g.allowed), ERR_OK);
    ask(1);
    assert_true(at_server(0, &request));
    answer(0, &request, RADIUS_ACCESS_ACCEPT, &other_secret);
    assert_counted("forged 2,");
    answer(0, &request, RADIUS_ACCOUNTING_RESPONSE, &server_secret);
    assert_counted("malformed 3,");
    answer(0, &request, RADIUS_ACCESS_REJECT, &server_secret);
    assert_counted("waiting 0,");
    answer(0, &request, RADIUS_ACCESS_REJECT, &server_secret);
    assert_counted("unexpected 1,");
}

static void an_unsigned_request_passes_unless_the_configuration_forbids_it(void **state)
{
    struct radius_out request;

    (void)state;
    send_request(RADIUS_ACCESS_REQUEST, 1, ALICE, &client_secret);
    assert_true(at_server(0, &request));
    g.radius.require_message_authenticator = true;
    configure();
    send_request(RADIUS_ACCESS_REQUEST, 2, ALICE, &client_secret);
    assert_false(at_server(0, &request));
    assert_counted("unsigned 1,");
}

static void an_authenticator_counts_once(void **state)
{
    struct radius_out request;

    (void)state;
    ask(1);
    assert_true(at_server(0, &request));
    g.out.octets[1] = 2; /* another identifier */
    radius_sign(&g.out, NULL, secret_span(&client_secret));
    resend();
    assert_false(at_server(0, &request));
    assert_counted("replayed 1,");
}

static void a_new_request_replaces_that_of_its_identifier(void **state)
{
    struct radius_out first, second, none;

    (void)state;
    ask(1);
    assert_true(at_server(0, &first));
    ask(1);
    assert_true(at_server(0, &second));
    assert_counted("waiting 1,");
    answer(0, &first, RADIUS_ACCESS_ACCEPT, &server_secret);
    assert_false(at_client(&none));
    assert_counted("unexpected 1,");
    answer(0, &second, RADIUS_ACCESS_ACCEPT, &server_secret);
    assert_true(at_client(&none));
}

static void status_server_is_answered_here(void **state)
{
    struct radius_out out;

    (void)state;
    send_request(RADIUS_STATUS_SERVER, 9, SEAL, &client_secret);
    assert_false(at_server(0, &out));
    assert_true(at_client(&out));
    assert_int_equal(out.octets[0], RADIUS_ACCESS_ACCEPT);
    assert_int_equal(out.octets[1], 9);
}

/* A retransmission goes to the same server at first, and to the next one after timeout-server. */
static void a_silent_server_is_left(void **state)
{
    struct radius_out first, again;

    (void)state;
    g.radius.server.count = 2;
    configure();
    ask(1);
    assert_true(at_server(0, &first));
    resend();
    assert_true(at_server(0, &again));
    assert_int_equal(first.len, again.len);
    assert_memory_equal(first.octets, again.octets, first.len);
    g.radius.timeout_server = 0;
    configure();
    resend();
    assert_true(at_server(1, &again));
    assert_false(at_server(0, &again));
    assert_counted("repeated 2,");
    assert_counted("silent 127.0.0.1:");
    ask(2);
    assert_true(at_server(1, &again));
}

/* ---- causes of a silence ---- */

static char log_path[] = "/tmp/sstpgate-test-XXXXXX";

static int setup_log(void **state)
{
    const int fd = mkstemp(log_path);

    return setup(state) == 0 && fd >= 0 && close(fd) == 0 &&
                   log_open(log_path, LOG_LEVEL_WARNING, LOG_FORMAT_TEXT) == ERR_OK
               ? 0
               : -1;
}

static int teardown_log(void **state)
{
    assert_int_equal(unlink(log_path), 0);
    strcpy(strrchr(log_path, '-'), "-XXXXXX");
    return teardown(state);
}

/* Asserts that the log has `count` lines about servers, and that the last one has this text. */
static void assert_logged(unsigned count, const char *text)
{
    char line[1024], last[1024] = "";
    FILE *f = fopen(log_path, "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL)
        if (strstr(line, "server=") != NULL) {
            strcpy(last, line);
            assert_true(count-- > 0);
        }
    fclose(f);
    if (count > 0 || strstr(last, text) == NULL)
        fail_msg("not '%s': %s", text, last);
}

/* Sends a request in a new section, whose server has this address. */
static void ask_server(char *host)
{
    g.host[0].host = host;
    radius_section_free(g.section);
    g.section = radius_section_new(&g.w, g.keyring, "home");
    configure();
    ask(1);
    (void)uv_run(&g.w.loop, UV_RUN_NOWAIT); /* an ICMP error on loopback is there at once */
}

static void a_silence_has_its_cause(void **state)
{
    static char host[] = "127.0.0.1";
    struct radius_out request;

    (void)state;
    g.radius.timeout_server = 0;
    ask_server(host);
    assert_true(at_server(0, &request));
    radius_section_sweep(g.section, worker_now(&g.w));
    assert_logged(1, "does not answer: it is down, a firewall drops the packets");
    ask_server(host);
    assert_true(at_server(0, &request));
    answer(0, &request, RADIUS_ACCESS_ACCEPT, &other_secret);
    radius_section_sweep(g.section, worker_now(&g.w));
    assert_logged(2, "its answers are not signed with server-secret-file");
    radius_section_sweep(g.section, worker_now(&g.w)); /* a silence is logged once */
    assert_logged(2, "its answers are not signed with server-secret-file");
}

/* Errors of sending and of ICMP are known before timeout-server. */
static void an_unreachable_server_has_its_cause(void **state)
{
    static char host[] = "127.0.0.1", broadcast[] = "255.255.255.255";
    struct addr bound;

    (void)state;
    close(g.server[0]);
    ask_server(host);
    g.server[0] = socket_open(&bound);
    assert_logged(1, "does not answer: its port is closed (ICMP)");
    ask_server(broadcast); /* EACCES, as from a firewall that rejects */
    assert_logged(2, "cannot be reached: a firewall rejects the packets");
    g.host[0].port = 0; /* EINVAL, for all other errors: a test has no address without a route */
    ask_server(host);
    assert_logged(3, "cannot be reached: there is no route, or the host is down");
}

/* An EAP login stays at the server whose State it has, even if that is not the first one. */
static void a_state_goes_back_to_its_server(void **state)
{
    struct radius_out request;

    (void)state;
    g.radius.server.count = 2;
    g.radius.timeout_server = 0;
    configure();
    ask(1);
    assert_true(at_server(0, &request));
    resend();
    assert_true(at_server(1, &request));
    answer(1, &request, RADIUS_ACCESS_CHALLENGE, &server_secret);
    assert_counted("answers 1, accepts 0,");
    ask(2);
    assert_true(at_server(1, &request));
    resend();
    assert_true(at_server(0, &request));
    answer(0, &request, RADIUS_ACCESS_REJECT, &server_secret);
    ask(3); /* no State: the first server, which answers again */
    assert_true(at_server(0, &request));
    send_request(RADIUS_ACCESS_REQUEST, 4, ALICE SEAL "1804 'ab'", &client_secret);
    assert_true(at_server(1, &request));
}

/* Without room, the oldest pending request is dropped. */
static void the_table_is_bounded(void **state)
{
    struct radius_out request;

    (void)state;
    for (unsigned i = 0; i <= RADIUS_REQUESTS_MAX; i++) {
        g.path.peer.port = (uint16_t)(1024 + i / 256);
        ask((uint8_t)i);
        while (at_server(0, &request))
            continue;
    }
    assert_counted("full 1,");
    assert_counted("no-server 0;");
    radius_section_sweep(g.section, worker_now(&g.w));
    assert_counted("waiting 4096,");
    radius_section_sweep(g.section, worker_now(&g.w) + RADIUS_PENDING_MS);
    assert_counted("waiting 0,");
}

static void a_server_without_an_address_is_no_server(void **state)
{
    (void)state;
    g.radius.server.count = 0;
    configure();
    ask(1);
    assert_counted("no-server 1;");
    radius_section_sweep(g.section, 0);
    assert_counted("waiting 0,");
}

static void a_reload_keeps_pending_requests_unless_secrets_change(void **state)
{
    struct radius_out request, reply;

    (void)state;
    ask(1);
    assert_true(at_server(0, &request));
    configure();
    answer(0, &request, RADIUS_ACCESS_ACCEPT, &server_secret);
    assert_true(at_client(&reply));
    ask(2);
    assert_true(at_server(0, &request));
    g.secrets.server = &other_secret;
    configure();
    assert_counted("waiting 0,");
    answer(0, &request, RADIUS_ACCESS_ACCEPT, &server_secret);
    assert_false(at_client(&reply));
    resend();
    assert_true(at_server(0, &request));
}

static void a_socket_that_closes_takes_its_requests_along(void **state)
{
    struct radius_out request, reply;

    (void)state;
    ask(1);
    assert_true(at_server(0, &request));
    radius_section_forget(g.section, &g.listening);
    answer(0, &request, RADIUS_ACCESS_ACCEPT, &server_secret);
    assert_false(at_client(&reply));
    assert_counted("unexpected 1,");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_request_and_its_answer_go_through),
        TEST(each_drop_has_its_reason),
        TEST(an_unsigned_request_passes_unless_the_configuration_forbids_it),
        TEST(an_authenticator_counts_once),
        TEST(a_new_request_replaces_that_of_its_identifier),
        TEST(status_server_is_answered_here),
        TEST(a_silent_server_is_left),
        cmocka_unit_test_setup_teardown(a_silence_has_its_cause, setup_log, teardown_log),
        cmocka_unit_test_setup_teardown(an_unreachable_server_has_its_cause, setup_log,
                                        teardown_log),
        TEST(a_state_goes_back_to_its_server),
        TEST(the_table_is_bounded),
        TEST(a_server_without_an_address_is_no_server),
        TEST(a_reload_keeps_pending_requests_unless_secrets_change),
        TEST(a_socket_that_closes_takes_its_requests_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
