/* import: the users in files of other programs, with their passwords or hashes. Reads bytes in
 * memory and reports names and secrets. Keeps nothing, and wipes its copies. */
#ifndef SSTPGATE_USERS_IMPORT_H
#define SSTPGATE_USERS_IMPORT_H

#include <stdbool.h>

#include "base/span.h"

enum import_kind {
    IMPORT_CHAP_SECRETS, /* of pppd or accel-ppp: names and passwords; lines which the two read
                            differently are problems */
    IMPORT_PPPD,
    IMPORT_ACCEL_PPP,
    IMPORT_SMBPASSWD, /* of Samba, as `pdbedit -Lw` prints it: names and NT hashes */
};

/* The key `encrypted` of accel-ppp.conf. If it is unknown, a secret that looks like an NT hash is a
 * problem. */
enum import_encrypted { IMPORT_ENCRYPTED_UNKNOWN, IMPORT_PLAIN, IMPORT_ENCRYPTED };

struct import_options {
    enum import_kind kind;
    enum import_encrypted encrypted; /* of IMPORT_ACCEL_PPP */
    bool machines;                   /* of IMPORT_SMBPASSWD: import machine accounts, too */
};

enum { IMPORT_NT_HASH = 16, IMPORT_WORD_MAX = 1023 /* bytes, as in pppd */ };

struct import_user {
    unsigned line;
    struct span name;   /* users_name_valid() */
    struct span secret; /* a password, not empty, or an NT hash of IMPORT_NT_HASH bytes */
    bool hash;          /* the secret is a hash */
};

/* import_read calls one of these functions for each line that is neither empty nor a comment. Spans
 * are valid only during the call. */
struct import_events {
    void *arg;
    void (*on_user)(void *arg, const struct import_user *user);
    /* The line is not imported, although it is valid. name: empty if it must not be shown. */
    void (*on_skipped)(void *arg, unsigned line, struct span name, const char *reason);
    /* The line is not valid. */
    void (*on_problem)(void *arg, unsigned line, const char *reason);
};

/* Converts "chap-secrets", "pppd", "accel-ppp" or "smbpasswd". Returns false for other words. */
bool import_kind_from(const char *word, enum import_kind *out);

/* Reads text, a file of this kind. */
void import_read(const struct import_options *o, struct span text, const struct import_events *to);

#endif
