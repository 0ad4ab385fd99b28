/* tls_pbe: how much work it takes to open what a passphrase protects (PKCS#5, PKCS#12). The file
 * says so itself, and a count of 2^31 would keep a reload busy for an hour. For the files of this
 * room. */
#ifndef SSTPGATE_TLS_TLS_PBE_H
#define SSTPGATE_TLS_TLS_PBE_H

#include <openssl/pkcs12.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "tls/tls_ctx.h"

/* Iterations of a hash for a whole file; some 3 s of CPU time. Programs write 2000 to 1000000 for
 * each of the three parts of a PKCS#12 file. */
enum { TLS_PBE_MAX = 4000000 };

/* Returns the iterations for a container, passphrase being the one to open it with; more than
 * TLS_PBE_MAX as soon as they are known to be more. */
uint64_t tls_pbe_pkcs12(PKCS12 *p12, const char *passphrase);

/* Returns the iterations for all encrypted private keys in a file of PEM. */
uint64_t tls_pbe_pem(struct span pem);

/* Writes what is wrong with this number of iterations; false if nothing is. */
bool tls_pbe_error(uint64_t iterations, const char *path, char error[TLS_ERROR_MAX]);

#endif
