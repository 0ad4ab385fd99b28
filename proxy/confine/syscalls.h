/* syscalls: the system calls that the process may make, by seccomp. libseccomp. */
#ifndef SSTPGATE_CONFINE_SYSCALLS_H
#define SSTPGATE_CONFINE_SYSCALLS_H

#include <stdbool.h>
#include <stddef.h>

/* Returns whether the program was built with libseccomp. */
bool syscalls_supported(void);

/* Filters the system calls of all threads, and of the programs that they execute, for good:
 * - calls that this program, its libraries and the start of a new version need: permitted, some
 *   with certain arguments only (no new namespaces, no memory that is writable and executable, no
 *   sockets but IP, Unix and NETLINK_ROUTE);
 * - calls that only an attack uses, such as ptrace and mount: the kernel kills the process;
 * - calls newer than Linux 5.0 that are not in the list: "not implemented", as on an older kernel;
 * - all others: "not implemented", and the name is noted. They do not kill the process, because
 *   modules of the resolver (NSS) run in it, whose unusual call must not end every tunnel.
 * Each upgrade adds a filter, up to 16, because one more would only cost time; the filters of
 * earlier processes stay in force. Requires no_new_privs. Returns NULL, or the reason why no filter
 * is in force. */
const char *syscalls_filter(void);

enum { SYSCALLS_NAME = 32 };

/* Writes the name of a system call that was refused and noted, and forgets it. Returns false if
 * there is none. Any thread. */
bool syscalls_take_refused(char name[SYSCALLS_NAME]);

#endif
