#include "binding/nthash.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

enum { UTF16_MAX = 2 * NT_PASSWORD_MAX };

/* MD4, and MD4 of that. OpenSSL 3 keeps MD4 in its legacy provider: it is loaded into a library
 * context of its own, since a provider that is loaded by hand into the default context would keep
 * the default provider from being loaded there, and would offer RC4 and its like to TLS. What went
 * wrong is told by the result alone: nothing stays in the thread's error queue. */
static enum err md4_twice(const uint8_t *in, size_t n, uint8_t out[NT_HASH])
{
    uint8_t once[NT_HASH];
    OSSL_PROVIDER *legacy = NULL;
    EVP_MD *md4 = NULL;
    enum err e = ERR_TLS;

    ERR_set_mark();
    OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
    if (lib != NULL)
        legacy = OSSL_PROVIDER_load(lib, "legacy");
    if (legacy != NULL)
        md4 = EVP_MD_fetch(lib, "MD4", NULL);
    if (md4 != NULL && EVP_MD_get_size(md4) == NT_HASH &&
        EVP_Digest(in, n, once, NULL, md4, NULL) == 1 &&
        EVP_Digest(once, sizeof once, out, NULL, md4, NULL) == 1)
        e = ERR_OK;
    EVP_MD_free(md4);
    if (legacy != NULL)
        OSSL_PROVIDER_unload(legacy);
    OSSL_LIB_CTX_free(lib);
    ERR_pop_to_mark();

    OPENSSL_cleanse(once, sizeof once);
    return e;
}

/* One character, as RFC 3629 4 allows it: the shortest form, no surrogates, nothing above U+10FFFF.
 * Returns its octets, 0 when there is no such character at the start of in. */
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

/* RFC 2759 8.3 hashes the password in UTF-16, little endian, without an end mark. */
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

enum err nthash_from_password(struct span password, uint8_t hash_hash[NT_HASH])
{
    uint8_t utf16[UTF16_MAX];
    size_t n;
    enum err e = utf16_from_utf8(password, utf16, &n);
    if (e == ERR_OK)
        e = md4_twice(utf16, n, hash_hash);
    OPENSSL_cleanse(utf16, sizeof utf16);
    return e;
}
