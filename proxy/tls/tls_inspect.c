#include "tls/tls_inspect.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/uri.h"
#include "tls/tls_cert.h"
#include "tls/tls_doubts.h"
#include "tls/tls_loaded.h"
#include "tls/tls_staple.h"

/* ---- findings ---- */

void tls_findings_add(struct tls_findings *f, enum tls_level level, const char *text)
{
    f->item = insist_alloc(reallocarray(f->item, f->count + 1, sizeof *f->item));
    f->item[f->count++] = (struct tls_finding){.level = level, .text = insist_alloc(strdup(text))};
}

void tls_findings_fini(struct tls_findings *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->item[i].text);
    free(f->item);
    *f = (struct tls_findings){0};
}

/* The findings about a file, whose report names the file already. */
struct collector {
    struct tls_findings *to;
    const char *file;
};

static const char *without_file(const char *text, const char *file)
{
    const size_t n = strlen(file);
    return strncmp(text, file, n) == 0 && strncmp(text + n, ": ", 2) == 0 ? text + n + 2 : text;
}

static void collect(void *arg, size_t certificate, enum tls_level level, const char *text)
{
    const struct collector *c = arg;
    (void)certificate;
    tls_findings_add(c->to, level, without_file(text, c->file));
}

/* ---- dates ---- */

/* Returns the days before the end at which the certificate should have been renewed. */
static int days_to_warn(const struct tls_facts *f, int warn_days)
{
    enum { DAY = 24 * 3600, PART = 3 };
    const time_t part = (f->until - f->from) / DAY / PART;

    return part < warn_days ? (int)part : warn_days;
}

static void find_expiry(struct tls_inspection *i, const char *file, time_t now, int warn_days)
{
    char text[TLS_ERROR_MAX];
    struct tls_expiry e = {.file = file};

    tls_expiry_set(&e, i->facts.until, now);
    i->days_left = e.days_left;
    if (e.days_left >= days_to_warn(&i->facts, warn_days) && e.days_left >= 0)
        return;
    if (e.due < 0)
        snprintf(text, sizeof text, "the certificate expires in %d days", e.days_left);
    else
        (void)tls_expiry_text(&e, text);
    tls_findings_add(&i->findings, e.days_left < 0 ? TLS_REFUSED : TLS_WARNING,
                     without_file(text, file));
}

/* ---- the staple and the key ---- */

static void find_staple(struct tls_inspection *i, const char *ocsp_file, time_t now)
{
    char text[TLS_ERROR_MAX];
    struct tls_staple staple;

    if (ocsp_file == NULL)
        return;
    struct tls_response *response = tls_response_load(ocsp_file);
    tls_staple_init(&staple, response, i->cert);
    const struct tls_expiry e = {.staple = tls_staple_state(&staple, now),
                                 .ocsp_file = ocsp_file,
                                 .unusable = staple.unusable};
    i->staple = e.staple;
    if (tls_staple_text(&e, text) != NULL)
        tls_findings_add(&i->findings, e.staple == TLS_STAPLE_REVOKED ? TLS_REFUSED : TLS_WARNING,
                         text);
    tls_staple_fini(&staple);
    tls_response_free(response);
}

static void find_key(struct tls_inspection *i, const char *file)
{
    char text[TLS_ERROR_MAX];
    struct tls_expiry e = {.file = file};

    e.rsa_bits = i->cert->key == NULL ? 0 : tls_cert_rsa_bits(i->cert);
    if (tls_key_text(&e, text) != NULL)
        tls_findings_add(&i->findings, TLS_REMARK, without_file(text, file));
}

/* ---- the chain ---- */

static void note_chain(struct tls_inspection *i)
{
    const int n = sk_X509_num(i->cert->chain);

    i->chain = insist_alloc(calloc((size_t)n + 1, sizeof *i->chain));
    for (int k = 0; k < n; k++) {
        struct tls_cert link = {.leaf = sk_X509_value(i->cert->chain, k)};
        struct tls_facts facts;
        tls_facts_of(&link, &facts);
        i->chain[i->chain_count++] = facts.subject;
        facts.subject = NULL;
        tls_facts_fini(&facts);
    }
}

/* Verifies the chain that is sent as a TLS client of this machine does, without the name. */
static void verify(struct tls_inspection *i, time_t now)
{
    X509_STORE *store = insist_alloc(X509_STORE_new());
    X509_STORE_CTX *ctx = insist_alloc(X509_STORE_CTX_new());

    INSIST(X509_STORE_CTX_init(ctx, store, i->cert->leaf, i->cert->chain) == 1);
    X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), now);
    (void)X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_SERVER);
    i->verified = X509_STORE_set_default_paths(store) == 1 && X509_verify_cert(ctx) == 1;
    if (!i->verified)
        i->why_not = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    ERR_clear_error();
}

/* ---- all of it ---- */

static void find_doubts(struct tls_inspection *i, const struct tls_certificate *from, time_t now)
{
    struct collector c = {.to = &i->findings, .file = from->file};
    const struct tls_doubts d = {.file = from->file,
                                 .stapled = from->ocsp_file != NULL,
                                 .remarks = true,
                                 .now = now,
                                 .on_doubt = collect,
                                 .arg = &c};
    tls_doubts_find(&d, i->cert);
}

/* Loads the certificate, if necessary without its key, whose problem is a finding then. A device
 * is not opened: a monitoring system that repeats a wrong PIN would lock it. */
static bool load(struct tls_inspection *i, const struct tls_certificate *from, char *error)
{
    char without[TLS_ERROR_MAX];

    if (from->key != NULL && uri_scheme(from->key) > 0)
        return tls_cert_load(&(struct tls_certificate){.file = from->file}, false, i->cert, error);
    if (tls_cert_load(from, true, i->cert, error))
        return true;
    if (!tls_cert_load(from, false, i->cert, without))
        return false;
    tls_findings_add(&i->findings, TLS_REFUSED, without_file(error, from->file));
    return true;
}

bool tls_inspect(const struct tls_certificate *from, time_t now, int warn_days,
                 struct tls_inspection *out, char error[TLS_ERROR_MAX])
{
    *out = (struct tls_inspection){.cert = NEW(struct tls_cert)};
    if (!load(out, from, error)) {
        tls_inspection_fini(out);
        return false;
    }
    tls_facts_of(out->cert, &out->facts);
    find_expiry(out, from->file, now, warn_days);
    find_doubts(out, from, now);
    find_staple(out, from->ocsp_file, now);
    find_key(out, from->file);
    note_chain(out);
    verify(out, now);
    return true;
}

bool tls_inspection_covers(const struct tls_inspection *i, const char *host)
{
    for (size_t k = 0; k < i->facts.name_count; k++)
        if (strcmp(i->facts.name[k], host) == 0)
            return true;
    return X509_check_host(i->cert->leaf, host, 0, 0, NULL) == 1 ||
           X509_check_ip_asc(i->cert->leaf, host, 0) == 1;
}

void tls_inspection_fini(struct tls_inspection *i)
{
    for (size_t k = 0; k < i->chain_count; k++)
        free(i->chain[k]);
    free(i->chain);
    tls_facts_fini(&i->facts);
    tls_findings_fini(&i->findings);
    if (i->cert != NULL)
        tls_cert_fini(i->cert);
    free(i->cert);
    *i = (struct tls_inspection){0};
}

void tls_inspect_cas(const char *ca_file, time_t now, struct tls_findings *out)
{
    char error[TLS_ERROR_MAX];
    struct collector c = {.to = out, .file = ca_file};
    const struct tls_doubts d = {.file = ca_file, .now = now, .on_doubt = collect, .arg = &c};
    struct tls_ca *ca = tls_ca_load(ca_file, error);

    if (ca == NULL)
        tls_findings_add(out, TLS_REFUSED, without_file(error, ca_file));
    else
        tls_doubts_find_cas(&d, ca->store);
    tls_ca_free(ca);
}
