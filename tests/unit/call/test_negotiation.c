/* The negotiation, fed with the packets that the two streams would deliver. The values are those of
 * tests/vectors/rewrite.txt, whose MS-CHAPv2 key belongs to the exchange of RFC 2759 9.2 below. */
#include "call/negotiation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "call/candidates.h"
#include "radius/keyring.h"
#include "users/users.h"
#include "vectors.h"

static struct vectors vectors;

static int setup(void **state)
{
    (void)state;
    vectors = vectors_read("tests/vectors/rewrite.txt");
    return log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    vectors_free(&vectors);
    return log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

/* ---- packets, in hex ---- */

#define REQUEST "1001000e00010001000100060001"
#define NAK "1001001400030001000200 0c0000000100000004"
#define ABORT "1001000800050000"
#define DISCONNECT "1001000800060000"
#define DISCONNECT_ACK "1001000800070000"
#define ECHO_REQUEST "1001000800080000"
#define ECHO_RESPONSE "1001000800090000"
#define UNKNOWN_MESSAGE "1001000800630000"
#define LCP_REQUEST "1000000cff03c02101010004"
#define IPCP_REQUEST "1000000cff03802101010004"
#define IP_DATA "1000000cff03002145000004"
#define NO_PROTOCOL "10000004"

/* RFC 2759 9.2: User, clientPass */
#define CHALLENGE "10000020ff03c22301010018105b5d7c7d7b3f2f3e3c2c602132262628524153"
#define RESPONSE                                                                                   \
    "10000042ff03c2230201003a3121402324255e262a28295f2b3a337c7e000000000000000082309ecd8d708b5e"   \
    "a08faa3981cd83544233114a3d85d6df0055736572"
#define SUCCESS_TEXT                                                                               \
    "533d34303741353538393131354644304436323039463531304645394330"                                 \
    "343536363933324344413536204d3d6f6b"
#define FAILURE "10000015ff03c2230401000d453d36393120523d31"  /* E=691 R=1 */
#define UNJUDGED "10000015ff03c2230401000d453d39333020523d30" /* E=930 R=0 */
#define SUCCESS "1000003bff03c22303010033" SUCCESS_TEXT
#define EAP_CHALLENGE "10000025ff03c2270107001d1a01070018105b5d7c7d7b3f2f3e3c2c602132262628524153"
#define EAP_RESPONSE                                                                               \
    "10000047ff03c2270207003f1a0207003a3121402324255e262a28295f2b3a337c7e0000000000000000"         \
    "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df0055736572"
#define EAP_SUCCESS "10000040ff03c227010800381a03070033" SUCCESS_TEXT
#define EAP_SUCCESS_ACK "1000000eff03c227020800061a03"
#define EAP_DONE "1000000cff03c22703080004"
#define PAP "1000001cff03c0230101001404557365720a636c69656e7450617373"

/* LCP agrees on that method. */
#define LCP_ECHO "1000000c ff03c021 09010004"
#define PAP_REQUEST "10000010 ff03c021 01020008 0304c023"
#define PAP_ACK "10000010 ff03c021 02020008 0304c023"

static const char users_text[] = "User:41c00c584bd2d91c4017a2a12fa59f3f\n";
static const char stale_text[] = "User:00112233445566778899aabbccddeeff\n";

/* EAP-TLS, as far as it is visible on the wire. */
#define EAP_TLS_IDENTITY "1000000d ff03c227 01010005 01"
#define EAP_TLS_USER "10000011 ff03c227 02010009 0155736572"
#define EAP_TLS_REQUEST "1000000e ff03c227 01020006 0d20"
#define EAP_TLS_RESPONSE "1000000e ff03c227 02020006 0d00"
#define EAP_TLS_DONE "1000000c ff03c227 03020004"

/* ---- one call ---- */

enum { NOW = 1000 };

struct talk {
    struct config_backend config;
    struct site_backend backend;
    struct users *users;
    struct record record;
    struct negotiation *negotiation;
    const struct vector *v;
    uint8_t packet[256]; /* the latest packet */
    size_t len;
    struct log_limit lines;
    struct negotiation_answer answer;
    struct config_radius radius;
    struct keyring *keyring; /* NULL: without RADIUS */
};

static void leaf_from(struct binding_leaf *out, struct span der)
{
    memset(out, 0, sizeof *out);
    binding_leaf_from_der(out, der);
}

/* users: text of a users file; NULL: the backend has none. */
static void talk_init_config(struct talk *c, enum config_binding binding, const char *users,
                             const char *vector, bool zero_key_eap)
{
    struct binding_leaf client, backend;
    memset(c, 0, sizeof *c);
    c->config.binding = binding;
    c->config.zero_key_eap = zero_key_eap;
    c->config.name = (char *)"b";
    c->backend.config = &c->config;
    if (users != NULL) {
        c->users = users_parse("users", users, strlen(users), stderr);
        assert_non_null(c->users);
        c->backend.users = c->users;
    }
    c->v = vectors_named(&vectors, vector);
    leaf_from(&client, vector_get(c->v, "client_leaf"));
    leaf_from(&backend, vector_get(c->v, "backend_leaf"));
    c->record.listener = "l";
    c->record.binding_lines = &c->lines;
    c->record.client.family = AF_INET;
    c->negotiation = negotiation_new(&c->backend, &client, &backend, &c->record);
}

static void talk_init(struct talk *c, enum config_binding binding, const char *users,
                      const char *vector)
{
    talk_init_config(c, binding, users, vector, false);
}

static void talk_fini(struct talk *c)
{
    negotiation_free(c->negotiation);
    record_fini(&c->record);
    users_free(c->users);
    keyring_free(c->keyring);
}

/* Makes the backend's server ask [radius home]. */
static void talk_init_radius(struct talk *c, enum config_binding binding, const char *users,
                             const char *vector)
{
    talk_init(c, binding, users, vector);
    c->radius.name = (char *)"home";
    c->config.radius = &c->radius;
    c->keyring = keyring_new();
    assert_int_equal(addr_parse("192.0.2.1:1001", 0, &c->record.client), ERR_OK);
    negotiation_use_keyring(c->negotiation, c->keyring);
}

static struct span of_hex(const char *hex, uint8_t out[256])
{
    size_t n = 0;
    for (; *hex != '\0'; hex += *hex == ' ' ? 1 : 2) {
        unsigned octet;
        if (*hex == ' ')
            continue;
        assert_int_equal(sscanf(hex, "%2x", &octet), 1);
        out[n++] = (uint8_t)octet;
    }
    return span_of(out, n);
}

/* Returns the marks of a login by EAP that RADIUS saw as these packets, each given with its SSTP
 * and PPP headers. */
static struct keyring_marks marks_of_eap(const struct talk *c, const char *const *packets)
{
    enum { HEADS = 4 + 4 };
    struct keyring_marks m = {0};
    for (size_t i = 0; packets[i] != NULL; i++) {
        uint8_t octets[256];
        keyring_follow(c->keyring, &m, span_from(of_hex(packets[i], octets), HEADS));
    }
    return m;
}

static const char *const eap_tls_packets[] = {EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE,
                                              NULL};

/* Returns the marks of the call's own login. */
static struct keyring_marks own_marks(const struct talk *c)
{
    enum { NT_RESPONSE_AT = 4 + 4 + 4 + 1 + 24 };
    uint8_t octets[256];
    struct keyring_marks m = {0};

    if (strcmp(c->v->name, "rewrite_eap_tls_sha256") == 0)
        return marks_of_eap(c, eap_tls_packets);
    m.proof = keyring_proof(c->keyring, span_sub(of_hex(RESPONSE, octets), NT_RESPONSE_AT, 24));
    return m;
}

/* Makes RADIUS give a login the key of the call's vector; wrong: with one bit flipped. */
static void radius_gives_to(struct talk *c, const char *user, struct keyring_marks marks,
                            bool wrong)
{
    const struct keyring_login login = {.user = span_str(user), .marks = marks};
    struct hlak key = {.kind = HLAK_RADIUS};
    memcpy(key.key, vector_octets(c->v, "hlak", HLAK_LEN), HLAK_LEN);
    key.key[0] ^= wrong;
    keyring_put(c->keyring, "home", &login, &key, 1, NOW);
}

static void radius_gives(struct talk *c, const char *user, bool wrong)
{
    radius_gives_to(c, user, own_marks(c), wrong);
}

static enum negotiation_verdict give(struct talk *c, bool client, struct span octets)
{
    struct sstp_packet p;
    assert_true(octets.n <= sizeof c->packet);
    memcpy(c->packet, octets.p, octets.n);
    c->len = octets.n;
    struct span in = span_of(c->packet, c->len);
    assert_int_equal(sstp_parse(in, &p), ERR_OK);
    assert_int_equal(p.len, c->len);
    c->answer = client ? negotiation_from_client(c->negotiation, &p, in, NOW)
                       : negotiation_from_backend(c->negotiation, &p, in, NOW);
    return c->answer.verdict;
}

static enum negotiation_verdict give_hex(struct talk *c, bool client, const char *hex)
{
    uint8_t octets[256];
    return give(c, client, of_hex(hex, octets));
}

static enum negotiation_verdict from_client(struct talk *c, const char *hex)
{
    return give_hex(c, true, hex);
}

static enum negotiation_verdict from_backend(struct talk *c, const char *hex)
{
    return give_hex(c, false, hex);
}

static enum negotiation_verdict ack(struct talk *c, uint8_t mask)
{
    uint8_t octets[SSTP_ACK_LEN] = {0x10, 1, 0, 48, 0, 2, 0, 1, 0, 4, 0, 40, 0, 0, 0, mask};
    memcpy(octets + 16, vector_octets(c->v, "nonce", SSTP_NONCE), SSTP_NONCE);
    return give(c, false, span_of(octets, sizeof octets));
}

static enum negotiation_verdict connected(struct talk *c)
{
    return give(c, true, vector_get(c->v, "from_client"));
}

static void refused(struct talk *c, enum negotiation_verdict v, enum reason reason)
{
    assert_int_equal(v, NEGOTIATION_REFUSE);
    assert_string_equal(reason_info(c->answer.reason)->name, reason_info(reason)->name);
}

/* Exchanges the messages after which PPP may begin. */
static void request_and_ack(struct talk *c, uint8_t mask)
{
    bool widens = c->config.binding == CONFIG_BINDING_REWRITE;
    assert_int_equal(from_client(c, REQUEST), NEGOTIATION_PASS);
    assert_int_equal(ack(c, mask), widens ? NEGOTIATION_REPLACE : NEGOTIATION_PASS);
}

/* LCP agrees on PAP. */
static void pap_agreed(struct talk *c)
{
    assert_int_equal(from_backend(c, PAP_REQUEST), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, PAP_ACK), NEGOTIATION_PASS);
}

static void mschapv2(struct talk *c)
{
    assert_int_equal(from_backend(c, CHALLENGE), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, RESPONSE), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, SUCCESS), NEGOTIATION_PASS);
}

/* Checks that Call Connected is forwarded: the tunnel is up if the server has sent Success before;
 * otherwise the negotiation continues. */
static void goes_on(enum negotiation_verdict v)
{
    assert_true(v == NEGOTIATION_CONNECTED || v == NEGOTIATION_REPLACE);
}

static void connected_becomes(struct talk *c, const char *vector)
{
    goes_on(connected(c));
    assert_int_equal(c->answer.octets.n, SSTP_CONNECTED_LEN);
    assert_memory_equal(
        c->answer.octets.p,
        vector_octets(vectors_named(&vectors, vector), "to_backend", SSTP_CONNECTED_LEN),
        SSTP_CONNECTED_LEN);
    assert_int_equal(c->record.binding, RECORD_BINDING_VERIFIED);
}

static void connected_stays(struct talk *c, enum record_binding how)
{
    goes_on(connected(c));
    assert_true(span_eq(c->answer.octets, vector_get(c->v, "from_client")));
    assert_int_equal(c->record.binding, how);
}

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

static void eap_mschapv2(struct talk *c)
{
    assert_int_equal(from_backend(c, EAP_CHALLENGE), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_RESPONSE), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, EAP_SUCCESS), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_SUCCESS_ACK), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, EAP_DONE), NEGOTIATION_PASS);
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

enum { AT_NONCE = 16, AT_HASH = 48, AT_MAC = 80 };

static enum negotiation_verdict connected_altered(struct talk *c, size_t at)
{
    uint8_t octets[SSTP_CONNECTED_LEN];
    memcpy(octets, vector_octets(c->v, "from_client", sizeof octets), sizeof octets);
    octets[at] ^= 0x40;
    return give(c, true, span_of(octets, sizeof octets));
}

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
        if (files[i] == stale_text) /* there is a key, but not the client's */
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

/* ---- keys from RADIUS ---- */

static void try_key(struct talk *c, bool late)
{
    c->answer = negotiation_try_key(c->negotiation, NOW, late);
}

static void eap_tls_begins(struct talk *c)
{
    assert_int_equal(from_backend(c, EAP_TLS_IDENTITY), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_TLS_USER), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, EAP_TLS_REQUEST), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_TLS_RESPONSE), NEGOTIATION_PASS);
}

static void eap_tls(struct talk *c)
{
    eap_tls_begins(c);
    assert_int_equal(from_backend(c, EAP_TLS_DONE), NEGOTIATION_PASS);
}

static void a_key_from_radius(void **state)
{
    (void)state;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    eap_tls(&c);
    radius_gives(&c, "User", true);
    radius_gives(&c, "CORP\\user", false);
    connected_becomes(&c, "rewrite_eap_tls_sha256");
    assert_int_equal(c.answer.verdict, NEGOTIATION_CONNECTED);
    assert_string_equal(c.record.key, "radius");
    assert_string_equal(c.record.method, "eap-tls");
    assert_false(c.record.weak);
    /* this key is spent, and the other one is not */
    const struct keyring_login login = {.user = span_str("User"), .marks = own_marks(&c)};
    struct hlak left[2];
    uint64_t ids[2];
    struct keyring_search search = {
        .radius = "home", .login = &login, .keys = left, .ids = ids, .max = 2};
    assert_int_equal(keyring_find(c.keyring, &search, NOW), 1);
    talk_fini(&c);
}

/* Every account gets keys. The keys of one login do not bind another call, whatever outer name the
 * login had (PROTOCOL.md 5.8). */
static void keys_of_others(void **state)
{
    (void)state;
    static const struct {
        const char *vector, *user, *packets[5];
    } cases[] = {
        {"rewrite_eap_tls_sha256", "Mallory", {EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE}},
        {"rewrite_eap_tls_sha256", "User", {EAP_TLS_USER, EAP_TLS_REQUEST}},
        {"rewrite_eap_tls_sha256",
         "User",
         {EAP_TLS_USER, "1000000e ff03c227 01020006 0d21", EAP_TLS_RESPONSE}},
        {"rewrite_mschapv2_sha256", "User", {EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE}},
        {"rewrite_mschapv2_sha256", "User", {NULL}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, cases[i].vector);
        request_and_ack(&c, SSTP_HASH_SHA256);
        if (strcmp(cases[i].vector, "rewrite_mschapv2_sha256") == 0)
            mschapv2(&c);
        else
            eap_tls(&c);
        radius_gives_to(&c, cases[i].user, marks_of_eap(&c, cases[i].packets), false);
        assert_int_equal(connected(&c), NEGOTIATION_WAIT);
        c.answer = negotiation_try_key(c.negotiation, NOW, true);
        refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        talk_fini(&c);
    }
}

/* Retransmissions in PPP are one packet in RADIUS; a login may start over, with LCP or without. */
static void retransmissions_in_eap(void **state)
{
    (void)state;
    static const char *const before[][6] = {
        {NULL},
        {EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE, NULL},
        {EAP_TLS_IDENTITY, EAP_TLS_USER, LCP_REQUEST, NULL},
        {EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST, LCP_REQUEST, NULL},
    };
    static const bool client[] = {false, true, false, true};
    static const char *const packets[] = {EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST,
                                          EAP_TLS_RESPONSE};
    for (size_t i = 0; i < sizeof before / sizeof *before; i++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        for (size_t k = 0; before[i][k] != NULL; k++)
            give_hex(&c, strcmp(before[i][k], LCP_REQUEST) != 0 && client[k], before[i][k]);
        for (size_t k = 0; k < 4; k++) {
            assert_int_equal(give_hex(&c, client[k], packets[k]), NEGOTIATION_PASS);
            assert_int_equal(give_hex(&c, client[k], packets[k]), NEGOTIATION_PASS);
        }
        assert_int_equal(from_backend(&c, EAP_TLS_REQUEST),
                         NEGOTIATION_PASS); /* the answer to it crosses */
        assert_int_equal(from_client(&c, EAP_TLS_RESPONSE), NEGOTIATION_PASS);
        assert_int_equal(from_backend(&c, EAP_TLS_DONE), NEGOTIATION_PASS);
        radius_gives(&c, "User", false);
        connected_becomes(&c, "rewrite_eap_tls_sha256");
        assert_string_equal(c.record.key, "radius");
        talk_fini(&c);
    }
}

/* A VPN server may speak EAP-MSCHAPv2 with the client and MS-CHAPv2 with RADIUS. */
static void another_envelope(void **state)
{
    (void)state;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, EAP_TLS_IDENTITY);
    from_client(&c, EAP_TLS_USER);
    eap_mschapv2(&c);
    radius_gives(&c, "User", false);
    connected_becomes(&c, "rewrite_mschapv2_sha256");
    assert_string_equal(c.record.key, "radius");
    assert_string_equal(c.record.method, "eap-mschapv2");
    talk_fini(&c);
}

/* A key that came before the server's Success binds the call only if it belongs to the login that
 * succeeds; the same name in another domain is another user. */
static void an_early_key_from_radius(void **state)
{
    (void)state;
    static const struct {
        const char *response;
        bool holds;
    } cases[] = {
        {NULL, true},
        {RESPONSE, true},
        {"10000047 ff03c223 0201003f 31 21402324255e262a28295f2b3a337c7e 0000000000000000"
         "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df 00 434f52505c 55736572",
         true}, /* CORP\User */
        {"10000042 ff03c223 0201003a 31 21402324255e262a28295f2b3a337c7e 0000000000000000"
         "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6d0 00 55736572",
         false}, /* another NT-Response */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        from_client(&c, RESPONSE);
        radius_gives(&c, "User", false);
        assert_int_equal(connected(&c), NEGOTIATION_REPLACE);
        if (cases[i].response != NULL) {
            from_backend(&c, FAILURE);
            from_client(&c, cases[i].response);
        }
        if (cases[i].holds)
            assert_int_equal(from_backend(&c, SUCCESS), NEGOTIATION_CONNECTED);
        else
            refused(&c, from_backend(&c, SUCCESS), REASON_BINDING_MAC);
        talk_fini(&c);
    }
}

/* The next Success may be for either login. */
static void lcp_starts_over_amid_a_login(void **state)
{
    struct talk c;

    (void)state;
    talk_init(&c, CONFIG_BINDING_REWRITE, users_text, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, CHALLENGE);
    from_client(&c, RESPONSE);
    refused(&c, from_backend(&c, LCP_REQUEST), REASON_BACKEND_OUT_OF_PLACE);
    talk_fini(&c);
}

/* The keyring keeps a key for some seconds, and a man in the middle may wait longer than that. The
 * expiry of the key must not make zeros acceptable, nor let `auto` forward the message. */
static void a_key_that_is_gone(void **state)
{
    static const enum config_binding policies[] = {CONFIG_BINDING_REWRITE, CONFIG_BINDING_AUTO};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct talk c;
        struct sstp_packet p;
        talk_init_radius(&c, policies[i], NULL, "rewrite_eap_mschapv2_zero_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_tls_begins(&c);
        radius_gives_to(&c, "User", marks_of_eap(&c, eap_tls_packets), false);
        assert_int_equal(from_backend(&c, EAP_TLS_DONE), NEGOTIATION_PASS);
        const struct span msg = vector_get(c.v, "from_client");
        assert_int_equal(sstp_parse(msg, &p), ERR_OK);
        assert_int_equal(
            negotiation_from_client(c.negotiation, &p, msg, NOW + KEYRING_MS + 1).verdict,
            NEGOTIATION_WAIT);
        c.answer = negotiation_try_key(c.negotiation, NOW + KEYRING_MS + 2, true);
        refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        talk_fini(&c);
    }
}

/* ---- several gates ---- */

static unsigned asked_others;

static void on_want(void *arg, const struct keyring_label *label, uint32_t ms)
{
    (void)arg, (void)label;
    assert_true(ms > 0 && ms <= KEYRING_MS);
    asked_others++;
}

static void on_outcome(void *arg, const struct keyring_outcome *o)
{
    (void)arg, (void)o;
}

static unsigned searches; /* that have not ended */

static void *on_await(void *arg, const struct keyring_label *label, struct worker *from,
                      void (*on_answer)(void *to), void *to)
{
    (void)arg, (void)label, (void)from, (void)on_answer;
    searches++;
    return to;
}

static void on_forget(void *search)
{
    assert_non_null(search);
    searches--;
}

static const struct keyring_others others = {.want_outcome = on_want,
                                             .give_outcome = on_outcome,
                                             .await_outcome = on_await,
                                             .forget_client = on_forget};

static void talk_init_shared(struct talk *c, enum config_binding binding, const char *vector)
{
    static const uint8_t secret[16] = "of the gates";

    talk_init_radius(c, binding, NULL, vector);
    keyring_share(c->keyring, secret, &others, NULL);
    asked_others = 0;
}

/* Makes RADIUS accept the call's own login, at this gate. */
static void radius_accepts(struct talk *c)
{
    const struct keyring_login login = {.user = span_str("User"),
                                        .marks = marks_of_eap(c, eap_tls_packets)};
    keyring_judge(c->keyring, "home", &login, KEYRING_ACCEPTED, NOW);
}

/* With several gates the Accept may have passed elsewhere. A store that withholds its key does not
 * make zeros a key; an Accept without a key does. */
static void zeros_wait_for_the_outcome(void **state)
{
    struct talk c;

    (void)state;
    for (int late = 0; late < 2; late++) {
        talk_init_shared(&c, CONFIG_BINDING_REWRITE, "rewrite_eap_mschapv2_zero_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_tls(&c);
        assert_int_equal(asked_others, 1); /* when the server has accepted the user */
        assert_int_equal(give(&c, true, vector_get(c.v, "from_client")), NEGOTIATION_WAIT);
        assert_int_equal(asked_others, 2);
        try_key(&c, false);
        assert_int_equal(c.answer.verdict, NEGOTIATION_WAIT);
        assert_int_equal(asked_others, 2);
        if (late) {
            try_key(&c, true);
            refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        } else {
            radius_accepts(&c);
            try_key(&c, false);
            goes_on(c.answer.verdict);
            assert_string_equal(c.record.key, "zero");
        }
        talk_fini(&c);
    }
}

/* `auto` has forwarded a Call Connected before the end of the login. The packet that brings the
 * tunnel up waits for the outcome, unless the gate has it: an Accept without a key admits the call,
 * and a key that has not made the MAC, or no outcome, does not. */
static void an_early_message_waits_for_the_outcome(void **state)
{
    enum { KNOWN, ACCEPTED, WRONG_KEY, NONE, ENDS, CASES };
    struct talk c;

    (void)state;
    for (int i = 0; i < CASES; i++) {
        talk_init_shared(&c, CONFIG_BINDING_AUTO, "rewrite_eap_tls_sha256");
        searches = 0;
        request_and_ack(&c, SSTP_HASH_SHA256);
        eap_tls_begins(&c);
        assert_int_equal(connected(&c), NEGOTIATION_WAIT);
        try_key(&c, true);
        assert_int_equal(c.answer.verdict, NEGOTIATION_REPLACE);
        if (i == KNOWN)
            radius_accepts(&c);
        from_backend(&c, EAP_TLS_DONE);
        assert_int_equal(c.answer.verdict, i == KNOWN ? NEGOTIATION_CONNECTED : NEGOTIATION_ASK);
        if (i != KNOWN)
            assert_true(negotiation_ask(c.negotiation, NULL, NULL, &c));
        assert_int_equal(searches, i != KNOWN);
        if (i == ACCEPTED || i == WRONG_KEY)
            radius_accepts(&c);
        if (i == WRONG_KEY)
            radius_gives(&c, "User", true);
        if (i != KNOWN && i != ENDS) {
            const struct span packet = c.answer.octets;
            c.answer = negotiation_ask_again(c.negotiation, packet, NOW + 1);
            if (i == ACCEPTED)
                assert_int_equal(c.answer.verdict, NEGOTIATION_CONNECTED);
            else
                refused(&c, c.answer.verdict, REASON_BINDING_MAC);
        }
        talk_fini(&c);
        assert_int_equal(searches, i != KNOWN && i != ENDS); /* only a pending one is forgotten */
    }
}

/* Nobody is asked about an outcome that is known, or ten seconds after the end of the login. */
static void nobody_is_asked_in_vain(void **state)
{
    struct talk c;
    struct sstp_packet p;

    (void)state;
    talk_init_shared(&c, CONFIG_BINDING_REWRITE, "rewrite_eap_tls_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    eap_tls_begins(&c);
    radius_gives(&c, "User", false);
    radius_accepts(&c);
    assert_int_equal(from_backend(&c, EAP_TLS_DONE), NEGOTIATION_PASS);
    goes_on(connected(&c));
    assert_int_equal(asked_others, 0);
    assert_string_equal(c.record.key, "radius");
    talk_fini(&c);

    talk_init_shared(&c, CONFIG_BINDING_REWRITE, "rewrite_eap_tls_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    eap_tls(&c);
    assert_int_equal(asked_others, 1);
    const struct span msg = vector_get(c.v, "from_client");
    assert_int_equal(sstp_parse(msg, &p), ERR_OK);
    c.answer = negotiation_from_client(c.negotiation, &p, msg, NOW + KEYRING_MS + 1);
    assert_int_equal(c.answer.verdict, NEGOTIATION_WAIT);
    assert_int_equal(asked_others, 1);
    talk_fini(&c);
}

/* The users file is tried first; a stale line in it is no reason to refuse. */
static void radius_and_users_file(void **state)
{
    (void)state;
    for (int stale = 0; stale < 2; stale++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, stale ? stale_text : users_text,
                         "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        radius_gives(&c, "User", false);
        mschapv2(&c);
        connected_becomes(&c, "rewrite_mschapv2_sha256");
        assert_string_equal(c.record.key, stale ? "radius" : "ms-chapv2");
        talk_fini(&c);
    }
}

static void connected_waits(struct talk *c)
{
    assert_int_equal(connected(c), NEGOTIATION_WAIT);
    assert_int_equal(c->record.binding, RECORD_BINDING_NONE);
}

static void a_key_that_comes_later(void **state)
{
    (void)state;
    for (int done = 0; done < 2; done++) {
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        from_client(&c, RESPONSE);
        connected_waits(&c);
        radius_gives(&c, "User", true);
        try_key(&c, false);
        assert_int_equal(c.answer.verdict, NEGOTIATION_WAIT);
        if (done)
            assert_int_equal(from_backend(&c, SUCCESS), NEGOTIATION_PASS);
        radius_gives(&c, "User", false);
        try_key(&c, false);
        assert_int_equal(c.answer.verdict, done ? NEGOTIATION_CONNECTED : NEGOTIATION_REPLACE);
        assert_memory_equal(c.answer.octets.p, vector_octets(c.v, "to_backend", SSTP_CONNECTED_LEN),
                            SSTP_CONNECTED_LEN);
        assert_int_equal(c.record.binding, RECORD_BINDING_VERIFIED);
        assert_string_equal(c.record.key, "radius");
        talk_fini(&c);
    }
}

static void a_key_that_does_not_come(void **state)
{
    (void)state;
    static const struct {
        enum config_binding binding;
        const char *users;
        bool wrong_key, passed;
    } cases[] = {
        {CONFIG_BINDING_REWRITE, NULL, false, false},
        {CONFIG_BINDING_AUTO, NULL, false, true},
        {CONFIG_BINDING_AUTO, NULL, true, false}, /* there was a key, so `auto` does not forward */
        {CONFIG_BINDING_AUTO, stale_text, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct talk c;
        talk_init_radius(&c, cases[i].binding, cases[i].users, "rewrite_mschapv2_sha256");
        request_and_ack(&c, SSTP_HASH_SHA256);
        mschapv2(&c);
        connected_waits(&c);
        if (cases[i].wrong_key)
            radius_gives(&c, "User", true);
        try_key(&c, true);
        if (cases[i].passed) {
            assert_int_equal(c.answer.verdict, NEGOTIATION_CONNECTED);
            assert_true(span_eq(c.answer.octets, vector_get(c.v, "from_client")));
            assert_int_equal(c.record.binding, RECORD_BINDING_PASSED);
        } else {
            refused(&c, c.answer.verdict, REASON_BINDING_MAC);
            assert_int_equal(c.record.binding, RECORD_BINDING_FAILED);
        }
        talk_fini(&c);
    }
}

/* Methods without keys, and a message that is wrong in another way, never wait. */
static void what_never_waits(void **state)
{
    (void)state;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_client(&c, PAP);
    refused(&c, connected_altered(&c, AT_MAC), REASON_BINDING_MAC);
    talk_fini(&c);

    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    refused(&c, connected_altered(&c, AT_HASH), REASON_BINDING_LEAF);
    talk_fini(&c);

    talk_init_radius(&c, CONFIG_BINDING_PASSTHROUGH, NULL, "rewrite_mschapv2_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    connected_stays(&c, RECORD_BINDING_PASSED);
    talk_fini(&c);
}

/* Data must not overtake the waiting Call Connected; the authentication goes on around it. */
static void what_may_pass_the_one_that_waits(void **state)
{
    (void)state;
    static const struct {
        const char *packet;
        char client, backend; /* Pass, Drop, Hold, Refuse */
    } cases[] = {
        {LCP_REQUEST, 'P', 'P'},
        {"1000000c ff03c021 09010004", 'P', 'P'}, /* LCP's own Echo */
        {CHALLENGE, 'D', 'P'},
        {EAP_TLS_RESPONSE, 'D', 'D'}, /* after the Success */
        {EAP_TLS_DONE, 'D', 'P'},
        {PAP, 'D', 'D'}, /* LCP did not agree on it */
        {IPCP_REQUEST, 'H', 'P'},
        {IP_DATA, 'H', 'D'},
        {NO_PROTOCOL, 'D', 'D'},
        {ECHO_REQUEST, 'H', 'R'},
        {ECHO_RESPONSE, 'H', 'R'},
        {ABORT, 'P', 'P'},
        {DISCONNECT, 'P', 'P'},
        {DISCONNECT_ACK, 'P', 'P'},
        {REQUEST, 'R', 'R'},
        {NAK, 'R', 'R'},
        {"1001000800040000", 'R', 'R'}, /* another Call Connected */
        {UNKNOWN_MESSAGE, 'R', 'R'},
    };
    static const char letters[] = {[NEGOTIATION_PASS] = 'P',
                                   [NEGOTIATION_DROP] = 'D',
                                   [NEGOTIATION_HOLD] = 'H',
                                   [NEGOTIATION_REFUSE] = 'R'};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int client = 0; client < 2; client++) {
            struct talk c;
            talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_eap_tls_sha256");
            request_and_ack(&c, SSTP_HASH_SHA256);
            eap_tls(&c);
            connected_waits(&c);
            char verdict = letters[give_hex(&c, client, cases[i].packet)];
            if (verdict != (client ? cases[i].client : cases[i].backend))
                fail_msg("case %zu, %s: %c", i, client ? "client" : "backend", verdict);
            bool starts_over = !client && strcmp(cases[i].packet, LCP_REQUEST) == 0;
            if (verdict != 'R' && !starts_over) { /* the waiting message is intact */
                radius_gives(&c, "User", false);
                try_key(&c, false);
                goes_on(c.answer.verdict);
                assert_memory_equal(c.answer.octets.p,
                                    vector_octets(c.v, "to_backend", SSTP_CONNECTED_LEN),
                                    SSTP_CONNECTED_LEN);
            }
            talk_fini(&c);
        }
}

/* The keyring gets a note for each answer: user, mark, address. */
static void logins_are_noted(void **state)
{
    (void)state;
    static const struct {
        const char *ppp[5],
            *radius[4]; /* from backend and client in turn; radius: the EAP packets */
        bool response;
    } cases[] = {
        {{PAP_REQUEST, PAP_ACK, LCP_ECHO, PAP}, {NULL}, false},
        {{CHALLENGE, RESPONSE}, {NULL}, true},
        {{EAP_TLS_IDENTITY, EAP_TLS_USER}, {EAP_TLS_USER}, false},
        {{EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE},
         {EAP_TLS_USER, EAP_TLS_REQUEST, EAP_TLS_RESPONSE},
         false},
        {{EAP_TLS_IDENTITY, EAP_TLS_USER, EAP_CHALLENGE, EAP_RESPONSE}, {NULL}, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyring_login login = {.user = span_str("User")};
        struct addr from;
        struct talk c;
        talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
        login.marks = cases[i].response ? own_marks(&c) : marks_of_eap(&c, cases[i].radius);
        request_and_ack(&c, SSTP_HASH_SHA256);
        for (size_t k = 0; cases[i].ppp[k] != NULL; k++) {
            assert_false(keyring_client_of(c.keyring, "home", &login, NOW, &from));
            give_hex(&c, k % 2 == 1, cases[i].ppp[k]);
        }
        assert_true(keyring_client_of(c.keyring, "home", &login, NOW, &from));
        assert_true(addr_equal(&from, &c.record.client));
        assert_false(keyring_client_of(c.keyring, "away", &login, NOW, &from));
        talk_fini(&c);
    }
}

/* One call cannot push out the notes of the others: a client has one answer to each challenge, and
 * a client that sends more answers is refused. */
static void notes_of_one_call_evict_those_of_no_other(void **state)
{
    (void)state;
    const struct keyring_login other = {.user = span_str("another")};
    struct addr from, a;
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
    assert_int_equal(addr_parse("192.0.2.2:1002", 0, &a), ERR_OK);
    keyring_saw(c.keyring, "home", &other, &a, NOW);
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, EAP_TLS_IDENTITY);
    assert_int_equal(from_client(&c, EAP_TLS_USER), NEGOTIATION_PASS);
    for (unsigned i = 0; i <= 32; i++) {
        char answer[64];
        snprintf(answer, sizeof answer, "10000011 ff03c227 02010009 0155%04x72", 0x3030 + i);
        if (i < 32)
            assert_int_equal(from_client(&c, answer), NEGOTIATION_DROP);
        else
            refused(&c, from_client(&c, answer), REASON_CLIENT_BAD_FRAMES);
    }
    assert_int_equal(c.record.frames_dropped, 33);
    assert_true(keyring_client_of(c.keyring, "home", &other, NOW, &from));
    talk_fini(&c);
}

/* If a call could answer more often than the keyring notes, another client of the same name would
 * be the only one noted. */
static void a_client_that_answers_too_often(void **state)
{
    (void)state;
    enum { NOTES = 128 };
    struct talk c;
    talk_init_radius(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_pap_sha256");
    request_and_ack(&c, SSTP_HASH_SHA256);
    from_backend(&c, EAP_TLS_IDENTITY);
    for (unsigned i = 0; i < NOTES; i++) /* retransmissions, which are forwarded */
        assert_int_equal(from_client(&c, EAP_TLS_USER), NEGOTIATION_PASS);
    refused(&c, from_client(&c, EAP_TLS_USER), REASON_CLIENT_TOO_MANY_ANSWERS);
    talk_fini(&c);
}

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

/* ---- lines that expire ---- */

static time_t wall;

static time_t clock_of_the_test(void)
{
    return wall;
}

enum { END = 1801420200 }; /* 2027-01-31T18:30:00Z */

#define LINE "User:41c00c584bd2d91c4017a2a12fa59f3f"
#define ENDING LINE ":2027-01-31T18:30Z\n"

static void assert_expired(struct talk *c, enum negotiation_verdict v)
{
    refused(c, v, REASON_USER_EXPIRED);
    assert_string_equal(c->record.detail, "line 1 of the users file ended at 2027-01-31T18:30:00Z");
}

/* The frame that shows the user is not forwarded, so the server does not see the login. */
static void a_line_expires_at_its_end(void **state)
{
    (void)state;
    static const enum config_binding bindings[] = {CONFIG_BINDING_REWRITE, CONFIG_BINDING_AUTO};
    for (int i = 0; i < 2; i++) {
        struct talk c;
        talk_init(&c, bindings[i], ENDING, "rewrite_mschapv2_sha256");
        negotiation_use_clock(c.negotiation, clock_of_the_test);
        wall = END - 1;
        request_and_ack(&c, SSTP_HASH_SHA256);
        mschapv2(&c);
        connected_becomes(&c, "rewrite_mschapv2_sha256");
        talk_fini(&c);

        talk_init(&c, bindings[i], ENDING, "rewrite_mschapv2_sha256");
        negotiation_use_clock(c.negotiation, clock_of_the_test);
        wall = END;
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        assert_expired(&c, from_client(&c, RESPONSE));
        talk_fini(&c);
    }
}

/* The end comes between the login and Call Connected. */
static void a_line_expires_in_a_login(void **state)
{
    (void)state;
    struct talk c;
    talk_init(&c, CONFIG_BINDING_REWRITE, ENDING, "rewrite_mschapv2_sha256");
    negotiation_use_clock(c.negotiation, clock_of_the_test);
    wall = END - 1;
    request_and_ack(&c, SSTP_HASH_SHA256);
    mschapv2(&c);
    wall = END;
    assert_expired(&c, connected(&c));
    talk_fini(&c);
}

/* Without a re-signed binding the users file has no effect, and so has the end of its lines. */
static void without_re_signing_no_line_expires(void **state)
{
    (void)state;
    static const enum config_binding bindings[] = {CONFIG_BINDING_PASSTHROUGH, CONFIG_BINDING_OFF};
    for (int i = 0; i < 2; i++) {
        struct talk c;
        talk_init(&c, bindings[i], ENDING, "rewrite_mschapv2_sha256");
        negotiation_use_clock(c.negotiation, clock_of_the_test);
        wall = END;
        request_and_ack(&c, SSTP_HASH_SHA256);
        from_backend(&c, CHALLENGE);
        assert_int_equal(from_client(&c, RESPONSE), NEGOTIATION_PASS);
        talk_fini(&c);
    }
}

static void an_expired_line_gives_no_key(void **state)
{
    (void)state;
    for (int expired = 0; expired < 2; expired++) {
        struct candidates k = {.users = users_parse("users", ENDING, strlen(ENDING), stderr),
                               .time = END - 1 + expired};
        struct ppp_observer ppp = {.last = {.seen = true, .user_len = 4}};
        const struct keyring_login login = {.user = span_str("User")};
        struct talk c;
        struct hlak key;
        talk_init(&c, CONFIG_BINDING_REWRITE, NULL, "rewrite_mschapv2_sha256");
        memcpy(ppp.last.user, "User", 4);
        ppp.method = PPP_METHOD_MSCHAPV2;
        assert_false(candidates_find(&k, vector_get(c.v, "from_client"), &ppp, &login, NOW, &key));
        assert_int_equal(k.tried.users_file, !expired);
        users_free((struct users *)k.users);
        talk_fini(&c);
    }
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
        cmocka_unit_test(a_key_from_radius),
        cmocka_unit_test(keys_of_others),
        cmocka_unit_test(retransmissions_in_eap),
        cmocka_unit_test(another_envelope),
        cmocka_unit_test(an_early_key_from_radius),
        cmocka_unit_test(lcp_starts_over_amid_a_login),
        cmocka_unit_test(a_key_that_is_gone),
        cmocka_unit_test(zeros_wait_for_the_outcome),
        cmocka_unit_test(an_early_message_waits_for_the_outcome),
        cmocka_unit_test(nobody_is_asked_in_vain),
        cmocka_unit_test(radius_and_users_file),
        cmocka_unit_test(a_key_that_comes_later),
        cmocka_unit_test(a_key_that_does_not_come),
        cmocka_unit_test(what_never_waits),
        cmocka_unit_test(what_may_pass_the_one_that_waits),
        cmocka_unit_test(logins_are_noted),
        cmocka_unit_test(notes_of_one_call_evict_those_of_no_other),
        cmocka_unit_test(frames_go_on_in_one_form),
        cmocka_unit_test(a_client_that_asks_for_authentication),
        cmocka_unit_test(an_unreadable_answer_is_a_failed_login),
        cmocka_unit_test(a_refusal_without_a_verdict),
        cmocka_unit_test(a_name_that_servers_trim),
        cmocka_unit_test(a_client_that_answers_too_often),
        cmocka_unit_test(the_outer_name_is_a_claim),
        cmocka_unit_test(the_rules_may_deny_a_claim),
        cmocka_unit_test(a_line_expires_at_its_end),
        cmocka_unit_test(a_line_expires_in_a_login),
        cmocka_unit_test(without_re_signing_no_line_expires),
        cmocka_unit_test(an_expired_line_gives_no_key),
        cmocka_unit_test(the_name_that_a_method_proves),
        cmocka_unit_test(each_message_has_its_place),
        cmocka_unit_test(a_nak_is_answered_with_another_request),
        cmocka_unit_test(the_exchange_may_begin_again),
        cmocka_unit_test(once_connected),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
