/* tls_settings: the settings and files of a TLS context, as plain values and paths. */
#ifndef SSTPGATE_TLS_TLS_SETTINGS_H
#define SSTPGATE_TLS_TLS_SETTINGS_H

#include <stdbool.h>

/* Protocol versions as numbered on the wire. */
enum tls_version { TLS_1_0 = 0x0301, TLS_1_1 = 0x0302, TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };

/* All texts are the caller's and are copied. */
struct tls_settings {
    enum tls_version min, max;
    int security_level;       /* OpenSSL's 0..5; -1: 0 if min is below TLS 1.2 (older versions
                                 need it: PROTOCOL.md 6.1), else the library's default */
    const char *ciphers;      /* TLS 1.2 and older; NULL: the library's list. See below. */
    const char *ciphersuites; /* TLS 1.3; NULL: the library's list */
    const char *groups;       /* of the key exchange, in order of preference; NULL: TLS_GROUPS */
    bool key_update;          /* send a KeyUpdate before the limit of RFC 8446 5.5 */
};

/* The default groups. None is a finite field (RFC 7919): OpenSSL checks a peer's share in ffdhe8192
 * with 150 ms of CPU time, and the peer need not compute anything (CVE-2022-40735). None is a
 * hybrid with ML-KEM: OpenSSL has these since 3.5 only, their key share does not fit into one
 * packet together with the rest of a ClientHello, and no SSTP client is known to offer one. */
#define TLS_GROUPS "X25519:P-256:X448:P-521:P-384"

/* Three kinds of cipher suites are removed from any list of `ciphers`. Anonymous suites have no
 * certificate for the verification and for the crypto-binding. Suites without encryption protect
 * nothing. With finite-field Diffie-Hellman (DHE) the server chooses the prime, and so the CPU time
 * of the client. Lists such as ALL and HIGH contain all three kinds, so they are not an error; a
 * list that has nothing else is an error. */

struct tls_pair;
struct tls_response;

/* The files of one certificate. */
struct tls_certificate {
    const char *file; /* PEM or PKCS#12: leaf and chain, in any order; or DER: the leaf */
    const char *key;  /* PEM, or the URI of a key in a device (base/uri.h); NULL: in file */
    const char
        *passphrase_file; /* its first line decrypts the key, or is the PIN; NULL: not needed */
    const char *passphrase_hint;         /* for messages: how to give the passphrase; NULL: "set
                                            passphrase-file" */
    const char *ocsp_file;               /* OCSP response in DER, to be stapled; NULL: none */
    const struct tls_pair *pair;         /* of file, key and passphrase_file; NULL: they are read */
    const struct tls_response *response; /* of ocsp_file; NULL: it is read */
};

#endif
