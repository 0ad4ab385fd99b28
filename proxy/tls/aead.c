#include "tls/aead.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>

#include "base/insist.h"
#include "base/secrets.h"
#include "tls/aead_check.h"
#include "tls/aead_evp.h"
#include "tls/aead_mb.h"
#include "tls/tls_basics.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct aead_library_ops *library; /* NULL: not started, or a wrong answer */
static char wrong[AEAD_ERROR_MAX];
static bool usable[2]; /* by enum aead_library */

static const struct aead_library_ops *library_of(enum aead_library which)
{
    return which == AEAD_MB ? &aead_mb : &aead_evp;
}

static void start(void)
{
    char basics[TLS_BASICS_ERROR_MAX];

    if (!tls_basics(basics)) {
        snprintf(wrong, sizeof wrong, "%s", basics);
        return;
    }
    usable[AEAD_EVP] = aead_evp.start();
    /* FIPS requires that the validated module encrypts the traffic. */
    usable[AEAD_MB] = !EVP_default_properties_is_fips_enabled(NULL) && aead_mb.start();

    const struct aead_library_ops *chosen = library_of(usable[AEAD_MB] ? AEAD_MB : AEAD_EVP);
    if (aead_check(chosen, wrong))
        library = chosen;
}

bool aead_start(char error[AEAD_ERROR_MAX])
{
    pthread_once(&once, start);
    snprintf(error, AEAD_ERROR_MAX, "%s", wrong);
    return wrong[0] == '\0';
}

static void started(void)
{
    char error[AEAD_ERROR_MAX];

    if (library == NULL)
        INSIST(aead_start(error));
}

bool aead_use(enum aead_library which)
{
    started();
    if (usable[which])
        library = library_of(which);
    return usable[which];
}

const char *aead_name(void)
{
    started();
    return library->name();
}

bool aead_has(enum aead_cipher c)
{
    started();
    return library->has(c);
}

size_t aead_key_size(enum aead_cipher c)
{
    return c == AEAD_AES_128_GCM ? 16 : 32;
}

struct aead_key *aead_key_new(enum aead_cipher c, const uint8_t *key)
{
    started();
    return library->key_new(c, key);
}

void aead_key_free(struct aead_key *k)
{
    if (k != NULL)
        k->library->key_free(k);
}

void aead_seal(struct aead_key *k, const uint8_t nonce[AEAD_NONCE], struct span aad,
               struct span plain, uint8_t *out)
{
    k->library->seal(k, nonce, aad, plain, out);
}

bool aead_open(struct aead_key *k, const uint8_t nonce[AEAD_NONCE], struct span aad,
               struct span sealed, uint8_t *out)
{
    if (sealed.n < AEAD_TAG)
        return false;
    if (k->library->open(k, nonce, aad, sealed, out))
        return true;
    secrets_wipe(out, sealed.n - AEAD_TAG);
    return false;
}
