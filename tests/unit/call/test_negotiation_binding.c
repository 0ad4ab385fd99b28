/* Call Connected is re-signed with the right key, passed on, or refused. */
#include "call/negotiation_binding.h"

#include "talk.h"

/* ---- re-signing ---- */

static void a_whole_mschapv2_call(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    assert_int_equal(from_backend(&c, LCP_REQUEST), NEGOTIATION_PASS);
    assert_int_equal(from_client(&c, LCP_REQUEST), NEGOTIATION_PASS);
    mschapv2(&c);
    assert_string_equal(c.record.user, "User");
    assert_string_equal(c.record.method, "ms-chapv2");
    assert_int_equal(c.record.binding, RECORD_BINDING_NONE);
    connected_becomes(&c, "rewrite_mschapv2_sha256");
    assert_string_equal(c.record.hash, "sha256");
    assert_string_equal(c.record.key, "ms-chapv2");
    assert_false(c.record.weak);
    talk_fini(&c);
}

/* Windows sends Call Connected 50 ms after Success; a client that does not wait for it is correct,
 * too. */
static void without_a_success_the_last_response_counts(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha1");
    request_and_ack(&c, SSTP_HASH_SHA1);
    from_backend(&c, CHALLENGE);
    from_client(&c, RESPONSE);
    connected_becomes(&c, "rewrite_mschapv2_sha1");
    assert_string_equal(c.record.hash, "sha1");
    talk_fini(&c);
}

static void eap_with_its_key_and_with_zeros(void **state)
{
    (void)state;
    for (int zero = 0; zero < 2; zero++) {
        const char *name =
            zero ? "rewrite_eap_mschapv2_zero_sha256" : "rewrite_eap_mschapv2_sha256";
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, zero ? NULL : users_text, name);
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_mschapv2(&c);
        connected_becomes(&c, name);
        assert_string_equal(c.record.method, "eap-mschapv2");
        assert_string_equal(c.record.key, zero ? "zero" : "ms-chapv2");
        assert_int_equal(c.record.weak,
                         zero); /* bound without a key although the method has keys */
        talk_fini(&c);
    }
}

/* zero-key = eap: accepted although the key of the login is known, and marked as weak. */
static void eap_with_zeros_that_are_configured(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct talk c;
        talk_init_config(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_eap_mschapv2_zero_sha256",
                         true);
        request_and_ack(&c, SSTP_HASH_SHA256);
        if (early)
            goes_on(connected(&c));
        from_backend(&c, EAP_CHALLENGE);
        from_client(&c, EAP_RESPONSE);
        from_backend(&c, EAP_SUCCESS);
        from_client(&c, EAP_SUCCESS_ACK);
        assert_int_equal(from_backend(&c, EAP_DONE),
                         early ? NEGOTIATION_CONNECTED : NEGOTIATION_PASS);
        if (!early)
            goes_on(connected(&c));
        assert_true(c.record.weak);
        assert_string_equal(c.record.key, "zero");
        talk_fini(&c);
    }
}

/* A MAC made with zeros although the key of this login is known: its sender does not have the key.
 * The envelope makes no difference, so a man in the middle gains nothing by changing it. */
static void eap_with_zeros_although_its_key_is_known(void **state)
{
    (void)state;
    for (int early = 0; early < 2; early++) {
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_eap_mschapv2_zero_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        if (early) {
            goes_on(connected(&c)); /* no method is known yet */
            from_backend(&c, EAP_CHALLENGE);
            from_client(&c, EAP_RESPONSE);
            from_backend(&c, EAP_SUCCESS);
            from_client(&c, EAP_SUCCESS_ACK);
            refused(&c, from_backend(&c, EAP_DONE), REASON_BINDING_MAC);
        } else {
            eap_mschapv2(&c);
            refused(&c, connected(&c), REASON_BINDING_MAC);
        }
        assert_true(c.record.forged);
        talk_fini(&c);
    }
}

static void pap_needs_no_users_file(void **state)
{
    (void)state;
    for (int sha1 = 0; sha1 < 2; sha1++) {
        const char *name = sha1 ? "rewrite_pap_sha1" : "rewrite_pap_sha256";
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, NULL, name);
        request_and_ack(&c, sha1 ? SSTP_HASH_SHA1 : SSTP_HASH_SHA256);
        pap_agreed(&c);
        assert_int_equal(from_client(&c, PAP), NEGOTIATION_PASS);
        connected_becomes(&c, name);
        assert_string_equal(c.record.user, "User");
        assert_string_equal(c.record.method, "pap");
        assert_string_equal(c.record.key, "zero");
        assert_false(c.record.weak); /* this method has no keys: zeros are correct */
        talk_fini(&c);
    }
}

/* Client and backend share no hash: each uses its own, because the gate has added hash protocols to
 * the mask of the Ack. */
static void hashes_are_translated(void **state)
{
    (void)state;
    static const struct {
        const char *client, *backend;
        uint8_t mask;
    } cases[] = {
        {"translate_sha1_client_to_sha256_backend", "translate_sha1_client_to_sha256_backend",
         SSTP_HASH_SHA256},
        {"rewrite_mschapv2_sha256", "rewrite_mschapv2_sha1", SSTP_HASH_SHA1},
        /* a backend without a certificate offers nothing and accepts any (PROTOCOL.md 4.1) */
        {"rewrite_mschapv2_sha256", "rewrite_mschapv2_sha256", 0},
        {"rewrite_mschapv2_sha1", "rewrite_mschapv2_sha1", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, users_text, cases[i].client);
        request_and_ack(&c, cases[i].mask);
        mschapv2(&c);
        connected_becomes(&c, cases[i].backend);
        talk_fini(&c);
    }
}

static void the_mask_is_widened_in_rewrite_only(void **state)
{
    (void)state;
    static const enum config_binding modes[] = {CONFIG_BINDING_REWRITE, CONFIG_BINDING_AUTO,
                                                CONFIG_BINDING_PASSTHROUGH, CONFIG_BINDING_OFF};
    for (size_t i = 0; i < 4; i++)
        for (uint8_t mask = 0; mask < 4; mask++) {
            struct talk c;
            talk_init(&c, modes[i], users_text, "rewrite_mschapv2_sha256");
            request_and_ack(&c, mask);
            if (modes[i] == CONFIG_BINDING_REWRITE) {
                assert_int_equal(c.answer.octets.n, SSTP_ACK_LEN);
                assert_int_equal(c.answer.octets.p[15], 3);
                c.packet[15] = 3; /* nothing else has changed */
                assert_memory_equal(c.answer.octets.p, c.packet, SSTP_ACK_LEN);
            }
            talk_fini(&c);
        }
}

/* If the gate has not changed the mask, a hash that was not offered is refused. */
static void a_hash_that_was_not_offered(void **state)
{
    (void)state;
    static const enum config_binding modes[] = {CONFIG_BINDING_AUTO, CONFIG_BINDING_PASSTHROUGH};
    for (size_t i = 0; i < 2; i++) {
        struct talk c;
        talk_init(&c, modes[i], users_text, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA1);
        mschapv2(&c);
        refused(&c, connected(&c), REASON_BINDING_HASH);
        assert_int_equal(c.record.binding, RECORD_BINDING_FAILED);
        talk_fini(&c);
    }
}

static void a_hash_of_the_backend_that_is_not_known(void **state)
{
    (void)state;
    struct talk c;
    struct binding_leaf client, configured = {.known = SSTP_HASH_SHA1};
    talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
    leaf_from(&client, vector_get(c.v, "client_leaf"));
    negotiation_free(c.negotiation);
    c.negotiation = negotiation_new(&c.backend, &client, &configured, &c.record);
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    refused(&c, connected(&c), REASON_BINDING_HASH);
    assert_non_null(c.record.detail);
    talk_fini(&c);
}

/* ---- wrong bindings ---- */

static void what_is_altered_is_refused(void **state)
{
    (void)state;
    static const enum config_binding modes[] = {CONFIG_BINDING_REWRITE, CONFIG_BINDING_AUTO,
                                                CONFIG_BINDING_PASSTHROUGH};
    static const struct {
        size_t at;
        enum reason reason;
    } cases[] = {
        {AT_NONCE, REASON_BINDING_NONCE}, {AT_NONCE + 31, REASON_BINDING_NONCE},
        {AT_HASH, REASON_BINDING_LEAF},   {AT_HASH + 31, REASON_BINDING_LEAF},
        {AT_MAC, REASON_BINDING_MAC},     {AT_MAC + 31, REASON_BINDING_MAC},
        {15, REASON_BINDING_HASH},        {9, REASON_BINDING_FORM},
    };
    for (size_t m = 0; m < 3; m++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct talk c;
            talk_init(&c, modes[m], users_text, "rewrite_mschapv2_sha256");
            request_and_ack(&c, SSTP_HASH_SHA256);
            mschapv2(&c);
            enum negotiation_verdict v = connected_altered(&c, cases[i].at);
            /* auto forwards only if no key is known, and here one is */
            if (cases[i].reason == REASON_BINDING_MAC && modes[m] == CONFIG_BINDING_PASSTHROUGH) {
                assert_int_equal(v, NEGOTIATION_CONNECTED);
                assert_memory_equal(c.answer.octets.p, c.packet, SSTP_CONNECTED_LEN);
                assert_int_equal(c.record.binding, RECORD_BINDING_PASSED);
            } else {
                refused(&c, v, cases[i].reason);
                assert_int_equal(c.record.binding, RECORD_BINDING_FAILED);
                assert_null(c.record.key);
            }
            talk_fini(&c);
        }
}

static void without_the_users_key(void **state)
{
    (void)state;
    static const char *const files[] = {NULL, stale_text,
                                        "Other:41c00c584bd2d91c4017a2a12fa59f3f\n"};
    for (size_t i = 0; i < 3; i++) {
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, files[i], "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        mschapv2(&c);
        refused(&c, connected(&c), REASON_BINDING_MAC);
        talk_fini(&c);

        talk_init(&c, CONFIG_BINDING_AUTO, files[i], "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        mschapv2(&c);
        if (files[i] == stale_text) /* the gate has a key, but not the client's */
            refused(&c, connected(&c), REASON_BINDING_MAC);
        else
            connected_stays(&c, RECORD_BINDING_PASSED);
        talk_fini(&c);
    }
}

static void auto_makes_it_again_where_it_can(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_AUTO, users_text, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    connected_becomes(&c, "rewrite_mschapv2_sha256");
    talk_fini(&c);
}

static void passthrough_passes(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_PASSTHROUGH, users_text, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA1 | SSTP_HASH_SHA256);
    mschapv2(&c);
    connected_stays(&c, RECORD_BINDING_PASSED);
    talk_fini(&c);
}

#define IPCP "1000000e ff038021 0101000a 0306"
#define IPV4 "1000000a ff030021 4500"

/* Any client can make a binding with zeros, so a call is no tunnel before the server has accepted
 * its user. A login that the server asked for must end with a Success; if the server asked for
 * none, its first network control frame shows that it has accepted the client. */
static void a_tunnel_needs_an_accepted_user(void **state)
{
    static const struct {
        bool asked;
        const char *vector, *packet;
        enum negotiation_verdict verdict;
    } content[] = {
        {true, "rewrite_mschapv2_sha256", SUCCESS, NEGOTIATION_CONNECTED},
        {true, "rewrite_mschapv2_sha256", IPCP, NEGOTIATION_PASS},
        {true, "rewrite_mschapv2_sha256", IPV4, NEGOTIATION_DROP},
        {false, "rewrite_pap_sha256", IPCP, NEGOTIATION_CONNECTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof content / sizeof *content; i++) {
        struct talk c;
        talk_init(&c, CONFIG_BINDING_REWRITE, users_text, content[i].vector);
        request_and_ack(&c, SSTP_HASH_SHA256);
        if (content[i].asked) {
            from_backend(&c, CHALLENGE);
            from_client(&c, RESPONSE);
        }
        assert_int_equal(connected(&c), NEGOTIATION_REPLACE);
        assert_int_equal(c.record.binding, RECORD_BINDING_VERIFIED);
        assert_int_equal(from_client(&c, "1000000a ff030021 4500"), NEGOTIATION_DROP);
        assert_int_equal(from_client(&c, "1001000800080000"),
                         NEGOTIATION_PASS); /* an Echo is legal now */
        assert_int_equal(from_backend(&c, "1000000c ff03c021 09010004"), NEGOTIATION_PASS);
        assert_int_equal(from_backend(&c, content[i].packet), content[i].verdict);
        talk_fini(&c);
    }
}

static void off_does_not_look(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_OFF, NULL, "rewrite_mschapv2_sha256");
    assert_int_equal(from_client(&c, REQUEST), NEGOTIATION_PASS);
    assert_int_equal(from_backend(&c, "1001000800020000"),
                     NEGOTIATION_PASS); /* an Ack without attributes */
    assert_int_equal(from_client(&c, "1001000800040000"), NEGOTIATION_REPLACE);
    assert_int_equal(c.answer.octets.n, 8);
    assert_int_equal(c.record.binding, RECORD_BINDING_OFF);
    talk_fini(&c);
}

static void an_ack_without_a_nonce(void **state)
{
    (void)state;
    for (int mode = CONFIG_BINDING_REWRITE; mode < CONFIG_BINDING_OFF; mode++) {
        struct talk c;
        talk_init(&c, (enum config_binding)mode, NULL, "rewrite_pap_sha256");
        from_client(&c, REQUEST);
        refused(&c, from_backend(&c, "1001000800020000"), REASON_BACKEND_OUT_OF_PLACE);
        talk_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_mschapv2_call),
        cmocka_unit_test(without_a_success_the_last_response_counts),
        cmocka_unit_test(eap_with_its_key_and_with_zeros),
        cmocka_unit_test(eap_with_zeros_although_its_key_is_known),
        cmocka_unit_test(eap_with_zeros_that_are_configured),
        cmocka_unit_test(pap_needs_no_users_file),
        cmocka_unit_test(hashes_are_translated),
        cmocka_unit_test(the_mask_is_widened_in_rewrite_only),
        cmocka_unit_test(a_hash_that_was_not_offered),
        cmocka_unit_test(a_hash_of_the_backend_that_is_not_known),
        cmocka_unit_test(what_is_altered_is_refused),
        cmocka_unit_test(without_the_users_key),
        cmocka_unit_test(auto_makes_it_again_where_it_can),
        cmocka_unit_test(passthrough_passes),
        cmocka_unit_test(a_tunnel_needs_an_accepted_user),
        cmocka_unit_test(off_does_not_look),
        cmocka_unit_test(an_ack_without_a_nonce),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
