/* shared_thread: the object of shared.h, and the thread that uses the store. */
#ifndef SSTPGATE_SHARED_SHARED_THREAD_H
#define SSTPGATE_SHARED_SHARED_THREAD_H

#include "shared/shared.h"
#include "shared/shared_settings.h"

/* settings and ops outlive the object. */
struct shared *shared_new(const struct shared_settings *settings, const struct shared_ops *ops,
                          void *arg);
void shared_free(struct shared *s); /* the thread has ended, or never ran */
void shared_run(struct shared *s);  /* the thread: returns after shared_stop */
void shared_stop(struct shared *s); /* from any thread; takes the gate out of the store */

#endif
