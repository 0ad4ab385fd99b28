/* gate: the running program, from start to exit: workers, sockets, signals. */
#ifndef SSTPGATE_GATE_GATE_H
#define SSTPGATE_GATE_GATE_H

struct admin_ops;
struct inquiry_question;
struct shared_answers;
struct status_ops;

/* What an administrator can see and do. The functions get the struct gate. */
struct gate_control {
    const struct admin_ops *commands; /* of the admin socket */
    const struct status_ops *answers; /* of the status listener */
    /* Answers a question of another gate (shared_reply_pages), or ignores it. */
    void (*on_question)(void *gate, const struct inquiry_question *q);
    /* Handles the answers to a question of this gate (shared_inquire), which stay the caller's. */
    void (*on_answers)(void *gate, const struct shared_answers *a);
};

/* Serves the configuration file `path` until a signal or the admin socket stops the program.
 * HUP, or a change of a file that the configuration names, reloads it (gate/reload.h).
 * USR2 replaces the process by a new one with the arguments argv (gate/upgrade.h).
 * ready_file: a file that gets a line "LISTENER ADDR:PORT" for each bound address as soon as
 * all of them accept; NULL: none. Returns the exit code: 0 after TERM, INT, QUIT or a command;
 * 1 if the start has failed, with the reasons on standard error and no connection accepted. */
int gate_run(const char *path, const char *ready_file, char *const *argv,
             const struct gate_control *control);

#endif
