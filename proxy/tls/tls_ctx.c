#include "tls/tls_ctx.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "tls/handover.h"
#include "tls/tls_bio.h"
#include "tls/tls_device.h"
#include "tls/tls_doubts.h"
#include "tls/tls_facts.h"
#include "tls/tls_internal.h"
#include "tls/tls_library.h"
#include "tls/tls_peer.h"
#include "tls/tls_time.h"

/* Writes an error that contains the name that the library has refused in the list. */
static void groups_error(SSL_CTX *ssl, const char *list, char *error)
{
    char name[64];

    for (size_t n; *list != '\0'; list += n + (list[n] == ':')) {
        n = strcspn(list, ":");
        snprintf(name, sizeof name, "%.*s", (int)n, list);
        if (SSL_CTX_set1_groups_list(ssl, name) == 1)
            continue;
        snprintf(error, TLS_ERROR_MAX, "groups: OpenSSL %s does not know '%s'",
                 OpenSSL_version(OPENSSL_VERSION_STRING), name);
        return;
    }
    snprintf(error, TLS_ERROR_MAX, "groups: a group is listed twice");
}

static bool groups_apply(SSL_CTX *ssl, const char *list, char *error)
{
    const bool ok = SSL_CTX_set1_groups_list(ssl, list) == 1;

    if (!ok)
        groups_error(ssl, list, error);
    ERR_clear_error();
    return ok;
}

/* A key in a device signs only: its decryption would show to a client whether the padding was
 * right, and a TPM cannot decrypt for TLS. */
static bool is_offered(const SSL_CIPHER *c, bool device)
{
    return (!device || SSL_CIPHER_get_kx_nid(c) != NID_kx_rsa) &&
           SSL_CIPHER_get_auth_nid(c) != NID_auth_null &&
           SSL_CIPHER_get_cipher_nid(c) != NID_undef && SSL_CIPHER_get_kx_nid(c) != NID_kx_dhe;
}

/* Returns the names of the cipher suites of the context that may be offered, without those of TLS
 * 1.3, which `ciphersuites` sets. The caller frees. */
static char *offered_names(SSL_CTX *ssl, bool device)
{
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ssl);
    char *names;
    size_t size;
    FILE *f = insist_alloc(open_memstream(&names, &size));

    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);
        if (SSL_CIPHER_get_kx_nid(c) != NID_kx_any && is_offered(c, device))
            fprintf(f, "%s:", SSL_CIPHER_get_name(c));
    }
    INSIST(fclose(f) == 0);
    return names;
}

/* Sets list without the suites that are never offered. list NULL: the list that the context has
 * already, not "DEFAULT", because an openssl.cnf may have narrowed it. Only an explicit list that
 * becomes empty is an error. */
static bool ciphers_apply(SSL_CTX *ssl, const char *list, char *error)
{
    if (list != NULL && !SSL_CTX_set_cipher_list(ssl, list)) {
        tls_error_text(error, "ciphers");
        return false;
    }
    char *names = offered_names(ssl, false);
    const bool ok = *names == '\0' ? list == NULL : SSL_CTX_set_cipher_list(ssl, names) == 1;
    if (!ok)
        snprintf(error, TLS_ERROR_MAX,
                 "ciphers: the list is empty after cipher suites without a certificate (aNULL), "
                 "without encryption (eNULL) and with DHE were removed");
    ERR_clear_error();
    free(names);
    return ok;
}

/* Removes the suites that need more than signatures of the key. A list that has nothing else is an
 * error. */
static bool ciphers_of_device(SSL_CTX *ssl, char *error)
{
    char *names = offered_names(ssl, true);
    const bool ok = *names != '\0' && SSL_CTX_set_cipher_list(ssl, names) == 1;

    if (!ok)
        snprintf(error, TLS_ERROR_MAX,
                 "ciphers: the list is empty after the suites with RSA key exchange were removed, "
                 "because the key is in a device");
    ERR_clear_error();
    free(names);
    return ok;
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
    if (!ciphers_apply(ssl, s->ciphers, error))
        return false;
    if (s->ciphersuites != NULL && !SSL_CTX_set_ciphersuites(ssl, s->ciphersuites)) {
        tls_error_text(error, "ciphersuites");
        return false;
    }
    if (!groups_apply(ssl, s->groups != NULL ? s->groups : TLS_GROUPS, error))
        return false;
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
    if (level == 0) /* servers that need level 0 may be older than RFC 5746 (PROTOCOL.md 6.1) */
        SSL_CTX_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_info_callback(ssl, tls_window_on_info);
    return true;
}

/* library: NULL: OpenSSL's default one. properties: of the algorithms; NULL: none. */
static SSL_CTX *ssl_new(OSSL_LIB_CTX *library, const char *properties, const SSL_METHOD *method,
                        const struct tls_settings *settings, char *error)
{
    ERR_clear_error();
    SSL_CTX *ssl = SSL_CTX_new_ex(library, properties, method);
    if (ssl == NULL) {
        tls_error_text(error, "OpenSSL");
        return NULL;
    }
    if (!settings_apply(ssl, settings, error)) {
        SSL_CTX_free(ssl);
        return NULL;
    }
    return ssl;
}

/* ---- callbacks of OpenSSL during a handshake ---- */

/* Returns the highest version of the extension supported_versions (RFC 8446 4.2.1); 0: there is
 * none. Reserved values (RFC 8701) have equal halves that end in a. */
static unsigned highest_version(SSL *ssl)
{
    const unsigned char *ext;
    unsigned highest = 0;
    size_t n;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_supported_versions, &ext, &n) != 1)
        return 0;
    for (size_t i = 1; i + 1 < n; i += 2) {
        const unsigned version = (unsigned)ext[i] << 8 | ext[i + 1];
        if ((version & 0x0f0f) != 0x0a0a && version > highest)
            highest = version;
    }
    return highest;
}

/* Notes the version that the client offers. OpenSSL calls it before it chooses one. Without the
 * extension no client can use TLS 1.3, whatever the old field says. */
static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls_window *w = BIO_get_data(SSL_get_rbio(ssl));
    const unsigned legacy = SSL_client_hello_get0_legacy_version(ssl);

    (void)alert, (void)arg;
    w->offered = highest_version(ssl);
    if (w->offered == 0)
        w->offered = legacy > TLS1_2_VERSION ? TLS1_2_VERSION : legacy;
    return SSL_CLIENT_HELLO_SUCCESS;
}

/* Chooses the certificates. OpenSSL calls it for every client, even one that requests no name. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_ctx *ctx = arg;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_group *found = asked == NULL ? NULL : tls_served_find(&ctx->served, asked);

    if (found == NULL && ctx->strict_sni) {
        ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "strict-sni: %s",
                       asked == NULL ? "the client requested no name"
                                     : "no certificate for this name");
        *alert = SSL_AD_UNRECOGNIZED_NAME; /* RFC 6066 3 */
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    if (found == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_set_SSL_CTX(ssl, found->ssl) == NULL) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* Sends the staple. OpenSSL calls it when the certificate has been chosen. */
static int on_status(SSL *ssl, void *arg)
{
    const struct tls_ctx *ctx = arg;
    const struct tls_window *w = BIO_get_data(SSL_get_rbio(ssl));
    const struct tls_staple *staple = tls_served_staple(&ctx->served, SSL_get_certificate(ssl));

    if (staple == NULL || tls_staple_state(staple, w->now) != TLS_STAPLE_FRESH)
        return SSL_TLSEXT_ERR_NOACK;
    unsigned char *copy = insist_alloc(OPENSSL_memdup(staple->der, staple->n));
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)staple->n); /* takes ownership of copy */
    return SSL_TLSEXT_ERR_OK;
}

/* Selects http/1.1 if the client offers it. Otherwise the connection continues without ALPN,
 * although RFC 7301 3.2 requires an alert, because SSTP is older than ALPN. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *n,
                   const unsigned char *offered, unsigned offered_n, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)arg;
    if (SSL_select_next_proto(&chosen, n, ours, sizeof ours - 1, offered, offered_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- a listener ---- */

static SSL_CTX *server_ssl(struct tls_ctx *ctx, const char *properties,
                           const struct tls_settings *settings, char *error)
{
    SSL_CTX *ssl = ssl_new(NULL, properties, TLS_server_method(), settings, error);
    if (ssl == NULL)
        return NULL;
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* OpenSSL calls the first in the context that the connection starts with, the others in the
     * context that the first has chosen. */
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, ctx);
    SSL_CTX_set_tlsext_status_cb(ssl, on_status);
    SSL_CTX_set_tlsext_status_arg(ssl, ctx);
    SSL_CTX_set_client_hello_cb(ssl, on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
    return ssl;
}

struct tls_report {
    tls_on_error to;
    void *arg;
    bool ok; /* no error was reported */
};

static void report_error(struct tls_report *r, size_t certificate, const char *text)
{
    r->to(r->arg, certificate, text);
    r->ok = false;
}

static void load_certificates(struct tls_served *served, const struct tls_certificate *from,
                              SSL_CTX *probe, struct tls_report *r)
{
    char error[TLS_ERROR_MAX];
    for (size_t i = 0; i < served->count; i++)
        if (!tls_served_load(served, i, &from[i], probe, error))
            report_error(r, i, error);
}

static void report_unshown(const struct tls_served *served, struct tls_report *r)
{
    char error[TLS_ERROR_MAX];

    for (size_t i = 0; i < served->count; i++) {
        if (tls_served_is_shown(served, i))
            continue;
        snprintf(
            error, sizeof error,
            "%s: this certificate is never used: certificates above it have the same names and "
            "the same key type",
            served->cert[i].file);
        report_error(r, i,
                     served->cert[i].cert.name_count == 0
                         ? "it has no name that clients could request"
                         : error);
    }
}

static void note_devices(struct tls_ctx *ctx)
{
    for (size_t i = 0; i < ctx->served.count; i++) {
        ctx->device |= tls_device_has(ctx->served.cert[i].cert.key);
        ctx->single |= tls_device_is_single(ctx->served.cert[i].cert.key);
    }
}

static const char *properties_of(const struct tls_served *served, const struct tls_group *g)
{
    return tls_device_properties(served->cert[g->member[0]].cert.key);
}

/* Reports a group of which some keys need other properties. */
static void report_mixed(const struct tls_served *served, struct tls_report *r)
{
    char error[TLS_ERROR_MAX];

    for (size_t i = 0; i < served->group_count; i++) {
        const struct tls_group *g = &served->group[i];
        for (size_t k = 1; k < g->members; k++) {
            const struct tls_served_cert *s = &served->cert[g->member[k]];
            if (tls_device_properties(s->cert.key) == properties_of(served, g))
                continue;
            snprintf(error, sizeof error,
                     "%s: a certificate with the same name has its key elsewhere: all keys of a "
                     "name must be in the TPM, or none",
                     s->file);
            report_error(r, g->member[k], error);
        }
    }
}

static void make_contexts(struct tls_ctx *ctx, const struct tls_settings *settings)
{
    struct tls_served *served = &ctx->served;
    char error[TLS_ERROR_MAX];

    for (size_t i = 0; i < served->group_count; i++) {
        struct tls_group *g = &served->group[i];
        g->ssl = server_ssl(ctx, properties_of(served, g), settings, error);
        INSIST(g->ssl != NULL); /* the probe has the same settings */
        INSIST(!ctx->device || ciphers_of_device(g->ssl, error));
        for (size_t k = 0; k < g->members; k++)
            INSIST(tls_cert_use(&served->cert[g->member[k]].cert, g->ssl));
    }
    ctx->ssl = served->group[0].ssl;
}

struct tls_ctx *tls_ctx_new_server(const struct tls_settings *settings,
                                   const struct tls_certificate *certificate, size_t count,
                                   bool strict_sni, tls_on_error on_error, void *arg)
{
    char error[TLS_ERROR_MAX];
    struct tls_report r = {.to = on_error, .arg = arg, .ok = true};

    INSIST(count > 0);
    struct tls_ctx *ctx = NEW(struct tls_ctx);
    ctx->strict_sni = strict_sni;
    ctx->update_after = settings->key_update ? TLS_UPDATE_AFTER : 0;
    tls_served_init(&ctx->served, count);
    SSL_CTX *probe = server_ssl(ctx, NULL, settings, error);
    if (probe == NULL)
        report_error(&r, TLS_NO_CERTIFICATE, error);
    else
        load_certificates(&ctx->served, certificate, probe, &r);
    if (r.ok) {
        tls_served_group(&ctx->served);
        report_unshown(&ctx->served, &r);
        report_mixed(&ctx->served, &r);
    }
    if (r.ok)
        note_devices(ctx);
    if (r.ok && ctx->device && !ciphers_of_device(probe, error))
        report_error(&r, TLS_NO_CERTIFICATE, error);
    if (r.ok)
        make_contexts(ctx, settings);
    SSL_CTX_free(probe);
    if (r.ok)
        return ctx;
    tls_ctx_free(ctx);
    return NULL;
}

/* ---- the certificates of a listener ---- */

void tls_ctx_expiry(const struct tls_ctx *ctx, time_t now,
                    void (*on_expiry)(void *arg, const struct tls_expiry *e), void *arg)
{
    for (size_t i = 0; i < ctx->served.count; i++) {
        const struct tls_served_cert *s = &ctx->served.cert[i];
        struct tls_expiry e = {
            .certificate = i,
            .file = s->file,
            .staple = tls_staple_state(&s->staple, now),
            .ocsp_file = s->ocsp_file,
            .unusable = s->staple.unusable,
            .rsa_bits = tls_cert_rsa_bits(&s->cert),
        };
        tls_expiry_set(&e, tls_time(X509_get0_notAfter(s->cert.leaf)), now);
        on_expiry(arg, &e);
    }
}

struct with_facts {
    const struct tls_ctx *ctx;
    void (*on_facts)(void *arg, const struct tls_expiry *e, const struct tls_facts *f);
    void *arg;
};

static void add_facts(void *arg, const struct tls_expiry *e)
{
    const struct with_facts *w = arg;
    struct tls_facts facts;

    tls_facts_of(&w->ctx->served.cert[e->certificate].cert, &facts);
    w->on_facts(w->arg, e, &facts);
    tls_facts_fini(&facts);
}

void tls_ctx_facts(const struct tls_ctx *ctx, time_t now,
                   void (*on_facts)(void *arg, const struct tls_expiry *e,
                                    const struct tls_facts *f),
                   void *arg)
{
    struct with_facts w = {.ctx = ctx, .on_facts = on_facts, .arg = arg};
    tls_ctx_expiry(ctx, now, add_facts, &w);
}

/* Receives doubts without their level. */
struct doubt_sink {
    void (*on_doubt)(void *arg, size_t certificate, const char *text);
    void *arg;
};

static void pass_doubt(void *arg, size_t certificate, enum tls_level level, const char *text)
{
    const struct doubt_sink *sink = arg;

    (void)level;
    sink->on_doubt(sink->arg, certificate, text);
}

void tls_ctx_doubts(const struct tls_ctx *ctx, time_t now,
                    void (*on_doubt)(void *arg, size_t certificate, const char *text), void *arg)
{
    struct doubt_sink sink = {.on_doubt = on_doubt, .arg = arg};

    if (ctx->strict_sni && ctx->served.name_count == 0)
        on_doubt(arg, TLS_NO_CERTIFICATE,
                 "strict-sni: no certificate has a name, so every client is refused");
    for (size_t i = 0; i < ctx->served.count; i++) {
        const struct tls_served_cert *s = &ctx->served.cert[i];
        const struct tls_doubts d = {.certificate = i,
                                     .file = s->file,
                                     .stapled = s->ocsp_file != NULL,
                                     .now = now,
                                     .on_doubt = pass_doubt,
                                     .arg = &sink};
        tls_doubts_find(&d, &s->cert);
    }
}

void tls_ctx_ca_doubts(const struct tls_ctx *ctx, const char *ca_file, time_t now,
                       void (*on_doubt)(void *arg, size_t certificate, const char *text), void *arg)
{
    struct doubt_sink sink = {.on_doubt = on_doubt, .arg = arg};
    const struct tls_doubts d = {.certificate = TLS_NO_CERTIFICATE,
                                 .file = ca_file,
                                 .now = now,
                                 .on_doubt = pass_doubt,
                                 .arg = &sink};
    tls_doubts_find_cas(&d, SSL_CTX_get_cert_store(ctx->ssl));
}

bool tls_ctx_has_name(const struct tls_ctx *ctx, const char *host)
{
    if (tls_served_find(&ctx->served, host) != NULL)
        return true;
    for (size_t i = 0; i < ctx->served.count; i++)
        if (X509_check_ip_asc(ctx->served.cert[i].cert.leaf, host, 0) == 1)
            return true;
    return false;
}

void tls_ctx_leaves(const struct tls_ctx *ctx, void (*on_leaf)(void *arg, struct span der),
                    void *arg)
{
    for (size_t i = 0; i < ctx->served.count; i++) {
        unsigned char *der = NULL;
        int n = i2d_X509(ctx->served.cert[i].cert.leaf, &der);
        INSIST(n > 0); /* it was parsed */
        on_leaf(arg, span_of(der, (size_t)n));
        OPENSSL_free(der);
    }
}

/* ---- a backend ---- */

struct tls_ctx *tls_ctx_new_client(const struct tls_settings *settings, const struct tls_ca *ca,
                                   char error[TLS_ERROR_MAX])
{
    SSL_CTX *ssl = ssl_new(tls_library(), NULL, TLS_client_method(), settings, error);
    if (ssl == NULL)
        return NULL;
    struct tls_ctx *ctx = NEW(struct tls_ctx);
    ctx->ssl = ssl;
    ctx->update_after = settings->key_update ? TLS_UPDATE_AFTER : 0;
    tls_session_scope(settings, ca == NULL ? 0 : ca->number, ctx->scope);
    SSL_CTX_set_app_data(ssl, ctx); /* for tls_session.c */
    tls_peer_bound(ssl, ca != NULL);
    if (ca == NULL)
        return ctx;
    SSL_CTX_set1_cert_store(ssl, ca->store);
    /* A leaf or an intermediate in ca-file is trusted without its issuer. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return ctx;
}

void tls_ctx_set_records(struct tls_ctx *ctx, bool own)
{
    ctx->no_records = !own;
}

void tls_ctx_set_keylog(struct tls_ctx *ctx, tls_on_keys on_keys, void *arg)
{
    const SSL_CTX_keylog_cb_func callback = on_keys == NULL ? NULL : handover_on_keys;

    ctx->on_keys = on_keys;
    ctx->on_keys_arg = arg;
    SSL_CTX_set_keylog_callback(ctx->ssl, callback);
    for (size_t i = 0; i < ctx->served.group_count; i++)
        SSL_CTX_set_keylog_callback(ctx->served.group[i].ssl, callback);
}

void tls_ctx_free(struct tls_ctx *ctx)
{
    if (ctx == NULL)
        return;
    if (ctx->served.count == 0) /* otherwise it belongs to a group */
        SSL_CTX_free(ctx->ssl);
    tls_served_fini(&ctx->served);
    free(ctx);
}
