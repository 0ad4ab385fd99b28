#include "tls/tls_device.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/uri.h"

/* The size of a provider's text; longer ones are cut. */
enum { REASON_SIZE = 256 };

#define TPM_PROPERTIES "?tpm2.signature=yes"

static pthread_mutex_t device = PTHREAD_MUTEX_INITIALIZER;

void tls_device_lock(bool single)
{
    if (single)
        INSIST(pthread_mutex_lock(&device) == 0);
}

void tls_device_unlock(bool single)
{
    if (single)
        INSIST(pthread_mutex_unlock(&device) == 0);
}

static const char *provider_of(const EVP_PKEY *key)
{
    const OSSL_PROVIDER *p = key == NULL ? NULL : EVP_PKEY_get0_provider(key);
    return p == NULL ? "default" : OSSL_PROVIDER_get0_name(p);
}

bool tls_device_has(const EVP_PKEY *key)
{
    const char *name = provider_of(key);
    return strcmp(name, "default") != 0 && strcmp(name, "fips") != 0;
}

bool tls_device_is_single(const EVP_PKEY *key)
{
    return strcmp(provider_of(key), "tpm2") == 0;
}

/* The provider of a TPM exports each key, without its private part, so OpenSSL would sign with its
 * own provider. The property exists in the algorithms for signatures only: the key exchange stays
 * out of the TPM. */
const char *tls_device_properties(const EVP_PKEY *key)
{
    return tls_device_is_single(key) ? TPM_PROPERTIES : NULL;
}

/* ---- kept keys ---- */

/* Guarded by the lock. */
struct kept_key {
    char *uri;
    EVP_PKEY *key;
};
static struct kept_key *kept;
static size_t kept_count;

/* Returns NULL if there is none. */
static EVP_PKEY *kept_find(const char *uri)
{
    for (size_t i = 0; i < kept_count; i++)
        if (strcmp(kept[i].uri, uri) == 0)
            return kept[i].key;
    return NULL;
}

void tls_device_keep(const char *uri, EVP_PKEY *key)
{
    if (!tls_device_is_single(key) || kept_find(uri) != NULL)
        return;
    INSIST(EVP_PKEY_up_ref(key) == 1);
    kept = insist_alloc(reallocarray(kept, kept_count + 1, sizeof *kept));
    kept[kept_count++] = (struct kept_key){.uri = insist_alloc(strdup(uri)), .key = key};
}

/* ---- errors ---- */

/* Takes entries of OpenSSL's queue up to the first that a provider has made, because entries of
 * OpenSSL itself only say that a provider has failed. Writes its text; "": there is none. */
static void reason_of_provider(char out[REASON_SIZE])
{
    const char *data;
    int flags;
    unsigned long e;

    for (*out = '\0';
         *out == '\0' && (e = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0;) {
        const char *reason = ERR_reason_error_string(e);
        const bool more = (flags & ERR_TXT_STRING) != 0 && *data != '\0';
        if (ERR_GET_LIB(e) == 0 || ERR_GET_LIB(e) >= ERR_LIB_USER)
            snprintf(out, REASON_SIZE, "%s%s%s", reason == NULL ? "" : reason,
                     reason != NULL && more ? ": " : "", more ? data : "");
    }
}

/* Writes "WHAT: SENTENCE (REASON)" and empties OpenSSL's queue. */
static void explain(const char *what, const char *sentence, char *error)
{
    char reason[REASON_SIZE];

    reason_of_provider(reason);
    snprintf(error, TLS_ERROR_MAX, "%s: %s%s%s%s", what, sentence, *reason == '\0' ? "" : " (",
             reason, *reason == '\0' ? "" : ")");
    ERR_clear_error();
}

/* Returns whether a provider that is not OpenSSL's has made the entry. The callbacks of this room
 * use ERR_LIB_USER, too, with ERR_R_OPERATION_FAIL. */
static bool is_foreign(unsigned long e)
{
    const int from = ERR_GET_LIB(e);
    return e != 0 && (from == 0 || from >= ERR_LIB_USER) &&
           ERR_GET_REASON(e) != ERR_R_OPERATION_FAIL;
}

/* A provider that reports nothing leaves the entry of OpenSSL about a signature, which is the last.
 * A bad key share of a client causes the same last entry, after one of OpenSSL's own provider. */
bool tls_device_failed(char out[TLS_ERROR_MAX])
{
    const unsigned long first = ERR_peek_error(), last = ERR_peek_last_error();
    const int from = ERR_GET_LIB(first), reason = ERR_GET_REASON(last);
    const bool silent = ERR_GET_LIB(last) == ERR_LIB_SSL &&
                        (reason == ERR_R_EVP_LIB || reason == ERR_R_INTERNAL_ERROR) &&
                        (from == ERR_LIB_SSL || from == ERR_LIB_EVP);
    char text[REASON_SIZE];

    if (!is_foreign(first) && !silent)
        return false;
    reason_of_provider(text);
    snprintf(out, TLS_ERROR_MAX, "the device does not sign with the private key%s%s",
             *text == '\0' ? "" : ": ", text);
    ERR_clear_error();
    return true;
}

/* Returns whether a provider opens URIs with this scheme. */
static bool scheme_is_known(const char *uri)
{
    char scheme[64];

    snprintf(scheme, sizeof scheme, "%.*s", (int)uri_scheme(uri), uri);
    OSSL_STORE_LOADER *loader = OSSL_STORE_LOADER_fetch(NULL, scheme, NULL);
    OSSL_STORE_LOADER_free(loader);
    return loader != NULL;
}

static const char *package_of(const char *uri)
{
    return uri_has_scheme(uri, "pkcs11")   ? " (package pkcs11-provider)"
           : uri_has_scheme(uri, "handle") ? " (package tpm2-openssl)"
                                           : "";
}

static void scheme_error(const char *uri, char *error)
{
    const int n = (int)uri_scheme(uri);

    ERR_clear_error();
    snprintf(error, TLS_ERROR_MAX,
             "%s: no provider that openssl.cnf loads opens '%.*s:'%s; a file of this name is "
             "written ./%s",
             uri, n, uri, package_of(uri), uri);
}

/* ---- loading ---- */

/* Gives the answer once. */
struct asker {
    pem_password_cb *ask;
    void *arg;
    bool asked;
};

static int on_ask(char *buf, int size, int writing, void *arg)
{
    struct asker *a = arg;

    if (a->asked)
        return -1;
    a->asked = true;
    return a->ask(buf, size, writing, a->arg);
}

/* Adds the keys of an open store. Returns whether its end was reached without an error. */
static bool read_keys(OSSL_STORE_CTX *store, struct tls_bag *bag)
{
    bool ok = true;

    while (ok && OSSL_STORE_eof(store) == 0) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        EVP_PKEY *key = info == NULL ? NULL : OSSL_STORE_INFO_get1_PKEY(info);
        ok = OSSL_STORE_error(store) == 0;
        if (key != NULL)
            tls_bag_add_key(bag, key);
        OSSL_STORE_INFO_free(info);
    }
    return ok;
}

static bool load_with(const char *uri, UI_METHOD *ui, struct asker *a, struct tls_bag *bag,
                      char *error)
{
    ERR_clear_error();
    OSSL_STORE_CTX *store = OSSL_STORE_open(uri, ui, a, NULL, NULL);
    if (store == NULL) {
        if (scheme_is_known(uri))
            explain(uri, "the provider cannot open the key", error);
        else
            scheme_error(uri, error);
        return false;
    }
    (void)OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
    const bool ok = read_keys(store, bag);
    const bool found = bag->key_count > 0;
    if (!found)
        explain(uri,
                a->asked ? "no private key: the PIN is wrong, or the device has no such key"
                : ok     ? "no private key: the device has no such key, or is missing"
                         : "the provider cannot read the key",
                error);
    OSSL_STORE_close(store);
    ERR_clear_error();
    return found;
}

/* Fetches the key managers that the key exchange of TLS uses, with the properties of a TPM.
 * OpenSSL caches the result of the first fetch; otherwise that would be of the first signature, and
 * the key exchange would use the TPM, too. */
static void cache_managers(void)
{
    static const char *const names[] = {"EC", "RSA"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        EVP_KEYMGMT_free(EVP_KEYMGMT_fetch(NULL, names[i], TPM_PROPERTIES));
    ERR_clear_error();
}

bool tls_device_load(const char *uri, pem_password_cb *ask, void *arg, struct tls_bag *bag,
                     char error[TLS_ERROR_MAX])
{
    struct asker a = {.ask = ask, .arg = arg};
    EVP_PKEY *key = kept_find(uri);

    if (key != NULL) {
        INSIST(EVP_PKEY_up_ref(key) == 1);
        tls_bag_add_key(bag, key);
        return true;
    }
    UI_METHOD *ui = insist_alloc(UI_UTIL_wrap_read_pem_callback(on_ask, 0));
    const bool ok = load_with(uri, ui, &a, bag, error);

    UI_destroy_method(ui);
    return ok;
}

/* ---- a first signature ---- */

/* Signs as TLS does: RSA with PSS, or for TLS 1.2 without it. */
static bool signs(EVP_PKEY *key, int padding)
{
    static const unsigned char text[] = "sstpgate";
    const bool rsa = EVP_PKEY_is_a(key, "RSA"),
               edwards = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");
    unsigned char out[1024];
    size_t n = sizeof out;
    EVP_PKEY_CTX *of_key;
    EVP_MD_CTX *ctx = insist_alloc(EVP_MD_CTX_new());
    const bool ok = EVP_DigestSignInit_ex(ctx, &of_key, edwards ? NULL : "SHA256", NULL,
                                          tls_device_properties(key), key, NULL) == 1 &&
                    (!rsa || EVP_PKEY_CTX_set_rsa_padding(of_key, padding) == 1) &&
                    (!rsa || padding != RSA_PKCS1_PSS_PADDING ||
                     EVP_PKEY_CTX_set_rsa_pss_saltlen(of_key, RSA_PSS_SALTLEN_DIGEST) == 1) &&
                    EVP_DigestSign(ctx, out, &n, text, sizeof text) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

bool tls_device_try(EVP_PKEY *key, const char *what, char error[TLS_ERROR_MAX])
{
    if (!tls_device_has(key))
        return true;
    cache_managers();
    const bool ok = signs(key, RSA_PKCS1_PSS_PADDING) ||
                    (EVP_PKEY_is_a(key, "RSA") && signs(key, RSA_PKCS1_PADDING));
    if (!ok)
        explain(what, "the device does not sign with the key", error);
    ERR_clear_error();
    return ok;
}
