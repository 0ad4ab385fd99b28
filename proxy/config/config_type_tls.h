/* config_type_tls: values that are lists of ciphers or groups, certificates and their hashes. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_TLS_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_TLS_H

#include "config/config_type.h"

/* A field of: char * */
extern const struct config_type config_type_ciphers;
/* `at` is the whole listener. */
extern const struct config_type config_type_certificate, config_type_key,
    config_type_passphrase_file, config_type_ocsp_file;
/* `at` is the whole backend. */
extern const struct config_type config_type_pin, config_type_cert_hash;

#endif
