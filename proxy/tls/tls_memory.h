/* tls_memory: the memory of OpenSSL. OpenSSL 3 wipes keys, but not the SSL object that it frees,
 * which has the traffic secrets of TLS 1.3 and what they are derived from. */
#ifndef SSTPGATE_TLS_TLS_MEMORY_H
#define SSTPGATE_TLS_TLS_MEMORY_H

/* Makes OpenSSL wipe blocks of the size of such an object when it frees them. OpenSSL still uses
 * malloc() and free(). Call it before any other function of OpenSSL. */
void tls_memory_start(void);

#endif
