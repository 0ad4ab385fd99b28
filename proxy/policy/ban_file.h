/* ban_file: loads and saves bans, so that they survive a restart, in `ban-file`: one line
 * "PREFIX END" for each, END in seconds since 1970; "PREFIX END manual" or "user:NAME END" for
 * those of an administrator, where %XX in NAME is the byte XX. wall_s: the current time in seconds
 * since 1970; now_ms: the clock of limits. */
#ifndef SSTPGATE_POLICY_BAN_FILE_H
#define SSTPGATE_POLICY_BAN_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"

struct limits;

/* Restores the bans of path that have not expired, for at most ban-time from now on, in case the
 * clock was set. Damaged lines, and bans of another prefix length, are skipped and written to
 * problems as "path:line: reason\n". ERR_OK also if the file does not exist. ERR_SYSTEM: the
 * file cannot be read, or is UTF-16; problems has the reason. */
enum err ban_file_load(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s,
                       FILE *problems) MUST_CHECK;

/* Writes path.new and renames it. ERR_SYSTEM with errno: the old file is unchanged. Waits for
 * the disk. Only one thread at a time. */
enum err ban_file_save(struct limits *l, const char *path, uint64_t now_ms,
                       int64_t wall_s) MUST_CHECK;

/* Writes the lines of a ban file to out: for another process. */
void ban_file_print(struct limits *l, FILE *out, uint64_t now_ms, int64_t wall_s);

/* Restores the bans of the lines in rest, as ban_file_load does. path: for problems. */
void ban_file_read(struct limits *l, struct span rest, const char *path, uint64_t now_ms,
                   int64_t wall_s, FILE *problems);

#endif
