#include "tls/handover.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <string.h>

#include "base/insist.h"
#include "base/secrets.h"
#include "tls/aead.h"

enum { SECRET_MAX = 48, RANDOM = 32, MASTER = 48 };

/* ---- TLS 1.3: the key log ---- */

struct secret {
    uint8_t octets[SECRET_MAX];
    size_t n; /* 0: not seen */
};

struct handover_secrets {
    struct secret client, server;
};

void handover_secrets_free(struct handover_secrets *s)
{
    secrets_free(s, sizeof *s);
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads hexadecimal digits up to the end of the line. Anything else leaves s->n at 0. */
static void secret_read(struct secret *s, const char *hex)
{
    const size_t n = strlen(hex);

    s->n = 0;
    if (n % 2 != 0 || n / 2 > SECRET_MAX)
        return;
    for (size_t i = 0; i < n / 2; i++) {
        const int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return;
        s->octets[i] = (uint8_t)(high << 4 | low);
    }
    s->n = n / 2;
}

/* Keeps the secret of a line "LABEL RANDOM SECRET" with this label, see NSS Key Log Format. */
static void line_keep(struct secret *s, const char *line, const char *label)
{
    const size_t n = strlen(label), secret = n + 1 + 2 * RANDOM + 1;

    if (strncmp(line, label, n) == 0 && line[n] == ' ' && strlen(line) > secret &&
        line[secret - 1] == ' ')
        secret_read(s, line + secret);
}

static void secret_keep(struct tls_window *w, const char *line)
{
    if (w->secrets == NULL)
        w->secrets = secrets_alloc(sizeof *w->secrets);
    line_keep(&w->secrets->client, line, "CLIENT_TRAFFIC_SECRET_0");
    line_keep(&w->secrets->server, line, "SERVER_TRAFFIC_SECRET_0");
}

void handover_on_keys(const SSL *ssl, const char *line)
{
    struct tls_window *w = BIO_get_data(SSL_get_rbio(ssl));
    const bool traffic = strstr(line, "_TRAFFIC_SECRET_0 ") != NULL;

    if (w->on_keys != NULL)
        w->on_keys(w->on_keys_arg, line);
    else if (traffic)
        SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), NULL);
    if (traffic && w->own_records)
        secret_keep(w, line);
}

/* Each Finished of TLS 1.3, sent or received, is followed by the traffic secret of one direction.
 */
static void on_message(int sent, int version, int type, const void *message, size_t n, SSL *ssl,
                       void *arg)
{
    (void)sent, (void)version, (void)arg;
    if (type == SSL3_RT_HANDSHAKE && n > 0 && *(const uint8_t *)message == SSL3_MT_FINISHED &&
        SSL_version(ssl) == TLS1_3_VERSION)
        SSL_CTX_set_keylog_callback(SSL_get_SSL_CTX(ssl), handover_on_keys);
}

void handover_watch(SSL *ssl)
{
    SSL_set_msg_callback(ssl, on_message);
}

void handover_unwatch(SSL *ssl)
{
    SSL_set_msg_callback(ssl, NULL);
}

/* ---- checks ---- */

/* Returns why the connection must stay with OpenSSL; NULL: no reason. */
static const char *ssl_check(SSL *ssl)
{
    if (!SSL_is_init_finished(ssl) || SSL_get_shutdown(ssl) != 0)
        return "not open";
    if (SSL_has_pending(ssl) || SSL_pending(ssl) > 0)
        return "bytes inside OpenSSL";
    if (SSL_renegotiate_pending(ssl) || SSL_get_key_update_type(ssl) != SSL_KEY_UPDATE_NONE)
        return "a message is due";
    if (SSL_get_current_compression(ssl) != NULL)
        return "compression";
    if (SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl)) !=
        TLSEXT_max_fragment_length_DISABLED)
        return "a limit on records";
    return NULL;
}

/* ---- TLS 1.3 ---- */

/* Takes the secrets of TLS 1.3. The first record after the handshake has the number 0, because
 * contexts of servers send no tickets, which would be records, too. */
static const char *take_13(SSL *ssl, const struct tls_window *w, uint16_t suite,
                           struct handover *out)
{
    const struct handover_secrets *s = w->secrets;
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    const size_t n = md == NULL ? 0 : (size_t)EVP_MD_get_size(md);

    if (SSL_is_server(ssl) && SSL_get_num_tickets(ssl) != 0)
        return "tickets";
    if (s == NULL || n == 0 || s->client.n != n || s->server.n != n)
        return "no secrets";
    const struct span client = span_of(s->client.octets, n), server = span_of(s->server.octets, n);
    out->in = record_side_13(suite, SSL_is_server(ssl) ? client : server, 0);
    out->out = record_side_13(suite, SSL_is_server(ssl) ? server : client, 0);
    return NULL;
}

/* ---- TLS 1.2 ---- */

struct keys_12 {
    uint8_t master[MASTER];
    uint8_t seed[13 + 2 * RANDOM]; /* the label, and the randoms of the server and the client */
    uint8_t block[2 * AEAD_KEY_MAX + 2 * AEAD_NONCE];
};

/* Expands the master secret (RFC 5246 6.3). */
static bool expand_12(SSL *ssl, struct keys_12 *k, size_t n)
{
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                         (char *)(uintptr_t)EVP_MD_get0_name(md), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, k->master, sizeof k->master),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, k->seed, sizeof k->seed),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *ctx = kdf == NULL ? NULL : EVP_KDF_CTX_new(kdf);
    const bool ok = ctx != NULL && EVP_KDF_derive(ctx, k->block, n, params) == 1;

    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

static bool seed_12(SSL *ssl, struct keys_12 *k)
{
    memcpy(k->seed, "key expansion", 13);
    return SSL_get_server_random(ssl, k->seed + 13, RANDOM) == RANDOM &&
           SSL_get_client_random(ssl, k->seed + 13 + RANDOM, RANDOM) == RANDOM &&
           SSL_SESSION_get_master_key(SSL_get_session(ssl), k->master, MASTER) == MASTER;
}

/* Cuts the key block: the keys of the client and the server, and their IVs. */
static void sides_12(SSL *ssl, const struct keys_12 *k, uint16_t suite, struct handover *out)
{
    const size_t key = record_key_size(suite), iv = record_iv_size(suite);
    struct span block = span_of(k->block, 2 * (key + iv));
    struct record_side *client = record_side_12(suite, span_sub(block, 0, key),
                                                span_sub(block, 2 * key, iv), 1),
                       *server = record_side_12(suite, span_sub(block, key, key),
                                                span_sub(block, 2 * key + iv, iv), 1);

    out->in = SSL_is_server(ssl) ? client : server;
    out->out = SSL_is_server(ssl) ? server : client;
}

/* Takes the keys of TLS 1.2. Finished had the number 0. OpenSSL starts the explicit nonces of
 * AES-GCM at a random number; here they continue behind that of Finished, so that none occurs
 * twice. */
static const char *take_12(SSL *ssl, const struct tls_window *w, uint16_t suite,
                           struct handover *out)
{
    const size_t n = 2 * (record_key_size(suite) + record_iv_size(suite));
    const bool gcm = record_iv_size(suite) < AEAD_NONCE;

    if (gcm && !w->finished_sent)
        return "no nonce";
    struct keys_12 *k = secrets_alloc(sizeof *k);
    const bool ok = seed_12(ssl, k) && expand_12(ssl, k, n);
    if (ok) {
        sides_12(ssl, k, suite, out);
        record_set_explicit(out->out, w->explicit_nonce + 1);
    }
    secrets_free(k, sizeof *k);
    return ok ? NULL : "no keys";
}

const char *handover_take(SSL *ssl, const struct tls_window *w, struct handover *out)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
    const bool tls13 = SSL_version(ssl) == TLS1_3_VERSION;
    const uint16_t suite = cipher == NULL ? 0 : SSL_CIPHER_get_protocol_id(cipher);
    const char *why = ssl_check(ssl);

    *out = (struct handover){.tls13 = tls13};
    if (why != NULL)
        return why;
    if ((!tls13 && SSL_version(ssl) != TLS1_2_VERSION) || !record_suite_known(suite, tls13))
        return "version or cipher";
    out->update = tls13 && SSL_CIPHER_get_cipher_nid(cipher) != NID_chacha20_poly1305;
    return tls13 ? take_13(ssl, w, suite, out) : take_12(ssl, w, suite, out);
}
