#include "tls/ticket.h"

enum { EARLY_DATA = 42 };

/* Returns whether RFC 8446 4.2, or OpenSSL, knows an extension, which then belongs to other
 * messages. An unknown one is ignored. */
static bool belongs_elsewhere(uint16_t type)
{
    static const uint16_t known[] = {0,  1,  5,  10, 11, 12, 13, 14, 16, 18,    21,    22,   23,
                                     35, 41, 43, 44, 45, 47, 49, 50, 51, 13172, 65000, 65281};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i] == type)
            return true;
    return false;
}

static enum err extensions_check(struct span all)
{
    struct cursor c = cursor_of(all);
    bool early = false, malformed = false;

    while (c.rest.n > 0) {
        const uint16_t type = cursor_u16(&c);
        const size_t n = cursor_take(&c, cursor_u16(&c)).n;
        if (c.short_)
            return ERR_LENGTH;
        if (belongs_elsewhere(type) || (type == EARLY_DATA && early))
            return ERR_RANGE;
        early = early || type == EARLY_DATA;
        malformed = malformed || (type == EARLY_DATA && n != 4);
    }
    return malformed ? ERR_LENGTH : ERR_OK;
}

enum err ticket_check(struct span body)
{
    struct cursor c = cursor_of(body);

    (void)cursor_take(&c, 4 + 4); /* lifetime, age */
    (void)cursor_take(&c, cursor_u8(&c));
    const size_t ticket = cursor_take(&c, cursor_u16(&c)).n;
    const struct span extensions = cursor_take(&c, cursor_u16(&c));
    if (c.short_ || ticket == 0 || c.rest.n > 0)
        return ERR_LENGTH;
    return extensions_check(extensions);
}
