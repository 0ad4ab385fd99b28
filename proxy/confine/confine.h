/* confine: what this process gives up once everything that needs it is open: root, capabilities,
 * new privileges, most system calls, most of the file system. All of it holds for every thread:
 * filters for single threads would protect nothing, because threads share their memory. */
#ifndef SSTPGATE_CONFINE_CONFINE_H
#define SSTPGATE_CONFINE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

enum confine_mode {
    CONFINE_NO,      /* user and group only */
    CONFINE_AUTO,    /* what the kernel offers */
    CONFINE_REQUIRE, /* all layers, or nothing */
};

struct confine_settings {
    enum confine_mode mode;
    const char *user, *group; /* NULL: stay what the process is */
    bool low_ports;           /* keep CAP_NET_BIND_SERVICE */
    const char *const *write; /* absolute paths of the files that the program creates or replaces */
    size_t write_count;
};

struct confine {
    char text[256];    /* what is in force */
    char missing[256]; /* the layers that are not; empty: none. Not with CONFINE_NO. */
    bool paths;        /* Landlock is in force */
};

/* Gives up root. mode is ignored. Returns NULL, or the reason, which begins with the key of the
 * configuration that it is about ("user: ..."): the caller ends the process. Main thread, before
 * others exist. */
const char *confine_user(const struct confine_settings *s);

/* Does what confine_user does, makes the user the owner of the sockets and empty files of `write`,
 * and puts all layers of `mode` in force, for good, in this order: capabilities and user, no new
 * privileges, Landlock (paths.h), seccomp (syscalls.h). Returns as confine_user does; also
 * "sandbox: ..." if a layer is missing with CONFINE_REQUIRE. */
const char *confine_enter(const struct confine_settings *s, struct confine *out);

#endif
