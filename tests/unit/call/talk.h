/* Helpers for the tests of negotiations: packets in hex, and a call between a client and a backend
 * that exchange them. */
#ifndef SSTPGATE_TESTS_TALK_H
#define SSTPGATE_TESTS_TALK_H

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
#include "call/negotiation.h"
#include "radius/keyring.h"
#include "users/users.h"
#include "vectors.h"

static struct vectors vectors;

static inline int setup(void **state)
{
    (void)state;
    vectors = vectors_read("tests/vectors/rewrite.txt");
    return log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

static inline int teardown(void **state)
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

static inline void leaf_from(struct binding_leaf *out, struct span der)
{
    memset(out, 0, sizeof *out);
    binding_leaf_from_der(out, der);
}

/* users: text of a users file; NULL: the backend has none. */
static inline void talk_init_config(struct talk *c, enum config_binding binding, const char *users,
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

static inline void talk_init(struct talk *c, enum config_binding binding, const char *users,
                             const char *vector)
{
    talk_init_config(c, binding, users, vector, false);
}

static inline void talk_fini(struct talk *c)
{
    negotiation_free(c->negotiation);
    record_fini(&c->record);
    users_free(c->users);
    keyring_free(c->keyring);
}

/* Makes the backend's server ask [radius home]. */
static inline void talk_init_radius(struct talk *c, enum config_binding binding, const char *users,
                                    const char *vector)
{
    talk_init(c, binding, users, vector);
    c->radius.name = (char *)"home";
    c->config.radius = &c->radius;
    c->keyring = keyring_new();
    assert_int_equal(addr_parse("192.0.2.1:1001", 0, &c->record.client), ERR_OK);
    negotiation_use_keyring(c->negotiation, c->keyring);
}

static inline struct span of_hex(const char *hex, uint8_t out[256])
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
static inline struct keyring_marks marks_of_eap(const struct talk *c, const char *const *packets)
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
static inline struct keyring_marks own_marks(const struct talk *c)
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
static inline void radius_gives_to(struct talk *c, const char *user, struct keyring_marks marks,
                                   bool wrong)
{
    const struct keyring_login login = {.user = span_str(user), .marks = marks};
    struct hlak key = {.kind = HLAK_RADIUS};
    memcpy(key.key, vector_octets(c->v, "hlak", HLAK_LEN), HLAK_LEN);
    key.key[0] ^= wrong;
    keyring_put(c->keyring, "home", &login, &key, 1, NOW);
}

static inline void radius_gives(struct talk *c, const char *user, bool wrong)
{
    radius_gives_to(c, user, own_marks(c), wrong);
}

static inline enum negotiation_verdict give(struct talk *c, bool client, struct span octets)
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

static inline enum negotiation_verdict give_hex(struct talk *c, bool client, const char *hex)
{
    uint8_t octets[256];
    return give(c, client, of_hex(hex, octets));
}

static inline enum negotiation_verdict from_client(struct talk *c, const char *hex)
{
    return give_hex(c, true, hex);
}

static inline enum negotiation_verdict from_backend(struct talk *c, const char *hex)
{
    return give_hex(c, false, hex);
}

static inline enum negotiation_verdict ack(struct talk *c, uint8_t mask)
{
    uint8_t octets[SSTP_ACK_LEN] = {0x10, 1, 0, 48, 0, 2, 0, 1, 0, 4, 0, 40, 0, 0, 0, mask};
    memcpy(octets + 16, vector_octets(c->v, "nonce", SSTP_NONCE), SSTP_NONCE);
    return give(c, false, span_of(octets, sizeof octets));
}

static inline enum negotiation_verdict connected(struct talk *c)
{
    return give(c, true, vector_get(c->v, "from_client"));
}

static inline void refused(struct talk *c, enum negotiation_verdict v, enum reason reason)
{
    assert_int_equal(v, NEGOTIATION_REFUSE);
    assert_string_equal(reason_info(c->answer.reason)->name, reason_info(reason)->name);
}

/* Exchanges the messages after which PPP may begin. */
static inline void request_and_ack(struct talk *c, uint8_t mask)
{
    bool widens = c->config.binding == CONFIG_BINDING_REWRITE;
    assert_int_equal(from_client(c, REQUEST), NEGOTIATION_PASS);
    assert_int_equal(ack(c, mask), widens ? NEGOTIATION_REPLACE : NEGOTIATION_PASS);
}

/* LCP agrees on PAP. */
static inline void pap_agreed(struct talk *c)
{
    assert_int_equal(from_backend(c, PAP_REQUEST), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, PAP_ACK), NEGOTIATION_PASS);
}

static inline void mschapv2(struct talk *c)
{
    assert_int_equal(from_backend(c, CHALLENGE), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, RESPONSE), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, SUCCESS), NEGOTIATION_PASS);
}

/* Checks that Call Connected is forwarded: the tunnel is up if the server has sent Success before;
 * otherwise the negotiation continues. */
static inline void goes_on(enum negotiation_verdict v)
{
    assert_true(v == NEGOTIATION_CONNECTED || v == NEGOTIATION_REPLACE);
}

static inline void connected_becomes(struct talk *c, const char *vector)
{
    goes_on(connected(c));
    assert_int_equal(c->answer.octets.n, SSTP_CONNECTED_LEN);
    assert_memory_equal(
        c->answer.octets.p,
        vector_octets(vectors_named(&vectors, vector), "to_backend", SSTP_CONNECTED_LEN),
        SSTP_CONNECTED_LEN);
    assert_int_equal(c->record.binding, RECORD_BINDING_VERIFIED);
}

static inline void connected_stays(struct talk *c, enum record_binding how)
{
    goes_on(connected(c));
    assert_true(span_eq(c->answer.octets, vector_get(c->v, "from_client")));
    assert_int_equal(c->record.binding, how);
}

static inline void eap_mschapv2(struct talk *c)
{
    assert_int_equal(from_backend(c, EAP_CHALLENGE), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_RESPONSE), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, EAP_SUCCESS), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_SUCCESS_ACK), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, EAP_DONE), NEGOTIATION_PASS);
}

enum { AT_NONCE = 16, AT_HASH = 48, AT_MAC = 80 };

static inline enum negotiation_verdict connected_altered(struct talk *c, size_t at)
{
    uint8_t octets[SSTP_CONNECTED_LEN];
    memcpy(octets, vector_octets(c->v, "from_client", sizeof octets), sizeof octets);
    octets[at] ^= 0x40;
    return give(c, true, span_of(octets, sizeof octets));
}

static inline void eap_tls_begins(struct talk *c)
{
    assert_int_equal(from_backend(c, EAP_TLS_IDENTITY), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_TLS_USER), NEGOTIATION_PASS);
    assert_int_equal(from_backend(c, EAP_TLS_REQUEST), NEGOTIATION_PASS);
    assert_int_equal(from_client(c, EAP_TLS_RESPONSE), NEGOTIATION_PASS);
}

static inline void eap_tls(struct talk *c)
{
    eap_tls_begins(c);
    assert_int_equal(from_backend(c, EAP_TLS_DONE), NEGOTIATION_PASS);
}

#endif
