/* admin: commands to the running program, on a unix stream socket. A connection is one line in,
 * "COMMAND [ARGUMENT]", and text out: lines of payload, then "ok" or "error: TEXT" as the last one,
 * then the end. What a command does is the owner's; who may give one is decided by the socket's
 * mode, 0600. Main thread. */
#ifndef SSTPGATE_GATE_ADMIN_H
#define SSTPGATE_GATE_ADMIN_H

#include <stddef.h>
#include <stdio.h>
#include <uv.h>

struct admin;
struct cidr;

enum {
    ADMIN_LINE_MAX = 256,  /* octets of a command, its line end not counted */
    ADMIN_CLIENTS_MAX = 8, /* at a time; as many as this wait in the kernel: */
    ADMIN_BACKLOG = 64,
    ADMIN_DEADLINE_MS = 5000 /* to say something, and once more to take the answer */
};

/* What the commands do. Each writes its payload to out, in whole lines, and returns NULL, or in a
 * few words why it failed; these are not freed. They must not call admin_free. */
struct admin_ops {
    const char *(*status)(void *arg, FILE *out);
    const char *(*bans)(void *arg, FILE *out);
    const char *(*unban)(void *arg, const struct cidr *net, FILE *out); /* net NULL: all of them */
    const char *(*reload)(void *arg, FILE *out);
    const char *(*servers)(void *arg, FILE *out);
    const char *(*drain)(void *arg, const char *server, FILE *out); /* NULL: the whole gate */
    const char *(*ready)(void *arg, const char *server, FILE *out);
    const char *(*stop)(void *arg, FILE *out);
};

/* The list of commands, as the command help answers it: a line for each. */
void admin_help(FILE *out);

/* A socket that listens at path, mode 0600 from its first moment. A socket file at which nobody
 * answers is what a program that was killed has left, and is replaced. -1 with errno: EADDRINUSE
 * when somebody answers there, EEXIST when the file is no socket, ENAMETOOLONG, and what bind()
 * says. */
int admin_bind(const char *path);

/* Serves fd, a socket of admin_bind(path), which is now ours. ops and arg outlive it. */
struct admin *admin_new(uv_loop_t *loop, int fd, const char *path, const struct admin_ops *ops,
                        void *arg);

/* Takes the file away (if it is still that socket), ends every connection and closes its handles;
 * the memory goes when the loop has closed them. NULL is fine. */
void admin_free(struct admin *a);

/* The answer to one line, verdict included: the protocol without its sockets. */
void admin_answer(const struct admin_ops *ops, void *arg, const char *line, size_t len, FILE *out);

#endif
