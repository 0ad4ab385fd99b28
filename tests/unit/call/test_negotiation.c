/* The negotiation, fed with the packets that the two streams would deliver. The values are those of
 * tests/vectors/rewrite.txt, whose MS-CHAPv2 key belongs to the exchange of RFC 2759 9.2 below. */
#include "call/negotiation.h"

#include "talk.h"

/* ---- the canonical form ---- */

/* Frames are rebuilt in their canonical form, in both directions; a frame that cannot be read is
 * dropped. */
static void frames_go_on_in_one_form(void **state)
{
    (void)state;
    static const struct {
        const char *packet;
        const char *rebuilt; /* NULL: unchanged; "": dropped */
    } cases[] = {
        {"1000000c ff03c021 09010004", NULL},
        {"1000000a c021 09010004", "1000000c ff03c021 09010004"},
        {"1000000d ff03c021 09010004 77", "1000000c ff03c021 09010004"},
        {"100e000c ff03c021 09010004", NULL}, /* reserved bits: see relay.c */
        {"1000000a 8021 01010004", "1000000c ff038021 01010004"},
        {"1000000d ff038021 01010004 77", NULL},
        {"1000000c ff03c021 09010003", ""},
        {"1000000c ff03c021 0e010004", ""},
        {"1000000c ff03c027 01010004", ""},
        {NO_PROTOCOL, ""},
        {IP_DATA, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int client = 0; client < 2; client++) {
            struct talk c;
            talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
            request_and_ack(&c, SSTP_HASH_SHA256);
            print_message("%s\n", cases[i].packet);
            const enum negotiation_verdict v = give_hex(&c, client, cases[i].packet);
            if (cases[i].rebuilt == NULL) {
                assert_int_equal(v, NEGOTIATION_PASS);
            } else if (*cases[i].rebuilt == '\0') {
                assert_int_equal(v, NEGOTIATION_DROP);
            } else {
                assert_int_equal(v, NEGOTIATION_REPLACE);
                struct talk other = c;
                uint8_t built[64];
                const size_t n = c.answer.octets.n;
                assert_true(n <= sizeof built);
                memcpy(built, c.answer.octets.p, n);
                assert_int_equal(give_hex(&other, client, cases[i].rebuilt), NEGOTIATION_PASS);
                assert_int_equal(n, other.len);
                assert_memory_equal(built, other.packet, n);
            }
            talk_fini(&c);
        }
}

/* Some servers take an authentication that a client requests for their own choice of the method. */
static void a_client_that_asks_for_authentication(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_OFF, NULL, "rewrite_mschapv2_sha256");
    from_client(&c, REQUEST);
    ack(&c, SSTP_HASH_SHA256);
    refused(&c, from_client(&c, "10000011 ff03c021 01020009 0305c22381"), REASON_CLIENT_ASKS_AUTH);
    talk_fini(&c);
}

/* An answer that only a lax server would read is not forwarded, and counts as a failed login. */
static void an_unreadable_answer_is_a_failed_login(void **state)
{
    static const struct {
        const char *frame;
        unsigned failures;
    } cases[] = {
        {"10000042ff03c223020100043121402324255e262a28295f2b3a337c7e000000000000000082309ecd8d708b5"
         "e"
         "a08faa3981cd83544233114a3d85d6df0055736572",
         1},
        {"1000000c ff03c023 01010003", 1},
        {"1000000a c227 02010003", 1},
        {"1000000c ff03c021 09010003", 0}, /* not an authentication */
        {IP_DATA, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        assert_int_equal(from_client(&c, cases[i].frame), NEGOTIATION_DROP);
        assert_int_equal(c.record.failures, cases[i].failures);
        talk_fini(&c);
    }
}

/* E=930: the server has no verdict, so nothing is counted, with or without RADIUS at the gate. */
static void a_refusal_without_a_verdict(void **state)
{
    (void)state;
    for (int radius = 0; radius < 2; radius++) {
        struct talk c;
        if (radius)
            talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        else
            talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        from_client(&c, RESPONSE);
        assert_int_equal(from_backend(&c, UNJUDGED), NEGOTIATION_PASS);
        assert_int_equal(c.record.failures, 0);
        assert_int_equal(c.record.refusal, 930);
        assert_true(negotiation_radius_is_silent(c.negotiation, NOW));
        negotiation_server_ends(c.negotiation, NOW);
        assert_int_equal(c.record.failures, 0);
        talk_fini(&c);
    }
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, CHALLENGE);
    from_client(&c, RESPONSE);
    from_backend(&c, FAILURE);
    assert_int_equal(c.record.failures, 1);
    assert_false(negotiation_radius_is_silent(c.negotiation, NOW));
    talk_fini(&c);
}

static void a_name_that_servers_trim(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_OFF, NULL, "rewrite_mschapv2_sha256");
    from_client(&c, REQUEST);
    ack(&c, SSTP_HASH_SHA256);
    pap_agreed(&c);
    refused(&c, from_client(&c, "10000013 ff03c023 0101000b 0420626f62 0178"),
            REASON_BAD_USER_NAME);
    talk_fini(&c);
}

/* ---- the user ---- */

struct asked {
    char names[128]; /* each in angle brackets */
    const char *denies;
};

static bool is_allowed(void *arg, struct span user)
{
    struct asked *a = arg;
    const size_t n = strlen(a->names);
    snprintf(a->names + n, sizeof a->names - n, "<%.*s>", (int)user.n, (const char *)user.p);
    return a->denies == NULL || !span_eq(user, span_str(a->denies));
}

/* The client chooses the outer name of EAP-TLS: once that method has succeeded, the rules are asked
 * about an unknown user. */
static void the_outer_name_is_a_claim(void **state)
{
    (void)state;
    for (int verified = 0; verified < 2; verified++) {
        struct asked asked = {.denies = NULL};
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
        c.config.outer_name_verified = verified;
        negotiation_ask_user(c.negotiation, is_allowed, &asked);
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_tls(&c);
        assert_string_equal(asked.names, verified ? "<User>" : "<User><>");
        assert_string_equal(c.record.user, "User");
        assert_int_equal(c.record.user_is_claim, !verified);
        talk_fini(&c);
    }
}

static void the_rules_may_deny_a_claim(void **state)
{
    (void)state;
    struct asked asked = {.denies = ""};
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
    negotiation_ask_user(c.negotiation, is_allowed, &asked);
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, EAP_TLS_IDENTITY);
    from_client(&c, EAP_TLS_USER);
    from_backend(&c, EAP_TLS_REQUEST);
    assert_int_equal(from_client(&c, EAP_TLS_RESPONSE), NEGOTIATION_PASS);
    refused(&c, from_backend(&c, EAP_TLS_DONE), REASON_USER_DENIED);
    talk_fini(&c);
}

/* A method with the client's password proves its name. */
static void the_name_that_a_method_proves(void **state)
{
    (void)state;
    for (int eap = 0; eap < 2; eap++) {
        struct asked asked = {.denies = NULL};
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        negotiation_ask_user(c.negotiation, is_allowed, &asked);
        request_and_ack(&c, SSTP_HASH_SHA256);
        if (eap) {
            from_backend(&c, EAP_TLS_IDENTITY);
            from_client(&c, EAP_TLS_USER);
            eap_mschapv2(&c);
        } else {
            mschapv2(&c);
        }
        assert_string_equal(asked.names, "<User>");
        assert_false(c.record.user_is_claim);
        talk_fini(&c);
    }
}

/* ---- order ---- */

static void each_message_has_its_place(void **state)
{
    (void)state;
    enum when { FRESH, REQUESTED, ACKED, TIMES };
    static const struct {
        const char *packet;
        const char *client,
            *backend; /* one letter for each time: Pass, Drop, Refuse, -: tested elsewhere */
    } cases[] = {
        {REQUEST, "PPR", "RRR"},
        {NAK, "RRR", "RPR"},
        {ABORT, "PPP", "PPP"},
        {DISCONNECT, "PPP", "PPP"},
        {DISCONNECT_ACK, "PPP", "PPP"},
        {ECHO_REQUEST, "RRR", "RRR"},
        {ECHO_RESPONSE, "RRR", "RRR"},
        {UNKNOWN_MESSAGE, "RRR", "RRR"},
        {LCP_REQUEST, "RRP", "RRP"},
        {IPCP_REQUEST, "RRP", "RRP"},
        {IP_DATA, "RRD", "RRD"},
        {NO_PROTOCOL, "RRD", "RRD"},
        {"1001000800040000", "RR-", "RRR"}, /* Call Connected */
        {"1001000800020000", "RRR", "R-R"}, /* Ack */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int when = FRESH; when < TIMES; when++)
            for (int client = 0; client < 2; client++) {
                char want = (client ? cases[i].client : cases[i].backend)[when];
                struct talk c;
                if (want == '-')
                    continue;
                talk_init(&c, CONFIG_BINDING_AUTO, NULL, "rewrite_pap_sha256");
                if (when >= REQUESTED)
                    from_client(&c, REQUEST);
                if (when == ACKED)
                    ack(&c, 2);
                enum negotiation_verdict v = give_hex(&c, client, cases[i].packet);
                if (want == 'R')
                    refused(&c, v,
                            client ? REASON_CLIENT_OUT_OF_PLACE : REASON_BACKEND_OUT_OF_PLACE);
                else if (v != (want == 'P' ? NEGOTIATION_PASS : NEGOTIATION_DROP))
                    fail_msg("case %zu, time %d, %s: %d", i, when, client ? "client" : "backend",
                             (int)v);
                talk_fini(&c);
            }
}

static void a_nak_is_answered_with_another_request(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
    for (int i = 0; i < 3; i++) {
        assert_int_equal(from_client(&c, REQUEST), NEGOTIATION_PASS);
        assert_int_equal(from_backend(&c, NAK), NEGOTIATION_PASS);
        refused(&c, from_backend(&c, NAK), REASON_BACKEND_OUT_OF_PLACE);
    }
    refused(&c, ack(&c, 2), REASON_BACKEND_OUT_OF_PLACE); /* without a request */
    request_and_ack(&c, 2);
    from_client(&c, PAP);
    connected_becomes(&c, "rewrite_pap_sha256");
    talk_fini(&c);
}

/* A failed attempt of another user before the right one must not leave its key or its name. */
static void the_exchange_may_begin_again(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_client(&c, PAP);
    from_backend(&c, LCP_REQUEST);
    mschapv2(&c);
    mschapv2(&c);
    connected_becomes(&c, "rewrite_mschapv2_sha256");
    talk_fini(&c);
}

static void once_connected(void **state)
{
    (void)state;
    static const bool want[] = {true, false, false, false, false, true,
                                true, true,  true,  true,  false};
    for (uint16_t type = 0; type < sizeof want / sizeof *want; type++) {
        const struct sstp_packet p = {.control = type != SSTP_DATA, .type = type};
        assert_int_equal(negotiation_in_place(&p), want[type]);
    }
    negotiation_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_go_on_in_one_form),
        cmocka_unit_test(a_client_that_asks_for_authentication),
        cmocka_unit_test(an_unreadable_answer_is_a_failed_login),
        cmocka_unit_test(a_refusal_without_a_verdict),
        cmocka_unit_test(a_name_that_servers_trim),
        cmocka_unit_test(the_outer_name_is_a_claim),
        cmocka_unit_test(the_rules_may_deny_a_claim),
        cmocka_unit_test(the_name_that_a_method_proves),
        cmocka_unit_test(each_message_has_its_place),
        cmocka_unit_test(a_nak_is_answered_with_another_request),
        cmocka_unit_test(the_exchange_may_begin_again),
        cmocka_unit_test(once_connected),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
