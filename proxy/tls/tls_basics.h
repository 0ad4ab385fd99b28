/* tls_basics: whether OpenSSL has the algorithms without which no command can work. openssl.cnf
 * may activate no provider that has them. */
#ifndef SSTPGATE_TLS_TLS_BASICS_H
#define SSTPGATE_TLS_TLS_BASICS_H

#include <stdbool.h>

enum { TLS_BASICS_ERROR_MAX = 320 };

/* Returns false if an algorithm is missing; error is its name and the remedy. */
bool tls_basics(char error[TLS_BASICS_ERROR_MAX]);

#endif
