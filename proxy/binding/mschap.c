#include "binding/mschap.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

#include "base/insist.h"

/* The texts of RFC 2759 8.7, without their NUL. */
static const char magic1[] = "Magic server to client signing constant";
static const char magic2[] = "Pad to make it do more than one iteration";

/* Computes SHA1 over three parts. Aborts if libcrypto fails, because it fails only without memory
 * or without SHA1, and then no call can be served. */
static void sha1_of(uint8_t out[MSCHAP_ANSWER], const struct span part[3])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    INSIST(c != NULL);
    INSIST(EVP_DigestInit_ex(c, EVP_sha1(), NULL) == 1);
    for (size_t i = 0; i < 3; i++)
        INSIST(EVP_DigestUpdate(c, part[i].p, part[i].n) == 1);
    INSIST(EVP_DigestFinal_ex(c, out, NULL) == 1);
    EVP_MD_CTX_free(c); /* wipes its content */
}

static struct span bare_name(struct span user)
{
    for (size_t i = user.n; i > 0; i--)
        if (user.p[i - 1] == '\\')
            return span_from(user, i);
    return user;
}

void mschap_challenge_hash(const uint8_t peer_challenge[MSCHAP_CHALLENGE],
                           const uint8_t challenge[MSCHAP_CHALLENGE], struct span user,
                           uint8_t out[MSCHAP_CHALLENGE_HASH])
{
    uint8_t hash[MSCHAP_ANSWER];

    sha1_of(hash, (struct span[3]){span_of(peer_challenge, MSCHAP_CHALLENGE),
                                   span_of(challenge, MSCHAP_CHALLENGE), bare_name(user)});
    memcpy(out, hash, MSCHAP_CHALLENGE_HASH);
}

bool mschap_answer_fits(const uint8_t answer[MSCHAP_ANSWER],
                        const uint8_t hash_hash[HLAK_HASH_HASH],
                        const uint8_t nt_response[HLAK_NT_RESPONSE],
                        const uint8_t peer_challenge[MSCHAP_CHALLENGE],
                        const uint8_t challenge[MSCHAP_CHALLENGE], struct span user)
{
    uint8_t first[MSCHAP_ANSWER], made[MSCHAP_ANSWER], hash[MSCHAP_ANSWER];
    const struct span name[] = {bare_name(user), user};
    bool fits = false;

    sha1_of(first, (struct span[3]){span_of(hash_hash, HLAK_HASH_HASH),
                                    span_of(nt_response, HLAK_NT_RESPONSE), span_str(magic1)});
    for (size_t i = 0; i < 2; i++) {
        sha1_of(hash, (struct span[3]){span_of(peer_challenge, MSCHAP_CHALLENGE),
                                       span_of(challenge, MSCHAP_CHALLENGE), name[i]});
        sha1_of(made, (struct span[3]){span_of(first, sizeof first),
                                       span_of(hash, MSCHAP_CHALLENGE_HASH), span_str(magic2)});
        fits |= CRYPTO_memcmp(made, answer, sizeof made) == 0;
    }
    OPENSSL_cleanse(first, sizeof first);
    OPENSSL_cleanse(made, sizeof made);
    return fits;
}
