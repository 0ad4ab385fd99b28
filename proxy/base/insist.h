/* insist: assertions that stay in release builds. For what only we can cause: wrong thread,
 * impossible state, double close. They say where and abort. */
#ifndef SSTPGATE_BASE_INSIST_H
#define SSTPGATE_BASE_INSIST_H

_Noreturn void insist_failed(const char *what, const char *file, int line);

#define INSIST(cond) ((cond) ? (void)0 : insist_failed(#cond, __FILE__, __LINE__))

/* A libuv call that can only fail through a mistake of ours. */
#define INSIST_UV(call) INSIST((call) == 0)

/* Memory that every call needs: there is no sensible way to go on without it. */
void *insist_alloc(void *p);
#define NEW(type) ((type *)insist_alloc(calloc(1, sizeof(type))))

#endif
