#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "sstpgate: %s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

void *check_alloc(void *p)
{
    if (p == NULL) {
        fputs("sstpgate: out of memory\n", stderr);
        abort();
    }
    return p;
}
