#include "tls/tls_bio.h"

#include <endian.h>
#include <pthread.h>

#include "base/insist.h"

static BIO_METHOD *window_method;

const char *tls_use_exceeded(const struct tls_use *u)
{
    if (u->unasked > TLS_UNASKED_MAX)
        return "too many messages that only need an answer";
    if (u->messages > TLS_MESSAGES_MAX + u->taken / TLS_MESSAGE_OCTETS)
        return "too many messages without data";
    return NULL;
}

const char *tls_window_exhausted(const struct tls_window *w)
{
    return w->use.taken >= w->handshake ? "too many bytes for a handshake"
                                        : tls_use_exceeded(&w->use);
}

void tls_window_on_info(const SSL *ssl, int where, int ret)
{
    struct tls_window *w = BIO_get_data(SSL_get_rbio(ssl));

    /* OpenSSL leaves its state machine with 1 once for each message, even if a message takes
     * several steps, and with another result whenever a part of the message is missing. */
    if ((where & SSL_CB_EXIT) != 0 && ret == 1 && w->handshake == UINT64_MAX)
        w->use.messages++;
}

static int window_read(BIO *bio, char *out, size_t cap, size_t *done)
{
    struct tls_window *w = BIO_get_data(bio);
    size_t n = w->in.n < cap ? w->in.n : cap;

    BIO_clear_retry_flags(bio);
    *done = n;
    /* OpenSSL reads only the missing part of a record (it does not read ahead), so a record that
     * would exceed the bound is refused whole. */
    if (cap > w->handshake - w->use.taken)
        w->use.taken = w->handshake;
    if (tls_window_exhausted(w) != NULL) {
        *done = 0;
        return 0; /* without a retry flag: the connection fails */
    }
    if (n == 0) {
        BIO_set_retry_read(bio); /* the owner, not the BIO, reports the end of the stream */
        return 0;
    }
    memcpy(out, w->in.p, n);
    w->in = span_from(w->in, n);
    w->use.taken += n;
    return 1;
}

/* Notes the explicit nonce of the record at the end of a write, if the record can be the Finished
 * of TLS 1.2 with AES-GCM: it has 16 bytes, between 8 of the nonce and 16 of the tag (RFC 5288 3).
 */
static void finished_note(struct tls_window *w, struct span written)
{
    static const uint8_t head[] = {22, 3, 3, 0, 8 + 16 + 16};
    const size_t n = sizeof head + 8 + 16 + 16;

    w->finished_sent = written.n >= n && memcmp(written.p + written.n - n, head, sizeof head) == 0;
    if (w->finished_sent) {
        memcpy(&w->explicit_nonce, written.p + written.n - n + sizeof head, 8);
        w->explicit_nonce = be64toh(w->explicit_nonce);
    }
}

static int window_write(BIO *bio, const char *octets, size_t n, size_t *done)
{
    struct tls_window *w = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    /* One record can have thousands of messages that need an answer, and the limit is checked when
     * the next record is read. OpenSSL makes no further answers after a write that has failed. */
    if (w->reading && w->use.unasked > TLS_UNASKED_MAX)
        return 0;
    w->use.unasked++;
    finished_note(w, span_of(octets, n));
    w->sink(w->arg, span_of(octets, n));
    *done = n;
    return 1;
}

static long window_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    (void)bio, (void)num, (void)ptr;
    return cmd == BIO_CTRL_FLUSH; /* the owner flushes; no other command is supported */
}

static void method_free(void)
{
    BIO_meth_free(window_method);
}

static void method_init(void)
{
    window_method =
        insist_alloc(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "window"));
    BIO_meth_set_read_ex(window_method, window_read);
    BIO_meth_set_write_ex(window_method, window_write);
    BIO_meth_set_ctrl(window_method, window_ctrl);
    OPENSSL_atexit(method_free);
}

BIO *tls_bio_new(struct tls_window *w)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    INSIST(pthread_once(&once, method_init) == 0);
    BIO *bio = insist_alloc(BIO_new(window_method));
    BIO_set_data(bio, w);
    BIO_set_init(bio, 1);
    return bio;
}
