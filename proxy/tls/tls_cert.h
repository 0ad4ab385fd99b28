/* tls_cert: a certificate loaded from its files: PEM, PKCS#12, or the DER of a leaf; the content
 * decides which. For the files of this room, because it has OpenSSL's types. */
#ifndef SSTPGATE_TLS_TLS_CERT_H
#define SSTPGATE_TLS_TLS_CERT_H

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "tls/tls_error.h"
#include "tls/tls_settings.h"

struct tls_cert {
    X509 *leaf;
    EVP_PKEY *key;          /* NULL: not requested */
    STACK_OF(X509) * chain; /* between the leaf and its CA; may be empty */
    X509 *root;             /* the CA at the end of the chain, if the file has it; not sent */
    size_t rivals;          /* other certificates in the file that could be the leaf as well */
    size_t strays;          /* certificates in the file that are none of these; not sent */
    bool unordered;         /* the file does not have leaf and chain in this order */
    char **name;            /* names in lower case; a wildcard is *.DOMAIN */
    size_t name_count;
};

/* The objects of tls_loaded.h. */
struct tls_pair {
    struct tls_cert cert;
};

struct tls_ca {
    X509_STORE *store;
    uint64_t number; /* no other object has it; not 0 */
};

/* Loads a certificate; with_key: and its key, which is required then. The files may have several
 * certificates and keys in any order: see tls_bag.h. A key of a device (tls_device.h) makes a first
 * signature. False: *error has the reason, with the file in
 * front, and *out is empty. */
bool tls_cert_load(const struct tls_certificate *from, bool with_key, struct tls_cert *out,
                   char error[TLS_ERROR_MAX]);

/* Makes *to a copy that shares nothing with from, so that threads do not contend for its counts of
 * references and its locks. Only a key that is in a device is shared. */
void tls_cert_copy(const struct tls_cert *from, struct tls_cert *to);

void tls_cert_fini(struct tls_cert *cert);

/* Collects the names of cert->leaf: DNS names of subjectAltName or, if it has none, the common name
 * (RFC 6125 6.4.4). cert must have no names yet. */
void tls_cert_collect_names(struct tls_cert *cert);

/* Writes the DNS names of leaf, as in tls_cert, with blanks between; "": none. Names that do not
 * fit are left out. */
void tls_cert_list_names(X509 *leaf, char *out, size_t size);

/* Sets leaf, key and chain in ssl, which takes references. False: OpenSSL's error queue has the
 * reason. */
bool tls_cert_use(const struct tls_cert *cert, SSL_CTX *ssl);

/* Returns the size of the RSA key in bits; 0: not RSA. */
int tls_cert_rsa_bits(const struct tls_cert *cert);

#endif
