/* ban_file: bans that outlive the process, in ban-file: a line "PREFIX END" for each, END in
 * seconds since 1970. wall_s: now, likewise; now_ms: the clock of limits. */
#ifndef SSTPGATE_POLICY_BAN_FILE_H
#define SSTPGATE_POLICY_BAN_FILE_H

#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct limits;

/* Adds the bans of path that have not run out, none for longer than ban-time from now on (so a
 * clock that was set can harm nobody). Lines that are damaged, and bans of another prefix length,
 * are skipped and told to problems as "path:line: reason\n". No file is ERR_OK: there were no bans.
 * ERR_SYSTEM: it cannot be read, as told to problems. */
enum err ban_file_load(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s,
                       FILE *problems) MUST_CHECK;

/* Writes path.new and renames it. ERR_SYSTEM: errno says why, the old file is as it was. Only from
 * one thread at a time; waits for the disk. */
enum err ban_file_save(struct limits *l, const char *path, uint64_t now_ms,
                       int64_t wall_s) MUST_CHECK;

#endif
