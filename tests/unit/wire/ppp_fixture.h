/* ppp_fixture: frames of both sides for the tests of proxy/wire/ppp*.c, which observe them through
 * ppp_observe as the gate does. To be included after cmocka.h. */
#ifndef SSTPGATE_TESTS_PPP_FIXTURE_H
#define SSTPGATE_TESTS_PPP_FIXTURE_H

#include "wire/ppp.h"
#include "wire_octets.h"

enum { CLIENT = PPP_FROM_CLIENT, SERVER = PPP_FROM_SERVER };

#define LCP "c021"
#define PAP "c023"
#define CHAP "c223"
#define EAP "c227"

/* RFC 2759 9.2 */
#define CHALLENGE "5b5d7c7d7b3f2f3e3c2c602132262628"
#define PEER "21402324255e262a28295f2b3a337c7e"
#define NT "82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df"
#define SUCCESS_TEXT "'S=407A5589115FD0D6209F510FE9C04566932CDA56 M=ok'"

/* and different values, to distinguish them */
#define CHALLENGE_2 "000102030405060708090a0b0c0d0e0f"
#define PEER_2 "101112131415161718191a1b1c1d1e1f"
#define NT_2 "202122232425262728292a2b2c2d2e2f3031323334353637"
#define CHALLENGE_V1 "a0a1a2a3a4a5a6a7"
#define ZERO_8 "0000000000000000"
#define ZERO_24 ZERO_8 ZERO_8 ZERO_8

#define V2(peer, nt, user) "31" peer ZERO_8 nt "00" user
#define V1(nt, flag, user) "31" ZERO_24 nt flag user
#define MD5_VALUE "10 c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"

/* Reads and observes a frame, as the gate does. PPP_DROP: it cannot be read, or is out of place. A
 * client's frame that does not go on changes nothing. */
static inline enum ppp_verdict see(struct ppp_observer *o, int from, struct span octets)
{
    const struct ppp_observer before = *o;
    struct ppp_frame frame;
    enum ppp_verdict v = PPP_DROP;

    if (ppp_frame_read((enum ppp_from)from, octets, &frame))
        v = ppp_observe(o, (enum ppp_from)from, &frame);
    if (v != PPP_FORWARD)
        assert_memory_equal(o, &before, sizeof before);
    return v;
}

static inline enum ppp_verdict observe(struct ppp_observer *o, int from, const char *hex)
{
    struct span frame = octets_hex(hex);
    const enum ppp_verdict v = see(o, from, frame);
    octets_free(frame);
    return v;
}

/* A frame in full form, its length right. */
static inline enum ppp_verdict packet(struct ppp_observer *o, int from, const char *protocol,
                                      unsigned code, unsigned id, const char *data)
{
    struct span octets = octets_hex(data);
    char head[32];
    uint8_t frame[4096];

    snprintf(head, sizeof head, "ff03 %s %02x%02x %04zx", protocol, code, id, octets.n + 4);
    struct span start = octets_hex(head);
    memcpy(frame, start.p, start.n);
    memcpy(frame + start.n, octets.p, octets.n);
    struct span whole = octets_copy(span_of(frame, start.n + octets.n));
    const enum ppp_verdict v = see(o, from, whole);
    octets_free(whole);
    octets_free(start);
    octets_free(octets);
    return v;
}

/* The same packet inside EAP type 26: EAP request or response `eap_id` around opcode, id, length,
 * data. */
static inline enum ppp_verdict eap_packet(struct ppp_observer *o, int from, unsigned eap_id,
                                          unsigned opcode, unsigned id, const char *data)
{
    struct span octets = octets_hex(data);
    char text[4096];

    snprintf(text, sizeof text, "1a %02x%02x %04zx %s", opcode, id, octets.n + 4, data);
    const enum ppp_verdict v = packet(o, from, EAP, from == SERVER ? 1 : 2, eap_id, text);
    octets_free(octets);
    return v;
}

static inline struct ppp_observer fresh(void)
{
    struct ppp_observer o;

    memset(&o, 0xa5, sizeof o);
    ppp_observer_init(&o);
    return o;
}

/* LCP: the server requests options, the client acknowledges them. */
static inline void agree(struct ppp_observer *o, const char *options)
{
    assert_int_equal(packet(o, SERVER, LCP, 1, 250, options), PPP_FORWARD);
    assert_int_equal(packet(o, CLIENT, LCP, 2, 250, options), PPP_FORWARD);
}

#define ASKS_PAP "0304 c023"

static inline void assert_user(const struct ppp_observer *o, const char *name)
{
    assert_int_equal(o->user_len, strlen(name));
    assert_memory_equal(o->user, name, o->user_len);
}

static inline void assert_mschap(const struct ppp_mschap *m, unsigned id, const char *challenge,
                                 const char *peer, const char *nt)
{
    assert_true(m->seen);
    assert_int_equal(m->id, id);
    assert_int_equal(m->v1, peer == NULL);
    assert_octets(span_of(m->challenge, peer == NULL ? 8 : 16), challenge);
    if (peer != NULL)
        assert_octets(span_of(m->peer_challenge, sizeof m->peer_challenge), peer);
    assert_octets(span_of(m->nt_response, sizeof m->nt_response), nt);
}

/* The data of a change of password as hex: RFC 2759 7. */
static inline char *change_password(size_t cut)
{
    static char text[2048];
    char *p = text;

    for (int i = 0; i < 516 + 16; i++)
        p += sprintf(p, "ee");
    sprintf(p, "%s", PEER_2 ZERO_8 NT_2 "0000");
    text[strlen(text) - 2 * cut] = '\0';
    return text;
}

static inline void assert_proof(const struct ppp_observer *o, const char *hex)
{
    assert_octets(ppp_proof(o), hex);
}

#endif
