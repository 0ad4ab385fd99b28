/* line: one TCP connection to a server, with TLS or without, with blocking functions: each returns
 * at the deadline of the connection at the latest. */
#ifndef SSTPGATE_CLIENT_LINE_H
#define SSTPGATE_CLIENT_LINE_H

#include "base/addr.h"
#include "tls/tls_conn.h"

struct line;

enum line_result {
    LINE_OK,
    LINE_TIMEOUT,
    LINE_CLOSED,  /* the server has closed or reset the connection */
    LINE_REFUSED, /* nothing listens at the address */
    LINE_FAILED,  /* another error of the system: line_error() */
    LINE_NOT_TLS, /* the server's first byte does not begin a TLS record */
    LINE_TLS,     /* TLS has failed: line_error(), and line_tls() has more */
};

/* Returns a monotonic time in ms. */
uint64_t line_now(void);

/* Connects to `to`. *line is never NULL, but after any other result than LINE_OK it may only be
 * used for line_error() and line_close(). deadline_ms: a time of line_now(). */
enum line_result line_open(struct line **line, const struct addr *to, uint64_t deadline_ms);

/* Sets another deadline. */
void line_set_deadline(struct line *l, uint64_t deadline_ms);

/* Runs the TLS handshake. Parameters as in tls_conn_new_client; ctx must outlive the line. */
enum line_result line_secure(struct line *l, struct tls_ctx *ctx, const char *sni,
                             const char *verify_name);

/* Waits for bytes until until_ms, or the deadline if that is earlier. LINE_OK: *n bytes, at least
 * one, are in out. */
enum line_result line_read(struct line *l, uint8_t *out, size_t cap, size_t *n, uint64_t until_ms);

/* Sends bytes, in one TLS record if they fit. After a failure, later calls are no-ops, and
 * line_read() reports it when the bytes that have arrived are read. */
void line_write(struct line *l, struct span bytes);

/* Returns a text about the last failure. */
const char *line_error(const struct line *l);

/* Returns the TLS connection; NULL: none. */
const struct tls_conn *line_tls(const struct line *l);

/* Writes the local address of the connection. False: it is unknown. */
bool line_local(const struct line *l, struct addr *out);

/* Ends TLS, closes the socket and frees l; NULL: no-op. */
void line_close(struct line *l);

#endif
