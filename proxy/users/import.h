/* import: users in the files of other programs, and what these keep for a password. Octets in
 * memory in, names and secrets out; nothing is kept, and what was copied is wiped. */
#ifndef SSTPGATE_USERS_IMPORT_H
#define SSTPGATE_USERS_IMPORT_H

#include <stdbool.h>

#include "base/span.h"

enum import_kind {
    IMPORT_CHAP_SECRETS, /* of pppd: names and passwords */
    IMPORT_SMBPASSWD,    /* of Samba, as `pdbedit -Lw` prints it: names and NT hashes */
};

enum { IMPORT_NT_HASH = 16, IMPORT_WORD_MAX = 1023 /* octets, as in pppd */ };

struct import_user {
    unsigned line;
    struct span name; /* users_name_valid() */
    struct span
        secret; /* of chap-secrets the password, at least one octet; of smbpasswd the NT hash */
};

/* Of each line that is not a comment one of these comes. Spans are valid during the call only. */
struct import_events {
    void *arg;
    void (*on_user)(void *arg, const struct import_user *user);
    /* Not to be taken over, which is as it should be. name: empty where there is none to be shown.
     */
    void (*on_skipped)(void *arg, unsigned line, struct span name, const char *reason);
    void (*on_problem)(void *arg, unsigned line,
                       const char *reason); /* not a line of such a file */
};

/* chap-secrets, smbpasswd. */
bool import_kind_from(const char *word, enum import_kind *out);

/* machines: those of smbpasswd are taken, too. */
void import_read(enum import_kind kind, bool machines, struct span text,
                 const struct import_events *to);

#endif
