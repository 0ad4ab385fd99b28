/* config_type_tls: types of lists of ciphers or groups, of certificates and their hashes. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_TLS_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_TLS_H

#include "config/config_type.h"

/* Field: char * */
extern const struct config_type config_type_ciphers;
/* at: the whole listener. */
extern const struct config_type config_type_certificate, config_type_key,
    config_type_passphrase_file, config_type_ocsp_file;
/* at: the whole backend. */
extern const struct config_type config_type_pin, config_type_cert_hash;

struct config_pin;

/* Reads a SHA256 fingerprint. Returns false after reporting a problem. */
bool config_type_read_pin(struct config_input *in, const struct config_key *k, const char *text,
                          struct config_pin *pin);
void config_type_print_pin(FILE *out, const struct config_key *k, const struct config_pin *pin);

#endif
