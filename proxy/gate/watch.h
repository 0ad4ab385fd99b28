/* watch: tells when one of the files a configuration names has changed. It asks for their state
 * every few seconds, which sees through symbolic links and renames and works on every file system.
 * Main thread. */
#ifndef SSTPGATE_GATE_WATCH_H
#define SSTPGATE_GATE_WATCH_H

#include <stddef.h>
#include <uv.h>

struct config;
struct watch;

/* on_change comes once a while after the last of a number of changes, so that a certificate and its
 * key that are written one after the other cause one call. */
struct watch *watch_new(uv_loop_t *loop, void (*on_change)(void *arg), void *arg);

/* Before the files are read: a change from here on is one that their reader may not have seen. */
void watch_mark(struct watch *w);

/* Which files from now on: certificates and what belongs to them, users files, files of networks,
 * the country database. Those it had before count as read at the last watch_mark. */
void watch_files(struct watch *w, const struct config *c);

/* Closes its handles; the memory goes when the loop has closed them. */
void watch_free(struct watch *w);

#endif
