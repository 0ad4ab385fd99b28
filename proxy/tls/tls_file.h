/* tls_file: a whole file in memory that is wiped, because it may hold a private key or a
 * passphrase. For the files of this room. */
#ifndef SSTPGATE_TLS_TLS_FILE_H
#define SSTPGATE_TLS_TLS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "tls/tls_error.h"

enum { TLS_FILE_MAX = 1 << 20 }; /* bytes; a certificate with its chain is a few kB */

struct tls_file {
    unsigned char *octets; /* more than n are allocated */
    size_t n;              /* bytes to wipe: all that were read; below TLS_FILE_MAX */
};

/* Reads a regular file. False: *error has "PATH: REASON", and *out is empty. */
bool tls_file_read(const char *path, struct tls_file *out, char error[TLS_ERROR_MAX]);

/* Wipes the bytes and frees them; a no-op for an empty file. */
void tls_file_free(struct tls_file *file);

#endif
