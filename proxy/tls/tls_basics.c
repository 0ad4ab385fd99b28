#include "tls/tls_basics.h"

#include <openssl/conf.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stddef.h>
#include <stdio.h>

static bool has_hash(const char *name)
{
    EVP_MD *md = EVP_MD_fetch(NULL, name, NULL);

    EVP_MD_free(md);
    return md != NULL;
}

static bool has_cipher(const char *name)
{
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);

    EVP_CIPHER_free(cipher);
    return cipher != NULL;
}

static bool has_mac(const char *name)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, name, NULL);

    EVP_MAC_free(mac);
    return mac != NULL;
}

static bool has_random(const char *name)
{
    EVP_RAND *random = EVP_RAND_fetch(NULL, name, NULL);

    EVP_RAND_free(random);
    return random != NULL;
}

bool tls_basics(char error[TLS_BASICS_ERROR_MAX])
{
    static const struct basic {
        const char *name;
        bool (*has)(const char *name);
    } basics[] = {{"SHA1", has_hash},
                  {"SHA2-256", has_hash},
                  {"HMAC", has_mac},
                  {"AES-256-GCM", has_cipher},
                  {"CTR-DRBG", has_random}};

    error[0] = '\0';
    for (size_t i = 0; i < sizeof basics / sizeof *basics && error[0] == '\0'; i++) {
        if (basics[i].has(basics[i].name))
            continue;
        char *file = CONF_get1_default_config_file();
        snprintf(error, TLS_BASICS_ERROR_MAX,
                 "OpenSSL has no %s: no provider that has it is active: write activate = 1 in the "
                 "section of the provider default (or fips) in %.100s",
                 basics[i].name, file == NULL ? "openssl.cnf" : file);
        OPENSSL_free(file);
    }
    ERR_clear_error();
    return error[0] == '\0';
}
