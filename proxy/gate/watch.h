/* watch: detects changes of the files that a configuration names. Polls their state with stat()
 * every few seconds, which follows symbolic links and renames and works on every file system.
 * Main thread. */
#ifndef SSTPGATE_GATE_WATCH_H
#define SSTPGATE_GATE_WATCH_H

#include <stddef.h>
#include <uv.h>

struct config;
struct watch;

/* Starts to watch, without files. Calls on_change once, some time after the last of a burst of
 * changes, so that a certificate and its key that are written one after the other cause one
 * call. */
struct watch *watch_new(uv_loop_t *loop, void (*on_change)(void *arg), void *arg);

/* Records the current state of the files. Call it before they are read, so that a change during
 * the reading causes on_change. */
void watch_mark(struct watch *w);

/* Replaces the list of files by those of c: certificates, keys, users files, secrets, files of
 * networks, the country database. Files that were in the list keep their state of watch_mark. */
void watch_files(struct watch *w, const struct config *c);

/* Closes the handles; the loop's close callbacks free the memory. NULL: no-op. */
void watch_free(struct watch *w);

#endif
