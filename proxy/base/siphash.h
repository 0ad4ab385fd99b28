/* siphash: SipHash-2-4 of Aumasson and Bernstein, for hash tables that an attacker can fill:
 * without the key an attacker cannot choose addresses or names that all fall into one bucket. */
#ifndef SSTPGATE_BASE_SIPHASH_H
#define SSTPGATE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
    uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, const void *octets, size_t n);

#endif
