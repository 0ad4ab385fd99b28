#include "tls/tls_session.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "tls/tls_internal.h"
#include "tls/tls_settings.h"

struct tls_session {
    atomic_uint refs;
    SSL_SESSION *ssl; /* never given to a connection */
    unsigned char *leaf;
    size_t leaf_n;
};

struct tls_session *tls_session_ref(struct tls_session *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void tls_session_unref(struct tls_session *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    SSL_SESSION_free(s->ssl);
    OPENSSL_free(s->leaf);
    free(s);
}

struct span tls_session_leaf(const struct tls_session *s)
{
    return span_of(s->leaf, s->leaf_n);
}

/* Returns when the session began. OpenSSL 3.3 has a function that also works after 2038 where a
 * long has 32 bits, and 3.4 deprecates the older one. */
static time_t begin_of(const SSL_SESSION *s)
{
#if OPENSSL_VERSION_NUMBER >= 0x30300000L
    return SSL_SESSION_get_time_ex(s);
#else
    return (time_t)SSL_SESSION_get_time(s);
#endif
}

/* If the server gives no lifetime, OpenSSL's default applies to TLS 1.2, and TLS 1.3 forbids the
 * use (RFC 8446 4.6.1). */
bool tls_session_is_fresh(const struct tls_session *s, time_t now)
{
    const time_t age = now - begin_of(s->ssl);
    time_t lifetime = (time_t)SSL_SESSION_get_ticket_lifetime_hint(s->ssl);

    if (lifetime == 0 && SSL_SESSION_get_protocol_version(s->ssl) < TLS1_3_VERSION)
        lifetime = (time_t)SSL_SESSION_get_timeout(s->ssl);
    return age >= 0 && age < lifetime;
}

/* ---- the scope of a session ---- */

static EVP_MD_CTX *hash_new(void)
{
    EVP_MD_CTX *hash = insist_alloc(EVP_MD_CTX_new());
    INSIST(EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1);
    return hash;
}

static void hash_end(EVP_MD_CTX *hash, uint8_t out[TLS_SCOPE])
{
    INSIST(EVP_DigestFinal_ex(hash, out, NULL) == 1);
    EVP_MD_CTX_free(hash);
}

static void hash_number(EVP_MD_CTX *hash, uint64_t number)
{
    INSIST(EVP_DigestUpdate(hash, &number, sizeof number) == 1);
}

static void hash_text(EVP_MD_CTX *hash, const char *text)
{
    /* The first byte distinguishes no text from an empty one, and the NUL ends the text. */
    INSIST(EVP_DigestUpdate(hash, text == NULL ? "-" : "+", 1) == 1);
    if (text != NULL)
        INSIST(EVP_DigestUpdate(hash, text, strlen(text) + 1) == 1);
}

void tls_session_scope(const struct tls_settings *settings, uint64_t ca, uint8_t out[TLS_SCOPE])
{
    EVP_MD_CTX *hash = hash_new();

    hash_number(hash, ca);
    hash_number(hash, settings->min);
    hash_number(hash, settings->max);
    hash_number(hash, (uint64_t)settings->security_level);
    hash_text(hash, settings->ciphers);
    hash_text(hash, settings->ciphersuites);
    hash_text(hash, settings->groups);
    hash_end(hash, out);
}

/* Computes the scope of a connection: that of its context, and the names. It is the session id
 * context, which OpenSSL compares, too. */
static void scope_of(SSL *ssl, uint8_t out[TLS_SCOPE])
{
    const struct tls_ctx *ctx = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    char *ip = X509_VERIFY_PARAM_get1_ip_asc(param);
    EVP_MD_CTX *hash = hash_new();

    INSIST(EVP_DigestUpdate(hash, ctx->scope, TLS_SCOPE) == 1);
    hash_text(hash, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
    hash_text(hash, X509_VERIFY_PARAM_get0_host(param, 0));
    hash_text(hash, ip);
    hash_end(hash, out);
    OPENSSL_free(ip);
}

static bool belongs(const struct tls_session *s, const uint8_t scope[TLS_SCOPE])
{
    unsigned n;
    const uint8_t *of = SSL_SESSION_get0_id_context(s->ssl, &n);

    return n == TLS_SCOPE && memcmp(of, scope, TLS_SCOPE) == 0;
}

/* ---- from and to a connection ---- */

static void scope_set(SSL *ssl, const uint8_t scope[TLS_SCOPE])
{
    INSIST(SSL_set_session_id_context(ssl, scope, TLS_SCOPE) == 1);
    SSL_clear_options(ssl, SSL_OP_NO_TICKET);
}

void tls_session_want(SSL *ssl)
{
    uint8_t scope[TLS_SCOPE];

    scope_of(ssl, scope);
    scope_set(ssl, scope);
}

static bool is_usable(const SSL *ssl)
{
    const SSL_SESSION *session = SSL_get_session(ssl);

    return SSL_is_init_finished(ssl) && !SSL_session_reused(ssl) && session != NULL &&
           SSL_SESSION_is_resumable(session) && SSL_get_verify_result(ssl) == X509_V_OK &&
           SSL_get0_peer_certificate(ssl) != NULL &&
           (SSL_version(ssl) >= TLS1_3_VERSION || SSL_get_extms_support((SSL *)ssl) == 1);
}

struct tls_session *tls_session_of(SSL *ssl)
{
    if (!is_usable(ssl))
        return NULL;
    struct tls_session *s = NEW(struct tls_session);
    atomic_init(&s->refs, 1);
    s->ssl = insist_alloc(SSL_SESSION_dup(SSL_get_session(ssl)));
    const int n = i2d_X509(SSL_get0_peer_certificate(ssl), &s->leaf);
    INSIST(n > 0); /* it was parsed */
    s->leaf_n = (size_t)n;
    return s;
}

bool tls_session_offer(const struct tls_session *s, SSL *ssl)
{
    uint8_t scope[TLS_SCOPE];

    scope_of(ssl, scope);
    if (!belongs(s, scope))
        return false;
    scope_set(ssl, scope);
    SSL_SESSION *copy = insist_alloc(SSL_SESSION_dup(s->ssl));
    INSIST(SSL_set_session(ssl, copy) == 1);
    SSL_SESSION_free(copy);
    return true;
}
