#include "tls/tls_peer.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include "tls/tls_cert.h"

static int refuse_key(X509_STORE_CTX *store, const char *what, int is, int most)
{
    ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "the server's %s: %d bits, more than %d",
                   what, is, most);
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int exponent_bits(const EVP_PKEY *key)
{
    BIGNUM *e = NULL;

    if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
        return 0;
    const int bits = BN_num_bits(e);
    BN_free(e);
    return bits;
}

/* Checks the leaf's key only, because it is the only key that is used before its certificate is
 * verified: OpenSSL verifies a chain from the CA down and stops at the first bad signature. */
static int key_fits(X509_STORE_CTX *store, const EVP_PKEY *key)
{
    const int kind = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);
    const bool rsa = kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS;

    if (rsa && bits > TLS_PEER_RSA_MAX)
        return refuse_key(store, "RSA key", bits, TLS_PEER_RSA_MAX);
    if (rsa && exponent_bits(key) > TLS_PEER_EXPONENT_MAX)
        return refuse_key(store, "RSA exponent", exponent_bits(key), TLS_PEER_EXPONENT_MAX);
    if (kind == EVP_PKEY_EC && bits > TLS_PEER_EC_MAX)
        return refuse_key(store, "EC key", bits, TLS_PEER_EC_MAX);
    return 1;
}

/* Adds to a failed comparison of the name what the certificate has, and where to write it. */
static void explain_name(X509_STORE_CTX *store)
{
    const int error = X509_STORE_CTX_get_error(store);
    char names[128];

    if (error != X509_V_ERR_HOSTNAME_MISMATCH && error != X509_V_ERR_IP_ADDRESS_MISMATCH)
        return;
    tls_cert_list_names(X509_STORE_CTX_get0_cert(store), names, sizeof names);
    ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL,
                   "the server's certificate has %s%s: set verify-host to the name to expect",
                   *names == '\0' ? "no DNS name" : "the name ", names);
}

/* Checks the leaf's key, and verifies the chain if chain is not NULL. */
static int on_certificate(X509_STORE_CTX *store, void *chain)
{
    const EVP_PKEY *key = X509_get0_pubkey(X509_STORE_CTX_get0_cert(store));

    if (key != NULL && !key_fits(store, key)) /* NULL: OpenSSL refuses the key itself */
        return 0;
    if (chain != NULL) {
        const int verdict = X509_verify_cert(store);
        if (verdict <= 0)
            explain_name(store);
        return verdict;
    }
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

void tls_peer_bound(SSL_CTX *ssl, bool chain)
{
    static char verified;

    SSL_CTX_set_max_cert_list(ssl, TLS_PEER_LIST_MAX);
    SSL_CTX_set_verify_depth(ssl, TLS_PEER_DEPTH_MAX);
    /* With SSL_VERIFY_NONE OpenSSL would build a chain and ignore the callback's result. */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_cert_verify_callback(ssl, on_certificate, chain ? &verified : NULL);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION /* OpenSSL 3.2 */
    SSL_CTX_set_options(ssl, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
#endif
}
