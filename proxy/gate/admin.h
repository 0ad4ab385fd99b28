/* admin: commands for the running program, on a unix stream socket. A connection carries one line,
 * "COMMAND [WORD...]", and the answer: lines of payload, then "ok" or "error: TEXT" as the last
 * line. The last word may be `json`, if the command has that form. In a word, %XX is the byte XX:
 * so a user's name may have blanks and any characters. The owner implements the commands (struct
 * admin_ops). The mode of the socket decides which users may give them. Main thread. */
#ifndef SSTPGATE_GATE_ADMIN_H
#define SSTPGATE_GATE_ADMIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <uv.h>

struct admin;
struct admin_client;

enum {
    ADMIN_LINE_MAX = 1024,    /* bytes of a command, without its line end */
    ADMIN_WORDS_MAX = 16,     /* behind the command */
    ADMIN_WHY_MAX = 256,      /* bytes of a reason, with its NUL */
    ADMIN_CLIENTS_MAX = 8,    /* connections that are served at a time */
    ADMIN_BACKLOG = 64,       /* connections that wait in the kernel */
    ADMIN_DEADLINE_MS = 5000, /* for the command, and again for reading the answer */
    ADMIN_AGAIN_MS = 100      /* between attempts to accept without a descriptor */
};

/* The commands, in the order of `help`. */
enum admin_command {
    ADMIN_STATUS,
    ADMIN_HEALTH,
    ADMIN_TUNNELS,
    ADMIN_FAILURES,
    ADMIN_LISTENERS,
    ADMIN_CERTIFICATES,
    ADMIN_SERVERS,
    ADMIN_LIMITS,
    ADMIN_BANS,
    ADMIN_GATES,
    ADMIN_END,
    ADMIN_BAN,
    ADMIN_UNBAN,
    ADMIN_RELOAD,
    ADMIN_DRAIN,
    ADMIN_RESUME,
    ADMIN_READY,
    ADMIN_EXPLAIN,
    ADMIN_LOG_LEVEL,
    ADMIN_STOP,
    ADMIN_METRICS,
    ADMIN_HELP,
    ADMIN_COMMANDS
};

/* One command with its words. */
struct admin_request {
    const char *name;            /* of the command */
    char *word[ADMIN_WORDS_MAX]; /* decoded; NULL behind the last one */
    size_t words;
    bool json;                   /* the answer is wanted as JSON */
    char *why;                   /* ADMIN_WHY_MAX bytes, for a reason that is not a literal */
    struct admin_client *client; /* for admin_defer */
};

/* Carries out a command: writes its payload to out, in whole lines, and returns NULL, or the reason
 * of the failure. Must not call admin_free. */
typedef const char *admin_op(void *arg, const struct admin_request *r, FILE *out);

/* The answer to a command that needs time. The connection has ADMIN_DEADLINE_MS for it. */
struct admin_later;

/* Postpones the answer: what the running admin_op writes and returns is ignored, and
 * admin_later_end must be called once, from the op or later. Not with admin_answer. */
struct admin_later *admin_defer(const struct admin_request *r);

/* Answers with the payload and with error, NULL: none, if the client is still there. Takes
 * ownership of the payload, n bytes of whole lines (NULL: none), and frees l. */
void admin_later_end(struct admin_later *l, char *payload, size_t n, const char *error);

struct admin_ops {
    admin_op *run[ADMIN_COMMANDS]; /* help needs none */
};

/* Returns the name of a command, and the words that may follow it; NULL: none. */
const char *admin_command_name(enum admin_command c);
const char *admin_command_words(enum admin_command c);

/* Returns whether the answer to a command is available as JSON. */
bool admin_command_has_json(const char *name);

/* Writes the list of commands, a line for each: the answer to `help`. */
void admin_help(FILE *out);

/* Listens at path, with mode 0600 from the first moment, and then with this group and mode. group
 * NULL: that of the process. A stale socket file (of a program that was
 * killed) is replaced. Returns the descriptor, or -1 with errno: EADDRINUSE: a program listens
 * there; EEXIST: the file is not a socket; ENAMETOOLONG; ENOENT: no such group; or that of bind()
 * or chown(). */
int admin_bind(const char *path, const char *group, unsigned mode);

/* Serves fd, a descriptor of admin_bind(path), and takes ownership of it. ops and arg must
 * outlive the result. */
struct admin *admin_new(uv_loop_t *loop, int fd, const char *path, const struct admin_ops *ops,
                        void *arg);

/* Makes the socket file that of a, which removes it at its end. */
void admin_own_file(struct admin *a);

/* Removes the socket file (if it is that of a, and still this socket), ends all connections and
 * closes the handles; the loop's close callbacks free the memory. NULL: no-op. */
void admin_free(struct admin *a);

/* Gives the socket file its group and its mode. group NULL: unchanged. Returns false with errno. */
bool admin_share(const char *path, const char *group, unsigned mode);

/* Returns the listening socket, which remains that of a. */
int admin_fd(const struct admin *a);

/* Takes no new connections, because another process has the same socket: the socket file remains,
 * and so do the connections until their answers are written. As with admin_free, the loop's close
 * callbacks free the memory. NULL: no-op. */
void admin_leave(struct admin *a);

/* Writes the answer to one line, verdict included: the protocol without its sockets. */
void admin_answer(const struct admin_ops *ops, void *arg, const char *line, size_t len, FILE *out);

#endif
