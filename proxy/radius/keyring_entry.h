/* keyring_entry: the facts about a login that gates exchange, as bytes, before they are sealed
 * (binding/vault.h). Pure. */
#ifndef SSTPGATE_RADIUS_KEYRING_ENTRY_H
#define SSTPGATE_RADIUS_KEYRING_ENTRY_H

#include "base/addr.h"
#include "base/err.h"
#include "radius/keyring.h"

enum {
    KEYRING_ENTRY_HEAD = 4 + 6 * 8, /* kind, two bytes by kind, zero; time, label */
    KEYRING_ENTRY_CLIENT = KEYRING_ENTRY_HEAD + 2 + 16,
    KEYRING_ENTRY_MAX = KEYRING_ENTRY_HEAD + KEYRING_PER_LOGIN * HLAK_LEN,
};

/* Write an entry; time_ms: of the wall clock, since 1970. Return its length. The caller wipes the
 * bytes of an outcome. */
size_t keyring_entry_of_outcome(const struct keyring_outcome *o, uint64_t time_ms,
                                uint8_t out[KEYRING_ENTRY_MAX]);
size_t keyring_entry_of_client(const struct keyring_label *label, const struct addr *client,
                               uint64_t time_ms, uint8_t out[KEYRING_ENTRY_MAX]);

/* Read an entry. ERR_SYNTAX: it is not one of this kind, or not of this version. */
enum err keyring_entry_outcome(struct span entry, struct keyring_outcome *o,
                               uint64_t *time_ms) MUST_CHECK;
enum err keyring_entry_client(struct span entry, struct keyring_label *label, struct addr *client,
                              uint64_t *time_ms) MUST_CHECK;

#endif
