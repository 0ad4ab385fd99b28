#include "tls/tls_library.h"

#include <errno.h>
#include <openssl/conf.h>
#include <openssl/core_dispatch.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"

/* ---- the provider: the default one of the default context, with fewer algorithms ---- */

static bool is_listed(const OSSL_ALGORITHM *a, const char *const *name)
{
    const size_t n = strcspn(a->algorithm_names, ":"); /* its other names follow */

    for (; *name != NULL; name++)
        if (strlen(*name) == n && strncasecmp(*name, a->algorithm_names, n) == 0)
            return true;
    return false;
}

/* The decoders for the form in which a certificate has its public key, without the keys that sign
 * nothing and so are in no certificate of a chain. */
static bool decodes_public_keys(const OSSL_ALGORITHM *a)
{
    static const char *const exchange[] = {"DH", "DHX", "X25519", "X448", NULL};

    return strstr(a->property_definition, "input=der") != NULL &&
           strstr(a->property_definition, "structure=SubjectPublicKeyInfo") != NULL &&
           !is_listed(a, exchange);
}

/* The ciphers of all TLS suites that OpenSSL supports without its legacy provider, under the first
 * of their names. */
static bool has_suite(const OSSL_ALGORITHM *a)
{
    static const char *const names[] = {"AES-128-GCM",
                                        "AES-256-GCM",
                                        "ChaCha20-Poly1305",
                                        "AES-128-CBC",
                                        "AES-256-CBC",
                                        "AES-128-CBC-HMAC-SHA1",
                                        "AES-256-CBC-HMAC-SHA1",
                                        "AES-128-CBC-HMAC-SHA256",
                                        "AES-256-CBC-HMAC-SHA256",
                                        "AES-128-CCM",
                                        "AES-256-CCM",
                                        "ARIA-128-GCM",
                                        "ARIA-256-GCM",
                                        "CAMELLIA-128-CBC",
                                        "CAMELLIA-256-CBC",
                                        "DES-EDE3-CBC",
                                        "NULL",
                                        NULL};
    return is_listed(a, names);
}

enum { FEW_MAX = 31 };

/* The operations of which the provider has only some algorithms. */
static struct few {
    int operation;
    bool (*wanted)(const OSSL_ALGORITHM *a);
    OSSL_ALGORITHM algorithm[FEW_MAX + 1]; /* the last has no name */
} few[] = {
    {OSSL_OP_DECODER, decodes_public_keys, {{0}}},
    {OSSL_OP_CIPHER, has_suite, {{0}}},
};
enum { FEW = sizeof few / sizeof *few };

static OSSL_PROVIDER *base;

/* Returns whether there are such algorithms, and room for them. */
static bool choose(struct few *f)
{
    int no_store;
    const OSSL_ALGORITHM *a = OSSL_PROVIDER_query_operation(base, f->operation, &no_store);
    size_t n = 0;

    for (; a != NULL && a->algorithm_names != NULL && n < FEW_MAX; a++)
        if (f->wanted(a))
            f->algorithm[n++] = *a;
    return n > 0 && n < FEW_MAX;
}

static const OSSL_ALGORITHM *query(void *ctx, int operation, int *no_store)
{
    const OSSL_ALGORITHM *all = OSSL_PROVIDER_query_operation(base, operation, no_store);

    (void)ctx;
    for (size_t i = 0; i < FEW; i++)
        if (few[i].operation == operation)
            return few[i].algorithm;
    return all;
}

static int capabilities(void *ctx, const char *name, OSSL_CALLBACK *callback, void *arg)
{
    (void)ctx;
    return OSSL_PROVIDER_get_capabilities(base, name, callback, arg);
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **ctx)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
        {OSSL_FUNC_PROVIDER_GET_CAPABILITIES, (void (*)(void))capabilities},
        {0, NULL},
    };

    (void)handle, (void)in;
    *out = functions;
    *ctx = OSSL_PROVIDER_get0_provider_ctx(base); /* the functions of the default provider get it */
    return 1;
}

/* ---- the condition ---- */

static int on_provider(OSSL_PROVIDER *provider, void *others)
{
    if (strcmp(OSSL_PROVIDER_get0_name(provider), "default") != 0)
        *(bool *)others = true;
    return 1;
}

static bool section_fits(const CONF *conf, const char *name)
{
    const STACK_OF(CONF_VALUE) *section = NCONF_get_section(conf, name);
    bool fits = true;

    for (int i = 0; i < sk_CONF_VALUE_num(section); i++) {
        const char *setting = sk_CONF_VALUE_value(section, i)->name;
        fits &= strcmp(setting, "providers") == 0 || strcmp(setting, "ssl_conf") == 0;
    }
    return fits;
}

static bool file_fits(const char *file)
{
    if (access(file, F_OK) != 0 && errno == ENOENT)
        return true;
    CONF *conf = insist_alloc(NCONF_new(NULL));
    bool fits = NCONF_load(conf, file, NULL) == 1;
    const char *name = fits ? NCONF_get_string(conf, NULL, "openssl_conf") : NULL;

    if (name != NULL)
        fits = section_fits(conf, name);
    NCONF_free(conf);
    return fits;
}

bool tls_library_fits(const char *file)
{
    bool others = false;

    ERR_set_mark();
    const bool fits = OSSL_PROVIDER_do_all(NULL, on_provider, &others) == 1 && !others &&
                      (file == NULL || file_fits(file));
    ERR_pop_to_mark();
    return fits;
}

/* ---- the context ---- */

static OSSL_LIB_CTX *library;

static OSSL_LIB_CTX *library_new(void)
{
    base = OSSL_PROVIDER_load(NULL, "default");
    if (base == NULL)
        return NULL;
    for (size_t i = 0; i < FEW; i++)
        if (!choose(&few[i]))
            return NULL;
    OSSL_LIB_CTX *lib = insist_alloc(OSSL_LIB_CTX_new());
    if (OSSL_PROVIDER_add_builtin(lib, "sstpgate", provider_init) == 1 &&
        OSSL_PROVIDER_load(lib, "sstpgate") != NULL)
        return lib;
    OSSL_LIB_CTX_free(lib);
    return NULL;
}

static void start(void)
{
    char *file = CONF_get1_default_config_file();

    if (OpenSSL_version_num() < 0x30200000L && tls_library_fits(file))
        library = library_new();
    OPENSSL_free(file);
}

OSSL_LIB_CTX *tls_library(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    INSIST(pthread_once(&once, start) == 0);
    return library;
}
