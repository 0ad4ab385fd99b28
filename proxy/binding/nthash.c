#include "binding/nthash.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

enum { UTF16_MAX = 2 * NT_PASSWORD_MAX };

struct nthash {
    OSSL_LIB_CTX *lib;
    OSSL_PROVIDER *legacy;
    EVP_MD *md4;
};

/* Loads MD4 from the legacy provider of OpenSSL 3 into a library context of its own, because the
 * provider in the default context would prevent the default provider from being loaded
 * automatically, and would offer RC4 and similar ciphers to TLS. Leaves nothing in the thread's
 * error queue. */
struct nthash *nthash_new(void)
{
    struct nthash *h = NEW(struct nthash);

    ERR_set_mark();
    h->lib = OSSL_LIB_CTX_new();
    if (h->lib != NULL)
        h->legacy = OSSL_PROVIDER_load(h->lib, "legacy");
    if (h->legacy != NULL)
        h->md4 = EVP_MD_fetch(h->lib, "MD4", NULL);
    if (h->md4 == NULL || EVP_MD_get_size(h->md4) != NT_HASH) {
        nthash_free(h);
        h = NULL;
    }
    ERR_pop_to_mark();
    return h;
}

void nthash_free(struct nthash *h)
{
    if (h == NULL)
        return;
    EVP_MD_free(h->md4);
    if (h->legacy != NULL)
        OSSL_PROVIDER_unload(h->legacy);
    OSSL_LIB_CTX_free(h->lib);
    free(h);
}

static enum err md4(const struct nthash *h, const uint8_t *in, size_t n, uint8_t out[NT_HASH])
{
    ERR_set_mark();
    const enum err e = EVP_Digest(in, n, out, NULL, h->md4, NULL) == 1 ? ERR_OK : ERR_TLS;
    ERR_pop_to_mark();
    return e;
}

enum err nthash_from_hash(const struct nthash *h, const uint8_t hash[NT_HASH],
                          uint8_t hash_hash[NT_HASH])
{
    return md4(h, hash, NT_HASH, hash_hash);
}

static enum err md4_twice(const struct nthash *h, const uint8_t *in, size_t n, uint8_t out[NT_HASH])
{
    uint8_t once[NT_HASH];
    enum err e = md4(h, in, n, once);

    if (e == ERR_OK)
        e = nthash_from_hash(h, once, out);
    OPENSSL_cleanse(once, sizeof once);
    return e;
}

/* Decodes one character, as RFC 3629 4 allows it: in its shortest form, no surrogate, not above
 * U+10FFFF. Returns its number of bytes; 0: `in` does not start with a valid character. */
static size_t utf8_char(struct span in, uint32_t *out)
{
    static const uint8_t bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t first = in.p[0];
    const size_t n = first < 0x80             ? 1
                     : (first & 0xe0) == 0xc0 ? 2
                     : (first & 0xf0) == 0xe0 ? 3
                     : (first & 0xf8) == 0xf0 ? 4
                                              : 0;
    if (n == 0 || n > in.n)
        return 0;
    *out = first & bits[n];
    for (size_t i = 1; i < n; i++) {
        if ((in.p[i] & 0xc0) != 0x80)
            return 0;
        *out = *out << 6 | (in.p[i] & 0x3fU);
    }
    if (*out < least[n] || *out > 0x10ffff || (*out >= 0xd800 && *out <= 0xdfff))
        return 0;
    return n;
}

static void put_unit(uint8_t *out, uint32_t unit)
{
    out[0] = (uint8_t)(unit & 0xff);
    out[1] = (uint8_t)(unit >> 8 & 0xff);
}

/* Converts to UTF-16, little endian, without a terminator: the form that RFC 2759 8.3 hashes. */
static enum err utf16_from_utf8(struct span in, uint8_t out[UTF16_MAX], size_t *len)
{
    *len = 0;
    while (in.n > 0) {
        uint32_t c;
        size_t n = utf8_char(in, &c);
        if (n == 0)
            return ERR_SYNTAX;
        in = span_from(in, n);
        if (*len + (c > 0xffff ? 4 : 2) > UTF16_MAX)
            return ERR_TOO_LARGE;
        if (c > 0xffff) {
            c -= 0x10000;
            put_unit(out + *len, 0xd800 | c >> 10);
            put_unit(out + *len + 2, 0xdc00 | (c & 0x3ff));
            *len += 4;
        } else {
            put_unit(out + *len, c);
            *len += 2;
        }
    }
    return ERR_OK;
}

enum err nthash_from_password(const struct nthash *h, struct span password,
                              uint8_t hash_hash[NT_HASH])
{
    uint8_t utf16[UTF16_MAX];
    size_t n;
    enum err e = utf16_from_utf8(password, utf16, &n);
    if (e == ERR_OK)
        e = md4_twice(h, utf16, n, hash_hash);
    OPENSSL_cleanse(utf16, sizeof utf16);
    return e;
}

enum err nthash_from_octets(const struct nthash *h, struct span secret, uint8_t hash_hash[NT_HASH])
{
    uint8_t utf16[UTF16_MAX];

    if (secret.n > NT_PASSWORD_MAX)
        return ERR_TOO_LARGE;
    for (size_t i = 0; i < secret.n; i++)
        put_unit(utf16 + 2 * i, secret.p[i]);
    const enum err e = md4_twice(h, utf16, 2 * secret.n, hash_hash);
    OPENSSL_cleanse(utf16, sizeof utf16);
    return e;
}

/* ---- a client's response ---- */

enum { DES_KEY = 8, DES_BLOCK = 8, THIRD = 7 /* bytes of a hash that make one key */ };

/* Spreads 56 bits over the upper 7 bits of 8 bytes (RFC 2759 8.6). The parity bits remain 0,
 * because DES ignores them. */
static void des_key(const uint8_t third[THIRD], uint8_t key[DES_KEY])
{
    uint64_t bits = 0;

    for (size_t i = 0; i < THIRD; i++)
        bits = bits << 8 | third[i];
    for (size_t i = 0; i < DES_KEY; i++)
        key[i] = (uint8_t)(bits >> (49 - 7 * i) << 1);
    OPENSSL_cleanse(&bits, sizeof bits);
}

static bool des_encrypt(EVP_CIPHER_CTX *c, const EVP_CIPHER *des, const uint8_t third[THIRD],
                        const uint8_t in[DES_BLOCK], uint8_t out[DES_BLOCK])
{
    uint8_t key[DES_KEY];
    int n = 0;

    des_key(third, key);
    const bool ok = EVP_EncryptInit_ex2(c, des, key, NULL, NULL) == 1 &&
                    EVP_CIPHER_CTX_set_padding(c, 0) == 1 &&
                    EVP_EncryptUpdate(c, out, &n, in, DES_BLOCK) == 1 && n == DES_BLOCK;
    OPENSSL_cleanse(key, sizeof key);
    return ok;
}

/* Encrypts the challenge with each third of the hash, which is padded with zeros. */
static enum err respond(const struct nthash *h, const uint8_t hash[NT_HASH],
                        const uint8_t challenge[NT_CHALLENGE], uint8_t response[NT_RESPONSE])
{
    uint8_t padded[3 * THIRD] = {0};
    bool ok = true;

    memcpy(padded, hash, NT_HASH);
    ERR_set_mark();
    EVP_CIPHER *des = EVP_CIPHER_fetch(h->lib, "DES-ECB", NULL);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    for (size_t i = 0; i < 3 && ok; i++)
        ok = des != NULL && c != NULL &&
             des_encrypt(c, des, padded + i * THIRD, challenge, response + i * DES_BLOCK);
    EVP_CIPHER_CTX_free(c);
    EVP_CIPHER_free(des);
    ERR_pop_to_mark();
    OPENSSL_cleanse(padded, sizeof padded);
    return ok ? ERR_OK : ERR_TLS;
}

enum err nthash_respond(const struct nthash *h, struct span password,
                        const uint8_t challenge[NT_CHALLENGE], uint8_t response[NT_RESPONSE],
                        uint8_t hash_hash[NT_HASH])
{
    uint8_t utf16[UTF16_MAX], hash[NT_HASH];
    size_t n;

    enum err e = utf16_from_utf8(password, utf16, &n);
    if (e == ERR_OK)
        e = md4(h, utf16, n, hash);
    if (e == ERR_OK)
        e = md4(h, hash, sizeof hash, hash_hash);
    if (e == ERR_OK)
        e = respond(h, hash, challenge, response);
    OPENSSL_cleanse(utf16, sizeof utf16);
    OPENSSL_cleanse(hash, sizeof hash);
    return e;
}
