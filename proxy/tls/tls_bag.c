#include "tls/tls_bag.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/insist.h"

struct tls_bag tls_bag_init(void)
{
    return (struct tls_bag){.certs = insist_alloc(sk_X509_new_null())};
}

void tls_bag_fini(struct tls_bag *bag)
{
    sk_X509_pop_free(bag->certs, X509_free);
    for (size_t i = 0; i < bag->key_count; i++)
        EVP_PKEY_free(bag->key[i]);
    free(bag->key);
    *bag = (struct tls_bag){.key_count = 0};
}

void tls_bag_add_cert(struct tls_bag *bag, X509 *cert)
{
    INSIST(sk_X509_push(bag->certs, cert) > 0);
}

void tls_bag_add_key(struct tls_bag *bag, EVP_PKEY *key)
{
    bag->key = insist_alloc(reallocarray(bag->key, bag->key_count + 1, sizeof *bag->key));
    bag->key[bag->key_count++] = key;
}

/* ---- issuers ---- */

static bool is_root(X509 *cert)
{
    return X509_self_signed(cert, 0) == 1;
}

/* The signature is verified if the extensions deny it: a CA's key may be in a certificate with
 * another key identifier, and clients compare names and signatures only. */
static bool has_issued(X509 *issuer, X509 *cert)
{
    if (X509_check_issued(issuer, cert) == X509_V_OK)
        return true;
    if (X509_NAME_cmp(X509_get_subject_name(issuer), X509_get_issuer_name(cert)) != 0)
        return false;
    const bool signed_by = X509_verify(cert, X509_get0_pubkey(issuer)) == 1;
    ERR_clear_error();
    return signed_by;
}

/* A CA may have two certificates for one key: a root is not sent, so the one below another CA comes
 * first, then the one that is valid longer. */
static bool is_better_issuer(X509 *a, X509 *b)
{
    if (is_root(a) != is_root(b))
        return is_root(b);
    return ASN1_TIME_compare(X509_get0_notAfter(a), X509_get0_notAfter(b)) > 0;
}

static X509 *issuer_of(X509 *cert, const STACK_OF(X509) * among)
{
    X509 *found = NULL;

    for (int i = 0; i < sk_X509_num(among); i++) {
        X509 *x = sk_X509_value(among, i);
        if (has_issued(x, cert) && (found == NULL || is_better_issuer(x, found)))
            found = x;
    }
    return found;
}

static bool has_cert(const STACK_OF(X509) * chain, X509 *cert)
{
    for (int i = 0; i < sk_X509_num(chain); i++)
        if (X509_cmp(sk_X509_value(chain, i), cert) == 0)
            return true;
    return false;
}

/* In the chain that is sent each certificate must certify the previous one (RFC 5246 7.4.2). The
 * same section allows to omit the root. Certificates may certify each other in a circle. */
static void follow_chain(struct tls_choice *c, const STACK_OF(X509) * among)
{
    c->chain = insist_alloc(sk_X509_new_null());
    for (X509 *x = c->leaf; !is_root(x);) {
        x = issuer_of(x, among);
        if (x == NULL || x == c->leaf || has_cert(c->chain, x))
            return;
        INSIST(X509_up_ref(x) == 1);
        if (is_root(x))
            c->root = x;
        else
            INSIST(sk_X509_push(c->chain, x) > 0);
    }
}

/* ---- the leaf ---- */

static bool is_ca(X509 *cert)
{
    return X509_check_ca(cert) == 1;
}

static EVP_PKEY *key_of(const struct tls_bag *bag, X509 *cert)
{
    EVP_PKEY *public = X509_get0_pubkey(cert);

    for (size_t i = 0; public != NULL && i < bag->key_count; i++)
        if (EVP_PKEY_eq(public, bag->key[i]) == 1)
            return bag->key[i];
    return NULL;
}

static bool has_issued_any(const struct tls_bag *bag, X509 *cert)
{
    for (int i = 0; i < sk_X509_num(bag->certs); i++) {
        X509 *x = sk_X509_value(bag->certs, i);
        if (X509_cmp(x, cert) != 0 && has_issued(cert, x))
            return true;
    }
    return false;
}

/* Returns whether the certificate could be the leaf. */
static bool is_candidate(const struct tls_bag *bag, bool with_key, X509 *cert)
{
    return with_key ? key_of(bag, cert) != NULL : !has_issued_any(bag, cert);
}

/* Finds the first candidate, and a CA only if all are. */
static X509 *find_leaf(const struct tls_bag *bag, bool with_key)
{
    X509 *ca = NULL;

    for (int i = 0; i < sk_X509_num(bag->certs); i++) {
        X509 *x = sk_X509_value(bag->certs, i);
        if (!is_candidate(bag, with_key, x))
            continue;
        if (!is_ca(x))
            return x;
        ca = ca == NULL ? x : ca;
    }
    /* a circle, if there are certificates, but no candidate */
    return ca == NULL && !with_key && sk_X509_num(bag->certs) > 0 ? sk_X509_value(bag->certs, 0)
                                                                  : ca;
}

static size_t count_rivals(const struct tls_bag *bag, bool with_key, X509 *leaf)
{
    size_t n = 0;

    for (int i = 0; i < sk_X509_num(bag->certs); i++) {
        X509 *x = sk_X509_value(bag->certs, i);
        n += X509_cmp(x, leaf) != 0 && is_ca(x) == is_ca(leaf) && is_candidate(bag, with_key, x);
    }
    return n;
}

static size_t count_strays(const struct tls_bag *bag, const struct tls_choice *c)
{
    size_t n = 0;

    for (int i = 0; i < sk_X509_num(bag->certs); i++) {
        X509 *x = sk_X509_value(bag->certs, i);
        n += X509_cmp(x, c->leaf) != 0 && !has_cert(c->chain, x) &&
             (c->root == NULL || X509_cmp(x, c->root) != 0);
    }
    return n;
}

static int place_of(const STACK_OF(X509) * certs, const X509 *cert)
{
    int i = 0;

    while (i < sk_X509_num(certs) && X509_cmp(sk_X509_value(certs, i), cert) != 0)
        i++;
    return i;
}

static bool is_unordered(const struct tls_bag *bag, const struct tls_choice *c)
{
    int last = place_of(bag->certs, c->leaf);

    for (int i = 0; i < sk_X509_num(c->chain); i++) {
        const int place = place_of(bag->certs, sk_X509_value(c->chain, i));
        if (place < last)
            return true;
        last = place;
    }
    return false;
}

struct tls_choice tls_bag_choose(const struct tls_bag *bag, bool with_key)
{
    struct tls_choice c = {.leaf = find_leaf(bag, with_key)};

    if (c.leaf == NULL)
        return c;
    follow_chain(&c, bag->certs);
    c.rivals = count_rivals(bag, with_key, c.leaf);
    c.strays = count_strays(bag, &c);
    c.unordered = is_unordered(bag, &c);
    INSIST(X509_up_ref(c.leaf) == 1);
    if (with_key) {
        c.key = key_of(bag, c.leaf);
        INSIST(EVP_PKEY_up_ref(c.key) == 1);
    }
    ERR_clear_error();
    return c;
}
