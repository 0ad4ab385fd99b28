/* tls_pbe: the work of opening a file that a passphrase protects (PKCS#5, PKCS#12). The file
 * chooses the number of iterations, and 2^31 of them would keep a reload busy for an hour. For the
 * files of this room. */
#ifndef SSTPGATE_TLS_TLS_PBE_H
#define SSTPGATE_TLS_TLS_PBE_H

#include <openssl/pkcs12.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "tls/tls_error.h"

/* Bound of the iterations of a hash for a whole file; some 3 s of CPU time. Programs write 2000 to
 * 1000000 for each of the three parts of a PKCS#12 file. */
enum { TLS_PBE_MAX = 4000000 };

/* Returns the iterations for a container that passphrase opens. Stops counting above
 * TLS_PBE_MAX. */
uint64_t tls_pbe_pkcs12(PKCS12 *p12, const char *passphrase);

/* Returns the iterations for all encrypted private keys in a PEM file. */
uint64_t tls_pbe_pem(struct span pem);

/* Writes an error if there are more than TLS_PBE_MAX iterations, and returns whether there are. */
bool tls_pbe_error(uint64_t iterations, const char *path, char error[TLS_ERROR_MAX]);

#endif
