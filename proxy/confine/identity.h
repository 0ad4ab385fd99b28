/* identity: the user and the groups that a gate started by root continues as. libc only. */
#ifndef SSTPGATE_CONFINE_IDENTITY_H
#define SSTPGATE_CONFINE_IDENTITY_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

enum { IDENTITY_GROUPS = 64, IDENTITY_TEXT = 64 };

struct identity {
    bool changes; /* false: the process is this user already, or stays what it is */
    uid_t uid;
    gid_t gid;
    gid_t group[IDENTITY_GROUPS]; /* supplementary: those of the user, and gid */
    int groups;
    char user[IDENTITY_TEXT]; /* for messages */
};

/* Finds user and group, each a name or a number; NULL: none is configured. A user without a group
 * has the group of its entry in the user database. Returns NULL, or the reason: not found, root, or
 * not permitted, because only root can become another user. The text is valid until the next call.
 * Main thread only. */
const char *identity_find(const char *user, const char *group, struct identity *out);

/* Becomes that user for good: real, effective and saved identifiers. Returns NULL, or the reason,
 * also if the process could become root again. The caller ends the process then. */
const char *identity_take(const struct identity *id);

#endif
