#include "tls/tls_loaded.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"
#include "base/text.h"
#include "tls/tls_cert.h"
#include "tls/tls_file.h"
#include "tls/tls_library.h"
#include "tls/tls_staple.h"

/* ---- pairs ---- */

struct tls_pair *tls_pair_load(const struct tls_certificate *from, char error[TLS_ERROR_MAX])
{
    struct tls_pair *pair = NEW(struct tls_pair);

    if (tls_cert_load(from, true, &pair->cert, error))
        return pair;
    free(pair);
    return NULL;
}

void tls_pair_free(struct tls_pair *pair)
{
    if (pair == NULL)
        return;
    tls_cert_fini(&pair->cert);
    free(pair);
}

/* ---- responses ---- */

struct tls_response *tls_response_load(const char *path)
{
    struct tls_response *r = NEW(struct tls_response);
    char error[TLS_ERROR_MAX];
    struct tls_file file;

    if (!tls_file_read(path, &file, error)) {
        r->unreadable = insist_alloc(strdup(error + strlen(path) + 2)); /* after "PATH: " */
        return r;
    }
    r->n = file.n;
    r->der = insist_alloc(malloc(file.n + 1));
    memcpy(r->der, file.octets, file.n);
    tls_file_free(&file);
    return r;
}

void tls_response_free(struct tls_response *response)
{
    if (response == NULL)
        return;
    free(response->der);
    free(response->unreadable);
    free(response);
}

/* ---- trusted certificates ---- */

/* Returns why the library cannot read the file: its encoding, or a FIFO, on which it would block;
 * NULL: it may try. */
static const char *ca_problem(const char *file)
{
    const char *reason;
    uint8_t start[4]; /* shows the encoding */
    const int fd = file_open(file, &reason);

    if (fd < 0)
        return reason;
    const ssize_t n = file_read(fd, start, sizeof start);
    reason = n < 0 ? strerror(errno) : NULL;
    close(fd);
    struct span text = span_of(start, n < 0 ? 0 : (size_t)n);
    const char *encoding = text_begin(&text);
    return reason != NULL ? reason : encoding;
}

static bool ca_read(X509_STORE *store, const char *file, char error[TLS_ERROR_MAX])
{
    const char *problem = ca_problem(file);

    if (problem != NULL) {
        snprintf(error, TLS_ERROR_MAX, "%s: %s", file, problem);
        return false;
    }
    if (X509_STORE_load_file_ex(store, file, tls_library(), NULL) == 1)
        return true;
    tls_error_text(error, file);
    return false;
}

static bool ca_read_system(X509_STORE *store, char error[TLS_ERROR_MAX])
{
    if (X509_STORE_set_default_paths_ex(store, tls_library(), NULL) == 1)
        return true;
    tls_error_text(error, "system");
    return false;
}

struct tls_ca *tls_ca_load(const char *file, char error[TLS_ERROR_MAX])
{
    static atomic_uint_least64_t numbers;
    struct tls_ca *ca = NEW(struct tls_ca);

    ca->number = atomic_fetch_add(&numbers, 1) + 1;
    ERR_clear_error();
    ca->store = insist_alloc(X509_STORE_new());
    if (strcmp(file, "system") == 0 ? ca_read_system(ca->store, error)
                                    : ca_read(ca->store, file, error))
        return ca;
    tls_ca_free(ca);
    return NULL;
}

void tls_ca_free(struct tls_ca *ca)
{
    if (ca == NULL)
        return;
    X509_STORE_free(ca->store);
    free(ca);
}
