#include "tls/tls_ctx.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "tls/tls_internal.h"

/* The oldest entry of OpenSSL's queue is the cause, what follows are the callers' laments. */
void tls_error_text(char out[TLS_ERROR_MAX], const char *what)
{
    unsigned long e = ERR_peek_error();
    const char *reason = e == 0 ? NULL : ERR_reason_error_string(e);
    if (reason == NULL && ERR_SYSTEM_ERROR(e))
        reason = strerror((int)ERR_GET_REASON(e));
    snprintf(out, TLS_ERROR_MAX, "%s%s%s", what, *what != '\0' ? ": " : "",
             reason == NULL ? "unknown error" : reason);
    ERR_clear_error();
}

/* A key that wants a passphrase must not make a daemon wait at a terminal. */
static int no_passphrase(char *buf, int size, int rwflag, void *arg)
{
    (void)buf, (void)size, (void)rwflag, (void)arg;
    return -1;
}

static bool settings_apply(SSL_CTX *ssl, const struct tls_settings *s, char *error)
{
    int level = s->security_level;

    if (level < 0 && s->min < TLS_1_2)
        level = 0;
    if (level >= 0)
        SSL_CTX_set_security_level(ssl, level);
    if (!SSL_CTX_set_min_proto_version(ssl, (int)s->min) ||
        !SSL_CTX_set_max_proto_version(ssl, (int)s->max)) {
        tls_error_text(error, "protocol versions");
        return false;
    }
    /* The library's default list drops by level, but an explicit list is the administrator's. */
    if (s->ciphers != NULL && !SSL_CTX_set_cipher_list(ssl, s->ciphers)) {
        tls_error_text(error, "ciphers");
        return false;
    }
    if (s->ciphersuites != NULL && !SSL_CTX_set_ciphersuites(ssl, s->ciphersuites)) {
        tls_error_text(error, "ciphersuites");
        return false;
    }
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    if (level == 0)
        /* RFC 5746 came in 2010; servers that need level 0 may be older (PROTOCOL.md 6.1) */
        SSL_CTX_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_default_passwd_cb(ssl, no_passphrase);
    return true;
}

static struct tls_ctx *ctx_new(const SSL_METHOD *method, const struct tls_settings *settings,
                               char *error)
{
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new(method);
    if (ssl == NULL) {
        tls_error_text(error, "OpenSSL");
        return NULL;
    }
    if (!settings_apply(ssl, settings, error)) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    struct tls_ctx *ctx = NEW(struct tls_ctx);
    ctx->ssl = ssl;
    return ctx;
}

struct tls_ctx *tls_ctx_new_server(const struct tls_settings *settings, const char *certificate,
                                   const char *key, char error[TLS_ERROR_MAX])
{
    struct tls_ctx *ctx = ctx_new(TLS_server_method(), settings, error);
    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_num_tickets(ctx->ssl, 0);
    SSL_CTX_set_options(ctx->ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    if (SSL_CTX_use_certificate_chain_file(ctx->ssl, certificate) != 1) {
        tls_error_text(error, certificate);
        goto fail;
    }
    if (key == NULL)
        key = certificate;
    if (SSL_CTX_use_PrivateKey_file(ctx->ssl, key, SSL_FILETYPE_PEM) != 1) {
        tls_error_text(error, key);
        goto fail;
    }
    /* A key of another kind than the certificate's is taken without a word until here. */
    if (SSL_CTX_check_private_key(ctx->ssl) != 1) {
        tls_error_text(error, key);
        goto fail;
    }
    return ctx;
fail:
    tls_ctx_free(ctx);
    return NULL;
}

struct tls_ctx *tls_ctx_new_client(const struct tls_settings *settings, const char *ca_file,
                                   char error[TLS_ERROR_MAX])
{
    struct tls_ctx *ctx = ctx_new(TLS_client_method(), settings, error);
    if (ctx == NULL || ca_file == NULL)
        return ctx;
    int ok = strcmp(ca_file, "system") == 0
                 ? SSL_CTX_set_default_verify_paths(ctx->ssl)
                 : SSL_CTX_load_verify_locations(ctx->ssl, ca_file, NULL);
    if (ok != 1) {
        tls_error_text(error, ca_file);
        tls_ctx_free(ctx);
        return NULL;
    }
    SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
    /* A leaf or an intermediate that was put into ca-file is trusted as it stands there. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx->ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return ctx;
}

void tls_ctx_free(struct tls_ctx *ctx)
{
    if (ctx == NULL)
        return;
    SSL_CTX_free(ctx->ssl);
    free(ctx);
}
