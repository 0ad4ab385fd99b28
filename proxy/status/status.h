/* status: the HTTP listener for monitoring and for the status page, served by libmicrohttpd in a
 * thread of its own that no other thread waits for. It reads and refuses requests itself; the owner
 * answers them in the main thread (status_serve). Connections, sizes and times are bounded:
 * see peers.h and status_ops.h. */
#ifndef SSTPGATE_STATUS_STATUS_H
#define SSTPGATE_STATUS_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "status/guard.h"
#include "status/status_ops.h"

struct status;

/* Returns false if the program was built without libmicrohttpd. */
bool status_supported(void);

/* Returns the version of the library for -V; NULL: none. */
const char *status_library(void);

/* Returns a listener for fd[0..count), listening sockets which remain the caller's and must not
 * block. ops, arg and the sockets must outlive the result. Requires status_supported(). */
struct status *status_new(const int *fd, size_t count, const struct status_ops *ops, void *arg);

/* Puts settings in force for what arrives next; before status_start, and then at any time. */
void status_configure(struct status *s, const struct guard_settings *c);

/* Starts the thread. */
void status_start(struct status *s);

/* Answers one question, in the main thread. Returns true if another may wait. */
bool status_serve(struct status *s);

/* Gives the answer to a question for which ops->answer has returned STATUS_LATER. Takes ownership
 * of text, n bytes. Required once for each, in the main thread; s NULL: the listener has ended. */
void status_answer_later(struct status *s, struct question *later, unsigned http_status, char *text,
                         size_t n);

/* Ends all connections and the thread. NULL: no-op. Main thread. */
void status_free(struct status *s);

#endif
