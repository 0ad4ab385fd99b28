/* admin_client: sends commands to the admin socket of a running gate (gate/admin.h). */
#ifndef SSTPGATE_CLI_ADMIN_CLIENT_H
#define SSTPGATE_CLI_ADMIN_CLIENT_H

/* Connects to the socket at path. Returns a descriptor for one command; -1: errno. */
int admin_client_dial(const char *path);

/* Sends a line, with its end, and reads the answer to its end. Closes fd. Returns the answer, which
 * the caller frees; NULL: errno. */
char *admin_client_ask(int fd, const char *line);

#endif
