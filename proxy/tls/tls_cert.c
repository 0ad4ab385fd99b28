#include "tls/tls_cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hidden.h"
#include "base/insist.h"
#include "base/text.h"
#include "tls/tls_file.h"
#include "tls/tls_pbe.h"
#include "tls/tls_pkcs12.h"

static bool contains(const struct tls_file *file, const char *text)
{
    return memmem(file->octets, file->n, text, strlen(text)) != NULL;
}

static bool is_pem(const struct tls_file *file)
{
    return contains(file, "-----BEGIN");
}

/* ---- passphrases ---- */

/* The passphrase: the first line of `file`, from its first byte. */
struct tls_passphrase {
    struct tls_file file;
    bool known;  /* a passphrase is configured; it may be empty */
    bool wanted; /* OpenSSL has requested it */
};

/* Reduces p to the first line. A lone CR or a NUL, which no passphrase has, ends it, too. */
static bool passphrase_take_line(const char *path, struct tls_passphrase *p, char *error)
{
    struct span line = span_of(p->file.octets, p->file.n);
    const char *problem = text_begin(&line);
    struct hidden h;

    for (size_t i = 0; i < line.n; i++)
        if (strchr("\r\n", line.p[i]) != NULL) /* strchr() also finds a NUL */
            line.n = i;
    if (problem != NULL)
        snprintf(error, TLS_ERROR_MAX, "%s: %s", path, problem);
    else if (hidden_find_at_ends(line, &h))
        snprintf(error, TLS_ERROR_MAX,
                 "%s: the passphrase begins or ends with %s, which cannot be seen", path, h.name);
    else {
        memmove(p->file.octets, line.p, line.n);
        p->file.n = line.n;
        p->file.octets[line.n] = '\0'; /* tls_file_read() leaves room behind the last byte */
        return true;
    }
    return false;
}

static bool passphrase_read(const char *path, struct tls_passphrase *p, char *error)
{
    *p = (struct tls_passphrase){.known = path != NULL};
    return path == NULL ||
           (tls_file_read(path, &p->file, error) && passphrase_take_line(path, p, error));
}

/* Writes the passphrase to buf. It replaces OpenSSL's own callback, because that would make a
 * daemon wait for a terminal. */
static int on_passphrase(char *buf, int size, int writing, void *arg)
{
    struct tls_passphrase *p = arg;
    (void)writing;
    p->wanted = true;
    if (!p->known || size < 0 || p->file.n > (size_t)size)
        return -1;
    memcpy(buf, p->file.octets, p->file.n);
    return (int)p->file.n;
}

static void passphrase_error(const struct tls_certificate *from, const char *path, char *error)
{
    if (from->passphrase_file != NULL)
        snprintf(error, TLS_ERROR_MAX, "%s: the passphrase in passphrase-file is wrong", path);
    else
        snprintf(error, TLS_ERROR_MAX, "%s: encrypted: %s", path,
                 from->passphrase_hint == NULL ? "set passphrase-file" : from->passphrase_hint);
    ERR_clear_error();
}

/* ---- names ---- */

bool tls_name_normal(struct span name, char out[TLS_NAME_SIZE])
{
    if (name.n > 0 && name.p[name.n - 1] == '.')
        name.n--;
    if (name.n == 0 || name.n >= TLS_NAME_SIZE)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= ' ' || name.p[i] > '~')
            return false;
        out[i] = (char)ascii_lower(name.p[i]);
    }
    out[name.n] = '\0';
    return true;
}

static void name_add(struct tls_cert *cert, const ASN1_STRING *text)
{
    char name[TLS_NAME_SIZE];
    const struct span octets =
        span_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));

    if (!tls_name_normal(octets, name))
        return;
    for (size_t i = 0; i < cert->name_count; i++)
        if (strcmp(cert->name[i], name) == 0)
            return;
    cert->name = insist_alloc(reallocarray(cert->name, cert->name_count + 1, sizeof *cert->name));
    cert->name[cert->name_count++] = insist_alloc(strdup(name));
}

/* Collects the DNS names of subjectAltName or, if it has none, the common name (RFC 6125 6.4.4). */
static void collect_names(struct tls_cert *cert)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert->leaf, NID_subject_alt_name, NULL, NULL);
    const X509_NAME *subject = X509_get_subject_name(cert->leaf);

    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_DNS)
            name_add(cert, name->d.dNSName);
    }
    GENERAL_NAMES_free(names);
    if (cert->name_count > 0)
        return;
    for (int i = -1; (i = X509_NAME_get_index_by_NID(subject, NID_commonName, i)) >= 0;)
        name_add(cert, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, i)));
}

/* ---- PEM ---- */

static BIO *bio_of(const struct tls_file *file)
{
    return insist_alloc(BIO_new_mem_buf(file->octets, (int)file->n));
}

/* Returns whether reading has stopped at the end of the PEM file, which OpenSSL reports as an
 * error; a file that ends with an empty block causes none. */
static bool at_end(void)
{
    const unsigned long e = ERR_peek_last_error();
    return e == 0 || (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE);
}

static bool load_pem(const struct tls_file *file, struct tls_passphrase *p, struct tls_cert *out)
{
    BIO *bio = bio_of(file);
    X509 *next;

    out->leaf = PEM_read_bio_X509_AUX(bio, NULL, on_passphrase, p);
    while (out->leaf != NULL && (next = PEM_read_bio_X509(bio, NULL, on_passphrase, p)) != NULL)
        INSIST(sk_X509_push(out->chain, next) > 0);
    BIO_free(bio);
    return out->leaf != NULL && at_end();
}

static bool load_pem_key(const struct tls_certificate *from, const struct tls_file *file,
                         struct tls_passphrase *p, struct tls_cert *out, char *error)
{
    const char *path = from->key == NULL ? from->file : from->key;

    if (!is_pem(file)) {
        snprintf(error, TLS_ERROR_MAX, "%s: not a private key in PEM", path);
        return false;
    }
    if (tls_pbe_error(tls_pbe_pem(span_of(file->octets, file->n)), path, error))
        return false;
    p->wanted = false;
    ERR_clear_error();
    BIO *bio = bio_of(file);
    out->key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, p);
    BIO_free(bio);
    if (out->key != NULL)
        return true;
    if (p->wanted)
        passphrase_error(from, path, error);
    else if (!contains(file, "PRIVATE KEY-----"))
        snprintf(error, TLS_ERROR_MAX, "%s: contains no private key", path);
    else
        tls_error_text(error, path);
    ERR_clear_error();
    return false;
}

static bool load_key_file(const struct tls_certificate *from, struct tls_passphrase *p,
                          struct tls_cert *out, char *error)
{
    struct tls_file file;
    if (!tls_file_read(from->key, &file, error))
        return false;
    const bool ok = load_pem_key(from, &file, p, out, error);
    tls_file_free(&file);
    return ok;
}

/* ---- all formats ---- */

static bool load_pkcs12(const struct tls_certificate *from, const struct tls_file *file,
                        struct tls_passphrase *p, struct tls_cert *out, char *error)
{
    const char *why = NULL;
    struct tls_pkcs12_content content = {.chain = out->chain};
    const enum tls_pkcs12 result = tls_pkcs12_open(
        span_of(file->octets, file->n), p->known ? (const char *)p->file.octets : "", &content);

    out->leaf = content.leaf;
    out->key = content.key;
    switch (result) {
    case TLS_PKCS12_OK:
        if (from->key == NULL)
            return true;
        why = "it contains its own key, so `key` has no effect";
        break;
    case TLS_PKCS12_PASSPHRASE: passphrase_error(from, from->file, error); return false;
    case TLS_PKCS12_NO_KEY: why = "it contains no private key with its certificate"; break;
    case TLS_PKCS12_LEGACY:
        why =
            "it uses the old format (RC2), which needs OpenSSL's legacy provider (legacy.so), and "
            "that is not installed";
        break;
    case TLS_PKCS12_SLOW: (void)tls_pbe_error(UINT64_MAX, from->file, error); return false;
    case TLS_PKCS12_OTHER: tls_error_text(error, from->file); return false;
    }
    snprintf(error, TLS_ERROR_MAX, "%s: %s", from->file, why);
    ERR_clear_error();
    return false;
}

static bool load_content(const struct tls_certificate *from, bool with_key,
                         const struct tls_file *file, struct tls_passphrase *p,
                         struct tls_cert *out, char *error)
{
    const unsigned char *at = file->octets;

    ERR_clear_error();
    if (is_pem(file)) {
        if (!load_pem(file, p, out)) {
            if (out->leaf == NULL && at_end())
                snprintf(error, TLS_ERROR_MAX, "%s: contains no certificate", from->file);
            else
                tls_error_text(error, from->file);
            return false;
        }
        if (with_key && from->key == NULL)
            return load_pem_key(from, file, p, out, error);
    } else if (tls_pkcs12_is(span_of(file->octets, file->n))) {
        return load_pkcs12(from, file, p, out, error);
    } else {
        out->leaf = d2i_X509(NULL, &at, (long)file->n);
        if (out->leaf == NULL) {
            snprintf(error, TLS_ERROR_MAX, "%s: neither PEM nor PKCS#12", from->file);
            return false;
        }
        if (with_key && from->key == NULL) {
            snprintf(error, TLS_ERROR_MAX, "%s: contains no private key: set `key`", from->file);
            return false;
        }
    }
    return !with_key || load_key_file(from, p, out, error);
}

static bool key_fits(const struct tls_certificate *from, const struct tls_cert *cert, char *error)
{
    if (X509_check_private_key(cert->leaf, cert->key) == 1)
        return true;
    snprintf(error, TLS_ERROR_MAX, "%s: the private key does not match the certificate",
             from->key != NULL ? from->key : from->file);
    return false;
}

bool tls_cert_load(const struct tls_certificate *from, bool with_key, struct tls_cert *out,
                   char error[TLS_ERROR_MAX])
{
    struct tls_file file = {0};
    struct tls_passphrase p = {0};
    bool ok = passphrase_read(from->passphrase_file, &p, error) &&
              tls_file_read(from->file, &file, error);

    *out = (struct tls_cert){.chain = insist_alloc(sk_X509_new_null())};
    ok = ok && load_content(from, with_key, &file, &p, out, error) &&
         (!with_key || key_fits(from, out, error));
    ERR_clear_error();
    tls_file_free(&file);
    tls_file_free(&p.file);
    if (ok)
        collect_names(out);
    else
        tls_cert_fini(out);
    return ok;
}

static EVP_PKEY *key_copy(EVP_PKEY *from)
{
    EVP_PKEY *to = EVP_PKEY_dup(from);

    ERR_clear_error();
    if (to == NULL && EVP_PKEY_up_ref(from) == 1)
        return from;
    return insist_alloc(to);
}

void tls_cert_copy(const struct tls_cert *from, struct tls_cert *to)
{
    *to = (struct tls_cert){.leaf = insist_alloc(X509_dup(from->leaf)),
                            .key = key_copy(from->key),
                            .chain = insist_alloc(sk_X509_new_null()),
                            .name_count = from->name_count};
    for (int i = 0; i < sk_X509_num(from->chain); i++)
        INSIST(sk_X509_push(to->chain, insist_alloc(X509_dup(sk_X509_value(from->chain, i)))) > 0);
    to->name = insist_alloc(calloc(from->name_count + 1, sizeof *to->name));
    for (size_t i = 0; i < from->name_count; i++)
        to->name[i] = insist_alloc(strdup(from->name[i]));
}

static void free_names(struct tls_cert *cert)
{
    for (size_t i = 0; i < cert->name_count; i++)
        free(cert->name[i]);
    free(cert->name);
}

void tls_cert_fini(struct tls_cert *cert)
{
    X509_free(cert->leaf);
    EVP_PKEY_free(cert->key);
    sk_X509_pop_free(cert->chain, X509_free);
    free_names(cert);
    *cert = (struct tls_cert){0};
}

void tls_cert_list_names(X509 *leaf, char *out, size_t size)
{
    struct tls_cert cert = {.leaf = leaf};
    size_t n = 0;

    *out = '\0';
    collect_names(&cert);
    for (size_t i = 0; i < cert.name_count; i++)
        if (n + strlen(cert.name[i]) + 1 < size)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n == 0 ? "" : " ", cert.name[i]);
    free_names(&cert);
}

bool tls_cert_use(const struct tls_cert *cert, SSL_CTX *ssl)
{
    return SSL_CTX_use_cert_and_key(ssl, cert->leaf, cert->key, cert->chain, 1) == 1;
}

int tls_cert_rsa_bits(const struct tls_cert *cert)
{
    const int kind = EVP_PKEY_get_base_id(cert->key);
    return kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS ? EVP_PKEY_get_bits(cert->key) : 0;
}
