/* The input is what a server sends to a client that logs in: decrypted bytes, in one part and in
 * many. The client must end in the same state, send whole packets, and stay within its bounds. */
#include <stdlib.h>

#include "base/insist.h"
#include "client/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes that a client may send for each byte that it receives: a Protocol-Reject repeats the frame,
 * and the Ack of 4 bytes of LCP may be followed by a login. */
enum { SENT_FIXED = 8192, SENT_FACTOR = 128 };

struct sent {
    size_t n, packets;
};

static void on_send(void *arg, struct span packet)
{
    struct sent *s = arg;
    struct sstp_packet p;

    if (s->packets++ > 0) /* the first is the request */
        INSIST(sstp_parse(packet, &p) == ERR_OK && p.len == packet.n);
    s->n += packet.n;
}

static struct session_settings settings_of(const struct nthash *md4, bool survey)
{
    return (struct session_settings){
        .host = span_str("vpn.example.com"),
        .correlation = span_str("{0}"),
        .leaf = {.known = SSTP_HASH_SHA1 | SSTP_HASH_SHA256},
        .link = {.login = {.user = span_str("alice"), .password = span_str("sesame"), .md4 = md4},
                 .methods = {PPP_METHOD_MSCHAPV2, PPP_METHOD_EAP, PPP_METHOD_CHAP_MD5,
                             PPP_METHOD_PAP},
                 .method_count = 4,
                 .magic = {0xa1, 0xa2, 0xa3, 0xa4},
                 .echo_id = 0x1234,
                 .survey = survey},
        .ping = true};
}

/* Runs a session with parts of this size. The input begins behind the server's 200. */
static void run(struct session *s, struct span in, size_t part, bool survey, struct sent *sent)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nServer: x\r\n\r\n";
    static struct nthash *md4;

    if (md4 == NULL)
        md4 = nthash_new();
    const struct session_settings settings = settings_of(md4, survey);
    INSIST(session_start(s, &settings, on_send, sent));
    if (in.n > 0 && in.p[0] != 'H')
        session_receive(s, span_of(head, sizeof head - 1));
    for (size_t from = 0; from < in.n; from += part) {
        const size_t n = in.n - from < part ? in.n - from : part;
        uint8_t *copy = insist_alloc(malloc(n)); /* a sanitizer detects a read past its end */
        memcpy(copy, in.p + from, n);
        session_receive(s, span_of(copy, n));
        free(copy);
    }
    session_retransmit(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct session a, b;
    const struct span in = span_of(data, size);

    for (int survey = 0; survey < 2; survey++) {
        struct sent whole = {0}, parts = {0};
        run(&a, in, size + 1, survey == 1, &whole);
        run(&b, in, 7, survey == 1, &parts);
        INSIST(a.step == b.step && a.fault == b.fault && a.over == b.over);
        INSIST(a.link.phase == b.link.phase && whole.n == parts.n);
        INSIST(whole.n <= SENT_FIXED + SENT_FACTOR * size);
        INSIST(strlen(a.detail) < sizeof a.detail && strlen(a.server) < sizeof a.server);
        session_closed(&a);
        (void)session_end(&a);
        INSIST(a.over && (a.fault != FAULT_NONE || a.ending));
        session_fini(&a);
        session_fini(&b);
    }
    return 0;
}
