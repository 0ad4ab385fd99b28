/* bans: keeps the bans of policy/limits_bans.h across restarts: loads, saves and expires them. Main
 * thread. */
#ifndef SSTPGATE_GATE_BANS_H
#define SSTPGATE_GATE_BANS_H

#include <stdint.h>

struct gate;

/* Loads the ban file. Damaged lines are skipped and logged. path NULL: no-op. */
void bans_load(struct gate *gate, const char *path);

/* Logs a warning if path cannot be written, before the first ban needs it. NULL: no-op. */
void bans_warn(const char *path);

/* Writes the ban file of the configuration in force, if a ban has changed since the last
 * time. */
void bans_save(struct gate *gate);

/* Starts the timer that expires and saves bans every few seconds. */
void bans_start(struct gate *gate);

/* Returns the time in ms by the monotonic clock that limits.h uses for bans. */
uint64_t bans_now_ms(void);

#endif
