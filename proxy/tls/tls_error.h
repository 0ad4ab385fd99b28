/* tls_error: OpenSSL's error queue as text. */
#ifndef SSTPGATE_TLS_TLS_ERROR_H
#define SSTPGATE_TLS_TLS_ERROR_H

enum { TLS_ERROR_MAX = 1536 }; /* bytes of an error text with its NUL: a path and a reason fit */

/* Writes "WHAT: REASON" with the reason of OpenSSL's oldest error, or only REASON if `what` is
 * empty. Empties the error queue of this thread. */
void tls_error_text(char out[TLS_ERROR_MAX], const char *what);

#endif
