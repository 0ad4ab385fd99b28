#include "tls/aead_check.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/insist.h"

static const char *const names[AEAD_CIPHERS] = {
    [AEAD_AES_128_GCM] = "AES-128-GCM",
    [AEAD_AES_256_GCM] = "AES-256-GCM",
    [AEAD_CHACHA20_POLY1305] = "ChaCha20-Poly1305",
};

#define GCM_KEY "\xfe\xff\xe9\x92\x86\x65\x73\x1c\x6d\x6a\x8f\x94\x67\x30\x83\x08"
#define GCM_NONCE "\xca\xfe\xba\xbe\xfa\xce\xdb\xad\xde\xca\xf8\x88"
#define GCM_AAD "\xfe\xed\xfa\xce\xde\xad\xbe\xef\xfe\xed\xfa\xce\xde\xad\xbe\xef\xab\xad\xda\xd2"
#define GCM_PLAIN                                                                                  \
    "\xd9\x31\x32\x25\xf8\x84\x06\xe5\xa5\x59\x09\xc5\xaf\xf5\x26\x9a"                             \
    "\x86\xa7\xa9\x53\x15\x34\xf7\xda\x2e\x4c\x30\x3d\x8a\x31\x8a\x72"                             \
    "\x1c\x3c\x0c\x95\x95\x68\x09\x53\x2f\xcf\x0e\x24\x49\xa6\xb5\x25"                             \
    "\xb1\x6a\xed\xf5\xaa\x0d\xe6\x57\xba\x63\x7b\x39"

/* One published answer for each cipher, and a digest of answers of this file's own messages, which
 * both libraries give. */
static const struct answer {
    const char *key, *nonce, *aad, *plain, *sealed;
    size_t aad_n, plain_n;
    const char *digest; /* SHA-256 */
} answers[AEAD_CIPHERS] = {
    /* McGrew and Viega, The Galois/Counter Mode of Operation, test case 4 */
    [AEAD_AES_128_GCM] = {GCM_KEY, GCM_NONCE, GCM_AAD, GCM_PLAIN,
                          "\x42\x83\x1e\xc2\x21\x77\x74\x24\x4b\x72\x21\xb7\x84\xd0\xd4\x9c"
                          "\xe3\xaa\x21\x2f\x2c\x02\xa4\xe0\x35\xc1\x7e\x23\x29\xac\xa1\x2e"
                          "\x21\xd5\x14\xb2\x54\x66\x93\x1c\x7d\x8f\x6a\x5a\xac\x84\xaa\x05"
                          "\x1b\xa3\x0b\x39\x6a\x0a\xac\x97\x3d\x58\xe0\x91\x5b\xc9\x4f\xbc"
                          "\x32\x21\xa5\xdb\x94\xfa\xe9\x5a\xe7\x12\x1a\x47",
                          20, 60,
                          "\x31\xf8\x8c\xa4\xed\x87\x0a\x62\xa1\x32\x9a\x31\x0c\x7b\x12\x81"
                          "\xfa\x16\x4d\x83\x76\x50\xd3\x5e\x16\x11\x96\x80\xd2\x5a\x60\x64"},
    /* the same, test case 16 */
    [AEAD_AES_256_GCM] = {GCM_KEY GCM_KEY, GCM_NONCE, GCM_AAD, GCM_PLAIN,
                          "\x52\x2d\xc1\xf0\x99\x56\x7d\x07\xf4\x7f\x37\xa3\x2a\x84\x42\x7d"
                          "\x64\x3a\x8c\xdc\xbf\xe5\xc0\xc9\x75\x98\xa2\xbd\x25\x55\xd1\xaa"
                          "\x8c\xb0\x8e\x48\x59\x0d\xbb\x3d\xa7\xb0\x8b\x10\x56\x82\x88\x38"
                          "\xc5\xf6\x1e\x63\x93\xba\x7a\x0a\xbc\xc9\xf6\x62\x76\xfc\x6e\xce"
                          "\x0f\x4e\x17\x68\xcd\xdf\x88\x53\xbb\x2d\x55\x1b",
                          20, 60,
                          "\x65\xe2\x6b\xf0\xb3\x55\x8f\xbc\x35\xbc\xb0\xb3\x6d\x16\x37\x78"
                          "\x07\xf1\xb5\x81\xdb\x2f\x23\x87\xfc\x92\x25\xae\x1a\x91\x64\x6f"},
    /* RFC 8439 2.8.2 */
    [AEAD_CHACHA20_POLY1305] =
        {"\x80\x81\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
         "\x90\x91\x92\x93\x94\x95\x96\x97\x98\x99\x9a\x9b\x9c\x9d\x9e\x9f",
         "\x07\x00\x00\x00\x40\x41\x42\x43\x44\x45\x46\x47",
         "\x50\x51\x52\x53\xc0\xc1\xc2\xc3\xc4\xc5\xc6\xc7",
         "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
         "future, sunscreen would be it.",
         "\xd3\x1a\x8d\x34\x64\x8e\x60\xdb\x7b\x86\xaf\xbc\x53\xef\x7e\xc2"
         "\xa4\xad\xed\x51\x29\x6e\x08\xfe\xa9\xe2\xb5\xa7\x36\xee\x62\xd6"
         "\x3d\xbe\xa4\x5e\x8c\xa9\x67\x12\x82\xfa\xfb\x69\xda\x92\x72\x8b"
         "\x1a\x71\xde\x0a\x9e\x06\x0b\x29\x05\xd6\xa5\xb6\x7e\xcd\x3b\x36"
         "\x92\xdd\xbd\x7f\x2d\x77\x8b\x8c\x98\x03\xae\xe3\x28\x09\x1b\x58"
         "\xfa\xb3\x24\xe4\xfa\xd6\x75\x94\x55\x85\x80\x8b\x48\x31\xd7\xbc"
         "\x3f\xf4\xde\xf0\x8e\x4b\x7a\x9d\xe5\x76\xd2\x65\x86\xce\xc6\x4b"
         "\x61\x16\x1a\xe1\x0b\x59\x4f\x09\xe2\x6a\x7e\x90\x2e\xcb\xd0\x60"
         "\x06\x91",
         12, 114,
         "\x18\x97\xa1\x9b\xfa\xde\x99\x7e\xbd\x39\x0a\x01\xd4\x88\xdd\x82"
         "\x91\x85\xd0\x48\xdc\x78\xfb\x41\x89\x23\x08\x52\x98\x3b\xdb\xe6"},
};

/* Lengths on each side of a block, of a packet, and above a full record: each path of the vector
 * code. */
static const size_t lengths[] = {0, 1, 15, 16, 17, 72, 255, 256, 770, 1408, 16400};
enum { LENGTHS = sizeof lengths / sizeof *lengths, LONGEST = 16400, AAD = 20 };

/* A message and its room. */
struct message {
    const struct aead_library_ops *library;
    struct aead_key *key;
    uint8_t nonce[AEAD_NONCE], aad[AAD];
    size_t aad_n, n;
    uint8_t plain[LONGEST], sealed[LONGEST + AEAD_TAG], out[LONGEST + AEAD_TAG];
};

static void seal(struct message *m, const uint8_t *plain, uint8_t *out)
{
    m->library->seal(m->key, m->nonce, span_of(m->aad, m->aad_n), span_of(plain, m->n), out);
}

static bool open_into(struct message *m, const uint8_t *sealed, uint8_t *out)
{
    return m->library->open(m->key, m->nonce, span_of(m->aad, m->aad_n),
                            span_of(sealed, m->n + AEAD_TAG), out);
}

/* Returns whether a message with one changed bit is refused. */
static bool refused(struct message *m, uint8_t *changed)
{
    *changed ^= 0x80;
    const bool opened = open_into(m, m->sealed, m->out);
    *changed ^= 0x80;
    return !opened;
}

/* Compares all forms of a message with m->sealed. Returns what is wrong; NULL: nothing. */
static const char *check_forms(struct message *m)
{
    memcpy(m->out, m->plain, m->n);
    seal(m, m->out, m->out);
    if (memcmp(m->out, m->sealed, m->n + AEAD_TAG) != 0)
        return "sealed in place";
    if (!open_into(m, m->out, m->out) || memcmp(m->out, m->plain, m->n) != 0)
        return "opened in place";
    memset(m->out, 0, m->n);
    if (!open_into(m, m->sealed, m->out) || memcmp(m->out, m->plain, m->n) != 0)
        return "opened";
    if (!refused(m, &m->sealed[m->n]) || !refused(m, &m->sealed[m->n + AEAD_TAG - 1]))
        return "a wrong tag";
    if (m->n > 0 && (!refused(m, &m->sealed[0]) || !refused(m, &m->sealed[m->n - 1])))
        return "a changed byte";
    if (!refused(m, &m->nonce[AEAD_NONCE - 1]) || !refused(m, &m->aad[0]))
        return "another nonce or header";
    return NULL;
}

static const char *check_published(struct message *m, const struct answer *a)
{
    memcpy(m->nonce, a->nonce, AEAD_NONCE);
    memcpy(m->aad, a->aad, m->aad_n = a->aad_n);
    memcpy(m->plain, a->plain, m->n = a->plain_n);
    seal(m, m->plain, m->sealed);
    return memcmp(m->sealed, a->sealed, m->n + AEAD_TAG) != 0 ? "sealed" : check_forms(m);
}

static const char *check_lengths(struct message *m, const struct answer *a)
{
    const char *wrong = NULL;
    uint8_t digest[32];
    EVP_MD_CTX *all = insist_alloc(EVP_MD_CTX_new());

    INSIST(EVP_DigestInit_ex(all, EVP_sha256(), NULL) == 1);
    for (size_t i = 0; i < LONGEST; i++)
        m->plain[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t i = 0; i < AAD; i++)
        m->aad[i] = (uint8_t)i;
    for (size_t i = 0; i < LENGTHS && wrong == NULL; i++) {
        m->nonce[0] = (uint8_t)i;
        m->aad_n = i % 2 == 0 ? 5 : 13; /* as in TLS 1.3 and 1.2 */
        m->n = lengths[i];
        seal(m, m->plain, m->sealed);
        INSIST(EVP_DigestUpdate(all, m->sealed, m->n + AEAD_TAG) == 1);
        wrong = check_forms(m);
    }
    INSIST(EVP_DigestFinal_ex(all, digest, NULL) == 1);
    EVP_MD_CTX_free(all);
    return wrong == NULL && memcmp(digest, a->digest, sizeof digest) != 0 ? "sealed" : wrong;
}

bool aead_check(const struct aead_library_ops *library, char error[AEAD_ERROR_MAX])
{
    struct message *m = NEW(struct message);
    const char *wrong = NULL;

    error[0] = '\0';
    m->library = library;
    for (enum aead_cipher c = 0; c < AEAD_CIPHERS && wrong == NULL; c++) {
        if (!library->has(c))
            continue;
        m->key = library->key_new(c, (const uint8_t *)answers[c].key);
        wrong = check_published(m, &answers[c]);
        if (wrong == NULL)
            wrong = check_lengths(m, &answers[c]);
        library->key_free(m->key);
        if (wrong != NULL)
            snprintf(error, AEAD_ERROR_MAX,
                     "%s computes %s wrong (%s, %zu bytes): a fault of the "
                     "processor or of the library",
                     library->name(), names[c], wrong, m->n);
    }
    free(m);
    return wrong == NULL;
}
