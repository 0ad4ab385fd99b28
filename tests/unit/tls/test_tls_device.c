/* Keys that a provider of OpenSSL opens by a URI. The provider is in this test: its scheme is
 * vault:, and the rest of the URI says what its token does. */
#include "tls/tls_device.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/core_object.h>
#include <openssl/err.h>
#include <openssl/provider.h>

#include "certs.h"
#include "tls/tls_cert.h"
#include "tls/tls_ctx.h"
#include "tls/tls_loaded.h"

static struct certs certs;
static struct cert ca, leaf, other;

/* ---- the provider ---- */

enum { NO_TOKEN = 1, WRONG_PIN = 2 };

static const OSSL_ITEM reasons[] = {{NO_TOKEN, (char[]){"the token is not present"}},
                                    {WRONG_PIN, (char[]){"the PIN is incorrect"}},
                                    {0, NULL}};
static OSSL_FUNC_core_new_error_fn *new_error;
static OSSL_FUNC_core_vset_error_fn *set_error;
static const OSSL_CORE_HANDLE *core;
static unsigned asked; /* how often the provider has requested the PIN */

struct vault {
    char uri[64];
    unsigned loads; /* keys still to come */
};

static int complain(uint32_t reason, ...)
{
    va_list args;

    va_start(args, reason);
    new_error(core);
    set_error(core, reason, NULL, args);
    va_end(args);
    return 0;
}

static void *vault_open(void *provider, const char *uri)
{
    (void)provider;
    if (strcmp(uri, "vault:gone") == 0) {
        complain(NO_TOKEN);
        return NULL;
    }
    struct vault *v = calloc(1, sizeof *v);
    snprintf(v->uri, sizeof v->uri, "%s", uri);
    v->loads = strcmp(uri, "vault:empty") == 0 ? 0 : strcmp(uri, "vault:two") == 0 ? 2 : 1;
    return v;
}

static bool right_pin(OSSL_PASSPHRASE_CALLBACK *ask, void *arg)
{
    char pin[64];
    size_t n = 0;

    asked++;
    return ask(pin, sizeof pin, &n, NULL, arg) == 1 && n == 4 && memcmp(pin, "1234", 4) == 0;
}

static int give(const struct cert *from, OSSL_CALLBACK *to, void *arg)
{
    int type = OSSL_OBJECT_PKEY, ok;
    unsigned char *der = NULL;
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(from->key);
    const int n = i2d_PKCS8_PRIV_KEY_INFO(p8, &der);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_int(OSSL_OBJECT_PARAM_TYPE, &type),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_TYPE, (char[]){"EC"}, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_OBJECT_PARAM_DATA_STRUCTURE,
                                         (char[]){"PrivateKeyInfo"}, 0),
        OSSL_PARAM_construct_octet_string(OSSL_OBJECT_PARAM_DATA, der, (size_t)n),
        OSSL_PARAM_construct_end()};

    ok = to(params, arg);
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(p8);
    return ok;
}

static int vault_load(void *at, OSSL_CALLBACK *to, void *to_arg, OSSL_PASSPHRASE_CALLBACK *ask,
                      void *ask_arg)
{
    struct vault *v = at;

    v->loads--;
    if (strcmp(v->uri, "vault:pin") == 0 && !right_pin(ask, ask_arg))
        return complain(WRONG_PIN);
    if (strcmp(v->uri, "vault:again") == 0 && !right_pin(ask, ask_arg) && !right_pin(ask, ask_arg))
        return complain(WRONG_PIN);
    return give(v->loads == 1 ? &other : &leaf, to, to_arg);
}

static int vault_eof(void *at)
{
    const struct vault *v = at;
    return v->loads == 0;
}

static int vault_close(void *at)
{
    free(at);
    return 1;
}

static int vault_set(void *at, const OSSL_PARAM params[])
{
    (void)at, (void)params;
    return 1;
}

/* Members of an OSSL_DISPATCH. */
#define FN(id, f) id, (void (*)(void))(f)

static const OSSL_DISPATCH store[] = {{FN(OSSL_FUNC_STORE_OPEN, vault_open)},
                                      {FN(OSSL_FUNC_STORE_LOAD, vault_load)},
                                      {FN(OSSL_FUNC_STORE_EOF, vault_eof)},
                                      {FN(OSSL_FUNC_STORE_CLOSE, vault_close)},
                                      {FN(OSSL_FUNC_STORE_SET_CTX_PARAMS, vault_set)},
                                      {0, NULL}};
static const OSSL_ALGORITHM stores[] = {{"vault", "provider=vault", store, NULL},
                                        {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_cache)
{
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_STORE ? stores : NULL;
}

static const OSSL_ITEM *get_reasons(void *provider)
{
    (void)provider;
    return reasons;
}

static int vault_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                      const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        {FN(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query)},
        {FN(OSSL_FUNC_PROVIDER_GET_REASON_STRINGS, get_reasons)},
        {0, NULL}};

    core = handle;
    for (; in->function_id != 0; in++) {
        if (in->function_id == OSSL_FUNC_CORE_NEW_ERROR)
            new_error = OSSL_FUNC_core_new_error(in);
        if (in->function_id == OSSL_FUNC_CORE_VSET_ERROR)
            set_error = OSSL_FUNC_core_vset_error(in);
    }
    *out = functions;
    *provider = (void *)&core;
    return 1;
}

static OSSL_PROVIDER *provider[2];

static int setup(void **state)
{
    (void)state;
    if (OSSL_PROVIDER_add_builtin(NULL, "vault", vault_init) != 1 ||
        (provider[0] = OSSL_PROVIDER_load(NULL, "default")) == NULL ||
        (provider[1] = OSSL_PROVIDER_load(NULL, "vault")) == NULL)
        return -1;
    certs_init(&certs);
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){0});
    cert_make(&certs, &leaf, "leaf.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &ca});
    cert_make(&certs, &other, "other.pem", &(struct cert_spec){.name = "DNS:x", .issuer = &ca});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    cert_free(&ca);
    cert_free(&leaf);
    cert_free(&other);
    certs_fini(&certs);
    OSSL_PROVIDER_unload(provider[1]);
    OSSL_PROVIDER_unload(provider[0]);
    return 0;
}

/* ---- tests ---- */

static const char *write_pin(const char *pin)
{
    const char *path = certs_path(&certs, "pin");
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_true(fputs(pin, f) >= 0);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* Loads the leaf with a key. pin: content of the passphrase file; NULL: none. Returns the error;
 * "": none. */
static const char *load(const char *uri, const char *pin)
{
    static char error[TLS_ERROR_MAX];
    const struct tls_certificate from = {
        .file = leaf.pem, .key = uri, .passphrase_file = pin == NULL ? NULL : write_pin(pin)};
    struct tls_pair *pair = tls_pair_load(&from, error);

    assert_int_equal(ERR_peek_error(), 0);
    if (pair == NULL)
        return error;
    assert_int_equal(EVP_PKEY_eq(pair->cert.key, leaf.key), 1);
    tls_pair_free(pair);
    return "";
}

static void a_key_is_opened_by_its_uri(void **state)
{
    (void)state;
    assert_string_equal(load("vault:open", NULL), "");
    assert_string_equal(load("VAULT:open", NULL), "");
    assert_string_equal(load("vault:pin", "1234\n"), "");
}

/* A token may have the keys of several certificates. */
static void the_key_of_the_certificate_is_chosen(void **state)
{
    (void)state;
    assert_string_equal(load("vault:two", NULL), "");
}

static void each_failure_is_a_sentence(void **state)
{
    static const struct {
        const char *uri, *pin, *error;
    } cases[] = {
        {"nowhere:x", NULL,
         "nowhere:x: no provider that openssl.cnf loads opens 'nowhere:'; a file of this name is "
         "written ./nowhere:x"},
        {"pkcs11:object=x", NULL,
         "pkcs11:object=x: no provider that openssl.cnf loads opens 'pkcs11:' (package "
         "pkcs11-provider); a file of this name is written ./pkcs11:object=x"},
        {"vault:gone", NULL,
         "vault:gone: the provider cannot open the key (the token is not present)"},
        {"vault:empty", NULL,
         "vault:empty: no private key: the device has no such key, or is missing"},
        {"vault:pin", NULL, "vault:pin: the device asks for a PIN: set passphrase-file"},
        {"vault:pin", "4321",
         "vault:pin: no private key: the PIN is wrong, or the device has no such key (the PIN is "
         "incorrect)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(load(cases[i].uri, cases[i].pin), cases[i].error);
}

/* A token is locked after a few wrong PINs, so a provider that asks again gets no second one. */
static void a_wrong_pin_is_given_once(void **state)
{
    (void)state;
    asked = 0;
    assert_string_equal(load("vault:pin", "4321"),
                        "vault:pin: no private key: the PIN is wrong, or the device has no such "
                        "key (the PIN is incorrect)");
    assert_int_equal(asked, 1);
    asked = 0;
    assert_string_equal(load("vault:again", "4321"),
                        "vault:again: no private key: the PIN is wrong, or the device has no such "
                        "key (the PIN is incorrect)");
    assert_int_equal(asked, 2);
}

static void a_key_of_openssl_is_in_no_device(void **state)
{
    char error[TLS_ERROR_MAX];
    (void)state;
    assert_false(tls_device_has(leaf.key));
    assert_false(tls_device_has(NULL));
    assert_false(tls_device_is_single(leaf.key));
    assert_true(tls_device_try(leaf.key, "x", error));
}

/* The last entry of the queue is that of a failed signature, the first is the cause. */
static void a_failed_signature_is_recognized(void **state)
{
    char text[TLS_ERROR_MAX];
    (void)state;

    assert_false(tls_device_failed(text));
    complain(NO_TOKEN);
    ERR_raise(ERR_LIB_SSL, ERR_R_EVP_LIB);
    assert_true(tls_device_failed(text));
    assert_string_equal(text,
                        "the device does not sign with the private key: the token is not present");
    assert_int_equal(ERR_peek_error(), 0);
    ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR);
    assert_true(tls_device_failed(text));
    assert_string_equal(text, "the device does not sign with the private key");
    ERR_raise(ERR_LIB_PROV, 1); /* the key share of a client */
    ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR);
    assert_false(tls_device_failed(text));
    ERR_clear_error();
    ERR_raise_data(ERR_LIB_USER, ERR_R_OPERATION_FAIL, "strict-sni: no certificate");
    ERR_raise(ERR_LIB_SSL, SSL_R_CALLBACK_FAILED);
    assert_false(tls_device_failed(text));
    ERR_clear_error();
    ERR_raise(ERR_LIB_SSL, SSL_R_NO_SHARED_CIPHER);
    assert_false(tls_device_failed(text));
    ERR_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_opened_by_its_uri),
        cmocka_unit_test(the_key_of_the_certificate_is_chosen),
        cmocka_unit_test(each_failure_is_a_sentence),
        cmocka_unit_test(a_wrong_pin_is_given_once),
        cmocka_unit_test(a_key_of_openssl_is_in_no_device),
        cmocka_unit_test(a_failed_signature_is_recognized),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
