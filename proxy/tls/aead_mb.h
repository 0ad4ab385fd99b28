/* aead_mb: the ciphers of libipsec-mb, in a program that was built with it. */
#ifndef SSTPGATE_TLS_AEAD_MB_H
#define SSTPGATE_TLS_AEAD_MB_H

#include "tls/aead_library.h"

/* start() fails in a program that was built without the library. */
extern const struct aead_library_ops aead_mb;

#endif
