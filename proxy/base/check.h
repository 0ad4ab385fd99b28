/* check: assertions that stay in release builds. For what only we can cause: wrong thread,
 * impossible state, double close. They say where and abort. */
#ifndef SSTPGATE_BASE_CHECK_H
#define SSTPGATE_BASE_CHECK_H

_Noreturn void check_failed(const char *what, const char *file, int line);

#define CHECK(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__))

/* A libuv call that can only fail through a mistake of ours. */
#define CHECK_UV(call) CHECK((call) == 0)

/* Memory that every call needs: there is no sensible way to go on without it. */
void *check_alloc(void *p);
#define NEW(type) ((type *)check_alloc(calloc(1, sizeof(type))))

#endif
