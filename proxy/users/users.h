/* users: the users file, lines of `name:hash-hash` (32 hex digits of NtPasswordHashHash, RFC 2759
 * 8.4), comments with '#', blank lines. Read-only once loaded, so any thread may look up. The
 * values let their holder play the server: they are wiped on free and never printed. */
#ifndef SSTPGATE_USERS_USERS_H
#define SSTPGATE_USERS_USERS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"

enum {
    USERS_HASH = 16,
    USERS_NAME_MAX = 256,
    USERS_MATCH_MAX = 4,
    USERS_FILE_MAX = 64 << 20, /* 100,000 lines of the longest kind fit */
};

struct users;

struct users_match {
    const uint8_t *hash_hash; /* USERS_HASH octets, until users_free */
    unsigned line;            /* where in users_path() it stands */
};

/* Reads the whole file; every error is written to problems as "path:line: reason\n", or as
 * "path: reason\n" where it is none of a line. No message shows a hash. NULL when there was an
 * error. A file that everybody may read, write or run (mode & 007) is one, and so is anything but a
 * regular file. */
struct users *users_load(const char *path, FILE *problems);

/* The same from octets in memory; path is used for messages only. The caller wipes text. */
struct users *users_parse(const char *path, const char *text, size_t len, FILE *problems);

/* What the two above are made of, for those who make such files (users_edit.h). The octets of a
 * file that users_load would take, to be wiped and freed; NULL: why not is in problems. */
char *users_read_file(const char *path, size_t *len, FILE *problems);
/* Empty. */
struct users *users_new(const char *path);
/* A line more, with a valid name: 0, or the number of the line that has the name already. */
unsigned users_add(struct users *u, struct span name, const uint8_t hash_hash[USERS_HASH],
                   unsigned line);
/* The line of this very name, not of another form of it; 0: none. */
unsigned users_line(const struct users *u, struct span name);

void users_free(struct users *u);
size_t users_count(const struct users *u);
const char *users_path(const struct users *u); /* as it was given when it was read */

/* In constant time, whatever names the file has. name: as it stood on the wire. The 26 letters of
 * ASCII compare without case. Tried in this order: the name as it is, without a leading DOMAIN\,
 * without a trailing @realm, without either (clients and servers do not agree on which of them is
 * the name). Every line that some form has, best first, at most USERS_MATCH_MAX. Returns how many.
 */
size_t users_find(const struct users *u, struct span name,
                  struct users_match found[USERS_MATCH_MAX]);

/* Returns whether two names, as sent on the wire, denote the same user: the 26 letters of ASCII
 * compare without case, and a domain or realm counts only where both names have one. */
bool users_same_name(struct span a, struct span b);

/* name without a leading DOMAIN\ and a trailing @realm. */
struct span users_bare_name(struct span name);

/* Returns name without a leading DOMAIN\ and all realms (alice of CORP\alice@a@b): the user whose
 * tunnels are counted. Another realm behind the name must not begin another count. */
struct span users_counted_name(struct span name);

/* True when name can stand in a users file: 1..USERS_NAME_MAX octets, no control character, no
 * ':', no leading '#', blank or byte order mark, no trailing blank. */
bool users_name_valid(struct span name);

#endif
