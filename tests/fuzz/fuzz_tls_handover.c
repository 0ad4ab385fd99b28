/* The input cuts the end of a handshake, and what the peer sends behind it, into pieces, for two
 * connections: one with the gate's records and one with OpenSSL's. Both must read the same, and the
 * peer must read what they write. */
#include "../unit/tls/twins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 256 };

/* Lets the peer write as early as it can: behind its Finished or, as a server of TLS 1.3, behind
 * its only flight. Returns whether it did; without that the handshake of c is complete. */
static bool peer_writes(struct twin *t, bool early, struct span text)
{
    size_t n;

    for (int i = 0; i < 6; i++) {
        struct bytes o = bytes_taken(&t->to_peer);
        t->window.in = bytes_span(&o);
        const bool ready =
            early ? SSL_read_early_data(t->peer, &(char){0}, 1, &n) == SSL_READ_EARLY_DATA_FINISH
                  : SSL_do_handshake(t->peer) == 1;
        free(o.p);
        if (ready) {
            INSIST((early ? SSL_write_early_data(t->peer, text.p, text.n, &n)
                          : SSL_write_ex(t->peer, text.p, text.n, &n)) == 1);
            return true;
        }
        ERR_clear_error();
        INSIST(!twin_to_c(t, SIZE_MAX));
    }
    return false;
}

/* Feeds a piece, and continues the handshake or the reading. */
static void piece(struct twin *t, bool *done, struct span part)
{
    uint8_t *copy = insist_alloc(malloc(part.n + 1));

    if (part.n > 0)
        memcpy(copy, part.p, part.n);
    tls_conn_feed(t->c, span_of(copy, part.n));
    if (!*done) {
        const enum err e = tls_conn_handshake(t->c);
        INSIST(e == ERR_OK || e == ERR_MORE || e == ERR_TLS);
        *done = e == ERR_OK;
        t->last = e == ERR_OK ? ERR_MORE : e;
    }
    if (*done)
        twin_read(t, 50);
    free(copy);
}

/* Returns where to cut: a distance from the end, because the start has signatures of any length. */
static size_t cut_at(struct cursor *c, size_t n)
{
    const size_t back = cursor_u16(c) % 2048;
    return back < n ? n - back : 0;
}

/* Returns the length of the last two records, the peer's Finished and its data. What is in front of
 * them may have a signature, whose length differs between the twins. */
static size_t tail(struct span s)
{
    size_t last = 0, both = 0;

    while (s.n > 0) {
        both = last;
        last = RECORD_HEAD + ((size_t)s.p[3] << 8 | s.p[4]);
        both += last;
        s = span_from(s, last);
    }
    return both;
}

static void feed(struct twin *t, struct cursor cuts, uint8_t changed, uint8_t bits)
{
    struct bytes o = bytes_taken(&t->to_c);
    bool done = false;
    size_t at = 0;

    if (bits != 0 && changed < tail(bytes_span(&o)))
        o.p[o.n - 1 - changed] ^= bits;
    while (at < o.n && t->last == ERR_MORE) {
        const size_t to = cuts.rest.n > 0 ? cut_at(&cuts, o.n) : o.n;
        if (to <= at)
            continue;
        piece(t, &done, span_of(o.p + at, to - at));
        at = to;
    }
    free(o.p);
}

/* Checks that the peer reads what c writes. */
static void answer(struct twin *t, bool early)
{
    char got[16];
    size_t n = 0;

    INSIST(tls_conn_write(t->c, span_str("answer")) == ERR_OK);
    struct bytes o = bytes_taken(&t->to_peer);
    t->window.in = bytes_span(&o);
    if (early)
        INSIST(SSL_do_handshake(t->peer) == 1);
    INSIST(SSL_read_ex(t->peer, got, sizeof got, &n) == 1 && n == 6 &&
           memcmp(got, "answer", 6) == 0);
    free(o.p);
}

static void run(struct twin *t, struct cursor in, const struct twins_suite *suite, bool server,
                bool own)
{
    const bool early = suite->tls13 && !server;
    const uint8_t changed = cursor_u8(&in), bits = cursor_u8(&in);
    uint8_t text[TEXT_MAX] = {0};
    const size_t n = (size_t)cursor_u8(&in) + 1;

    twin_init(t, suite, server, own);
    INSIST(tls_conn_handshake(t->c) == ERR_MORE);
    if (!peer_writes(t, early, span_of(text, n)))
        INSIST(false);
    feed(t, in, changed, bits);
    if (bits != 0) /* a changed length may call for more bytes */
        return;
    INSIST(t->last == ERR_MORE);
    INSIST(span_eq(bytes_span(&t->text), span_of(text, n)));
    INSIST(strcmp(tls_conn_records(t->c), own ? "gate" : "openssl") == 0);
    answer(t, early);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor in = cursor_of(span_of(data, size));
    const uint8_t plan = cursor_u8(&in);
    const struct twins_suite *suite = &twins_suites[plan / 2 % TWINS_SUITES];
    const bool server = suite->tls13 && plan % 2; /* a server of TLS 1.2 finishes last */
    struct twin ours, model;

    run(&ours, in, suite, server, true);
    run(&model, in, suite, server, false);
    INSIST(ours.last == model.last);
    INSIST(bytes_eq(&ours.text, &model.text));
    twin_free(&ours);
    twin_free(&model);
    return 0;
}
