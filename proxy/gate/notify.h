/* notify: messages to the service manager, by the protocol of sd_notify(3). Without NOTIFY_SOCKET
 * in the environment every function is a no-op that returns false. Main thread. */
#ifndef SSTPGATE_GATE_NOTIFY_H
#define SSTPGATE_GATE_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* Returns whether a service manager listens. */
bool notify_wanted(void);

/* Sends assignments, separated by line ends: "READY=1\nSTATUS=...". Returns whether they were sent.
 * notify_send waits up to a second if the service manager is busy, notify_hint does not wait. */
bool notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool notify_hint(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Stores a copy of fd under this name in the service manager (FDSTORE=1). Waits as notify_send. */
bool notify_store(int fd, const char *name);

/* Waits, at most timeout_ms, until the service manager has handled all earlier messages. */
bool notify_barrier(int timeout_ms);

/* Returns whether the service manager still accepts messages of this process, as those of the main
 * process of the service; true if that is unknown after timeout_ms. */
bool notify_heard(int timeout_ms);

/* Returns the time within which the service manager expects WATCHDOG=1, in ms; 0: never. */
uint64_t notify_watchdog_ms(void);

#endif
