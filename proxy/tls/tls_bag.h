/* tls_bag: the certificates and keys of a file, in any order; chooses the leaf, the key and the
 * chain that a server uses. For the files of this room. */
#ifndef SSTPGATE_TLS_TLS_BAG_H
#define SSTPGATE_TLS_TLS_BAG_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

struct tls_bag {
    STACK_OF(X509) * certs; /* in the order of the file */
    EVP_PKEY **key;
    size_t key_count;
};

struct tls_bag tls_bag_init(void);
void tls_bag_fini(struct tls_bag *bag);

/* Add a certificate or a key, and take ownership of it. */
void tls_bag_add_cert(struct tls_bag *bag, X509 *cert);
void tls_bag_add_key(struct tls_bag *bag, EVP_PKEY *key);

/* The certificates and the key that a server uses. */
struct tls_choice {
    X509 *leaf;             /* NULL: no certificate, or none that matches a key */
    EVP_PKEY *key;          /* NULL: not requested, or no leaf */
    STACK_OF(X509) * chain; /* the leaf's issuer, its issuer, and so on, without the root */
    X509 *root;             /* the issuer of the last of them, if the bag has it; NULL: none */
    size_t rivals;          /* other certificates that could be the leaf as well */
    size_t strays;          /* certificates that are none of these, rivals included */
    bool unordered;         /* the bag does not have leaf and chain in this order */
};

/* Chooses the leaf: the first certificate that matches one of the keys, but a CA only if no other
 * one does. with_key false: the first that is not a CA and has issued no other one of the bag, else
 * the first that has issued none. The caller owns references to all of it. */
struct tls_choice tls_bag_choose(const struct tls_bag *bag, bool with_key);

#endif
