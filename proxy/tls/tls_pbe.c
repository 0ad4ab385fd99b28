#include "tls/tls_pbe.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "base/insist.h"

static uint64_t add_capped(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t multiply_capped(uint64_t a, uint64_t b)
{
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* Returns the number; a negative number, or one that does not fit, is UINT64_MAX, which is above
 * every bound. A missing number is 1. */
static uint64_t count_of(const ASN1_INTEGER *from)
{
    uint64_t n;
    return from == NULL ? 1 : ASN1_INTEGER_get_uint64(&n, from) == 1 ? n : UINT64_MAX;
}

/* ---- one key derivation ---- */

static uint64_t pbkdf2_work(const ASN1_TYPE *parameter)
{
    PBKDF2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), parameter);
    const uint64_t n = p == NULL ? 0 : count_of(p->iter);
    PBKDF2PARAM_free(p);
    return n;
}

/* Returns N * r * p blocks (RFC 7914), because OpenSSL limits only the memory, which does not
 * depend on p. */
static uint64_t scrypt_work(const ASN1_TYPE *parameter)
{
    SCRYPT_PARAMS *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), parameter);
    const uint64_t n =
        p == NULL
            ? 0
            : multiply_capped(multiply_capped(count_of(p->costParameter), count_of(p->blockSize)),
                              count_of(p->parallelizationParameter));
    SCRYPT_PARAMS_free(p);
    return n;
}

static uint64_t pbe1_work(const ASN1_TYPE *parameter)
{
    PBEPARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), parameter);
    const uint64_t n = p == NULL ? 0 : count_of(p->iter);
    PBEPARAM_free(p);
    return n;
}

static uint64_t kdf_work(const X509_ALGOR *kdf)
{
    switch (OBJ_obj2nid(kdf->algorithm)) {
    case NID_id_pbkdf2: return pbkdf2_work(kdf->parameter);
    case NID_id_scrypt: return scrypt_work(kdf->parameter);
    default: return 0; /* OpenSSL refuses others when it opens the file */
    }
}

/* Returns the work of PBES2 or PBMAC1 (RFC 8018 A.4, A.5), which have the same form: a key
 * derivation, and its use. */
static uint64_t pbe2_work(const ASN1_TYPE *parameter)
{
    PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameter);
    const uint64_t n = p == NULL ? 0 : kdf_work(p->keyfunc);
    PBE2PARAM_free(p);
    return n;
}

static uint64_t algorithm_work(const X509_ALGOR *a)
{
    const int nid = a == NULL ? NID_undef : OBJ_obj2nid(a->algorithm);

    if (nid == NID_undef || a->parameter == NULL)
        return 0;
    return nid == NID_pbes2 || nid == NID_pbmac1 ? pbe2_work(a->parameter)
                                                 : pbe1_work(a->parameter);
}

static uint64_t encrypted_key_work(const X509_SIG *key)
{
    const X509_ALGOR *a = NULL;

    if (key != NULL)
        X509_SIG_get0(key, &a, NULL);
    return algorithm_work(a);
}

/* ---- PKCS#12 ---- */

/* Sums the work of the bags. Recurses at most 30 levels, because OpenSSL's ASN.1 parser refuses
 * more. */
static uint64_t bags_work(const STACK_OF(PKCS12_SAFEBAG) * bags)
{
    uint64_t sum = 0;

    for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++) {
        const PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(bags, i);
        const int nid = PKCS12_SAFEBAG_get_nid(bag);
        if (nid == NID_pkcs8ShroudedKeyBag)
            sum = add_capped(sum, encrypted_key_work(PKCS12_SAFEBAG_get0_pkcs8(bag)));
        else if (nid == NID_safeContentsBag)
            sum = add_capped(sum, bags_work(PKCS12_SAFEBAG_get0_safes(bag)));
    }
    return sum;
}

/* Returns the work of one part. spent: iterations of the previous parts. Bags may be encrypted as a
 * whole, with keys in them that are encrypted once more; such bags are opened only if the sum is
 * not above TLS_PBE_MAX. */
static uint64_t part_work(PKCS7 *part, const char *passphrase, uint64_t spent)
{
    STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
    uint64_t sum = 0;

    if (PKCS7_type_is_encrypted(part)) {
        sum = algorithm_work(part->d.encrypted->enc_data->algorithm);
        if (add_capped(spent, sum) <= TLS_PBE_MAX)
            bags = PKCS12_unpack_p7encdata(part, passphrase, (int)strlen(passphrase));
    } else if (PKCS7_type_is_data(part)) {
        bags = PKCS12_unpack_p7data(part);
    }
    sum = add_capped(sum, bags_work(bags));
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return sum;
}

static uint64_t mac_work(const PKCS12 *p12)
{
    const X509_ALGOR *a = NULL;
    const ASN1_INTEGER *iterations = NULL;

    if (!PKCS12_mac_present(p12))
        return 0;
    PKCS12_get0_mac(NULL, &a, NULL, &iterations, p12);
    return a != NULL && OBJ_obj2nid(a->algorithm) == NID_pbmac1 ? algorithm_work(a)
                                                                : count_of(iterations);
}

uint64_t tls_pbe_pkcs12(PKCS12 *p12, const char *passphrase)
{
    uint64_t sum = mac_work(p12);
    STACK_OF(PKCS7) *parts = sum > TLS_PBE_MAX ? NULL : PKCS12_unpack_authsafes(p12);

    for (int i = 0; i < sk_PKCS7_num(parts) && sum <= TLS_PBE_MAX; i++)
        sum = add_capped(sum, part_work(sk_PKCS7_value(parts, i), passphrase, sum));
    sk_PKCS7_pop_free(parts, PKCS7_free);
    ERR_clear_error(); /* PKCS12_parse finds the same errors and reports them */
    return sum;
}

/* ---- PEM ---- */

uint64_t tls_pbe_pem(struct span pem)
{
    BIO *bio = insist_alloc(BIO_new_mem_buf(pem.p, (int)pem.n));
    char *name, *header;
    unsigned char *der;
    long n;
    uint64_t sum = 0;

    while (PEM_read_bio(bio, &name, &header, &der, &n) == 1) {
        const unsigned char *at = der;
        X509_SIG *key = strcmp(name, PEM_STRING_PKCS8) == 0 ? d2i_X509_SIG(NULL, &at, n) : NULL;
        sum = add_capped(sum, encrypted_key_work(key));
        X509_SIG_free(key);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)n);
    }
    BIO_free(bio);
    ERR_clear_error();
    return sum;
}

bool tls_pbe_error(uint64_t iterations, const char *path, char error[TLS_ERROR_MAX])
{
    if (iterations <= TLS_PBE_MAX)
        return false;
    snprintf(error, TLS_ERROR_MAX,
             "%s: its encryption uses more than %d iterations of the passphrase hash, which takes "
             "too long: re-encrypt it with fewer",
             path, TLS_PBE_MAX);
    return true;
}
