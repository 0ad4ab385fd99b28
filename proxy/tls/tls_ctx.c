#include "tls/tls_ctx.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"
#include "tls/tls_bio.h"
#include "tls/tls_cert.h"
#include "tls/tls_internal.h"
#include "tls/tls_peer.h"
#include "tls/tls_staple.h"

/* The oldest entry of OpenSSL's queue is the cause, what follows are the callers' laments. Those of
 * ERR_LIB_USER are of our own callbacks, in words. */
void tls_error_text(char out[TLS_ERROR_MAX], const char *what)
{
    const char *data = NULL;
    unsigned long e = ERR_peek_error_data(&data, NULL);
    const char *reason = e == 0                           ? NULL
                         : ERR_GET_LIB(e) == ERR_LIB_USER ? data
                                                          : ERR_reason_error_string(e);
    if (reason == NULL && ERR_SYSTEM_ERROR(e))
        reason = strerror((int)ERR_GET_REASON(e));
    snprintf(out, TLS_ERROR_MAX, "%s%s%s", what, *what != '\0' ? ": " : "",
             reason == NULL ? "unknown error" : reason);
    ERR_clear_error();
}

/* Reports the name in list for which the library has refused the list. */
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
    snprintf(error, TLS_ERROR_MAX, "groups: a group is in the list twice");
}

static bool groups_apply(SSL_CTX *ssl, const char *list, char *error)
{
    const bool ok = SSL_CTX_set1_groups_list(ssl, list) == 1;

    if (!ok)
        groups_error(ssl, list, error);
    ERR_clear_error();
    return ok;
}

static bool is_offered(const SSL_CIPHER *c)
{
    return SSL_CIPHER_get_auth_nid(c) != NID_auth_null &&
           SSL_CIPHER_get_cipher_nid(c) != NID_undef && SSL_CIPHER_get_kx_nid(c) != NID_kx_dhe;
}

/* Returns the cipher suites of the context without those of TLS 1.3, which are set with
 * ciphersuites.
 */
static char *offered_names(SSL_CTX *ssl)
{
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ssl);
    char *names;
    size_t size;
    FILE *f = insist_alloc(open_memstream(&names, &size));

    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);
        if (SSL_CIPHER_get_kx_nid(c) != NID_kx_any && is_offered(c))
            fprintf(f, "%s:", SSL_CIPHER_get_name(c));
    }
    INSIST(fclose(f) == 0);
    return names;
}

/* Sets list without the suites that are never offered. NULL: the list of the context and not
 * "DEFAULT", because an openssl.cnf may have narrowed it. Only an explicit list of which nothing is
 * left is an error. */
static bool ciphers_apply(SSL_CTX *ssl, const char *list, char *error)
{
    if (list != NULL && !SSL_CTX_set_cipher_list(ssl, list)) {
        tls_error_text(error, "ciphers");
        return false;
    }
    char *names = offered_names(ssl);
    const bool ok = *names == '\0' ? list == NULL : SSL_CTX_set_cipher_list(ssl, names) == 1;
    if (!ok)
        snprintf(error, TLS_ERROR_MAX,
                 "ciphers: nothing is left: cipher suites without a certificate (aNULL), without "
                 "encryption (eNULL) and with DHE are never used");
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
    if (level == 0)
        /* RFC 5746 came in 2010; servers that need level 0 may be older (PROTOCOL.md 6.1) */
        SSL_CTX_set_options(ssl, SSL_OP_LEGACY_SERVER_CONNECT);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_info_callback(ssl, tls_window_on_info);
    return true;
}

static SSL_CTX *ssl_new(const SSL_METHOD *method, const struct tls_settings *settings, char *error)
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
    return ssl;
}

/* ---- a listener's certificates ---- */

struct tls_served {
    struct tls_cert cert;
    struct tls_staple staple;
    char *file, *ocsp_file;
    time_t until;
};

static bool use_certificate(SSL_CTX *ssl, const struct tls_cert *c)
{
    return SSL_CTX_use_cert_and_key(ssl, c->leaf, c->key, c->chain, 1) == 1;
}

/* probe: a context with the listener's settings, which may be too strict for this certificate. */
static bool served_init(struct tls_served *s, const struct tls_certificate *from, SSL_CTX *probe,
                        char *error)
{
    if (!tls_cert_load(from, true, &s->cert, error))
        return false;
    s->file = insist_alloc(strdup(from->file));
    s->until = tls_time(X509_get0_notAfter(s->cert.leaf));
    ERR_clear_error();
    if (!use_certificate(probe, &s->cert)) {
        if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_PRIVATE_KEY_MISMATCH) {
            snprintf(error, TLS_ERROR_MAX, "%s: the private key is not that of the certificate",
                     from->key != NULL ? from->key : from->file);
            ERR_clear_error();
        } else {
            tls_error_text(error, from->file);
        }
        return false;
    }
    if (from->ocsp_file == NULL)
        return true;
    s->ocsp_file = insist_alloc(strdup(from->ocsp_file));
    return tls_staple_load(from->ocsp_file, s->cert.leaf, &s->staple, error);
}

static void served_fini(struct tls_served *s)
{
    tls_cert_fini(&s->cert);
    tls_staple_fini(&s->staple);
    free(s->file);
    free(s->ocsp_file);
}

/* ---- groups and names ---- */

static bool carries(const struct tls_served *s, const char *name)
{
    for (size_t i = 0; i < s->cert.name_count; i++)
        if (strcmp(s->cert.name[i], name) == 0)
            return true;
    return false;
}

static int key_kind(const struct tls_ctx *ctx, size_t served)
{
    return EVP_PKEY_get_base_id(ctx->served[served].cert.key);
}

/* Of those that carry name the first of each kind of key. */
static struct tls_group choose(const struct tls_ctx *ctx, const char *name)
{
    struct tls_group g = {0};
    for (size_t i = 0; i < ctx->served_count; i++) {
        bool taken = false;
        for (size_t k = 0; k < g.members; k++)
            taken = taken || key_kind(ctx, g.member[k]) == key_kind(ctx, i);
        if (!taken && carries(&ctx->served[i], name)) {
            INSIST(g.members < sizeof g.member / sizeof *g.member);
            g.member[g.members++] = i;
        }
    }
    return g;
}

static size_t add_group(struct tls_ctx *ctx, const struct tls_group *g)
{
    for (size_t i = 0; i < ctx->group_count; i++)
        if (ctx->group[i].members == g->members &&
            memcmp(ctx->group[i].member, g->member, sizeof g->member) == 0)
            return i;
    ctx->group = insist_alloc(reallocarray(ctx->group, ctx->group_count + 1, sizeof *ctx->group));
    ctx->group[ctx->group_count] = *g;
    return ctx->group_count++;
}

static int by_name(const void *a, const void *b)
{
    const struct tls_name *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static bool name_known(const struct tls_ctx *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->name_count; i++)
        if (strcmp(ctx->name[i].name, name) == 0)
            return true;
    return false;
}

/* The first name of the first certificate makes the first group, the default. */
static void collect_groups(struct tls_ctx *ctx)
{
    const struct tls_group alone = {.member = {0}, .members = 1};

    if (ctx->served[0].cert.name_count == 0)
        add_group(ctx, &alone);
    for (size_t i = 0; i < ctx->served_count; i++)
        for (size_t k = 0; k < ctx->served[i].cert.name_count; k++) {
            const char *name = ctx->served[i].cert.name[k];
            if (name_known(ctx, name))
                continue;
            const struct tls_group g = choose(ctx, name);
            ctx->name =
                insist_alloc(reallocarray(ctx->name, ctx->name_count + 1, sizeof *ctx->name));
            ctx->name[ctx->name_count++] =
                (struct tls_name){.name = name, .group = add_group(ctx, &g)};
        }
    if (ctx->name_count > 0)
        qsort(ctx->name, ctx->name_count, sizeof *ctx->name, by_name);
}

/* In any group? */
static bool is_shown(const struct tls_ctx *ctx, size_t served)
{
    for (size_t i = 0; i < ctx->group_count; i++)
        for (size_t k = 0; k < ctx->group[i].members; k++)
            if (ctx->group[i].member[k] == served)
                return true;
    return false;
}

static const struct tls_name *find_exactly(const struct tls_ctx *ctx, const char *name)
{
    const struct tls_name key = {.name = name};
    return ctx->name_count == 0
               ? NULL
               : bsearch(&key, ctx->name, ctx->name_count, sizeof *ctx->name, by_name);
}

/* RFC 6125 6.4.3: the star stands for one whole label, the leftmost. NULL: nobody has the name. */
static const struct tls_name *find_name(const struct tls_ctx *ctx, const char *asked)
{
    char name[TLS_NAME_SIZE];
    if (!tls_name_normal(span_str(asked), name))
        return NULL;
    const struct tls_name *found = find_exactly(ctx, name);
    char *dot = strchr(name, '.');
    if (found != NULL || dot == NULL || dot == name)
        return found;
    dot[-1] = '*';
    return find_exactly(ctx, dot - 1);
}

/* ---- what OpenSSL asks during a handshake ---- */

/* Comes for every client, also for those that name nobody. */
static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_ctx *ctx = arg;
    const char *asked = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_name *found = asked == NULL ? NULL : find_name(ctx, asked);

    if (found == NULL && ctx->strict_sni) {
        ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "strict-sni: %s",
                       asked == NULL ? "no name was asked for" : "no certificate for this name");
        *alert = SSL_AD_UNRECOGNIZED_NAME; /* RFC 6066 3 */
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    if (found == NULL)
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_set_SSL_CTX(ssl, ctx->group[found->group].ssl) == NULL) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

/* Comes when the certificate has been chosen. */
static int on_status(SSL *ssl, void *arg)
{
    const struct tls_ctx *ctx = arg;
    const X509 *leaf = SSL_get_certificate(ssl);

    for (size_t i = 0; i < ctx->served_count; i++) {
        const struct tls_served *s = &ctx->served[i];
        if (s->cert.leaf != leaf || tls_staple_state(&s->staple, time(NULL)) != TLS_STAPLE_FRESH)
            continue;
        unsigned char *copy = insist_alloc(OPENSSL_memdup(s->staple.der, s->staple.n));
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)s->staple.n); /* takes the copy */
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* RFC 7301 3.2 wants an alert where nothing fits, but SSTP is older than ALPN: a client that offers
 * something else is let in without it. */
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

static SSL_CTX *server_ssl(struct tls_ctx *ctx, const struct tls_settings *settings, char *error)
{
    SSL_CTX *ssl = ssl_new(TLS_server_method(), settings, error);
    if (ssl == NULL)
        return NULL;
    SSL_CTX_set_num_tickets(ssl, 0);
    SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* The first is asked in the context that the connection begins with, the others in the one it
     * was switched to. */
    SSL_CTX_set_tlsext_servername_callback(ssl, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(ssl, ctx);
    SSL_CTX_set_tlsext_status_cb(ssl, on_status);
    SSL_CTX_set_tlsext_status_arg(ssl, ctx);
    SSL_CTX_set_alpn_select_cb(ssl, on_alpn, NULL);
    return ssl;
}

struct report {
    tls_on_error to;
    void *arg;
    bool ok; /* nothing was reported */
};

static void report(struct report *r, size_t certificate, const char *text)
{
    r->to(r->arg, certificate, text);
    r->ok = false;
}

static void load_certificates(struct tls_ctx *ctx, const struct tls_certificate *from,
                              SSL_CTX *probe, struct report *r)
{
    char error[TLS_ERROR_MAX];
    for (size_t i = 0; i < ctx->served_count; i++)
        if (!served_init(&ctx->served[i], &from[i], probe, error))
            report(r, i, error);
}

static void make_groups(struct tls_ctx *ctx, const struct tls_settings *settings, struct report *r)
{
    char error[TLS_ERROR_MAX];

    collect_groups(ctx);
    for (size_t i = 0; i < ctx->served_count; i++) {
        if (is_shown(ctx, i))
            continue;
        snprintf(error, sizeof error,
                 "%s: no client would be shown it: certificates above it are for the same names, "
                 "with a key of the same kind",
                 ctx->served[i].file);
        report(r, i,
               ctx->served[i].cert.name_count == 0
                   ? "it has no name by which clients could ask for it"
                   : error);
    }
    for (size_t i = 0; r->ok && i < ctx->group_count; i++) {
        struct tls_group *g = &ctx->group[i];
        g->ssl = server_ssl(ctx, settings, error);
        INSIST(g->ssl != NULL); /* the probe was made of the same settings */
        for (size_t k = 0; k < g->members; k++)
            INSIST(use_certificate(g->ssl, &ctx->served[g->member[k]].cert));
    }
}

struct tls_ctx *tls_ctx_new_server(const struct tls_settings *settings,
                                   const struct tls_certificate *certificate, size_t count,
                                   bool strict_sni, tls_on_error on_error, void *arg)
{
    char error[TLS_ERROR_MAX];
    struct report r = {.to = on_error, .arg = arg, .ok = true};

    INSIST(count > 0);
    struct tls_ctx *ctx = NEW(struct tls_ctx);
    ctx->strict_sni = strict_sni;
    ctx->served = insist_alloc(calloc(count, sizeof *ctx->served));
    ctx->served_count = count;
    SSL_CTX *probe = server_ssl(ctx, settings, error);
    if (probe == NULL)
        report(&r, TLS_NO_CERTIFICATE, error);
    else
        load_certificates(ctx, certificate, probe, &r);
    if (r.ok)
        make_groups(ctx, settings, &r);
    SSL_CTX_free(probe);
    if (!r.ok) {
        tls_ctx_free(ctx);
        return NULL;
    }
    ctx->ssl = ctx->group[0].ssl;
    return ctx;
}

/* ---- expiry ---- */

static int due(int days_left)
{
    static const int steps[] = {0, 1, 7, 30};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++)
        if (days_left < steps[i])
            return steps[i];
    return -1;
}

static int rsa_bits(const EVP_PKEY *key)
{
    const int kind = EVP_PKEY_get_base_id(key);
    return kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS ? EVP_PKEY_get_bits(key) : 0;
}

void tls_ctx_expiry(const struct tls_ctx *ctx, time_t now,
                    void (*on_expiry)(void *arg, const struct tls_expiry *e), void *arg)
{
    enum { DAY = 24 * 3600 };
    for (size_t i = 0; i < ctx->served_count; i++) {
        const struct tls_served *s = &ctx->served[i];
        const time_t left = s->until - now;
        const int days = (int)((left < 0 ? left - (DAY - 1) : left) / DAY);
        const struct tls_expiry e = {
            .certificate = i,
            .file = s->file,
            .days_left = days,
            .due = due(days),
            .staple = tls_staple_state(&s->staple, now),
            .ocsp_file = s->ocsp_file,
            .rsa_bits = rsa_bits(s->cert.key),
        };
        on_expiry(arg, &e);
    }
}

void tls_ctx_leaves(const struct tls_ctx *ctx, void (*on_leaf)(void *arg, struct span der),
                    void *arg)
{
    for (size_t i = 0; i < ctx->served_count; i++) {
        unsigned char *der = NULL;
        int n = i2d_X509(ctx->served[i].cert.leaf, &der);
        INSIST(n > 0); /* it was parsed */
        on_leaf(arg, span_of(der, (size_t)n));
        OPENSSL_free(der);
    }
}

const char *tls_expiry_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX])
{
    if (e->due < 0)
        return NULL;
    if (e->days_left < 0)
        snprintf(out, TLS_ERROR_MAX, "%s: the certificate has expired", e->file);
    else
        snprintf(out, TLS_ERROR_MAX, "%s: the certificate expires in %s%d day%s", e->file,
                 e->days_left == 0 ? "less than " : "", e->days_left == 0 ? 1 : e->days_left,
                 e->days_left <= 1 ? "" : "s");
    return out;
}

const char *tls_staple_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX])
{
    if (e->staple != TLS_STAPLE_STALE && e->staple != TLS_STAPLE_REVOKED)
        return NULL;
    snprintf(out, TLS_ERROR_MAX, "%s: %s, so it is not sent", e->ocsp_file,
             e->staple == TLS_STAPLE_STALE
                 ? "the OCSP response is not of these days"
                 : "the OCSP response does not call the certificate good");
    return out;
}

/* The cost of a signature is proportional to the cube of the size. */
const char *tls_key_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX])
{
    const double times = e->rsa_bits / 2048.0;

    if (e->rsa_bits <= TLS_RSA_USUAL)
        return NULL;
    snprintf(out, TLS_ERROR_MAX,
             "%s: its RSA key has %d bits, so that each handshake takes about %.0f times the CPU "
             "time of 2048 bits",
             e->file, e->rsa_bits, times * times * times);
    return out;
}

/* ---- a backend ---- */

static bool load_ca(SSL_CTX *ssl, const char *file, char *error)
{
    const char *reason;
    int ok, fd;

    if (strcmp(file, "system") == 0) {
        ok = SSL_CTX_set_default_verify_paths(ssl);
    } else {
        fd = file_open(file, &reason); /* the library would wait at a FIFO */
        if (fd < 0) {
            snprintf(error, TLS_ERROR_MAX, "%s: %s", file, reason);
            return false;
        }
        close(fd);
        ok = SSL_CTX_load_verify_locations(ssl, file, NULL);
    }
    if (ok != 1)
        tls_error_text(error, file);
    return ok == 1;
}

struct tls_ctx *tls_ctx_new_client(const struct tls_settings *settings, const char *ca_file,
                                   char error[TLS_ERROR_MAX])
{
    SSL_CTX *ssl = ssl_new(TLS_client_method(), settings, error);
    if (ssl == NULL)
        return NULL;
    struct tls_ctx *ctx = NEW(struct tls_ctx);
    ctx->ssl = ssl;
    tls_peer_bound(ssl, ca_file != NULL);
    if (ca_file == NULL)
        return ctx;
    if (!load_ca(ctx->ssl, ca_file, error)) {
        tls_ctx_free(ctx);
        return NULL;
    }
    /* A leaf or an intermediate that was put into ca-file is trusted as it stands there. */
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ctx->ssl), X509_V_FLAG_PARTIAL_CHAIN);
    return ctx;
}

void tls_ctx_free(struct tls_ctx *ctx)
{
    if (ctx == NULL)
        return;
    if (ctx->served == NULL)
        SSL_CTX_free(ctx->ssl);
    for (size_t i = 0; i < ctx->group_count; i++)
        SSL_CTX_free(ctx->group[i].ssl);
    for (size_t i = 0; i < ctx->served_count; i++)
        served_fini(&ctx->served[i]);
    free(ctx->group);
    free(ctx->served);
    free(ctx->name);
    free(ctx);
}
