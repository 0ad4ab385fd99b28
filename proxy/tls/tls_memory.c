#include "tls/tls_memory.h"

#include <malloc.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

/* An SSL object has 7.6 kB in OpenSSL 3.0. */
enum { SSL_MIN = 4096, SSL_MAX = 16384 };

static _Thread_local bool wiping; /* an SSL object is being freed */

static void *ssl_malloc(size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return malloc(n);
}

static void *ssl_realloc(void *p, size_t n, const char *file, int line)
{
    (void)file, (void)line;
    return realloc(p, n);
}

static void wipe(void *p)
{
    const size_t n = malloc_usable_size(p); /* 0 for NULL */

    if (n >= SSL_MIN && n <= SSL_MAX)
        explicit_bzero(p, n);
}

static void ssl_free(void *p, const char *file, int line)
{
    (void)file, (void)line;
    if (wiping)
        wipe(p);
    free(p);
}

void tls_memory_start(void)
{
    INSIST(CRYPTO_set_mem_functions(ssl_malloc, ssl_realloc, ssl_free) == 1);
}

void tls_memory_free(SSL *ssl)
{
    wiping = true;
    SSL_free(ssl);
    wiping = false;
}
