/* admin: commands for the running program, on a unix stream socket. A connection carries one line,
 * "COMMAND [ARGUMENT]", and the answer: lines of payload, then "ok" or "error: TEXT" as the last
 * line. The owner implements the commands (struct admin_ops). The mode of the socket, 0600, decides
 * which users may give them. Main thread. */
#ifndef SSTPGATE_GATE_ADMIN_H
#define SSTPGATE_GATE_ADMIN_H

#include <stddef.h>
#include <stdio.h>
#include <uv.h>

struct admin;
struct cidr;

enum {
    ADMIN_LINE_MAX = 256,     /* bytes of a command, without its line end */
    ADMIN_CLIENTS_MAX = 8,    /* connections that are served at a time */
    ADMIN_BACKLOG = 64,       /* connections that wait in the kernel */
    ADMIN_DEADLINE_MS = 5000, /* for the command, and again for reading the answer */
    ADMIN_AGAIN_MS = 100      /* between attempts to accept without a descriptor */
};

/* The commands. Each writes its payload to out, in whole lines, and returns NULL, or the reason
 * of the failure (a literal). None of them may call admin_free. */
struct admin_ops {
    const char *(*status)(void *arg, FILE *out);
    const char *(*bans)(void *arg, FILE *out);
    const char *(*unban)(void *arg, const struct cidr *net, FILE *out); /* net NULL: all bans */
    const char *(*reload)(void *arg, FILE *out);
    const char *(*servers)(void *arg, FILE *out);
    const char *(*metrics)(void *arg, FILE *out);
    const char *(*drain)(void *arg, const char *server,
                         FILE *out); /* server NULL: the whole gate */
    const char *(*ready)(void *arg, const char *server, FILE *out);
    const char *(*log_level)(void *arg, const char *level, FILE *out); /* level NULL: print it */
    const char *(*stop)(void *arg, FILE *out);
};

/* Writes the list of commands, a line for each: the answer to `help`. */
void admin_help(FILE *out);

/* Listens at path, with mode 0600 from the first moment. A stale socket file (of a program that was
 * killed) is replaced. Returns the descriptor, or -1 with errno: EADDRINUSE: a program listens
 * there; EEXIST: the file is not a socket; ENAMETOOLONG; or that of bind(). */
int admin_bind(const char *path);

/* Serves fd, a descriptor of admin_bind(path), and takes ownership of it. ops and arg must
 * outlive the result. */
struct admin *admin_new(uv_loop_t *loop, int fd, const char *path, const struct admin_ops *ops,
                        void *arg);

/* Removes the socket file (if it still is this socket), ends all connections and closes the
 * handles; the loop's close callbacks free the memory. NULL: no-op. */
void admin_free(struct admin *a);

/* Writes the answer to one line, verdict included: the protocol without its sockets. */
void admin_answer(const struct admin_ops *ops, void *arg, const char *line, size_t len, FILE *out);

#endif
