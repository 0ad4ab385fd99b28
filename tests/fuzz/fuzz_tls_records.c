/* The input is a list of steps for two connections after their handshakes, one with the gate's
 * records and one with OpenSSL's, which must have equal results. A step is what the peer sends (a
 * record of any type and content, a KeyUpdate, a changed or a raw byte) or what the owner does. */
#include "../unit/tls/twins.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct twins t;
    struct cursor in;
    size_t piece, cap;
    bool stopped; /* OpenSSL could not write in the middle of a message */
};

enum {
    STEP = 88
}; /* the longest content, (255 - 64) * STEP + 255 bytes, is a little longer than a record */

static uint8_t pattern[(255 - 64) * STEP + 256];

/* Returns bytes of the input, or, for a length above 64, a part of the pattern. */
static struct span content(struct run *r)
{
    const uint8_t n = cursor_u8(&r->in);

    if (n <= 64)
        return cursor_take(&r->in, n < r->in.rest.n ? n : r->in.rest.n);
    return span_of(pattern, (size_t)(n - 64) * STEP + cursor_u8(&r->in));
}

static void seal(struct run *r, uint8_t type, struct span plain)
{
    const uint8_t padding = cursor_u8(&r->in);

    plain = span_sub(plain, 0, RECORD_PLAIN_MAX);
    const size_t room = RECORD_PLAIN_MAX - plain.n;

    twins_seal(&r->t, type, plain, padding < 128 ? 0 : padding < room ? padding : room);
}

static void feed(struct run *r)
{
    twins_feed(&r->t, r->piece, r->cap);
}

static void step_record(struct run *r)
{
    static const uint8_t types[] = {23, 22, 21, 20};
    const uint8_t type = cursor_u8(&r->in);

    seal(r, type < 4 ? types[type] : type, content(r));
}

static void step_key_update(struct run *r)
{
    const uint8_t message[] = {24, 0, 0, 1, cursor_u8(&r->in) & 1};

    seal(r, 22, span_of(message, sizeof message));
    if (r->t.ours.tls13)
        twins_update(&r->t);
}

static void step_alert(struct run *r)
{
    const uint8_t alert[] = {cursor_u8(&r->in), cursor_u8(&r->in)};

    seal(r, 21, span_of(alert, sizeof alert));
}

/* A whole handshake message with a length that is right. */
static void step_message(struct run *r)
{
    uint8_t message[4 + 64] = {cursor_u8(&r->in)};
    const struct span body = span_sub(content(r), 0, 64);

    message[3] = (uint8_t)body.n;
    if (body.n > 0)
        memcpy(message + 4, body.p, body.n);
    seal(r, 22, span_of(message, 4 + body.n));
}

/* Changes a byte of what the peer is about to send. Counted from the end, so that the heads have
 * the same place in both. */
static void step_change(struct run *r)
{
    const size_t at = cursor_u8(&r->in), n = r->t.ours.to_c.n;
    const uint8_t bits = cursor_u8(&r->in);

    INSIST(n == r->t.model.to_c.n);
    if (at >= n)
        return;
    r->t.ours.to_c.p[n - 1 - at] ^= bits;
    r->t.model.to_c.p[n - 1 - at] ^= bits;
}

static void step_raw(struct run *r)
{
    const struct span s = content(r);

    bytes_add(&r->t.ours.to_c, s);
    bytes_add(&r->t.model.to_c, s);
}

static void print_sent(const char *whose, const struct twin *t)
{
    fprintf(stderr, "%s:", whose);
    for (size_t i = 0; i < t->sent.n && i < 200; i++)
        fprintf(stderr, " %02x", t->sent.p[i]);
    fprintf(stderr, "\n");
}

static void check(struct run *r)
{
    const char *what = twins_differ(&r->t);

    if (what == NULL)
        return;
    fprintf(stderr, "%s differs: ours %d '%s', OpenSSL %d '%s'\n", what, (int)r->t.ours.last,
            tls_conn_error(r->t.ours.c), (int)r->t.model.last, tls_conn_error(r->t.model.c));
    print_sent("sent by ours", &r->t.ours);
    print_sent("sent by OpenSSL", &r->t.model);
    abort();
}

static void step_write(struct run *r)
{
    const struct span s = content(r);

    feed(r);
    if (s.n == 0)
        return;
    if (r->t.ours.last != r->t.model.last) { /* only where twins.h permits it */
        check(r);
        r->stopped = true;
        return;
    }
    const enum err a = tls_conn_write(r->t.ours.c, s), b = tls_conn_write(r->t.model.c, s);
    if (a == b)
        return;
    INSIST(strstr(tls_conn_error(r->t.model.c), "a fragmented handshake message") != NULL);
    r->stopped = true;
}

/* OpenSSL sends no close_notify in the middle of a message, also after that of the peer; see
 * README.md. */
static void step_shutdown(struct run *r)
{
    feed(r);
    const size_t a = r->t.ours.to_peer.n, b = r->t.model.to_peer.n;
    tls_conn_shutdown(r->t.ours.c);
    tls_conn_shutdown(r->t.model.c);
    const bool ours = r->t.ours.to_peer.n > a, model = r->t.model.to_peer.n > b;
    const enum err last = r->t.ours.last;
    if (ours && !model && last == r->t.model.last && (last == ERR_MORE || last == ERR_CLOSED))
        r->stopped = true;
}

static void step_rest(struct run *r)
{
    feed(r);
    tls_conn_rest(r->t.ours.c);
    tls_conn_rest(r->t.model.c);
}

static void step_piece(struct run *r)
{
    r->piece = (size_t)cursor_u8(&r->in) + 1;
    if (r->piece > 200)
        r->piece = SIZE_MAX;
}

/* Heads have the same size in both, and so has everything else: only the keys differ. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const steps[])(struct run *) = {
        step_record, step_key_update, step_alert,    step_message, step_change,
        step_raw,    step_write,      step_shutdown, step_rest,    step_piece,
    };
    struct run r = {.in = cursor_of(span_of(data, size)), .piece = SIZE_MAX};
    const uint8_t plan = cursor_u8(&r.in), cap = cursor_u8(&r.in);

    if (size > 1024)
        return 0;
    r.cap = cap < 200 ? (size_t)cap + 1 : 20000;
    twins_init(&r.t, &twins_suites[plan / 2 % 6] /* with RSA all is slower */, plan % 2);
    while (r.in.rest.n > 0 && !r.stopped)
        steps[cursor_u8(&r.in) % (sizeof steps / sizeof *steps)](&r);
    if (!r.stopped) {
        feed(&r);
        check(&r);
    }
    twins_free(&r.t);
    return 0;
}
