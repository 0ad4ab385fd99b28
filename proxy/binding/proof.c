#include "binding/proof.h"

#include <openssl/err.h>
#include <openssl/evp.h>

enum err proof_md5(uint8_t id, struct span password, struct span challenge, uint8_t out[PROOF_MD5])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    ERR_set_mark();
    const bool ok = c != NULL && EVP_DigestInit_ex(c, EVP_md5(), NULL) == 1 &&
                    EVP_DigestUpdate(c, &id, sizeof id) == 1 &&
                    EVP_DigestUpdate(c, password.p, password.n) == 1 &&
                    EVP_DigestUpdate(c, challenge.p, challenge.n) == 1 &&
                    EVP_DigestFinal_ex(c, out, NULL) == 1;
    ERR_pop_to_mark();
    EVP_MD_CTX_free(c); /* wipes its content */
    return ok ? ERR_OK : ERR_TLS;
}

enum err proof_mschapv2(const struct nthash *h, struct span user, struct span password,
                        const uint8_t challenge[MSCHAP_CHALLENGE],
                        const uint8_t peer_challenge[MSCHAP_CHALLENGE],
                        uint8_t nt_response[NT_RESPONSE], uint8_t hash_hash[NT_HASH])
{
    uint8_t hashed[MSCHAP_CHALLENGE_HASH];

    mschap_challenge_hash(peer_challenge, challenge, user, hashed);
    return nthash_respond(h, password, hashed, nt_response, hash_hash);
}
