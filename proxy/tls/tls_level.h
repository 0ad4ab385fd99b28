/* tls_level: how much a finding about a certificate matters. */
#ifndef SSTPGATE_TLS_TLS_LEVEL_H
#define SSTPGATE_TLS_TLS_LEVEL_H

enum tls_level {
    TLS_REMARK,  /* it works; worth knowing */
    TLS_WARNING, /* some clients refuse the certificate, or soon will */
    TLS_REFUSED, /* usual clients refuse the certificate */
};

#endif
