/* watch: detects changes of the files that a configuration names. Polls their state with stat()
 * every few seconds, which follows symbolic links and renames and works on every file system.
 * Main thread. */
#ifndef SSTPGATE_GATE_WATCH_H
#define SSTPGATE_GATE_WATCH_H

#include <uv.h>

struct files;
struct watch;

/* on_change: called once, some time after the last of a burst of changes, so that a certificate and
 * its key that are written one after the other cause one call. Files that change all the time delay
 * it by some 10 seconds only. */
struct watch *watch_new(uv_loop_t *loop, void (*on_change)(void *arg), void *arg);

/* Replaces the list of files. A file that has changed since it was read for `files` causes
 * on_change, too. */
void watch_files(struct watch *w, const struct files *files);

/* Closes the handles; the loop's close callbacks free the memory. NULL: no-op. */
void watch_free(struct watch *w);

#endif
