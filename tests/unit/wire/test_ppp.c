#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/ppp.h"
#include "wire/sstp.h"
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
static enum ppp_verdict see(struct ppp_observer *o, int from, struct span octets)
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

static enum ppp_verdict observe(struct ppp_observer *o, int from, const char *hex)
{
    struct span frame = octets_hex(hex);
    const enum ppp_verdict v = see(o, from, frame);
    octets_free(frame);
    return v;
}

/* A frame in full form, its length right. */
static enum ppp_verdict packet(struct ppp_observer *o, int from, const char *protocol,
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
static enum ppp_verdict eap_packet(struct ppp_observer *o, int from, unsigned eap_id,
                                   unsigned opcode, unsigned id, const char *data)
{
    struct span octets = octets_hex(data);
    char text[4096];

    snprintf(text, sizeof text, "1a %02x%02x %04zx %s", opcode, id, octets.n + 4, data);
    const enum ppp_verdict v = packet(o, from, EAP, from == SERVER ? 1 : 2, eap_id, text);
    octets_free(octets);
    return v;
}

static struct ppp_observer fresh(void)
{
    struct ppp_observer o;

    memset(&o, 0xa5, sizeof o);
    ppp_observer_init(&o);
    return o;
}

/* LCP: the server requests options, the client acknowledges them. */
static void agree(struct ppp_observer *o, const char *options)
{
    assert_int_equal(packet(o, SERVER, LCP, 1, 250, options), PPP_FORWARD);
    assert_int_equal(packet(o, CLIENT, LCP, 2, 250, options), PPP_FORWARD);
}

#define ASKS_PAP "0304 c023"

static void assert_user(const struct ppp_observer *o, const char *name)
{
    assert_int_equal(o->user_len, strlen(name));
    assert_memory_equal(o->user, name, o->user_len);
}

static void assert_mschap(const struct ppp_mschap *m, unsigned id, const char *challenge,
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

static void starts_empty(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "");
    assert_false(o.last.seen);
    assert_false(o.confirmed.seen);
}

/* A frame inside the SSTP packet that carries it. */
static void observe_sstp(struct ppp_observer *o, int from, const char *hex)
{
    struct span in = octets_hex(hex);
    struct sstp_packet p;

    assert_int_equal(sstp_parse(in, &p), ERR_OK);
    assert_int_equal(p.len, in.n);
    assert_false(p.control);
    assert_int_equal(see(o, from, p.body), PPP_FORWARD);
    octets_free(in);
}

#define SSTP_CHALLENGE "10000020 ff03 c223 01010018 10" CHALLENGE "524153"
#define SSTP_RESPONSE "10000042 ff03 c223 0201003a 31" PEER ZERO_8 NT "00 55736572"
#define SSTP_RESPONSE_ACFC "10000040 c223 0201003a 31" PEER ZERO_8 NT "00 55736572"
#define SSTP_SUCCESS                                                                               \
    "1000003b ff03 c223 03010033 533d3430374135353839313135464430443632303946353130464539433034"   \
    "353636393332434441353620 4d3d6f6b"

static void mschapv2_in_sstp(void **state)
{
    static const char *const responses[] = {SSTP_RESPONSE, SSTP_RESPONSE_ACFC};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ppp_observer o = fresh();

        observe_sstp(&o, SERVER, SSTP_CHALLENGE);
        assert_false(o.last.seen);
        observe_sstp(&o, CLIENT, responses[i]);
        assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);
        assert_int_equal(o.result, PPP_RESULT_PENDING);
        assert_user(&o, "User");
        assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
        assert_false(o.confirmed.seen);
        observe_sstp(&o, SERVER, SSTP_SUCCESS);
        assert_int_equal(o.result, PPP_RESULT_SUCCESS);
        assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
    }
}

#define SSTP_EAP_CHALLENGE "10000025 ff03 c227 0107001d 1a 01070018 10" CHALLENGE "524153"
#define SSTP_EAP_RESPONSE "10000047 ff03 c227 0207003f 1a 0207003a 31" PEER ZERO_8 NT "00 55736572"
#define SSTP_EAP_SUCCESS_REQUEST                                                                   \
    "10000040 ff03 c227 01080038 1a 03070033 533d343037413535383931313546443044363230394635313046" \
    "4539433034353636393332434441353620 4d3d6f6b"
#define SSTP_EAP_SUCCESS_RESPONSE "1000000e ff03 c227 02080006 1a03"
#define SSTP_EAP_SUCCESS "1000000c ff03 c227 03080004"

static void eap_mschapv2_in_sstp(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    observe_sstp(&o, SERVER, SSTP_EAP_CHALLENGE);
    observe_sstp(&o, CLIENT, SSTP_EAP_RESPONSE);
    assert_int_equal(o.method, PPP_METHOD_EAP_MSCHAPV2);
    assert_user(&o, "User");
    assert_mschap(&o.last, 7, CHALLENGE, PEER, NT);
    assert_false(o.confirmed.seen);
    observe_sstp(&o, SERVER, SSTP_EAP_SUCCESS_REQUEST);
    assert_mschap(&o.confirmed, 7, CHALLENGE, PEER, NT);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    observe_sstp(&o, CLIENT, SSTP_EAP_SUCCESS_RESPONSE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    observe_sstp(&o, SERVER, SSTP_EAP_SUCCESS);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_mschap(&o.confirmed, 7, CHALLENGE, PEER, NT);
}

#define SSTP_PAP_REQUEST "1000001c ff03 c023 01010014 04 55736572 0a 636c69656e7450617373"

static void pap_in_sstp(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    observe_sstp(&o, CLIENT, SSTP_PAP_REQUEST);
    assert_int_equal(o.method, PPP_METHOD_PAP);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "User");
    /* nothing of the password is kept */
    for (size_t i = 0; i + 10 <= sizeof o; i++)
        assert_memory_not_equal((const uint8_t *)&o + i, "clientPass", 10);
    packet(&o, SERVER, PAP, 3, 1, "00");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    packet(&o, CLIENT, PAP, 1, 2, "03 'bob' 01 'x'");
    assert_user(&o, "bob");
    packet(&o, SERVER, PAP, 2, 2, "02 'ok'");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

static void pap_odd(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 01 'x'"); /* LCP did not agree on it */
    assert_user(&o, "");
    agree(&o, ASKS_PAP);
    packet(&o, SERVER, PAP, 1, 1, "04 'User' 01 'x'");    /* the wrong way */
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 01 'x' 00"); /* octets behind the password */
    packet(&o, CLIENT, PAP, 1, 1, "09 'User' 01 'x'");    /* name longer than the packet */
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 02 'x'");    /* password longer than the packet */
    packet(&o, SERVER, PAP, 2, 1, "00");                  /* an Ack to nothing */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "");
    packet(&o, CLIENT, PAP, 1, 1, "04 'User' 00");
    packet(&o, CLIENT, PAP, 2, 1, "00"); /* only the server may send an Ack */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "User");
    observe(&o, SERVER, "ff03c023 0201 0005 00 ffff"); /* MikroTik: octets behind the length */
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

static void chap_md5(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 9, "14 000102030405060708090a0b0c0d0e0f10111213 'ras'");
    packet(&o, CLIENT, CHAP, 2, 9, MD5_VALUE "'carl'");
    assert_int_equal(o.method, PPP_METHOD_CHAP_MD5);
    assert_user(&o, "carl");
    assert_false(o.last.seen);
    packet(&o, SERVER, CHAP, 3, 8, ""); /* for another response */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, SERVER, CHAP, 3, 9, "");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_false(o.confirmed.seen);

    /* a challenge of 16 octets is no promise of MS-CHAPv2, nor is R=1 one of another try */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, MD5_VALUE "'carl'");
    assert_int_equal(o.method, PPP_METHOD_CHAP_MD5);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1'");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
}

static void mschapv1(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 3, "08" CHALLENGE_V1 "'ras'");
    packet(&o, CLIENT, CHAP, 2, 3, V1(NT, "01", "'dora'"));
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV1);
    assert_user(&o, "dora");
    assert_mschap(&o.last, 3, CHALLENGE_V1, NULL, NT);

    /* another try, with the challenge of the Failure */
    packet(&o, SERVER, CHAP, 4, 3, "'E=691 R=1 C=1011121314151617 V=2'");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, CHAP, 2, 4, V1(NT_2, "01", "'dora'"));
    assert_mschap(&o.last, 4, "1011121314151617", NULL, NT_2);
    packet(&o, SERVER, CHAP, 3, 4, "");
    assert_mschap(&o.confirmed, 4, "1011121314151617", NULL, NT_2);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);

    /* LM only: there is a response, but not one that gives a key */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 3, "08" CHALLENGE_V1);
    packet(&o, CLIENT, CHAP, 2, 3, V1(NT, "00", "'dora'"));
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV1);
    assert_user(&o, "dora");
    assert_false(o.last.seen);
    packet(&o, SERVER, CHAP, 3, 3, "");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_false(o.confirmed.seen);
}

static void retry(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE "'ras'");
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 1,
           "'E=691 R=1 C=000102030405060708090A0b0c0D0E0f V=3 M=try again'");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'user2'"));
    assert_user(&o, "user2");
    assert_mschap(&o.last, 2, CHALLENGE_2, PEER_2, NT_2);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=0'"); /* the first Failure again, late */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, SERVER, CHAP, 3, 1, ""); /* not for this response */
    assert_false(o.confirmed.seen);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    assert_mschap(&o.confirmed, 2, CHALLENGE_2, PEER_2, NT_2);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

struct failure {
    const char *text;
    bool again;
    const char *challenge; /* that the next response answers */
};

static void failures(void **state)
{
    static const struct failure all[] = {
        {"", false, NULL},
        {"'E=691 R=0 C=000102030405060708090A0B0C0D0E0F V=3'", false, NULL},
        {"'E=691 R=10'", false, NULL},
        {"'E=691 V=3 M=R=1 C=00'", false, NULL},
        {"'M=x R=1'", false, NULL},
        {"'xR=1'", false, NULL},
        {"'R=1'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E0F'", true, CHALLENGE_2},
        {"'C=000102030405060708090A0B0C0D0E0F R=1'", true, CHALLENGE_2},
        {"'E=691  R=1  C=000102030405060708090A0B0C0D0E0F '", true, CHALLENGE_2},
        {"'E=691 R=1 M=a C=000102030405060708090A0B0C0D0E0F'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E0F10'", true, CHALLENGE},
        {"'R=1 C=000102030405060708090A0B0C0D0E0g'", true, CHALLENGE},
        {"'R=1 C='", true, CHALLENGE},
        {"'E=648 R=0 C=000102030405060708090A0B0C0D0E0F V=3'", true, CHALLENGE_2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].text);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
        packet(&o, SERVER, CHAP, 4, 1, all[i].text);
        assert_int_equal(o.result, all[i].again ? PPP_RESULT_PENDING : PPP_RESULT_FAILURE);
        packet(&o, CLIENT, CHAP, 2, 77, V2(PEER_2, NT_2, "'User'"));
        if (all[i].again)
            assert_mschap(&o.last, 77, all[i].challenge, PEER_2, NT_2);
        else
            assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    }
}

/* The number of the refusal, 1 without one, until the client tries again. */
static void refusals(void **state)
{
    static const struct {
        const char *text;
        unsigned number;
    } all[] = {
        {"'E=691 R=0 C=00 V=3 M=no'", 691},
        {"'R=0 E=649'", 649},
        {"'E=648 R=1'", 648},
        {"'E=64x'", PPP_REFUSED},
        {"'E=0'", PPP_REFUSED},
        {"'E='", PPP_REFUSED},
        {"'E=999999999999'", PPP_REFUSED},
        {"'M=E=691'", PPP_REFUSED},
        {"", PPP_REFUSED},
        {"'E=930 R=0'", PPP_REFUSED_UNJUDGED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].text);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
        assert_int_equal(o.refusal, 0);
        packet(&o, SERVER, CHAP, 4, 1, all[i].text);
        assert_int_equal(o.refusal, all[i].number);
        packet(&o, SERVER, CHAP, 1, 9, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 9, V2(PEER_2, NT_2, "'User'"));
        assert_int_equal(o.refusal, 0);
        packet(&o, SERVER, CHAP, 3, 9, SUCCESS_TEXT);
        assert_int_equal(o.refusal, 0);
    }
}

/* E=930: the authentication server of Windows does not answer. The login has not failed, also where
 * EAP's own Failure follows; a refusal after it counts. */
static void a_refusal_without_a_verdict_is_no_failure(void **state)
{
    (void)state;
    for (unsigned number = 929; number <= 931; number++) {
        struct ppp_observer o = fresh();
        char text[32];

        snprintf(text, sizeof text, "'E=%u R=1'", number);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
        packet(&o, SERVER, CHAP, 4, 1, text);
        assert_int_equal(o.refusal, number);
        assert_int_equal(o.failures, number == 930 ? 0 : 1);
        packet(&o, SERVER, CHAP, 1, 9, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 9, V2(PEER_2, NT_2, "'User'"));
        packet(&o, SERVER, CHAP, 4, 9, "'E=691 R=0'");
        assert_int_equal(o.refusal, 691);
        assert_int_equal(o.failures, number == 930 ? 1 : 2);
    }
}

static void eap_mschapv2_without_a_verdict_is_no_failure(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    eap_packet(&o, SERVER, 3, 4, 40, "'E=930 R=0'");
    packet(&o, CLIENT, EAP, 2, 3, "1a04");
    packet(&o, SERVER, EAP, 4, 3, "");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    assert_int_equal(o.refusal, PPP_REFUSED_UNJUDGED);
    assert_int_equal(o.failures, 0);
}

/* Every form of a refusal, and ends that are none. EAP's own Failure keeps the inner number. */
static void forms_of_refusals(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    ppp_server_ends(&o); /* without a login */
    assert_int_equal(o.refusal, 0);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    packet(&o, SERVER, PAP, 3, 1, "00");
    assert_int_equal(o.refusal, PPP_REFUSED);
    packet(&o, CLIENT, PAP, 1, 2, "03 'ann' 01 'x'");
    packet(&o, SERVER, LCP, 5, 1, ""); /* Terminate-Request in place of a Nak */
    assert_int_equal(o.refusal, PPP_REFUSED);

    o = fresh();
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'eve'");
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    eap_packet(&o, SERVER, 3, 4, 40, "'E=647 R=0'");
    packet(&o, CLIENT, EAP, 2, 3, "1a04");
    packet(&o, SERVER, EAP, 4, 3, "");
    assert_int_equal(o.refusal, 647);
}

/* A new challenge ends the freedom of identifiers that a Failure gave. */
static void challenge_instead_of_retry(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1'");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'User'"));
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
}

/* After Failure with R=0 the server may begin again with a challenge. */
static void challenge_after_failure(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=0'");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* even with the same challenge as before */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER_2, NT_2, "'bob'"));
    assert_user(&o, "bob");
    assert_mschap(&o.last, 1, CHALLENGE, PEER_2, NT_2);
}

/* The data of a change of password as hex: RFC 2759 7. */
static char *change_password(size_t cut)
{
    static char text[2048];
    char *p = text;

    for (int i = 0; i < 516 + 16; i++)
        p += sprintf(p, "ee");
    sprintf(p, "%s", PEER_2 ZERO_8 NT_2 "0000");
    text[strlen(text) - 2 * cut] = '\0';
    return text;
}

static void password_changed(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, CLIENT, CHAP, 7, 2, change_password(0)); /* the server has not requested it */
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    packet(&o, SERVER, CHAP, 4, 1, "'E=648 R=0 C=000102030405060708090A0B0C0D0E0F V=3 M=expired'");
    packet(&o, CLIENT, CHAP, 7, 2, change_password(1));
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    packet(&o, SERVER, CHAP, 7, 2, change_password(0)); /* the wrong way */
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);

    struct span octets = octets_hex(change_password(0));
    assert_int_equal(octets.n, 586 - 4);
    assert_int_equal(octets.p[560 - 4], 0x20); /* the position of the NT-Response in RFC 2759 */
    octets_free(octets);
    packet(&o, CLIENT, CHAP, 7, 2, change_password(0));
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);
    assert_user(&o, "User");
    assert_mschap(&o.last, 2, CHALLENGE_2, PEER_2, NT_2);
    assert_false(o.confirmed.seen);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    assert_mschap(&o.confirmed, 2, CHALLENGE_2, PEER_2, NT_2);

    /* MS-CHAPv1 has other codes for this */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "08" CHALLENGE_V1);
    packet(&o, CLIENT, CHAP, 2, 1, V1(NT, "01", "'User'"));
    packet(&o, SERVER, CHAP, 4, 1, "'E=648 R=1 C=1011121314151617'");
    packet(&o, CLIENT, CHAP, 7, 2, change_password(0));
    assert_mschap(&o.last, 1, CHALLENGE_V1, NULL, NT);
}

static void eap_retry_and_change(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'DOM\\eve'");
    assert_int_equal(o.method, PPP_METHOD_EAP);
    assert_user(&o, "DOM\\eve");
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE "'nps'");
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    assert_user(&o, "eve");
    assert_mschap(&o.last, 40, CHALLENGE, PEER, NT);
    eap_packet(&o, SERVER, 3, 4, 40, "'E=691 R=1 C=000102030405060708090A0B0C0D0E0F V=3'");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    eap_packet(&o, CLIENT, 3, 2, 41, V2(PEER_2, NT_2, "'eve'"));
    assert_mschap(&o.last, 41, CHALLENGE_2, PEER_2, NT_2);
    eap_packet(&o, SERVER, 4, 4, 41, "'E=648 R=1 C=" CHALLENGE " V=3'");
    eap_packet(&o, CLIENT, 4, 7, 42, change_password(0));
    assert_mschap(&o.last, 42, CHALLENGE, PEER_2, NT_2);
    assert_false(o.confirmed.seen);
    eap_packet(&o, SERVER, 5, 3, 42, SUCCESS_TEXT);
    assert_mschap(&o.confirmed, 42, CHALLENGE, PEER_2, NT_2);
    packet(&o, SERVER, EAP, 3, 5, "");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_int_equal(o.method, PPP_METHOD_EAP_MSCHAPV2);
    assert_user(&o, "eve");

    /* a Failure that is final: EAP itself says so */
    o = fresh();
    eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
    eap_packet(&o, SERVER, 3, 4, 40, "'E=691 R=0'");
    packet(&o, CLIENT, EAP, 2, 3, "1a04");
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, SERVER, EAP, 4, 3, "");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    assert_false(o.confirmed.seen);
}

static void retransmissions(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    for (int i = 0; i < 2; i++)
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* crossed the response */
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER_2, NT_2, "'User'")); /* another one comes too late */
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_user(&o, "User");
    assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
    assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
}

/* Packets that do not belong to the exchange change nothing. */
static void strays(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'")); /* no challenge */
    packet(&o, CLIENT, CHAP, 1, 1, "10" CHALLENGE);         /* the client's own challenge */
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, "");
    packet(&o, SERVER, CHAP, 4, 1, "'R=1'");
    assert_false(o.last.seen);
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);

    packet(&o, SERVER, CHAP, 1, 5, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 4, V2(PEER, NT, "'User'"));      /* another identifier */
    packet(&o, SERVER, CHAP, 2, 5, V2(PEER, NT, "'User'"));      /* the server's response */
    packet(&o, CLIENT, CHAP, 2, 5, "30" PEER ZERO_8 NT);         /* 48 octets */
    packet(&o, CLIENT, CHAP, 2, 5, "32" PEER ZERO_8 NT "00 00"); /* 50 octets */
    packet(&o, CLIENT, CHAP, 2, 5, "31" PEER ZERO_8 NT); /* the length says 49, 48 are present */
    packet(&o, CLIENT, CHAP, 2, 5, "");
    packet(&o, SERVER, CHAP, 1, 6, "11" CHALLENGE); /* the length says 17, 16 are present */
    assert_false(o.last.seen);
    assert_user(&o, "");
    packet(&o, CLIENT, CHAP, 2, 5, V2(PEER, NT, "'User'"));
    packet(&o, CLIENT, CHAP, 3, 5, ""); /* the client sends a Success */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_false(o.confirmed.seen);
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);

    /* a challenge that is neither v1's nor v2's takes no MS-CHAP response */
    packet(&o, SERVER, CHAP, 1, 6,
           "0f"
           "000102030405060708090a0b0c0d0e");
    packet(&o, CLIENT, CHAP, 2, 6, V2(PEER_2, NT_2, "'User'"));
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);

    /* EAP-MSCHAPv2 has no v1 and no MD5 */
    eap_packet(&o, SERVER, 1, 1, 7, "08" CHALLENGE_V1);
    eap_packet(&o, CLIENT, 1, 2, 7, V1(NT_2, "01", "'User'"));
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);
    eap_packet(&o, SERVER, 2, 1, 8, "10" CHALLENGE_2);
    eap_packet(&o, CLIENT, 2, 2, 8, MD5_VALUE "'User'");
    packet(&o, SERVER, CHAP, 3, 8, "");
    assert_mschap(&o.last, 5, CHALLENGE, PEER, NT);
    assert_false(o.confirmed.seen);
}

/* SoftEther's UseDoubleMsChapV2, accel-ppp's interval: the last Success counts. */
static void twice(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'User'"));
    assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    assert_mschap(&o.confirmed, 2, CHALLENGE_2, PEER_2, NT_2);
}

static void eap_methods(void **state)
{
    static const struct {
        const char *type;
        enum ppp_method method;
    } all[] = {
        {"04", PPP_METHOD_EAP_MD5},  {"0d", PPP_METHOD_EAP_TLS},      {"15", PPP_METHOD_EAP},
        {"19", PPP_METHOD_EAP_PEAP}, {"1a", PPP_METHOD_EAP_MSCHAPV2}, {"fe", PPP_METHOD_EAP},
    };
    enum { MD5, MSCHAPV2 = 4 };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, EAP, 1, 1, "01");
        packet(&o, CLIENT, EAP, 2, 1, "01 'anonymous@example.com'");
        assert_int_equal(o.method, PPP_METHOD_EAP);
        packet(&o, SERVER, EAP, 1, 2, all[i].type);
        assert_int_equal(o.method, PPP_METHOD_EAP); /* the method was offered, not used */
        /* of EAP-MSCHAPv2 an acknowledgement, since it has no packet without content */
        packet(&o, CLIENT, EAP, 2, 2, i == MSCHAPV2 ? "1a03" : i == MD5 ? "04 00" : all[i].type);
        assert_int_equal(o.method, all[i].method);
        packet(&o, SERVER, EAP, 1, 3, "02 'note'");
        packet(&o, CLIENT, EAP, 2, 3, "02");
        assert_int_equal(o.method, all[i].method);
        assert_user(&o, "anonymous@example.com");
        packet(&o, CLIENT, EAP, 3, 2, "");
        assert_int_equal(o.result, PPP_RESULT_PENDING);
        packet(&o, SERVER, EAP, 3, 3, "");
        assert_int_equal(o.result, PPP_RESULT_SUCCESS);
    }
}

static void eap_nak(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'User'");
    packet(&o, SERVER, EAP, 1, 2, "19 21");
    packet(&o, CLIENT, EAP, 2, 2, "03 1a");
    assert_int_equal(o.method, PPP_METHOD_EAP);
    eap_packet(&o, SERVER, 3, 1, 3, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 3, 2, 3, V2(PEER, NT, "'User'"));
    assert_int_equal(o.method, PPP_METHOD_EAP_MSCHAPV2);

    /* the client may send a Nak to the next offer */
    o = fresh();
    packet(&o, SERVER, EAP, 1, 2, "0d");
    packet(&o, CLIENT, EAP, 2, 2, "0d");
    assert_int_equal(o.method, PPP_METHOD_EAP_TLS);
    packet(&o, SERVER, EAP, 1, 3, "19");
    packet(&o, CLIENT, EAP, 2, 3, "03 1a");
    assert_int_equal(o.method, PPP_METHOD_EAP);

    /* a challenge that got a Nak takes no response any more */
    o = fresh();
    eap_packet(&o, SERVER, 3, 1, 3, "10" CHALLENGE);
    packet(&o, CLIENT, EAP, 2, 3, "03 0d");
    eap_packet(&o, CLIENT, 3, 2, 3, V2(PEER, NT, "'User'"));
    assert_false(o.last.seen);
}

/* A new Identity Request begins EAP again; the same one again does not. */
static void eap_begins_again(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'ann'");
    eap_packet(&o, SERVER, 2, 1, 2, "10" CHALLENGE);
    packet(&o, SERVER, EAP, 4, 2, "");
    assert_int_equal(o.result, PPP_RESULT_FAILURE);
    packet(&o, SERVER, EAP, 1, 2, "01"); /* the identifier of another request is irrelevant */
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    packet(&o, CLIENT, EAP, 2, 2, "01 'bob'");
    assert_user(&o, "bob");
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'bob'")); /* the challenge is gone */
    assert_false(o.last.seen);
    packet(&o, SERVER, EAP, 1, 3, "01");
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 3, "01 'carol'"),
                     PPP_DROP); /* bob was not refused */
    packet(&o, CLIENT, EAP, 2, 3, "01 'DOM\\Bob'");
    assert_user(&o, "DOM\\Bob");
    packet(&o, SERVER, EAP, 1, 3, "01");
    packet(&o, CLIENT, EAP, 2, 3, "01 'bob'"); /* a second answer */
    assert_user(&o, "DOM\\Bob");
}

/* pppd takes the secret of the name in the answer, and names the session as the Identity says. */
static void eap_md5_has_a_name(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'bob'");
    packet(&o, SERVER, EAP, 1, 2,
           "04"
           "10" CHALLENGE);
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04" MD5_VALUE "'alice'"), PPP_DROP);
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04 11 00"), PPP_MALFORMED); /* no whole value */
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04" MD5_VALUE "'bob '"), PPP_BAD_NAME);
    assert_user(&o, "bob");
    assert_int_equal(o.method, PPP_METHOD_EAP);
    assert_int_equal(packet(&o, CLIENT, EAP, 2, 2, "04" MD5_VALUE "'DOM\\BOB'"), PPP_FORWARD);
    assert_user(&o, "DOM\\BOB");
    assert_int_equal(o.method, PPP_METHOD_EAP_MD5);
}

/* accel-ppp (interval) and pppd (chap-interval) ask again behind their Success, and SoftEther
 * before it (UseDoubleMsChapV2). The session keeps the first name. */
static void another_name_for_a_second_question(void **state)
{
    static const char *const success[] = {"", SUCCESS_TEXT};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct ppp_observer o = fresh();
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'"));
        if (*success[i] != '\0')
            packet(&o, SERVER, CHAP, 3, 1, success[i]);
        packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'bob'")), PPP_DROP);
        assert_user(&o, "alice");
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'Alice@corp'")),
                         PPP_FORWARD);
        assert_user(&o, "Alice@corp");
        packet(&o, SERVER, CHAP, 4, 2, "'E=691 R=1 C=" CHALLENGE "'");
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 3, V2(PEER, NT, "'bob'")), PPP_FORWARD);
        assert_user(&o, "bob"); /* alice was refused */
    }
}

static void eap_strays(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, CLIENT, EAP, 1, 1, "01");        /* the client's request */
    packet(&o, SERVER, EAP, 2, 1, "01 'User'"); /* the server's response */
    assert_int_equal(o.method, PPP_METHOD_NONE);
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 2, "01 'User'"); /* another identifier */
    packet(&o, CLIENT, EAP, 2, 1, "0d");        /* another type */
    packet(&o, CLIENT, EAP, 2, 1, "");          /* no type */
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_user(&o, "");

    /* MS-Length longer than the EAP packet; EAP packet longer than its inner one */
    packet(&o, SERVER, EAP, 1, 2, "1a 0102 0016 10" CHALLENGE);
    packet(&o, CLIENT, EAP, 2, 2, "1a 0202 0036" V2(PEER, NT, ""));
    assert_false(o.last.seen);
    packet(&o, SERVER, EAP, 1, 3, "1a 0103 0015 10" CHALLENGE "ffff");
    packet(&o, CLIENT, EAP, 2, 3, "1a 0203 003a" V2(PEER, NT, "'User") "more'");
    assert_false(o.last.seen);
    packet(&o, CLIENT, EAP, 2, 3, "1a 0203 003a" V2(PEER, NT, "'User'"));
    assert_mschap(&o.last, 3, CHALLENGE, PEER, NT);
    assert_user(&o, "User");
    packet(&o, CLIENT, EAP, 2, 3, "1a 03"); /* acknowledges a Success that did not come */
    assert_octets(ppp_proof(&o), "0203003f 1a 0203003a" V2(PEER, NT, "'User'"));
}

/* LCP: option 3 of the server's request, once the client has acknowledged it. */
static void lcp_agreement(void **state)
{
    static const struct {
        const char *options;
        enum ppp_method method;
    } all[] = {
        {"0304 c023", PPP_METHOD_PAP},
        {"0305 c223 05", PPP_METHOD_CHAP_MD5},
        {"0305 c223 80", PPP_METHOD_MSCHAPV1},
        {"0305 c223 81", PPP_METHOD_MSCHAPV2},
        {"0304 c227", PPP_METHOD_EAP},
        {"0104 0ffb 0305 c223 81 0506 01020304 0702 0802 1104 064e", PPP_METHOD_MSCHAPV2},
        {"", PPP_METHOD_NONE},
        {"0305 c223 06", PPP_METHOD_NONE},
        {"0304 c223", PPP_METHOD_NONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].options);
        packet(&o, SERVER, LCP, 1, 4, all[i].options);
        assert_int_equal(o.method, PPP_METHOD_NONE);
        assert_int_equal(packet(&o, CLIENT, LCP, 1, 1, "0304 c023"), PPP_AUTH_REQUEST);
        packet(&o, SERVER, LCP, 2, 4, all[i].options);
        packet(&o, CLIENT, LCP, 2, 3, all[i].options);
        assert_int_equal(o.method, PPP_METHOD_NONE);
        packet(&o, CLIENT, LCP, 2, 4, all[i].options);
        assert_int_equal(o.method, all[i].method);
    }
}

/* SoftEther: EAP, then MS-CHAPv2, then PAP; each refused one leaves nothing behind. */
static void lcp_fallback(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0304 c227");
    packet(&o, CLIENT, LCP, 3, 1, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81"); /* an Ack of options that were not requested */
    assert_int_equal(o.method, PPP_METHOD_NONE);
    packet(&o, SERVER, LCP, 1, 2, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 2, "0305 c223 80");
    assert_int_equal(o.method, PPP_METHOD_NONE);
    packet(&o, SERVER, LCP, 1, 3, "0304 c023");
    packet(&o, CLIENT, LCP, 2, 3, "0304 c023");
    assert_int_equal(o.method, PPP_METHOD_PAP);
    /* negotiated again before any authentication: the agreement is not forgotten too early */
    packet(&o, CLIENT, LCP, 1, 1, "");
    assert_int_equal(o.method, PPP_METHOD_PAP);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    packet(&o, CLIENT, LCP, 2, 3, "0304 c023"); /* acknowledged already */
    assert_user(&o, "ann");
    assert_int_equal(o.method, PPP_METHOD_PAP);
}

/* A packet of a protocol that LCP did not agree on does not change the method of the current login,
 * before its Success or after it. */
static void other_methods(void **state)
{
    static const struct {
        const char *agreed, *protocol;
        unsigned id;
        const char *data;
    } all[] = {
        {"0305 c223 81", EAP, 0, "03 0d"},
        {"0305 c223 81", CHAP, 1, MD5_VALUE "'User'"},
        {"0305 c223 81", PAP, 1, "03 'ann' 01 'x'"},
        {"0305 c223 80", EAP, 0, "03 0d"},
        {"0305 c223 80", CHAP, 1, MD5_VALUE "'User'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const bool v1 = all[i].agreed[10] == '8' && all[i].agreed[11] == '0';
        const enum ppp_method method = v1 ? PPP_METHOD_MSCHAPV1 : PPP_METHOD_MSCHAPV2;
        const unsigned code = strcmp(all[i].protocol, PAP) == 0 ? 1 : 2;
        struct ppp_observer o = fresh(), other;

        packet(&o, SERVER, LCP, 1, 1, all[i].agreed);
        packet(&o, CLIENT, LCP, 2, 1, all[i].agreed);
        packet(&o, SERVER, CHAP, 1, 1, v1 ? "08" CHALLENGE_V1 : "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, v1 ? V1(NT, "01", "'User'") : V2(PEER, NT, "'User'"));
        other = o;
        packet(&other, CLIENT, all[i].protocol, code, all[i].id, all[i].data);
        assert_memory_equal(&other, &o, sizeof o);
        packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
        assert_int_equal(o.method, method);
        assert_true(o.confirmed.seen);
        other = o;
        packet(&other, CLIENT, all[i].protocol, code, all[i].id, all[i].data);
        assert_memory_equal(&other, &o, sizeof o);
    }
}

/* The observer could not read the client's Ack, and the server continues. */
static void lcp_settled_by_the_server(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
        observe(&o, CLIENT, "ff03 c021 0201 0fff 0305 c223 81");
        assert_int_equal(o.method, PPP_METHOD_NONE);
        packet(&o, SERVER, i == 0 ? CHAP : "8021", 1, 1, "10" CHALLENGE);
        assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);
        assert_int_equal(o.lcp_method, PPP_METHOD_MSCHAPV2);
    }
}

/* Data changes nothing, even if its octets resemble a login. */
static void data_settles_nothing(void **state)
{
    struct ppp_observer o = fresh(), before;

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
    observe(&o, CLIENT, "ff03 c021 0201 0fff 0305 c223 81");
    before = o;
    packet(&o, SERVER, "3a27", 1, 2, "1a01");
    assert_memory_equal(&o, &before, sizeof o);
}

/* Nor does a Nak behind EAP's Success. */
static void eap_behind_its_success(void **state)
{
    struct ppp_observer o = fresh(), other;

    (void)state;
    packet(&o, SERVER, EAP, 1, 7, "0d");
    packet(&o, CLIENT, EAP, 2, 7, "0d");
    packet(&o, SERVER, EAP, 3, 7, "");
    assert_int_equal(o.method, PPP_METHOD_EAP_TLS);
    other = o;
    packet(&other, CLIENT, EAP, 2, 7, "03 04");
    assert_memory_equal(&other, &o, sizeof o);
}

static void lcp_broken_options(void **state)
{
    static const char *const all[] = {"03",           "0300",           "0301",
                                      "0302",         "0303 c0",        "0305 c223",
                                      "0304 c023 01", "0304 c023 0101", "0304 c023 0304 c227"};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, LCP, 1, 1, all[i]);
        packet(&o, CLIENT, LCP, 2, 1, all[i]);
        packet(&o, CLIENT, LCP, 2, 1, "0304 c023");
        packet(&o, CLIENT, LCP, 2, 1, "");
        assert_int_equal(o.method, PPP_METHOD_NONE);
        assert_false(o.lcp_pending);

        packet(&o, SERVER, LCP, 1, 1, "0304 c023");
        packet(&o, CLIENT, LCP, 2, 1, all[i]);
        assert_int_equal(o.method, PPP_METHOD_NONE);
    }
}

static void lcp_restart(void **state)
{
    struct ppp_observer o = fresh(), empty = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, LCP, 9, 1, "00000000"); /* an echo is no restart */
    packet(&o, CLIENT, LCP, 1, 9, "");         /* nor is a packet that may never reach the server */
    assert_mschap(&o.confirmed, 1, CHALLENGE, PEER, NT);
    assert_user(&o, "User");

    packet(&o, SERVER, LCP, 1, 2, "0304 c023");
    assert_int_equal(o.method, PPP_METHOD_NONE);
    assert_int_equal(o.result, PPP_RESULT_PENDING);
    assert_user(&o, "");
    assert_memory_equal(&o.last, &empty.last, sizeof o.last);
    assert_memory_equal(&o.confirmed, &empty.confirmed, sizeof o.confirmed);
    assert_memory_equal(o.user, empty.user, sizeof o.user);
    assert_memory_equal(o.challenge, empty.challenge, sizeof o.challenge);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'")); /* its challenge is gone */
    assert_false(o.last.seen);
    packet(&o, CLIENT, LCP, 2, 2, "0304 c023");
    assert_int_equal(o.method, PPP_METHOD_PAP);
}

/* SoftEther sends a Configure-Request for a Nak of MRU under any identifier that it has in use,
 * goes on with its login, and repeats its question until it reads an answer (PROTOCOL.md 5.2). An
 * observer that forgot the answer would accept a second one, which the server never judges. */
static void lcp_restart_amid_a_login(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_FORWARD); /* no answer yet */
    agree(&o, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    assert_int_equal(packet(&o, SERVER, LCP, 1, 3, "0304 7805"), PPP_UNJUDGED);
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    assert_int_equal(packet(&o, CLIENT, CHAP, 2, 1, V2(PEER_2, NT_2, "'bob'")), PPP_DROP);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=0'");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 4, "0304 c023"), PPP_FORWARD); /* it is judged */

    /* a request of PAP; not once it is acknowledged */
    packet(&o, CLIENT, LCP, 2, 4, "0304 c023");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 5, "0304 c227"), PPP_UNJUDGED);
    packet(&o, SERVER, PAP, 2, 1, "00");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 5, "0304 c227"), PPP_FORWARD);
}

/* Inside EAP the login ends with EAP's own result. A name is no login yet, and a Nak makes
 * SoftEther fall back to another protocol. */
static void lcp_restart_amid_eap(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, "0304 c227");
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'User'");
    packet(&o, SERVER, EAP, 1, 2, "04" MD5_VALUE);
    packet(&o, CLIENT, EAP, 2, 2, "03 1a");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 1, "0304 c227"), PPP_FORWARD);

    packet(&o, CLIENT, LCP, 2, 1, "0304 c227");
    eap_packet(&o, SERVER, 3, 1, 7, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 3, 2, 7, V2(PEER, NT, "'User'"));
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_UNJUDGED);
    eap_packet(&o, SERVER, 4, 3, 7, SUCCESS_TEXT);
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_UNJUDGED);
    packet(&o, CLIENT, EAP, 2, 4, "03 1a"); /* instead of its acknowledgement */
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_UNJUDGED);
    packet(&o, SERVER, EAP, 3, 4, "");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 2, "0304 7805"), PPP_FORWARD);
}

/* One name for each question: a second name is dropped, so that the server uses the first, too. */
static void two_names(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'bob'"));
    assert_int_equal(observe(&o, CLIENT, "c223 0201003b" V2(PEER, NT, "'alice'")), PPP_DROP);
    assert_user(&o, "bob");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* the same question again */
    assert_int_equal(packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'")), PPP_DROP);
    assert_user(&o, "bob");
    packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'Bob'"));
    assert_user(&o, "Bob");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'"); /* another method */
    assert_user(&o, "Bob");
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'"); /* too late */
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'alice'"));
    assert_user(&o, "Bob");
    assert_int_equal(o.method, PPP_METHOD_MSCHAPV2);

    /* the client cannot hide a name behind a restart of LCP that the server does not see */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'bob'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, CLIENT, LCP, 1, 1, "");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'");
    assert_user(&o, "bob");

    /* EAP: identity and MS-CHAPv2 are two questions; Success is none */
    o = fresh();
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'outer'");
    packet(&o, SERVER, EAP, 1, 1, "01"); /* again */
    packet(&o, CLIENT, EAP, 2, 1, "01 'outer'");
    assert_user(&o, "outer");
    eap_packet(&o, SERVER, 2, 1, 2, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 2, V2(PEER, NT, ""));
    assert_user(&o, "outer"); /* a missing name does not replace the name */
    eap_packet(&o, CLIENT, 2, 2, 2, V2(PEER, NT, "'bob'"));
    assert_user(&o, "outer"); /* a second answer */
    eap_packet(&o, SERVER, 3, 3, 2, SUCCESS_TEXT);
    packet(&o, CLIENT, EAP, 2, 3, "01 'alice'");
    assert_user(&o, "outer"); /* not the type of the request */
}

static void assert_response_of(const struct ppp_mschap *m, const char *name)
{
    assert_true(m->seen);
    assert_int_equal(m->user_len, strlen(name));
    assert_memory_equal(m->user, name, m->user_len);
}

/* Each response keeps the name with which it came, even if a later packet has another name. */
static void names_of_responses(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81");
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81");
    packet(&o, CLIENT, PAP, 1, 1, "03 'bob' 01 'x'"); /* before, between and behind */
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, PAP, 1, 2, "03 'bob' 01 'x'");
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'"));
    packet(&o, CLIENT, PAP, 1, 3, "03 'bob' 01 'x'");
    assert_response_of(&o.last, "alice");
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, CHAP, 1, 2, "10" CHALLENGE_2);
    packet(&o, CLIENT, PAP, 1, 9, "03 'bob' 01 'x'");
    assert_user(&o, "alice");
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'ALICE'")); /* the answer */
    assert_user(&o, "ALICE");
    assert_response_of(&o.last, "ALICE");
    assert_response_of(&o.confirmed, "alice");

    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'carol'")); /* a second answer */
    assert_response_of(&o.last, "ALICE");

    /* EAP: without a name of its own it has that of the identity */
    o = fresh();
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01 'outer'");
    eap_packet(&o, SERVER, 2, 1, 2, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 2, 2, 2, V2(PEER, NT, ""));
    assert_response_of(&o.last, "outer");
}

/* A change of password has no name: its user is that of the refused response. */
static void name_of_a_changed_password(void **state)
{
    (void)state;
    for (int lie = 0; lie < 2; lie++) {
        struct ppp_observer o = fresh();

        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'alice'"));
        packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1'");
        packet(&o, CLIENT, CHAP, 7, 2, change_password(0)); /* not for this error */
        assert_mschap(&o.last, 1, CHALLENGE, PEER, NT);
        packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'alice'"));
        packet(&o, SERVER, CHAP, 4, 2, "'E=648 R=1'");
        if (lie) /* a second name for the same question */
            assert_int_equal(packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'bob'")), PPP_DROP);
        packet(&o, CLIENT, CHAP, 7, 3, change_password(0));
        assert_mschap(&o.last, 3, CHALLENGE, PEER_2, NT_2);
        assert_response_of(&o.last, "alice");
    }
}

/* RFC 1334 2.2.1: a PAP request that comes again behind the Ack changes nothing, nor does another.
 */
static void pap_behind_its_ack(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, LCP, 1, 1, "0304 c023");
    packet(&o, CLIENT, LCP, 2, 1, "0304 c023");
    packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'");
    packet(&o, SERVER, PAP, 2, 1, "00");
    packet(&o, CLIENT, PAP, 1, 2, "03 'bob' 01 'x'");
    assert_user(&o, "alice");
    assert_int_equal(o.result, PPP_RESULT_SUCCESS);
}

/* Each password that the server judges is a try of its own: the next one waits for the reply. */
static void pap_one_request_for_each_reply(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'"), PPP_FORWARD);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 2, "03 'ann' 01 'y'"), PPP_DROP);
    packet(&o, SERVER, PAP, 3, 1, "00");
    assert_int_equal(o.failures, 1);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 3, "03 'ann' 01 'y'"), PPP_FORWARD);
    packet(&o, SERVER, PAP, 3, 3, "00");
    assert_int_equal(o.failures, 2);
}

/* Servers cut names at a NUL, trim them, or bound them, each in its own way. */
static void names_that_servers_read_differently(void **state)
{
    static const struct {
        const char *name; /* hex */
        enum ppp_verdict verdict;
    } all[] = {
        {"'alice'", PPP_FORWARD},
        {"'al ice'", PPP_FORWARD},
        {"'DOM\\alice@example.com'", PPP_FORWARD},
        {"'DOM\\alice@hub@example.com'", PPP_FORWARD},
        {"'alice@example.com\\bob'", PPP_BAD_NAME},
        {"'alice@\\'", PPP_BAD_NAME},
        {"'DOM\\alice@x\\bob'", PPP_BAD_NAME},
        {"c3bc", PPP_FORWARD}, /* UTF-8 */
        {"fc", PPP_FORWARD},   /* Latin-1 */
        {"", PPP_BAD_NAME},
        {"' alice'", PPP_BAD_NAME},
        {"'alice '", PPP_BAD_NAME},
        {"' '", PPP_BAD_NAME},
        {"'alice' 00", PPP_BAD_NAME},
        {"'alice' 00 'x'", PPP_BAD_NAME},
        {"'alice' 09", PPP_BAD_NAME},
        {"'ali' 0d0a 'ce'", PPP_BAD_NAME},
        {"1f 'alice'", PPP_BAD_NAME},
        {"7f 'alice'", PPP_BAD_NAME},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct span name = octets_hex(all[i].name);
        char text[256];
        struct ppp_observer o = fresh();

        print_message("%s\n", all[i].name);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        snprintf(text, sizeof text, "%s %s", V2(PEER, NT, ""), all[i].name);
        assert_int_equal(packet(&o, CLIENT, CHAP, 2, 1, text), all[i].verdict);

        o = fresh();
        agree(&o, ASKS_PAP);
        snprintf(text, sizeof text, "%02zx %s 01 'x'", name.n, all[i].name);
        assert_int_equal(packet(&o, CLIENT, PAP, 1, 1, text), all[i].verdict);

        o = fresh();
        packet(&o, SERVER, EAP, 1, 1, "01");
        snprintf(text, sizeof text, "01 %s", all[i].name);
        /* RFC 3748 5.1: an unknown identity is empty */
        assert_int_equal(packet(&o, CLIENT, EAP, 2, 1, text),
                         name.n == 0 ? PPP_FORWARD : all[i].verdict);
        octets_free(name);
    }
}

static void long_names(void **state)
{
    (void)state;
    for (size_t n = PPP_USER_MAX; n <= PPP_USER_MAX + 1; n++) {
        struct ppp_observer o = fresh();
        char text[700] = "01";

        for (size_t i = 0; i < n; i++)
            strcat(text, "61");
        packet(&o, SERVER, EAP, 1, 1, "01");
        const bool fits = n == PPP_USER_MAX;
        assert_int_equal(packet(&o, CLIENT, EAP, 2, 1, text), fits ? PPP_FORWARD : PPP_BAD_NAME);
        assert_int_equal(o.user_len, fits ? PPP_USER_MAX : 0);
    }
}

struct frame {
    int from;
    const char *hex;
};

static const struct frame script[] = {
    {SERVER, "ff03c021 0101000a 0304c227 0802"},
    {CLIENT, "ff03c021 0201000a 0304c227 0802"},
    {SERVER, "ff03c227 0101 0005 01"},
    {CLIENT, "ff03c227 0201 0008 01 'bob'"},
    {SERVER, "ff03c227 0102 001a 1a 01070015 10" CHALLENGE},
    {CLIENT, "ff03c227 0202 003e 1a 02070039" V2(PEER, NT, "'bob'")},
    {SERVER, "ff03c227 0103 000a 1a 03070005 'S'"},
    {SERVER, "ff03c227 0303 0004"},
    {SERVER, "ff03c021 0103000b 0305c22381 0802"},
    {CLIENT, "ff03c021 0203000b 0305c22381 0802"},
    {SERVER, "ff03c223 0108 0015 10" CHALLENGE},
    {CLIENT, "ff03c223 0208 0039" V2(PEER, NT, "'bob'")},
    {SERVER, "ff03c223 0408 0007 'R=1'"},
    {CLIENT, "ff03c223 0209 0039" V2(PEER_2, NT_2, "'bob'")},
    {SERVER, "ff03c223 0309 0004"},
    {SERVER, "ff03c021 0102000a 0304c023 0802"},
    {CLIENT, "ff03c021 0202000a 0304c023 0802"},
    {CLIENT, "ff03c023 0101 000a 03 'ann' 01 'x'"},
    {SERVER, "ff03c023 0301 0005 00"},
};

/* An inner length longer than the frame: passed over. Octets behind the inner length: not seen.
 * Without FF 03: the same. Of each packet, and each beginning of it. */
static void every_frame_cut_padded_compressed(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    for (size_t i = 0; i < sizeof script / sizeof *script; i++) {
        struct span whole = octets_hex(script[i].hex);
        struct ppp_observer before = o, other;

        print_message("%s\n", script[i].hex);
        for (size_t cut = 0; cut < whole.n; cut++) {
            struct span in = octets_copy(span_sub(whole, 0, cut));
            see(&o, script[i].from, in);
            octets_free(in);
            assert_memory_equal(&o, &before, sizeof o);
        }
        assert_int_equal(see(&o, script[i].from, whole), PPP_FORWARD);
        assert_memory_not_equal(&o, &before, sizeof o);

        uint8_t padded[512] = {0};
        memcpy(padded, whole.p, whole.n);
        memset(padded + whole.n, 'y', 40);
        other = before;
        see(&other, script[i].from, span_of(padded, whole.n + 40));
        assert_memory_equal(&other, &o, sizeof o);

        other = before;
        see(&other, script[i].from, span_from(whole, 2));
        assert_memory_equal(&other, &o, sizeof o);
        octets_free(whole);
    }
}

static void other_frames_pass(void **state)
{
    static const char *const all[] = {
        "",
        "ff",
        "ff03",
        "ff03c2",
        "ff03c223",
        "ff03c223 0101",
        "ff03c223 0101 0000",
        "ff03c223 0101 0003",
        "ff03c222 0101 0015 10" CHALLENGE, /* an even number is no protocol */
        "ff02c223 0101 0015 10" CHALLENGE,
        "21 4500",
        "ff030021 4500",
        "ff038021 0101 0004",
        "ff03003d c0 000001 ff03c223 0101 0015 10" CHALLENGE, /* inside multilink */
    };
    struct ppp_observer o = fresh(), empty = fresh();

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        print_message("%s\n", all[i]);
        observe(&o, SERVER, all[i]);
        observe(&o, CLIENT, all[i]);
        assert_memory_equal(&o, &empty, sizeof o);
    }
}

/* The server's proof that it has the password, too (RFC 2759 5, 8.7). */
static void server_answers(void **state)
{
    static const struct {
        const char *text;
        bool answered;
    } cases[] = {
        {SUCCESS_TEXT, true},
        {"'S=407a5589115fd0d6209f510fe9c04566932cda56'", true},
        {"'S=407A5589115FD0D6209F510FE9C04566932CDA5'", false},
        {"'S=407A5589115FD0D6209F510FE9C04566932CDA5G M=ok'", false},
        {"'M=ok S=407A5589115FD0D6209F510FE9C04566932CDA56'", false},
        {"'s=407A5589115FD0D6209F510FE9C04566932CDA56'", false},
        {"'S='", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int eap = 0; eap < 2; eap++) {
            struct ppp_observer o = fresh();
            if (eap) {
                eap_packet(&o, SERVER, 7, 1, 7, "10" CHALLENGE);
                eap_packet(&o, CLIENT, 7, 2, 7, V2(PEER, NT, "'User'"));
                assert_false(o.last.answered);
                eap_packet(&o, SERVER, 8, 3, 7, cases[i].text);
            } else {
                packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
                packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
                packet(&o, SERVER, CHAP, 3, 1, cases[i].text);
            }
            assert_mschap(&o.confirmed, eap ? 7 : 1, CHALLENGE, PEER, NT);
            assert_int_equal(o.confirmed.answered, cases[i].answered);
            if (cases[i].answered)
                assert_octets(span_of(o.confirmed.server_answer, PPP_SERVER_ANSWER),
                              "407a5589115fd0d6209f510fe9c04566932cda56");
        }
    struct ppp_observer o = fresh(); /* v1 has no such proof */
    packet(&o, SERVER, CHAP, 1, 1, "08" CHALLENGE_V1);
    packet(&o, CLIENT, CHAP, 2, 1, V1(NT, "01", "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_true(o.confirmed.seen);
    assert_false(o.confirmed.answered);
}

/* The parts of a frame that a RADIUS client passes on. */
static void logins(void **state)
{
    static const struct {
        const char *frame, *user, *proof; /* hex; user NULL: no login */
    } cases[] = {
        {"ff03 c023 01010010 04 55736572 0a 6364656667", NULL, NULL}, /* too long a length */
        {"ff03 c023 01010010 04 55736572 06 636465666768", "55736572", ""},
        {"c023 01010010 04 55736572 06 636465666768", "55736572", ""},
        {"ff03 c023 02010004", NULL, NULL},
        {"ff03 c223 0201003a 31" PEER ZERO_8 NT "00 55736572", "55736572", NT},
        {"c223 0201003a 31" PEER ZERO_8 NT "00 55736572", "55736572", NT},
        {"ff03 c223 02010018" MD5_VALUE "616263", "616263", "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"},
        {"ff03 c223 02010005 00", NULL, NULL},
        {"ff03 c223 02010005 10", NULL, NULL},
        {"ff03 c223 01010015" MD5_VALUE, NULL, NULL}, /* a Challenge */
        {"ff03 c223 07010014" MD5_VALUE, NULL, NULL}, /* too short a change of password */
        {"ff03 c227 02010009 0155736572", "55736572", "02010009 0155736572"},
        {"ff03 c227 02010009 0155736572 0000", "55736572", "02010009 0155736572"}, /* padded */
        {"ff03 c227 02020006 0d00", "", "02020006 0d00"},
        {"ff03 c227 02020004", NULL, NULL},
        {"ff03 c227 01020006 0d00", NULL, NULL}, /* a Request */
        {"ff03 c021 02010004", NULL, NULL},
        {"ff03 0021 4500", NULL, NULL},
        {"", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span frame = octets_hex(cases[i].frame), user, proof;
        if (ppp_login(frame, &user, &proof) != (cases[i].user != NULL))
            fail_msg("case %zu", i);
        if (cases[i].user != NULL) {
            assert_octets(user, cases[i].user);
            assert_octets(proof, cases[i].proof);
        }
        octets_free(frame);
    }
}

static void assert_proof(const struct ppp_observer *o, const char *hex)
{
    assert_octets(ppp_proof(o), hex);
}

/* The first answer to the latest question. */
static void proofs(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    assert_proof(&o, "");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 9, V2(PEER, NT_2, "'User'")); /* to something else */
    assert_proof(&o, "");
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    assert_proof(&o, NT);
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE); /* once more */
    assert_proof(&o, NT);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT_2, "'User'")); /* a second answer */
    assert_proof(&o, NT);
    packet(&o, SERVER, CHAP, 4, 1, "'E=691 R=1 C=000102030405060708090A0B0C0D0E0F V=3'");
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER_2, NT_2, "'User'"));
    assert_proof(&o, NT_2);
    packet(&o, SERVER, CHAP, 3, 2, SUCCESS_TEXT);
    packet(&o, CLIENT, CHAP, 2, 2, V2(PEER, NT, "'User'")); /* too late to matter */
    assert_proof(&o, NT_2);
    packet(&o, SERVER, CHAP, 1, 3, "10" CHALLENGE_2);
    assert_proof(&o, "");
    packet(&o, CLIENT, CHAP, 2, 3, MD5_VALUE "'User'");
    assert_proof(&o, "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf");
}

static void proofs_of_eap(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "01");
    packet(&o, CLIENT, EAP, 2, 1, "01'User'");
    assert_proof(&o, "02010009 0155736572");
    packet(&o, SERVER, EAP, 1, 2, "0d20");
    assert_proof(&o, "");
    packet(&o, CLIENT, EAP, 2, 2, "0d00");
    packet(&o, SERVER, EAP, 1, 2, "0d20"); /* once more */
    packet(&o, CLIENT, EAP, 2, 7, "0d01"); /* to something else */
    assert_proof(&o, "02020006 0d00");
    packet(&o, CLIENT, EAP, 2, 2, "0d01"); /* a second answer */
    assert_proof(&o, "02020006 0d00");
    packet(&o, SERVER, EAP, 1, 3, "1a 0103 0015 10" CHALLENGE);
    packet(&o, CLIENT, EAP, 2, 3, "0319"); /* Nak */
    assert_proof(&o, "02030006 0319");
    /* the packet of EAP around it, not the response in it */
    eap_packet(&o, SERVER, 4, 1, 7, "10" CHALLENGE);
    eap_packet(&o, CLIENT, 4, 2, 7, V2(PEER, NT, "'User'"));
    assert_proof(&o, "0204003f 1a 0207003a" V2(PEER, NT, "'User'"));
    eap_packet(&o, SERVER, 5, 3, 7, SUCCESS_TEXT);
    packet(&o, CLIENT, EAP, 2, 5, "1a03");
    packet(&o, SERVER, EAP, 3, 5, "");
    packet(&o, CLIENT, EAP, 2, 5, "1a04");
    assert_proof(&o, "02050006 1a03");
}

static void a_proof_too_long(void **state)
{
    struct ppp_observer o = fresh();
    uint8_t frame[8 + 1 + PPP_ANSWER_MAX] = {0xff, 0x03, 0xc2, 0x27, 2, 1, 0, 0, 13};

    (void)state;
    packet(&o, SERVER, EAP, 1, 1, "0d20");
    for (size_t n = PPP_ANSWER_MAX; n <= PPP_ANSWER_MAX + 1; n++) {
        struct ppp_observer twin = o;
        frame[6] = (uint8_t)(n >> 8);
        frame[7] = (uint8_t)n;
        struct span octets = octets_copy(span_of(frame, 4 + n));
        assert_int_equal(see(&twin, CLIENT, octets), PPP_FORWARD);
        octets_free(octets);
        assert_int_equal(twin.method, PPP_METHOD_EAP_TLS);
        assert_int_equal(ppp_proof(&twin).n, n > PPP_ANSWER_MAX ? 0 : n);
    }
}

/* RFC 2759 7: the response made with the new password. */
static void login_with_a_new_password(void **state)
{
    uint8_t octets[4 + 586] = {0xff, 0x03, 0xc2, 0x23, 7, 8, 0x02, 0x4a};
    struct span user, proof;

    (void)state;
    for (size_t i = 8; i < sizeof octets; i++)
        octets[i] = (uint8_t)i;
    assert_true(ppp_login(span_of(octets, sizeof octets), &user, &proof));
    assert_int_equal(user.n, 0);
    assert_ptr_equal(proof.p, octets + 4 + 560);
    assert_int_equal(proof.n, 24);
}

/* Each login that the server does not let in counts once, whatever the form of the refusal. */
static void failures_are_counted(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    ppp_server_ends(&o); /* before the first packet of the client */
    assert_int_equal(o.failures, 0);
    agree(&o, ASKS_PAP);
    ppp_server_ends(&o);
    assert_int_equal(o.failures, 0);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    packet(&o, SERVER, PAP, 3, 1, "00");
    packet(&o, SERVER, PAP, 3, 1, "00"); /* a retransmission */
    assert_int_equal(o.failures, 1);
    packet(&o, CLIENT, PAP, 1, 2, "03 'ann' 01 'x'");
    ppp_server_ends(&o); /* SoftEther: a Disconnect in place of a Nak */
    ppp_server_ends(&o);
    assert_int_equal(o.failures, 2);
    packet(&o, SERVER, LCP, 1, 1, "0305 c223 81"); /* LCP starts over, the count goes on */
    packet(&o, CLIENT, LCP, 2, 1, "0305 c223 81");
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 4, 99, "'E=691 R=0'"); /* a Failure with another identifier */
    assert_int_equal(o.failures, 3);
    packet(&o, SERVER, LCP, 5, 1, ""); /* Terminate-Request: this login is counted */
    assert_int_equal(o.failures, 3);

    /* LCP starts over before the server has accepted or refused the login */
    o = fresh();
    agree(&o, ASKS_PAP);
    packet(&o, CLIENT, PAP, 1, 1, "03 'ann' 01 'x'");
    assert_int_equal(packet(&o, SERVER, LCP, 1, 1, "0304 c023"), PPP_UNJUDGED);
    ppp_server_ends(&o); /* as front does then */
    assert_int_equal(o.failures, 1);

    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, LCP, 5, 1, "");
    assert_int_equal(o.failures, 1);

    /* FreeRADIUS with send_error = no: EAP's Failure without an inner one; and with both */
    for (int inner = 0; inner < 2; inner++) {
        o = fresh();
        packet(&o, SERVER, EAP, 1, 1, "01");
        packet(&o, CLIENT, EAP, 2, 1, "01 'eve'");
        eap_packet(&o, SERVER, 2, 1, 40, "10" CHALLENGE);
        eap_packet(&o, CLIENT, 2, 2, 40, V2(PEER, NT, "'eve'"));
        if (inner) {
            eap_packet(&o, SERVER, 3, 4, 40, "'E=691 R=0'");
            packet(&o, CLIENT, EAP, 2, 3, "1a04");
        }
        packet(&o, SERVER, EAP, 4, 3, "");
        assert_int_equal(o.failures, 1);
    }

    /* A name and a Nak are no guess: SoftEther falls back to MS-CHAPv2, clients ask their user. A
     * refusal counts all the same. */
    for (int how = 0; how < 3; how++) {
        o = fresh();
        agree(&o, "0304 c227");
        packet(&o, SERVER, EAP, 1, 1, "01");
        packet(&o, CLIENT, EAP, 2, 1, "01 'eve'");
        if (how == 0) {
            packet(&o, SERVER, EAP, 1, 2, "1a 01 01 00 16 10" CHALLENGE "'s'");
            packet(&o, CLIENT, EAP, 2, 2, "03 00");
            packet(&o, SERVER, LCP, 1, 2, "0305 c223 81");
        } else if (how == 1) {
            ppp_server_ends(&o);
        } else {
            packet(&o, SERVER, EAP, 4, 1, "");
        }
        assert_int_equal(o.failures, how == 2);
    }

    /* let in: its end is no failure */
    o = fresh();
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    packet(&o, SERVER, LCP, 5, 1, "");
    assert_int_equal(o.failures, 0);
}

/* The server's own Challenge shows that the client has a key, whatever LCP seemed to agree on. */
static void a_challenge_rules_zeros_out(void **state)
{
    static const struct {
        const char *lcp; /* NULL: the server requests no authentication */
        bool no_zero_key;
    } all[] = {{NULL, true},
               {"0305 c223 81", true},
               {"0305 c223 80", true},
               {"0304 c227", true},
               {"0305 c223 05", false}};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct ppp_observer o = fresh();

        if (all[i].lcp != NULL)
            agree(&o, all[i].lcp);
        assert_false(o.no_zero_key);
        packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
        assert_int_equal(o.no_zero_key, all[i].no_zero_key);
        /* an EAP packet makes no EAP of it */
        assert_int_equal(packet(&o, CLIENT, EAP, 2, 0, "03 0d"), PPP_DROP);
        assert_int_equal(o.no_zero_key, all[i].no_zero_key);
        packet(&o, SERVER, LCP, 1, 9, "0304 c227"); /* LCP starts over */
        assert_false(o.no_zero_key);
    }
}

/* A login that was asked for must end with a Success; network frames alone do for no login at all.
 */
static void the_server_is_content(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    assert_true(ppp_is_content(&o));
    agree(&o, "0104 0ffb");
    assert_true(ppp_is_content(&o));
    packet(&o, SERVER, CHAP, 1, 1, "10" CHALLENGE);
    assert_false(ppp_is_content(&o));
    packet(&o, CLIENT, CHAP, 2, 1, V2(PEER, NT, "'User'"));
    packet(&o, SERVER, "8021", 1, 1, "");
    assert_false(ppp_is_content(&o));
    packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
    assert_true(ppp_is_content(&o));

    static const char *const asked[] = {ASKS_PAP, "0304 c227", "0305 c223 81", "0304 c027"};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        o = fresh();
        agree(&o, asked[i]);
        assert_false(ppp_is_content(&o));
    }
    agree(&o, ""); /* the client has rejected the option, and the server continues without it */
    assert_true(ppp_is_content(&o));
}

/* SoftEther repeats its unanswered requests. A client that agrees to one of them after its answer
 * has agreed to a protocol that the observer does not know, so the observer reports no success,
 * although the server accepts the answer. */
static void an_unknown_protocol_agreed_after_the_answer(void **state)
{
    struct ppp_observer o = fresh();

    (void)state;
    agree(&o, ASKS_PAP);
    assert_int_equal(packet(&o, SERVER, LCP, 1, 7, "0304 7805"), PPP_FORWARD);
    assert_int_equal(packet(&o, CLIENT, PAP, 1, 1, "05 'alice' 01 'x'"), PPP_FORWARD);
    assert_int_equal(packet(&o, CLIENT, LCP, 2, 7, "0304 7805"), PPP_FORWARD);
    packet(&o, SERVER, PAP, 2, 1, "");
    assert_int_not_equal(o.result, PPP_RESULT_SUCCESS);
    assert_false(ppp_is_content(&o));
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(ppp_method_name(PPP_METHOD_NONE), "none");
    assert_string_equal(ppp_method_name(PPP_METHOD_PAP), "pap");
    assert_string_equal(ppp_method_name(PPP_METHOD_MSCHAPV2), "ms-chapv2");
    assert_string_equal(ppp_method_name(PPP_METHOD_EAP_MSCHAPV2), "eap-mschapv2");
    for (enum ppp_method a = 0; a <= PPP_METHOD_EAP_MSCHAPV2; a++)
        for (enum ppp_method b = a + 1; b <= PPP_METHOD_EAP_MSCHAPV2 + 1; b++)
            assert_string_not_equal(ppp_method_name(a), ppp_method_name(b));

    assert_true(ppp_method_has_keys(PPP_METHOD_MSCHAPV1));
    assert_true(ppp_method_has_keys(PPP_METHOD_MSCHAPV2));
    assert_true(ppp_method_has_keys(PPP_METHOD_EAP_MSCHAPV2));
    assert_true(ppp_method_has_keys(PPP_METHOD_EAP_TLS));
    assert_true(ppp_method_has_keys(PPP_METHOD_EAP_PEAP));
    assert_false(ppp_method_has_keys(PPP_METHOD_NONE));
    assert_false(ppp_method_has_keys(PPP_METHOD_PAP));
    assert_false(ppp_method_has_keys(PPP_METHOD_CHAP_MD5));
    assert_false(ppp_method_has_keys(PPP_METHOD_EAP));
    assert_false(ppp_method_has_keys(PPP_METHOD_EAP_MD5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(mschapv2_in_sstp),
        cmocka_unit_test(eap_mschapv2_in_sstp),
        cmocka_unit_test(pap_in_sstp),
        cmocka_unit_test(pap_odd),
        cmocka_unit_test(chap_md5),
        cmocka_unit_test(mschapv1),
        cmocka_unit_test(retry),
        cmocka_unit_test(failures),
        cmocka_unit_test(refusals),
        cmocka_unit_test(a_refusal_without_a_verdict_is_no_failure),
        cmocka_unit_test(eap_mschapv2_without_a_verdict_is_no_failure),
        cmocka_unit_test(forms_of_refusals),
        cmocka_unit_test(challenge_instead_of_retry),
        cmocka_unit_test(challenge_after_failure),
        cmocka_unit_test(password_changed),
        cmocka_unit_test(eap_retry_and_change),
        cmocka_unit_test(retransmissions),
        cmocka_unit_test(strays),
        cmocka_unit_test(twice),
        cmocka_unit_test(eap_methods),
        cmocka_unit_test(eap_nak),
        cmocka_unit_test(eap_begins_again),
        cmocka_unit_test(eap_md5_has_a_name),
        cmocka_unit_test(another_name_for_a_second_question),
        cmocka_unit_test(eap_strays),
        cmocka_unit_test(lcp_agreement),
        cmocka_unit_test(lcp_fallback),
        cmocka_unit_test(other_methods),
        cmocka_unit_test(eap_behind_its_success),
        cmocka_unit_test(lcp_settled_by_the_server),
        cmocka_unit_test(data_settles_nothing),
        cmocka_unit_test(lcp_broken_options),
        cmocka_unit_test(lcp_restart),
        cmocka_unit_test(lcp_restart_amid_a_login),
        cmocka_unit_test(lcp_restart_amid_eap),
        cmocka_unit_test(two_names),
        cmocka_unit_test(names_of_responses),
        cmocka_unit_test(name_of_a_changed_password),
        cmocka_unit_test(pap_behind_its_ack),
        cmocka_unit_test(pap_one_request_for_each_reply),
        cmocka_unit_test(names_that_servers_read_differently),
        cmocka_unit_test(long_names),
        cmocka_unit_test(every_frame_cut_padded_compressed),
        cmocka_unit_test(other_frames_pass),
        cmocka_unit_test(server_answers),
        cmocka_unit_test(logins),
        cmocka_unit_test(login_with_a_new_password),
        cmocka_unit_test(proofs),
        cmocka_unit_test(proofs_of_eap),
        cmocka_unit_test(a_proof_too_long),
        cmocka_unit_test(failures_are_counted),
        cmocka_unit_test(a_challenge_rules_zeros_out),
        cmocka_unit_test(the_server_is_content),
        cmocka_unit_test(an_unknown_protocol_agreed_after_the_answer),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests_name("ppp", tests, NULL, NULL);
}
