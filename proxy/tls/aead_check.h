/* aead_check: known answers of the ciphers. */
#ifndef SSTPGATE_TLS_AEAD_CHECK_H
#define SSTPGATE_TLS_AEAD_CHECK_H

#include "tls/aead_library.h"

/* Checks published vectors, messages of several lengths, in place and not, and that a changed tag,
 * nonce, header or ciphertext is refused. false: error says which answer is wrong. */
bool aead_check(const struct aead_library_ops *library, char error[AEAD_ERROR_MAX]);

#endif
