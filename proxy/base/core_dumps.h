/* core_dumps: keeps the memory of the process, which holds private keys, hashes of passwords and
 * RADIUS secrets, out of core files. libc only. */
#ifndef SSTPGATE_BASE_CORE_DUMPS_H
#define SSTPGATE_BASE_CORE_DUMPS_H

/* Turns core dumps off for this process, before it reads a secret. Also denies ptrace(2) and the
 * memory under /proc to other processes of the same user; root (CAP_SYS_PTRACE) can still attach a
 * debugger. No option keeps core dumps on, because a developer can use gdb and gcore as root, and
 * the sanitizer builds. */
void core_dumps_off(void);

#endif
