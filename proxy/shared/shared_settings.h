/* shared_settings: the settings of shared.h, and its times and sizes. */
#ifndef SSTPGATE_SHARED_SHARED_SETTINGS_H
#define SSTPGATE_SHARED_SHARED_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/shared_link.h"

enum {
    SHARED_BEAT_MS = 500,
    SHARED_LEASE_MS = 10000,
    SHARED_ORDER_MS = 5000,    /* for how long the store has an order to end tunnels */
    SHARED_INQUIRY_MS = 2000,  /* for the answers of the other gates */
    SHARED_QUESTION_MS = 3000, /* for how long the store has a question */
    SHARED_ANSWER_MS = 5000,   /* for how long the store has the answers to it */
    SHARED_GATES_MAX = 64,
    SHARED_SUBJECT_MAX = 1024, /* bytes; longer ones are counted by this gate only */
    SHARED_INFO_MAX = 256,
    SHARED_PAGE_MAX = 128 * 1024, /* bytes of a page of an answer */
    SHARED_PAGES_MAX = 256,       /* of one gate */
    SHARED_PULL_PAGES = 4,        /* in one answer of the store, below SHARED_REPLY_BYTES */
    SHARED_LIST_MAX = 2 * 1024,   /* items in the store: pages, each with its gate */
    SHARED_SEARCH_NAMES = 2,      /* of one search */
    SHARED_NAME_MAX = 40,         /* bytes of the name of an entry, with its NUL */
    SHARED_ENTRIES_MAX = 16,      /* with one name */
};

/* A search for entries: shared_ops.on_entry gets them. */
struct shared_search {
    char name[SHARED_SEARCH_NAMES][SHARED_NAME_MAX];
    size_t count; /* of names; at least one */
    uint32_t ms;  /* how long at most */
    bool all;     /* an accepted entry does not end the search */
};

struct shared_settings {
    struct shared_link_settings link;
    const char *prefix; /* of keys */
    const char *gate;   /* this process; no other one may have the same */
    uint32_t timeout_ms;
};

#endif
