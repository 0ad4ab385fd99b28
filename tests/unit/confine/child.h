/* Runs a function in a child process, because what a process gives up it cannot get back. Include
 * it after cmocka.h. */
#ifndef SSTPGATE_TESTS_CONFINE_CHILD_H
#define SSTPGATE_TESTS_CONFINE_CHILD_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: ends it, with the place, if a condition is false. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Returns the status of waitpid(2). */
static inline int run_child(void (*fn)(void))
{
    int status = -1;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static inline void in_child(void (*fn)(void))
{
    assert_int_equal(run_child(fn), 0);
}

static inline void no_new_privileges(void)
{
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

#endif
