/* aead_evp: the ciphers of OpenSSL, through EVP. */
#ifndef SSTPGATE_TLS_AEAD_EVP_H
#define SSTPGATE_TLS_AEAD_EVP_H

#include "tls/aead_library.h"

extern const struct aead_library_ops aead_evp;

#endif
