#include "tls/record.h"

#include <endian.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <pthread.h>

#include "base/insist.h"
#include "base/secrets.h"
#include "tls/aead.h"

enum { SECRET_MAX = 48, SALT = 4, EXPLICIT = 8, TLS13_SEALED_MAX = RECORD_PLAIN_MAX + 256 };

struct record_side {
    uint64_t seq;          /* of the next record; UINT64_MAX is never used */
    struct aead_key *aead; /* NULL: at rest */
    const struct suite *suite;
    bool explicit_nonce;    /* TLS 1.2 with AES-GCM */
    uint8_t iv[AEAD_NONCE]; /* with an explicit nonce: the salt, and its offset from seq */
    uint8_t key[AEAD_KEY_MAX];
    uint8_t secret[SECRET_MAX]; /* TLS 1.3 */
};

/* ---- suites ---- */

static const struct suite {
    uint16_t number;
    bool tls13;
    enum aead_cipher cipher;
    size_t hash; /* bytes: 32 is SHA-256, 48 is SHA-384 */
} suites[] = {
    {0x1301, true, AEAD_AES_128_GCM, 32}, /* TLS_AES_128_GCM_SHA256, RFC 8446 B.4 */
    {0x1302, true, AEAD_AES_256_GCM, 48},
    {0x1303, true, AEAD_CHACHA20_POLY1305, 32},
    {0x009c, false, AEAD_AES_128_GCM, 32}, /* TLS_RSA_WITH_AES_128_GCM_SHA256, RFC 5288 */
    {0x009d, false, AEAD_AES_256_GCM, 48},
    {0x009e, false, AEAD_AES_128_GCM, 32}, /* DHE_RSA */
    {0x009f, false, AEAD_AES_256_GCM, 48},
    {0xc02b, false, AEAD_AES_128_GCM, 32}, /* ECDHE_ECDSA, RFC 5289 */
    {0xc02c, false, AEAD_AES_256_GCM, 48},
    {0xc02f, false, AEAD_AES_128_GCM, 32}, /* ECDHE_RSA */
    {0xc030, false, AEAD_AES_256_GCM, 48},
    {0xcca8, false, AEAD_CHACHA20_POLY1305, 32}, /* ECDHE_RSA, RFC 7905 */
    {0xcca9, false, AEAD_CHACHA20_POLY1305, 32}, /* ECDHE_ECDSA */
    {0xccaa, false, AEAD_CHACHA20_POLY1305, 32}, /* DHE_RSA */
};
enum { SUITES = sizeof suites / sizeof *suites };

static const struct suite *suite_find(uint16_t number)
{
    for (size_t i = 0; i < SUITES; i++)
        if (suites[i].number == number)
            return &suites[i];
    return NULL;
}

static const struct suite *suite_of(uint16_t number, bool tls13)
{
    const struct suite *s = suite_find(number);

    INSIST(s != NULL && s->tls13 == tls13);
    return s;
}

bool record_suite_known(uint16_t suite, bool tls13)
{
    const struct suite *s = suite_find(suite);

    return s != NULL && s->tls13 == tls13 && aead_has(s->cipher);
}

size_t record_key_size(uint16_t suite)
{
    return aead_key_size(suite_of(suite, false)->cipher);
}

static bool is_gcm(const struct suite *s)
{
    return s->cipher != AEAD_CHACHA20_POLY1305;
}

size_t record_iv_size(uint16_t suite)
{
    return is_gcm(suite_of(suite, false)) ? SALT : AEAD_NONCE;
}

/* ---- keys ---- */

static pthread_once_t kdf_once = PTHREAD_ONCE_INIT;
static EVP_KDF *kdf; /* of all threads */

static void kdf_fetch(void)
{
    kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", NULL);
}

/* Returns a context for expand_label(); the caller frees it with EVP_KDF_CTX_free(), which wipes
 * it. */
static EVP_KDF_CTX *expander(const struct record_side *s)
{
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    char digests[][7] = {"SHA256", "SHA384"};
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digests[s->suite->hash == 48], 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)s->secret,
                                          s->suite->hash),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_PREFIX, (char[]){"tls13 "}, 6),
        OSSL_PARAM_construct_end(),
    };

    pthread_once(&kdf_once, kdf_fetch);
    EVP_KDF_CTX *ctx = insist_alloc(EVP_KDF_CTX_new(kdf));
    INSIST(EVP_KDF_CTX_set_params(ctx, params) == 1);
    return ctx;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 7.1). OpenSSL has done the same for this
 * connection before, so it does not fail. */
static void expand_label(EVP_KDF_CTX *ctx, const char *label, uint8_t *out, size_t n)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_LABEL, (void *)(uintptr_t)label,
                                          strlen(label)),
        OSSL_PARAM_construct_end(),
    };

    INSIST(EVP_KDF_derive(ctx, out, n, params) == 1);
}

static void derive_keys(struct record_side *s)
{
    EVP_KDF_CTX *ctx = expander(s);

    expand_label(ctx, "key", s->key, aead_key_size(s->suite->cipher));
    expand_label(ctx, "iv", s->iv, sizeof s->iv);
    EVP_KDF_CTX_free(ctx);
}

static struct record_side *side_new(const struct suite *suite, uint64_t seq)
{
    struct record_side *s = secrets_alloc(sizeof *s);

    s->suite = suite;
    s->seq = seq;
    return s;
}

struct record_side *record_side_13(uint16_t suite, struct span secret, uint64_t seq)
{
    struct record_side *s = side_new(suite_of(suite, true), seq);

    INSIST(secret.n == s->suite->hash);
    memcpy(s->secret, secret.p, secret.n);
    derive_keys(s);
    return s;
}

struct record_side *record_side_12(uint16_t suite, struct span key, struct span iv, uint64_t seq)
{
    struct record_side *s = side_new(suite_of(suite, false), seq);

    INSIST(key.n == record_key_size(suite) && iv.n == record_iv_size(suite));
    memcpy(s->key, key.p, key.n);
    memcpy(s->iv, iv.p, iv.n);
    s->explicit_nonce = is_gcm(s->suite);
    return s;
}

void record_side_free(struct record_side *s)
{
    if (s == NULL)
        return;
    record_rest(s);
    secrets_free(s, sizeof *s);
}

void record_update(struct record_side *s)
{
    uint8_t next[SECRET_MAX];

    INSIST(s->suite->tls13);
    EVP_KDF_CTX *ctx = expander(s);
    expand_label(ctx, "traffic upd", next, s->suite->hash);
    EVP_KDF_CTX_free(ctx);
    memcpy(s->secret, next, s->suite->hash);
    secrets_wipe(next, sizeof next);
    record_rest(s);
    derive_keys(s);
    s->seq = 0;
}

void record_rest(struct record_side *s)
{
    aead_key_free(s->aead);
    s->aead = NULL;
}

uint64_t record_seq(const struct record_side *s)
{
    return s->seq;
}

static struct aead_key *expanded(struct record_side *s)
{
    if (s->aead == NULL)
        s->aead = aead_key_new(s->suite->cipher, s->key);
    return s->aead;
}

/* ---- numbers and nonces ---- */

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return be64toh(v);
}

static void write_u64(uint8_t *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
}

void record_set_explicit(struct record_side *s, uint64_t next)
{
    if (s->explicit_nonce)
        write_u64(s->iv + SALT, next - s->seq);
}

/* RFC 8446 5.3, RFC 7905 2. */
static void nonce_xor(const struct record_side *s, uint8_t nonce[AEAD_NONCE])
{
    memcpy(nonce, s->iv, SALT);
    write_u64(nonce + SALT, read_u64(s->iv + SALT) ^ s->seq);
}

/* RFC 5288 3. */
static void nonce_explicit(const struct record_side *s, const uint8_t part[EXPLICIT],
                           uint8_t nonce[AEAD_NONCE])
{
    memcpy(nonce, s->iv, SALT);
    memcpy(nonce + SALT, part, EXPLICIT);
}

enum { AAD_MAX = 13 };

static void write_head(uint8_t out[RECORD_HEAD], uint8_t type, size_t n)
{
    out[0] = type;
    out[1] = out[2] = 3; /* TLS 1.2, also in TLS 1.3 */
    out[3] = (uint8_t)(n >> 8);
    out[4] = (uint8_t)n;
}

/* RFC 5246 6.2.3.3: number and head, with the length of the plaintext. */
static struct span aad_12(const struct record_side *s, uint8_t aad[AAD_MAX], uint8_t type, size_t n)
{
    write_u64(aad, s->seq);
    write_head(aad + 8, type, n);
    return span_of(aad, AAD_MAX);
}

size_t record_gap(const struct record_side *s)
{
    return RECORD_HEAD + (s->explicit_nonce ? EXPLICIT : 0);
}

/* ---- seal ---- */

static void place(uint8_t *to, struct span plain)
{
    if (plain.n > 0 && plain.p != to)
        memcpy(to, plain.p, plain.n);
}

/* The type follows the plaintext, and the head says application data (RFC 8446 5.2). */
static size_t seal_13(struct record_side *s, enum record_type type, struct span plain, uint8_t *out)
{
    uint8_t nonce[AEAD_NONCE], *const inner = out + RECORD_HEAD;

    write_head(out, RECORD_DATA, plain.n + 1 + AEAD_TAG);
    place(inner, plain);
    inner[plain.n] = (uint8_t)type;
    nonce_xor(s, nonce);
    aead_seal(expanded(s), nonce, span_of(out, RECORD_HEAD), span_of(inner, plain.n + 1), inner);
    return RECORD_HEAD + plain.n + 1 + AEAD_TAG;
}

static size_t seal_12(struct record_side *s, enum record_type type, struct span plain, uint8_t *out)
{
    const size_t gap = record_gap(s);
    uint8_t nonce[AEAD_NONCE], aad[AAD_MAX];

    write_head(out, (uint8_t)type, gap - RECORD_HEAD + plain.n + AEAD_TAG);
    if (s->explicit_nonce) {
        write_u64(out + RECORD_HEAD, read_u64(s->iv + SALT) + s->seq);
        nonce_explicit(s, out + RECORD_HEAD, nonce);
    } else {
        nonce_xor(s, nonce);
    }
    aead_seal(expanded(s), nonce, aad_12(s, aad, (uint8_t)type, plain.n), plain, out + gap);
    return gap + plain.n + AEAD_TAG;
}

size_t record_seal(struct record_side *s, enum record_type type, struct span plain, uint8_t *out)
{
    INSIST(plain.n <= RECORD_PLAIN_MAX);
    if (s->seq == UINT64_MAX)
        return 0;
    const size_t n = s->suite->tls13 ? seal_13(s, type, plain, out) : seal_12(s, type, plain, out);
    s->seq++;
    return n;
}

/* ---- open ---- */

/* Judges a head, in the order of OpenSSL 3.5. */
static enum record_verdict check_head(bool tls13, const uint8_t head[RECORD_HEAD], size_t n)
{
    if (tls13 && head[0] != RECORD_DATA)
        return RECORD_UNEXPECTED;
    if (head[1] != 3 || head[2] != 3)
        return tls13 ? RECORD_DECODE : RECORD_VERSION;
    return n > (tls13 ? (size_t)TLS13_SEALED_MAX : (size_t)RECORD_SEALED_MAX) ? RECORD_OVERFLOW
                                                                              : RECORD_OK;
}

/* Removes the padding and the type. The whole record has been authenticated. */
static enum record_verdict strip_13(const uint8_t *inner, size_t *n, enum record_type *type)
{
    while (*n > 0 && inner[*n - 1] == 0)
        (*n)--;
    if (*n == 0)
        return RECORD_UNEXPECTED; /* no type, RFC 8446 5.4 */
    *type = (enum record_type)inner[--*n];
    if (*type != RECORD_DATA && *type != RECORD_HANDSHAKE && *type != RECORD_ALERT)
        return RECORD_UNEXPECTED;
    return *n == 0 && *type != RECORD_DATA ? RECORD_UNEXPECTED : RECORD_OK; /* RFC 8446 5.1 */
}

static enum record_verdict open_13(struct record_side *s, struct span record, uint8_t *out,
                                   size_t *n, enum record_type *type)
{
    const struct span sealed = span_from(record, RECORD_HEAD);
    uint8_t nonce[AEAD_NONCE];

    if (sealed.n < AEAD_TAG + 1)
        return RECORD_BAD_MAC;
    nonce_xor(s, nonce);
    if (!aead_open(expanded(s), nonce, span_of(record.p, RECORD_HEAD), sealed, out))
        return RECORD_BAD_MAC;
    *n = sealed.n - AEAD_TAG;
    return strip_13(out, n, type);
}

static enum record_verdict open_12(struct record_side *s, struct span record, uint8_t *out,
                                   size_t *n, enum record_type *type)
{
    const size_t gap = record_gap(s);
    const uint8_t named = record.p[0];
    uint8_t nonce[AEAD_NONCE], aad[AAD_MAX];

    if (record.n < gap + AEAD_TAG)
        return RECORD_BAD_MAC;
    *n = record.n - gap - AEAD_TAG;
    if (s->explicit_nonce)
        nonce_explicit(s, record.p + RECORD_HEAD, nonce);
    else
        nonce_xor(s, nonce);
    if (!aead_open(expanded(s), nonce, aad_12(s, aad, named, *n), span_from(record, gap), out))
        return RECORD_BAD_MAC;
    *type = (enum record_type)named;
    return named < RECORD_CCS || named > RECORD_DATA ? RECORD_UNEXPECTED : RECORD_OK;
}

enum record_verdict record_open(struct record_side *s, struct span in, uint8_t *out, size_t *n,
                                enum record_type *type, size_t *used)
{
    *used = *n = 0;
    if (in.n < RECORD_HEAD)
        return RECORD_MORE;

    const size_t body = (size_t)in.p[3] << 8 | in.p[4];
    enum record_verdict v = check_head(s->suite->tls13, in.p, body);
    if (v != RECORD_OK)
        return v;
    if (s->seq == UINT64_MAX)
        return RECORD_EXHAUSTED;
    if (in.n < RECORD_HEAD + body) {
        *used = RECORD_HEAD + body;
        return RECORD_MORE;
    }
    const struct span record = span_of(in.p, RECORD_HEAD + body);
    v = s->suite->tls13 ? open_13(s, record, out, n, type) : open_12(s, record, out, n, type);
    if (v == RECORD_OK && *n > RECORD_PLAIN_MAX)
        v = RECORD_OVERFLOW;
    if (v != RECORD_OK) {
        *n = 0;
        return v;
    }
    s->seq++;
    *used = record.n;
    return RECORD_OK;
}
