/* insist: assertions that are active in release builds, too, for errors that only this program can
 * cause: wrong thread, impossible state, double close. A failed assertion prints its place and
 * aborts. */
#ifndef SSTPGATE_BASE_INSIST_H
#define SSTPGATE_BASE_INSIST_H

_Noreturn void insist_failed(const char *what, const char *file, int line);

#define INSIST(cond) ((cond) ? (void)0 : insist_failed(#cond, __FILE__, __LINE__))

/* Asserts that a libuv call succeeds, which fails only if this program misuses it. */
#define INSIST_UV(call) INSIST((call) == 0)

/* Returns p. Ends the program if p is NULL, because it cannot continue without memory. */
void *insist_alloc(void *p);
#define NEW(type) ((type *)insist_alloc(calloc(1, sizeof(type))))

#endif
