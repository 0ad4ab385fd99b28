/* http_blocks: copies of a part of the input, for the fuzz targets of proxy/wire/http_*. */
#ifndef SSTPGATE_TESTS_HTTP_BLOCKS_H
#define SSTPGATE_TESTS_HTTP_BLOCKS_H

#include <stdlib.h>

#include "base/insist.h"
#include "base/span.h"

enum { CUTS = 512 }; /* prefixes of a longer input that are tried */

/* Copies to a block of exactly this size, so that a sanitizer detects a read past its end. */
static inline struct span copy_of(struct span s)
{
    uint8_t *p = insist_alloc(malloc(s.n > 0 ? s.n : 1));

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return span_of(p, s.n);
}

static inline void free_copy(struct span s)
{
    free((void *)(uintptr_t)s.p);
}

#endif
