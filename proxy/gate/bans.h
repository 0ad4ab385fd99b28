/* bans: the bans of policy/limits.h across restarts: loaded, saved, swept. Main thread. */
#ifndef SSTPGATE_GATE_BANS_H
#define SSTPGATE_GATE_BANS_H

#include <stdint.h>

struct gate;

/* From path, NULL: none. A damaged file loses bans and is told. */
void bans_load(struct gate *gate, const char *path);

/* To the ban-file in force, if anything has changed. */
void bans_save(struct gate *gate);

/* Does so every few seconds, with the timer of s. */
void bans_start(struct gate *gate);

/* The clock that bans are counted by. */
uint64_t bans_now_ms(void);

#endif
