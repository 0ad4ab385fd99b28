/* aead_cipher: names and sizes of the ciphers. */
#ifndef SSTPGATE_TLS_AEAD_CIPHER_H
#define SSTPGATE_TLS_AEAD_CIPHER_H

enum aead_cipher { AEAD_AES_128_GCM, AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, AEAD_CIPHERS };
enum { AEAD_KEY_MAX = 32, AEAD_NONCE = 12, AEAD_TAG = 16, AEAD_ERROR_MAX = 320 };

#endif
