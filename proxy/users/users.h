/* users: the users file: lines `name:hash-hash` (32 hex digits of NtPasswordHashHash, RFC 2759
 * 8.4) or `name:hash-hash:until` (until.h), comments with '#', blank lines. Read-only once loaded,
 * so any thread may search it. An attacker with the hash-hashes can impersonate the server: they
 * are wiped when freed, and never printed. */
#ifndef SSTPGATE_USERS_USERS_H
#define SSTPGATE_USERS_USERS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"
#include "users/until.h"

enum {
    USERS_HASH = 16,
    USERS_NAME_MAX = 256,
    USERS_MATCH_MAX = 4,
    USERS_REASON_MAX = 128,
    USERS_FILE_MAX = 64 << 20, /* fits 100,000 lines of the longest kind */
};

struct users;

struct users_match {
    const uint8_t *hash_hash; /* USERS_HASH bytes, valid until users_free() */
    unsigned line;            /* in users_path() */
    int64_t until;            /* UNTIL_NEVER: no end */
};

/* A line of a users file, as its administrator wrote it. */
struct users_row {
    unsigned line;
    struct span name;    /* empty: the line has no name */
    int64_t until;       /* UNTIL_NEVER: no end */
    const char *problem; /* the reason for which the file cannot be used; NULL: none */
};

/* Reads a users file. Returns NULL after an error; every error is written to problems as
 * "path:line: reason\n", or "path: reason\n" if it is not about a line. No message contains a
 * hash. A file that other users may access (mode & 007), or that is not a regular file, is an
 * error. */
struct users *users_load(const char *path, FILE *problems);

/* Reads the same from text in memory, which the caller wipes. path: for messages only. */
struct users *users_parse(const char *path, const char *text, size_t len, FILE *problems);

/* Calls on_row with each line of the file that is not a comment, in its order. Returns false where
 * users_load() would return NULL; a reason that is not about a line is written to problems. */
bool users_list(const char *path, void (*on_row)(void *arg, const struct users_row *row), void *arg,
                FILE *problems);

/* Parts of these functions, for users_edit.h. */

/* Returns the text of a file that users_load() would accept, to be wiped and freed. NULL: the
 * reason is in problems. */
char *users_read_file(const char *path, size_t *len, FILE *problems);

/* Returns an empty list of users. */
struct users *users_new(const char *path);

/* Adds a user with a valid name. Returns 0, or the line that already has the name. */
unsigned users_add(struct users *u, struct span name, const uint8_t hash_hash[USERS_HASH],
                   int64_t until, unsigned line);

/* Returns the line of exactly this name, in any case, not of another form of it; 0: none. */
unsigned users_line(const struct users *u, struct span name);

void users_free(struct users *u);
size_t users_count(const struct users *u);
const char *users_path(const struct users *u); /* the argument of users_load() */

/* Finds the lines of a user, in constant time, whatever names the file contains. name: as sent
 * on the wire; letters compare without case (base/fold.h). Tries the name as it is, without a
 * leading DOMAIN\, without a trailing @realm, and without both, because clients and servers
 * disagree on which of them is the name. Returns the number of lines in found, best first, at
 * most USERS_MATCH_MAX. */
size_t users_find(const struct users *u, struct span name,
                  struct users_match found[USERS_MATCH_MAX]);

/* Finds as users_find() does, without the lines that have expired at the time now (seconds since
 * 1970). */
size_t users_find_current(const struct users *u, struct span name, int64_t now,
                          struct users_match found[USERS_MATCH_MAX]);

/* Returns whether a name has lines and all of them have expired. *out: the first of users_find().
 */
bool users_expired(const struct users *u, struct span name, int64_t now, struct users_match *out);

/* The lines whose `until` is within a period. */
struct users_ending {
    size_t count;
    unsigned line; /* the line that ends first; 0: none */
    int64_t until; /* its end */
};

/* Returns the lines with from < until <= to; UNTIL_NEVER is not counted. Visits no line if none has
 * an end. */
struct users_ending users_ending(const struct users *u, int64_t from, int64_t to);

/* Returns whether two names, as sent on the wire, denote the same user: letters compare without
 * case (base/fold.h), and a domain or realm counts only where both names have one. */
bool users_same_name(struct span a, struct span b);

/* Returns name without a leading DOMAIN\ and a trailing @realm. */
struct span users_bare_name(struct span name);

/* Returns name without a leading DOMAIN\ and all realms (alice of CORP\alice@a@b): the user
 * whose tunnels are counted. A second realm must not start a count of its own. */
struct span users_counted_name(struct span name);

/* Returns whether name, as sent on the wire, is of the user that an administrator calls `user`: a
 * domain or realm counts only if `user` has one. `alice` covers CORP\alice and alice@corp;
 * alice@corp covers only itself. Letters compare without case. */
bool users_covers(struct span user, struct span name);

/* Returns whether a users file can contain name: 1..USERS_NAME_MAX bytes, no control character, no
 * ':', no leading '#' or blank, no trailing blank, no hidden character (base/hidden.h), UTF-8. */
bool users_name_valid(struct span name);

/* Returns why a users file cannot contain name; NULL: it can. The reason may be in text. */
const char *users_name_problem(struct span name, char text[USERS_REASON_MAX]);

#endif
