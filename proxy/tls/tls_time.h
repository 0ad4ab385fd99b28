/* tls_time: ASN.1 times as time_t. For the files of this room. */
#ifndef SSTPGATE_TLS_TLS_TIME_H
#define SSTPGATE_TLS_TLS_TIME_H

#include <openssl/asn1.h>
#include <time.h>

/* Returns seconds since 1970; 0 for a malformed time. */
static inline time_t tls_time(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? timegm(&tm) : 0;
}

#endif
