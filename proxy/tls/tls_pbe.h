/* tls_pbe: the amount of work that opening a file with a passphrase takes (PKCS#5, PKCS#12). It has
 * a bound, because the file chooses the number of iterations, and 2^31 of them would keep a reload
 * busy for an hour. For the files of this room. */
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

/* Returns the number of iterations for a container that passphrase opens. Stops counting above
 * TLS_PBE_MAX. */
uint64_t tls_pbe_pkcs12(PKCS12 *p12, const char *passphrase);

/* Returns the number of iterations for all encrypted private keys in a PEM file. */
uint64_t tls_pbe_pem(struct span pem);

/* Returns whether iterations is above TLS_PBE_MAX, and writes an error if it is. */
bool tls_pbe_error(uint64_t iterations, const char *path, char error[TLS_ERROR_MAX]);

#endif
