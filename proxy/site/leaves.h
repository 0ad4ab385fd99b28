/* leaves: finds the listener that presents the certificate with a given hash, or presented it
 * before a reload. For the log: if a client binds itself to one of these certificates, and not
 * to that of its connection, it reached this gate through another listener, or through a proxy
 * that has the certificate. Any thread (a lock is held briefly). */
#ifndef SSTPGATE_SITE_LEAVES_H
#define SSTPGATE_SITE_LEAVES_H

#include <stddef.h>
#include <stdint.h>

#include "binding/binding.h"

enum {
    LEAVES_EARLIER_MAX =
        256, /* earlier certificates that are kept; beyond that the oldest is removed */
    LEAVES_NAME_MAX = 128,
};

struct leaves;

struct leaves *leaves_new(void);
void leaves_free(struct leaves *l); /* NULL: no-op */

struct leaves_shown {
    const char *listener;
    struct binding_leaf leaf;
};

/* Replaces the certificates that the listeners present; all others are earlier ones. A listener
 * may have several certificates, and a certificate several listeners. Copies shown. */
void leaves_show(struct leaves *l, const struct leaves_shown *shown, size_t n);

enum leaves_whose {
    LEAVES_NOBODYS,
    LEAVES_LISTENERS_OWN,   /* this listener has it, maybe others too */
    LEAVES_OTHER_LISTENERS, /* name: one of them */
    LEAVES_EARLIER,         /* name: the listener that had it */
};

/* Finds a certificate by its digest. hash: SSTP_HASH_SHA1 or SSTP_HASH_SHA256, which determines
 * the length of digest. The time does not depend on the number of certificates. */
enum leaves_whose leaves_find(struct leaves *l, uint8_t hash, const uint8_t *digest,
                              const char *listener, char name[LEAVES_NAME_MAX]);

#endif
