/* tls_ctx: what the TLS connections of one listener or one backend have in common.
 * Made from plain settings, knows no configuration file. One for each worker, used from its thread
 * only; making one is independent of everything else. Protocol versions and security levels are
 * those of this context: nothing here is process-wide. */
#ifndef SSTPGATE_TLS_TLS_CTX_H
#define SSTPGATE_TLS_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"

enum { TLS_ERROR_MAX = 256 };

enum { TLS_RSA_USUAL = 4096 };

/* Protocol versions as they stand on the wire. */
enum tls_version { TLS_1_0 = 0x0301, TLS_1_1 = 0x0302, TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };

struct tls_settings {
    enum tls_version min, max;
    int security_level;       /* OpenSSL's 0..5; -1: 0 where min is below TLS 1.2 (older versions
                                 need it: PROTOCOL.md 6.1), else the library's default */
    const char *ciphers;      /* TLS 1.2 and older; NULL: the library's list. See below. */
    const char *ciphersuites; /* TLS 1.3; NULL: the library's list */
    const char *groups;       /* of the key exchange, in order of preference; NULL: TLS_GROUPS */
};

/* The default groups. None is a finite field (RFC 7919): OpenSSL checks a peer's share in
 * ffdhe8192 with 150 ms of CPU time, and the peer need not compute anything (CVE-2022-40735).
 * None is a hybrid with ML-KEM: OpenSSL knows these since 3.5 only, their key share does not fit
 * into one packet together with the rest of a ClientHello, and no SSTP client is known to offer
 * one. */
#define TLS_GROUPS "X25519:P-256:X448:P-521:P-384"

/* Three kinds of cipher suites are removed from any list of `ciphers`. Anonymous suites have no
 * certificate for the verification and for the crypto-binding. Suites without encryption protect
 * nothing. With finite-field Diffie-Hellman (DHE) the server chooses the prime, and so the CPU time
 * of the client. Lists such as ALL and HIGH contain all three kinds, so they are not an error; a
 * list that has nothing else is an error. */

/* A certificate of a listener, as the files that it is made of. */
struct tls_certificate {
    const char *file;            /* PEM: leaf first, then its chain; or PKCS#12; or DER: the leaf */
    const char *key;             /* PEM; NULL: in file */
    const char *passphrase_file; /* its first line opens the key; NULL: it is not encrypted */
    const char *passphrase_hint; /* for messages: how to give it; NULL: "write passphrase-file" */
    const char *ocsp_file;       /* OCSP response in DER, to be stapled; NULL: none */
};

struct tls_ctx;

/* Told once for each thing that is wrong. certificate: which one, as an index; TLS_NO_CERTIFICATE:
 * the settings. A text about a file begins with "FILE: ", one about a setting with its name in the
 * same way, and so do the errors below. */
#define TLS_NO_CERTIFICATE SIZE_MAX
typedef void (*tls_on_error)(void *arg, size_t certificate, const char *text);

/* For a listener with one certificate or more. A client is shown one that is for the name it asks
 * for: those with the very name, else those with *.DOMAIN, of each kind of key the first; which
 * kind is settled with the client. Who asks for no name, or for one that none of them has, gets
 * what the first name of the first certificate gets; with strict_sni, the alert
 * unrecognized_name. A certificate that no client would ever be shown is an error.
 *
 * No tickets and no resumption: a resumed handshake shows no certificate, and the binding needs to
 * know which one the client saw (PROTOCOL.md 6.2). ALPN: http/1.1 for those who offer it, nothing
 * for others. A staple is sent to those who ask for it, as long as it is fresh.
 *
 * NULL when anything is wrong. It must outlive its connections. */
struct tls_ctx *tls_ctx_new_server(const struct tls_settings *settings,
                                   const struct tls_certificate *certificate, size_t count,
                                   bool strict_sni, tls_on_error on_error, void *arg);

enum tls_staple_state {
    TLS_STAPLE_NONE, /* no ocsp_file */
    TLS_STAPLE_FRESH,
    TLS_STAPLE_STALE,   /* its nextUpdate is over, or its thisUpdate to come: not sent */
    TLS_STAPLE_REVOKED, /* it says something else than "good": not sent */
};

struct tls_expiry {
    size_t certificate;
    const char *file;
    int days_left; /* whole days; negative: it has expired */
    int due;       /* of 30, 7, 1 and 0 days the least that are not left; -1: more than 30 are */
    enum tls_staple_state staple;
    const char *ocsp_file;
    int rsa_bits; /* size of the RSA key; 0: not RSA */
};

/* Calls on_expiry for each certificate of a listener. To warn once for each of the steps: when
 * `due` is not what it was. */
void tls_ctx_expiry(const struct tls_ctx *ctx, time_t now,
                    void (*on_expiry)(void *arg, const struct tls_expiry *e), void *arg);

/* Calls on_leaf with each certificate of a listener as DER, valid during the call. */
void tls_ctx_leaves(const struct tls_ctx *ctx, void (*on_leaf)(void *arg, struct span der),
                    void *arg);

/* What there is to warn of, in words; NULL when nothing. */
const char *tls_expiry_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX]);
const char *tls_staple_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX]);
/* Returns a warning about an RSA key above TLS_RSA_USUAL bits, which makes each handshake
 * expensive; NULL: none. */
const char *tls_key_text(const struct tls_expiry *e, char out[TLS_ERROR_MAX]);

/* For a backend. ca_file: PEM certificates to trust, "system" for the system's; NULL: the chain is
 * not verified here (the caller compares a pin, or was told not to). Never resumes. */
struct tls_ctx *tls_ctx_new_client(const struct tls_settings *settings, const char *ca_file,
                                   char error[TLS_ERROR_MAX]);

void tls_ctx_free(struct tls_ctx *ctx);

#endif
