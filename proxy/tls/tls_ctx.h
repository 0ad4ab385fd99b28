/* tls_ctx: what the TLS connections of one listener or one backend have in common (an SSL_CTX).
 * Made from plain settings, knows no configuration file. One for each worker, used from its thread
 * only; making one is independent of everything else. Protocol versions and security levels are
 * those of this context: nothing here is process-wide. */
#ifndef SSTPGATE_TLS_TLS_CTX_H
#define SSTPGATE_TLS_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TLS_ERROR_MAX = 256 };

/* Protocol versions as they stand on the wire. */
enum tls_version { TLS_1_0 = 0x0301, TLS_1_1 = 0x0302, TLS_1_2 = 0x0303, TLS_1_3 = 0x0304 };

struct tls_settings {
    enum tls_version min, max;
    int security_level;       /* OpenSSL's 0..5; -1: 0 where min is below TLS 1.2 (older versions
                                 need it: PROTOCOL.md 6.1), else the library's default */
    const char *ciphers;      /* TLS 1.2 and older; NULL: the library's list */
    const char *ciphersuites; /* TLS 1.3; NULL: the library's list */
};

struct tls_ctx;

/* For a listener. certificate: PEM, leaf first; key: PEM, NULL: in the same file. No tickets and no
 * resumption: a resumed handshake shows no certificate, and the binding needs to know which one the
 * client saw (PROTOCOL.md 6.2). NULL: *error says why. */
struct tls_ctx *tls_ctx_new_server(const struct tls_settings *settings, const char *certificate,
                                   const char *key, char error[TLS_ERROR_MAX]);

/* For a backend. ca_file: PEM certificates to trust, "system" for the system's; NULL: the chain is
 * not verified here (the caller compares a pin, or was told not to). Never resumes. */
struct tls_ctx *tls_ctx_new_client(const struct tls_settings *settings, const char *ca_file,
                                   char error[TLS_ERROR_MAX]);

void tls_ctx_free(struct tls_ctx *ctx);


#endif
