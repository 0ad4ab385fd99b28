/* The table of reasons, as a second table: the word in the log, the messages to the peers and the
 * points of each reason. */
#include "call/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* "word  http  message  end  outcome  flags", message as "type/attribute/status"; flags: peer, 5
 * (points).
 */
static const char *const rows[REASON_COUNT] = {
    [REASON_NONE] = "none - - close by-state",
    [REASON_CLIENT_CLOSED] = "client-closed - - drain by-state login-first peer",
    [REASON_BACKEND_CLOSED] = "backend-closed - - drain by-state login-first peer",
    [REASON_CLIENT_DISCONNECT] = "client-disconnect - - drain by-state login-first peer",
    [REASON_BACKEND_DISCONNECT] = "backend-disconnect - - drain by-state login-first peer",
    [REASON_CLIENT_ABORT] = "client-abort - - drain failed login-first peer",
    [REASON_BACKEND_ABORT] = "backend-abort - - drain failed login-first peer",
    [REASON_CLIENT_RESET] = "client-reset - - reset-both by-state login-first peer",
    [REASON_BACKEND_RESET] = "backend-reset - - reset-both failed login-first peer",
    [REASON_LOGIN_REFUSED] = "login-refused - - drain failed peer",
    [REASON_ADDRESS_DENIED] = "address-denied - - reset-both refused",
    [REASON_LIMIT] = "limit - - reset-both refused",
    [REASON_RULE_DENIED] = "rule-denied 404 - linger refused",
    [REASON_RULE_REJECTED] = "rule-denied - - reset-both refused",
    [REASON_BAD_PROXY_HEADER] = "bad-proxy-header - - reset-both failed",
    [REASON_PROXY_CALL] = "proxy-call 404 - linger refused",
    [REASON_TLS_FAILED] = "tls-failed - - reset-backend failed peer",
    [REASON_TLS_REFUSED] = "tls-refused - - reset-backend failed peer",
    [REASON_KEY_FAILED] = "key-failed - - reset-backend failed",
    [REASON_CLIENT_REJECTED_CERTIFICATE] =
        "client-rejected-certificate - - reset-backend failed peer",
    [REASON_NOT_SSTP] = "not-sstp 404 - linger refused",
    [REASON_REDIRECTED] = "http-redirect - - linger ended",
    [REASON_SSTP_CHECK] = "sstp-check 401 - linger ended",
    [REASON_HEALTH_PATH] = "health-path 200 - linger ended",
    [REASON_BAD_REQUEST] = "bad-request 400 - linger refused",
    [REASON_REQUEST_TOO_LARGE] = "request-too-large 400 - linger refused",
    [REASON_HOST_REFUSED] = "host-refused 404 - linger refused",
    [REASON_EARLY_DATA] = "early-data 400 - linger refused 5",
    [REASON_ACME_PASSED] = "acme-passed - - drain ended",
    [REASON_ACME_FAILED] = "acme-failed - - linger failed",
    [REASON_NO_SERVER] = "no-server 503 - linger failed",
    [REASON_BACKEND_UNREACHABLE] = "backend-unreachable 503 - linger failed",
    [REASON_BACKEND_TLS] = "backend-tls 503 - reset-client failed peer",
    [REASON_BACKEND_UNVERIFIED] = "backend-unverified 503 - linger failed",
    [REASON_BACKEND_REFUSED] = "backend-refused 503 - linger failed",
    [REASON_BACKEND_BAD_ANSWER] = "backend-bad-answer 503 - linger failed",
    [REASON_HANDSHAKE_TIMEOUT] = "handshake-timeout - - close by-state",
    [REASON_HANDSHAKE_QUEUE] = "handshake-queue - - close by-state",
    [REASON_REQUEST_TIMEOUT] = "request-timeout - - linger by-state",
    [REASON_ANSWER_TIMEOUT] = "answer-timeout 503 - linger failed",
    [REASON_NEGOTIATE_TIMEOUT] = "negotiate-timeout - 5/0/8 linger failed",
    [REASON_RADIUS_SILENT] = "radius-silent - - close failed",
    [REASON_MAX_SESSION] = "max-session 503 6/0/0 linger by-state",
    [REASON_IDLE_TIMEOUT] = "idle-timeout 503 6/0/0 linger by-state",
    [REASON_CLIENT_BAD_PACKET] = "client-bad-packet - - linger failed peer 5",
    [REASON_BACKEND_BAD_PACKET] = "backend-bad-packet - - linger failed",
    [REASON_CLIENT_OUT_OF_PLACE] = "client-out-of-place - 5/0/5 linger failed peer 5",
    [REASON_CLIENT_TOO_MANY_ANSWERS] = "client-too-many-answers - 5/0/5 linger failed peer 5",
    [REASON_BACKEND_OUT_OF_PLACE] = "backend-out-of-place - 5/0/5 linger failed peer",
    [REASON_CLIENT_BAD_FRAMES] = "client-bad-frames - 5/0/5 linger failed peer 5",
    [REASON_CLIENT_ASKS_AUTH] = "client-asks-auth 503 6/0/0 linger failed peer",
    [REASON_BAD_USER_NAME] = "bad-user-name 503 6/0/0 linger refused peer",
    [REASON_SECOND_LOGIN] = "second-login 503 6/0/0 linger failed",
    [REASON_BINDING_FORM] = "binding-form - 5/2/9 linger failed peer",
    [REASON_BINDING_NONCE] = "binding-nonce - 5/3/4 linger failed peer",
    [REASON_BINDING_HASH] = "binding-hash - 5/3/4 linger failed peer",
    [REASON_BINDING_LEAF] = "binding-leaf - 5/3/4 linger failed peer",
    [REASON_BINDING_MAC] = "binding-mac - 5/3/4 linger failed peer",
    [REASON_USER_DENIED] = "user-denied 503 6/0/0 linger refused",
    [REASON_USER_EXPIRED] = "user-expired 503 6/0/0 linger refused",
    [REASON_USER_LIMIT] = "user-limit 503 6/0/0 linger refused",
    [REASON_WINDOW_ENDED] = "window-ended 503 6/0/0 linger refused",
    [REASON_RULES_CHANGED] = "rules-changed 503 6/0/0 linger refused",
    [REASON_USER_BANNED] = "user-banned 503 6/0/0 linger refused",
    [REASON_ENDED_BY_ADMIN] = "ended-by-admin 503 6/0/0 linger ended",
    [REASON_SHUTDOWN] = "shutdown 503 6/0/0 linger by-state",
    [REASON_SHUTDOWN_NOW] = "shutdown - - close by-state",
    [REASON_DRAINED] = "none - - close by-state",
    [REASON_DRAIN_TIMEOUT] = "none - - reset-backend by-state",
};

static const char *end_name(enum reason_end end)
{
    static const char *const names[] = {
        [END_LINGER] = "linger",
        [END_DRAIN] = "drain",
        [END_CLOSE] = "close",
        [END_RESET_CLIENT] = "reset-client",
        [END_RESET_BACKEND] = "reset-backend",
        [END_RESET_BOTH] = "reset-both",
    };
    assert_true(end != END_NOTHING); /* only a state may have END_NOTHING */
    return names[end];
}

static const char *outcome_name(enum reason_outcome outcome)
{
    static const char *const names[] = {
        [OUTCOME_BY_STATE] = "by-state",
        [OUTCOME_ENDED] = "ended",
        [OUTCOME_FAILED] = "failed",
        [OUTCOME_REFUSED] = "refused",
    };
    return names[outcome];
}

static void print_row(const struct reason_info *info, char *out, size_t size)
{
    char http[16] = "-", message[32] = "-", points[16] = "";

    if (info->http != 0)
        snprintf(http, sizeof http, "%u", info->http);
    if (info->message != SSTP_DATA)
        snprintf(message, sizeof message, "%d/%d/%d", (int)info->message, (int)info->attribute,
                 (int)info->status);
    if (info->points != 0)
        snprintf(points, sizeof points, " %u", info->points);
    snprintf(out, size, "%s %s %s %s %s%s%s%s", info->name, http, message, end_name(info->end),
             outcome_name(info->outcome), info->login_first ? " login-first" : "",
             info->by_peer ? " peer" : "", points);
}

static void each_reason_has_its_row(void **state)
{
    (void)state;
    char row[128];
    for (int r = 0; r < REASON_COUNT; r++) {
        const struct reason_info *info = reason_info((enum reason)r);
        if (rows[r] == NULL)
            fail_msg("tests/unit/call/test_reason.c has no row for reason %d, %s", r, info->name);
        print_row(info, row, sizeof row);
        assert_string_equal(row, rows[r]);
    }
}

/* Reasons that share a word differ in how the call ends, and only these few do. */
static void few_reasons_share_a_word(void **state)
{
    (void)state;
    int shared = 0;
    for (int r = 0; r < REASON_COUNT; r++)
        for (int other = 0; other < r; other++) {
            const struct reason_info *a = reason_info((enum reason)r);
            const struct reason_info *b = reason_info((enum reason)other);
            if (strcmp(a->name, b->name) != 0 || strcmp(a->name, "none") == 0)
                continue;
            assert_true(strcmp(a->name, "rule-denied") == 0 || strcmp(a->name, "shutdown") == 0);
            assert_int_not_equal(a->end, b->end);
            shared++;
        }
    assert_int_equal(shared, 2);
}

/* A client that gets a message must have time to receive it. */
static void a_message_needs_time(void **state)
{
    (void)state;
    for (int r = 0; r < REASON_COUNT; r++) {
        const struct reason_info *info = reason_info((enum reason)r);
        if (info->message != SSTP_DATA)
            assert_int_equal(info->end, END_LINGER);
    }
}

/* [MS-SSTP] 3.3.5.2.3 and the bytes of PROTOCOL.md 4.5 */
static void the_abort_for_a_wrong_binding(void **state)
{
    (void)state;
    static const uint8_t want[] = {0x10, 1,    0, 0x14, 0, 5, 0, 1, 0, 2,
                                   0,    0x0c, 0, 0,    0, 3, 0, 0, 0, 4};
    static const enum reason reasons[] = {REASON_BINDING_NONCE, REASON_BINDING_HASH,
                                          REASON_BINDING_LEAF, REASON_BINDING_MAC};
    for (size_t i = 0; i < 4; i++) {
        const struct reason_info *info = reason_info(reasons[i]);
        uint8_t message[SSTP_STATUS_LEN];
        sstp_build_status(message, info->message, info->attribute, info->status);
        assert_memory_equal(message, want, sizeof want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_has_its_row),
        cmocka_unit_test(few_reasons_share_a_word),
        cmocka_unit_test(a_message_needs_time),
        cmocka_unit_test(the_abort_for_a_wrong_binding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
