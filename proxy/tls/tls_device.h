/* tls_device: private keys that a provider of OpenSSL keeps outside of this process: in a token of
 * PKCS#11, or in a TPM. openssl.cnf loads the provider. For the files of this room.
 *
 * A device makes a signature while the thread waits: a TPM needs some 100 ms for one with RSA. */
#ifndef SSTPGATE_TLS_TLS_DEVICE_H
#define SSTPGATE_TLS_TLS_DEVICE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdbool.h>

#include "tls/tls_bag.h"
#include "tls/tls_error.h"

/* Adds the private keys that the URI names. ask: returns the PIN or the passphrase; called once at
 * most, because a token counts wrong PINs. False: *error has "URI: REASON". */
bool tls_device_load(const char *uri, pem_password_cb *ask, void *arg, struct tls_bag *bag,
                     char error[TLS_ERROR_MAX]);

/* Returns whether a provider other than those of OpenSSL itself has the key. */
bool tls_device_has(const EVP_PKEY *key);

/* Makes a signature with a key of a device, because some devices report a wrong PIN, a key without
 * the right to sign, or a missing token only then. what: for the message. False: *error has "WHAT:
 * REASON". True for any other key. */
bool tls_device_try(EVP_PKEY *key, const char *what, char error[TLS_ERROR_MAX]);

/* Returns whether a handshake with such a key has failed because of the device, by OpenSSL's error
 * queue; if so, empties the queue, and out has a sentence. */
bool tls_device_failed(char out[TLS_ERROR_MAX]);

/* Keeps a key of a TPM that has signed: later loads of this URI return it, until the process ends,
 * because the provider closes the handle with the first copy that is freed. A no-op for other keys
 * and for a URI that has one already. */
void tls_device_keep(const char *uri, EVP_PKEY *key);

/* Returns whether only one thread at a time may use the key: the provider of a TPM before version
 * 1.2 mixes up the commands of several threads. A TPM executes one command at a time anyway. */
bool tls_device_is_single(const EVP_PKEY *key);

/* Returns the properties with which OpenSSL finds the provider that signs with the key; NULL: it
 * does so without any. They are for contexts that sign with such keys only: with others OpenSSL
 * would use this provider, too. */
const char *tls_device_properties(const EVP_PKEY *key);

/* Surround each use of such a key, also loading and freeing; no-ops if single is false. */
void tls_device_lock(bool single);
void tls_device_unlock(bool single);

#endif
