/* shared_settings: the settings of shared.h, and its times and sizes. */
#ifndef SSTPGATE_SHARED_SHARED_SETTINGS_H
#define SSTPGATE_SHARED_SHARED_SETTINGS_H

#include <stdint.h>

#include "shared/shared_link.h"

enum {
    SHARED_BEAT_MS = 500,
    SHARED_LEASE_MS = 10000,
    SHARED_ORDER_MS = 5000, /* for how long the store has an order to end tunnels */
    SHARED_GATES_MAX = 64,
    SHARED_SUBJECT_MAX = 1024, /* bytes; longer ones are counted by this gate only */
    SHARED_INFO_MAX = 256,
};

struct shared_settings {
    struct shared_link_settings link;
    const char *prefix; /* of keys */
    const char *gate;   /* this process; no other one may have the same */
    uint32_t timeout_ms;
};

#endif
