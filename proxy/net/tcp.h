/* tcp: operations on a TCP socket that a stream needs and libuv does not offer. Each function
 * handles one quirk of the kernel or of libuv. */
#ifndef SSTPGATE_NET_TCP_H
#define SSTPGATE_NET_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "base/addr.h"

/* Returns the descriptor; -1: the handle has none yet. */
int tcp_fd(const uv_tcp_t *tcp);

/* Returns the descriptor of a new connection to a Unix socket, for uv_tcp_open; below 0: a libuv
 * error. Does not block: a server whose queue is full is an error. */
int tcp_unix(const char *path);

/* Sets the options of every connection. Errors are ignored, because only the socket of a dead
 * connection refuses an option, and its next read reports the end. */
void tcp_set_options(uv_tcp_t *tcp);

/* Writes the address of this end, or of the other end, even if the connection was reset since.
 * Returns 0 or a libuv error. */
int tcp_local(const uv_tcp_t *tcp, struct addr *out);
int tcp_peer(const uv_tcp_t *tcp, struct addr *out);

/* Reads at once. Returns the number of bytes; 0: the end; -1: errno has the cause. */
ssize_t tcp_read(const uv_tcp_t *tcp, void *out, size_t cap);

/* Returns whether bytes have arrived that were not read. */
bool tcp_has_bytes(const uv_tcp_t *tcp);

/* Returns whether the end that libuv has reported was a reset. libuv 1.44 reports a hang-up after a
 * short read as the end of the file, without another read. A connection that was reset reports it
 * once, to the next read. */
bool tcp_was_reset(const uv_tcp_t *tcp);

/* Prepares the socket so that a close with a reset sends no packet (TCP_REPAIR); without
 * CAP_NET_ADMIN the close sends a reset with a hop limit of 1, which reaches neighbours only. */
void tcp_end_silently(const uv_tcp_t *tcp);

#endif
