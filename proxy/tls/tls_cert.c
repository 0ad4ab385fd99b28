#include "tls/tls_cert.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hidden.h"
#include "base/hostname.h"
#include "base/insist.h"
#include "base/text.h"
#include "base/uri.h"
#include "tls/tls_bag.h"
#include "tls/tls_device.h"
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

/* Returns whether the bytes are in an encoding that is not read; if so, error has it. */
static bool encoding_error(const struct tls_file *file, const char *path, char *error)
{
    struct span text = span_of(file->octets, file->n);
    const char *problem = text_begin(&text);

    if (problem != NULL)
        snprintf(error, TLS_ERROR_MAX, "%s: %s", path, problem);
    return problem != NULL;
}

/* Adds to the error that the file has a hidden character, which may be its cause. */
static void note_hidden(const struct tls_file *file, char *error)
{
    struct span text = span_of(file->octets, file->n);
    const size_t n = strlen(error);
    struct hidden h;

    if (text_begin(&text) == NULL && hidden_find(text, &h))
        snprintf(error + n, TLS_ERROR_MAX - n, " (it contains %s, which cannot be seen)", h.name);
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
        /* tls_file_read() leaves room for a NUL behind the last byte */
        OPENSSL_cleanse(p->file.octets + line.n, p->file.n + 1 - line.n);
        p->file.n = line.n;
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

static void name_add(struct tls_cert *cert, const ASN1_STRING *text)
{
    char name[HOSTNAME_SIZE];
    const struct span octets =
        span_of(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text));

    if (!hostname_normal(octets, name))
        return;
    for (size_t i = 0; i < cert->name_count; i++)
        if (strcmp(cert->name[i], name) == 0)
            return;
    cert->name = insist_alloc(reallocarray(cert->name, cert->name_count + 1, sizeof *cert->name));
    cert->name[cert->name_count++] = insist_alloc(strdup(name));
}

void tls_cert_collect_names(struct tls_cert *cert)
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

/* Adds all certificates. Returns false with OpenSSL's reason in its queue. */
static bool read_pem_certs(const struct tls_file *file, struct tls_passphrase *p,
                           struct tls_bag *bag)
{
    BIO *bio = bio_of(file);
    X509 *cert;

    while ((cert = PEM_read_bio_X509_AUX(bio, NULL, on_passphrase, p)) != NULL)
        tls_bag_add_cert(bag, cert);
    BIO_free(bio);
    return at_end();
}

/* Adds all keys that can be read. Returns whether the rest of the file has no key; otherwise
 * OpenSSL's queue has the reason. */
static bool read_pem_keys(const struct tls_file *file, struct tls_passphrase *p,
                          struct tls_bag *bag)
{
    BIO *bio = bio_of(file);
    EVP_PKEY *key;

    p->wanted = false;
    ERR_clear_error();
    while ((key = PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, p)) != NULL)
        tls_bag_add_key(bag, key);
    BIO_free(bio);
    return at_end();
}

static bool load_pem_keys(const struct tls_certificate *from, const struct tls_file *file,
                          struct tls_passphrase *p, struct tls_bag *bag, char *error)
{
    const char *path = from->key == NULL ? from->file : from->key;

    if (!is_pem(file)) {
        snprintf(error, TLS_ERROR_MAX, "%s: not a private key in PEM", path);
        return false;
    }
    if (tls_pbe_error(tls_pbe_pem(span_of(file->octets, file->n)), path, error))
        return false;
    const bool all = read_pem_keys(file, p, bag);
    if (bag->key_count > 0)
        return true; /* one that cannot be read may belong to another certificate */
    if (p->wanted)
        passphrase_error(from, path, error);
    else if (!contains(file, "PRIVATE KEY-----"))
        snprintf(error, TLS_ERROR_MAX, "%s: contains no private key", path);
    else if (all)
        snprintf(error, TLS_ERROR_MAX, "%s: its private key cannot be read", path);
    else
        tls_error_text(error, path);
    if (!p->wanted)
        note_hidden(file, error);
    ERR_clear_error();
    return false;
}

static bool load_key_uri(const struct tls_certificate *from, struct tls_passphrase *p,
                         struct tls_bag *bag, char *error)
{
    p->wanted = false;
    if (tls_device_load(from->key, on_passphrase, p, bag, error))
        return true;
    if (p->wanted && !p->known)
        snprintf(error, TLS_ERROR_MAX, "%s: the device asks for a PIN: %s", from->key,
                 from->passphrase_hint == NULL ? "set passphrase-file" : from->passphrase_hint);
    return false;
}

static bool load_key(const struct tls_certificate *from, struct tls_passphrase *p,
                     struct tls_bag *bag, char *error)
{
    struct tls_file file;
    if (uri_scheme(from->key) > 0)
        return load_key_uri(from, p, bag, error);
    if (!tls_file_read(from->key, &file, error))
        return false;
    const bool ok =
        !encoding_error(&file, from->key, error) && load_pem_keys(from, &file, p, bag, error);
    tls_file_free(&file);
    return ok;
}

static bool load_pem(const struct tls_certificate *from, bool with_key, const struct tls_file *file,
                     struct tls_passphrase *p, struct tls_bag *bag, char *error)
{
    const bool all = read_pem_certs(file, p, bag);

    if (!all)
        tls_error_text(error, from->file);
    else if (sk_X509_num(bag->certs) == 0)
        snprintf(error, TLS_ERROR_MAX, "%s: contains no certificate%s", from->file,
                 contains(file, "-----BEGIN PKCS7") ? ": convert PKCS#7 (.p7b) to PEM" : "");
    if (!all || sk_X509_num(bag->certs) == 0) {
        note_hidden(file, error);
        return false;
    }
    return !with_key || from->key != NULL || load_pem_keys(from, file, p, bag, error);
}

/* ---- all formats ---- */

static bool load_pkcs12(const struct tls_certificate *from, const struct tls_file *file,
                        struct tls_passphrase *p, struct tls_bag *bag, char *error)
{
    const char *why = NULL;

    switch (tls_pkcs12_open(span_of(file->octets, file->n),
                            p->known ? (const char *)p->file.octets : "", bag)) {
    case TLS_PKCS12_OK:
        if (bag->key_count == 0)
            why = "it contains no private key";
        else if (from->key != NULL)
            why = "it contains its own key, so `key` has no effect";
        else
            return true;
        break;
    case TLS_PKCS12_PASSPHRASE: passphrase_error(from, from->file, error); return false;
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

static bool load_der(const struct tls_certificate *from, bool with_key, const struct tls_file *file,
                     struct tls_bag *bag, char *error)
{
    const unsigned char *at = file->octets;
    X509 *cert = d2i_X509(NULL, &at, (long)file->n);

    if (cert != NULL)
        tls_bag_add_cert(bag, cert);
    if (cert == NULL)
        snprintf(error, TLS_ERROR_MAX, "%s: neither PEM nor PKCS#12", from->file);
    else if (with_key && from->key == NULL)
        snprintf(error, TLS_ERROR_MAX, "%s: contains no private key: set `key`", from->file);
    else
        return true;
    return false;
}

static bool load_content(const struct tls_certificate *from, bool with_key,
                         const struct tls_file *file, struct tls_passphrase *p, struct tls_bag *bag,
                         char *error)
{
    ERR_clear_error();
    if (is_pem(file)) {
        if (!load_pem(from, with_key, file, p, bag, error))
            return false;
    } else if (tls_pkcs12_is(span_of(file->octets, file->n))) {
        return load_pkcs12(from, file, p, bag, error);
    } else if (encoding_error(file, from->file, error) ||
               !load_der(from, with_key, file, bag, error)) {
        return false;
    }
    return !with_key || from->key == NULL || load_key(from, p, bag, error);
}

/* Chooses the certificate that is shown. */
static bool choose(const struct tls_certificate *from, bool with_key, const struct tls_bag *bag,
                   struct tls_cert *out, char *error)
{
    const struct tls_choice c = tls_bag_choose(bag, with_key);

    if (c.leaf == NULL) {
        const char *key = from->key != NULL ? from->key : from->file;
        const int n = sk_X509_num(bag->certs);
        if (n == 1 && bag->key_count == 1)
            snprintf(error, TLS_ERROR_MAX, "%s: the private key does not match the certificate",
                     key);
        else
            snprintf(error, TLS_ERROR_MAX,
                     "%s: no private key matches a certificate (keys: %zu, certificates: %d)", key,
                     bag->key_count, n);
        return false;
    }
    out->leaf = c.leaf;
    out->key = c.key;
    out->chain = c.chain;
    out->root = c.root;
    out->rivals = c.rivals;
    out->strays = c.strays;
    out->unordered = c.unordered;
    tls_cert_collect_names(out);
    return true;
}

bool tls_cert_load(const struct tls_certificate *from, bool with_key, struct tls_cert *out,
                   char error[TLS_ERROR_MAX])
{
    struct tls_file file = {0};
    struct tls_passphrase p = {0};
    struct tls_bag bag = tls_bag_init();

    *out = (struct tls_cert){0};
    tls_device_lock(true);
    bool ok = passphrase_read(from->passphrase_file, &p, error) &&
              tls_file_read(from->file, &file, error) &&
              load_content(from, with_key, &file, &p, &bag, error) &&
              choose(from, with_key, &bag, out, error);
    const bool mute = ok && with_key &&
                      !tls_device_try(out->key, from->key == NULL ? from->file : from->key, error);
    if (ok && with_key && !mute && from->key != NULL && uri_scheme(from->key) > 0)
        tls_device_keep(from->key, out->key);
    ERR_clear_error();
    tls_bag_fini(&bag);
    tls_device_unlock(true);
    if (mute)
        tls_cert_fini(out);
    ok &= !mute;
    tls_file_free(&file);
    tls_file_free(&p.file);
    return ok;
}

/* Copies a key. The copy of a key in a device may lack its PIN. */
static EVP_PKEY *key_copy(EVP_PKEY *from)
{
    EVP_PKEY *to = tls_device_has(from) ? NULL : EVP_PKEY_dup(from);

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
                            .root = from->root == NULL ? NULL : insist_alloc(X509_dup(from->root)),
                            .rivals = from->rivals,
                            .strays = from->strays,
                            .unordered = from->unordered,
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
    const bool single = tls_device_is_single(cert->key);

    X509_free(cert->leaf);
    tls_device_lock(single);
    EVP_PKEY_free(cert->key);
    tls_device_unlock(single);
    sk_X509_pop_free(cert->chain, X509_free);
    X509_free(cert->root);
    free_names(cert);
    *cert = (struct tls_cert){0};
}

void tls_cert_list_names(X509 *leaf, char *out, size_t size)
{
    struct tls_cert cert = {.leaf = leaf};
    size_t n = 0;

    *out = '\0';
    tls_cert_collect_names(&cert);
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
