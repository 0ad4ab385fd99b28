/* gate: the running program: workers, sockets, signals, from start to exit. */
#ifndef SSTPGATE_GATE_GATE_H
#define SSTPGATE_GATE_GATE_H

/* Serves what the configuration file says until a signal ends it; HUP, or a change of a certificate
 * or users file, takes up a new one, whole or not at all. ready_file: NULL, or where to write one
 * line "LISTENER ADDR:PORT" for each bound address once all of them accept. Returns the exit code:
 * 0 after TERM, INT or QUIT, 1 when it could not start (then nothing was accepted, and standard
 * error says why). */
int gate_run(const char *path, const char *ready_file);

#endif
