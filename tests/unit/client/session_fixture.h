/* session_fixture: a session with the values of tests/vectors/client.txt. Include it after
 * cmocka.h. */
#ifndef SSTPGATE_TESTS_SESSION_FIXTURE_H
#define SSTPGATE_TESTS_SESSION_FIXTURE_H

#include "client/session.h"

struct wire_record { /* what the client has sent */
    uint8_t bytes[16384];
    size_t n;
};

static inline void record_send(void *arg, struct span packet)
{
    struct wire_record *r = arg;

    assert_true(packet.n > 0 && packet.n <= sizeof r->bytes - r->n);
    memcpy(r->bytes + r->n, packet.p, packet.n);
    r->n += packet.n;
}

static inline struct session_settings fixture_settings(const struct nthash *md4)
{
    struct session_settings s = {
        .host = span_str("vpn.example.com"),
        .correlation = span_str("{00000000-0000-0000-0000-000000000001}"),
        .leaf = {.known = SSTP_HASH_SHA1 | SSTP_HASH_SHA256},
        .link = {.login = {.user = span_str("alice"), .password = span_str("sesame"), .md4 = md4},
                 .methods = {PPP_METHOD_EAP, PPP_METHOD_MSCHAPV2, PPP_METHOD_CHAP_MD5,
                             PPP_METHOD_PAP},
                 .method_count = 4,
                 .magic = {0xa1, 0xa2, 0xa3, 0xa4},
                 .echo_id = 0x1234},
        .ping = true};

    memset(s.leaf.sha1, 0x3c, sizeof s.leaf.sha1);
    memset(s.leaf.sha256, 0x5a, sizeof s.leaf.sha256);
    for (uint8_t i = 0; i < MSCHAP_CHALLENGE; i++)
        s.link.login.peer_challenge[i] = i;
    return s;
}

#endif
