/* log_syslog: datagrams to the syslog daemon. Replaces syslog(3), because that blocks in send(2)
 * with a lock held while the daemon does not read. Depends on libc only. */
#ifndef SSTPGATE_BASE_LOG_SYSLOG_H
#define SSTPGATE_BASE_LOG_SYSLOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/log_target.h"

/* The socket of the daemon. */
#define LOG_SYSLOG_PATH "/dev/log"

/* Returns a socket for log_syslog_send(), or -1 with errno, if no daemon can be reached. path:
 * LOG_SYSLOG_PATH, except in tests. EPROTOTYPE: the daemon listens on a stream socket, which is
 * not supported, because a stream can take a part of a line; journald, rsyslog, syslog-ng and
 * busybox listen on datagram sockets. */
int log_syslog_open(const char *path);

/* Sends text as one message; severity: LOG_ERR to LOG_DEBUG of syslog.h.
 * Any thread may call it, and it never blocks. Returns false if the message is lost: the queue of
 * the daemon is full, or the daemon is absent. Each call looks path up again, so a daemon that was
 * restarted gets the next message. */
bool log_syslog_send(int fd, const char *path, const struct log_target *target, int severity,
                     const char *text, size_t n);

#endif
