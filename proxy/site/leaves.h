/* leaves: whose certificate is that? Those that this gate's listeners show, and those they have
 * shown before a reload, by their hashes. For the log: a client whose hash is one of these went
 * another way than it seems. Any thread (a lock is held for moments). */
#ifndef SSTPGATE_SITE_LEAVES_H
#define SSTPGATE_SITE_LEAVES_H

#include <stddef.h>
#include <stdint.h>

#include "binding/binding.h"

enum {
    LEAVES_EARLIER_MAX = 256, /* remembered of those that are shown no more; the oldest go first */
    LEAVES_NAME_MAX = 128,
};

struct leaves;

struct leaves *leaves_new(void);
void leaves_free(struct leaves *l); /* NULL is fine */

struct leaves_shown {
    const char *listener;
    struct binding_leaf leaf;
};

/* From now on these n are shown, one listener may have several and several may have one; all others
 * are earlier ones. Copied. */
void leaves_show(struct leaves *l, const struct leaves_shown *shown, size_t n);

enum leaves_whose {
    LEAVES_NOBODYS,
    LEAVES_LISTENERS_OWN,   /* this listener shows it, too */
    LEAVES_OTHER_LISTENERS, /* name: which one */
    LEAVES_EARLIER,         /* name: the listener that had it */
};

/* digest: as long as its hash (SSTP_HASH_SHA1, SSTP_HASH_SHA256) makes it. Takes as long with a
 * thousand certificates as with one. */
enum leaves_whose leaves_find(struct leaves *l, uint8_t hash, const uint8_t *digest,
                              const char *listener, char name[LEAVES_NAME_MAX]);

#endif
