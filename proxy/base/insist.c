#include "base/insist.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void insist_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "sstpgate: %s:%d: assertion failed: %s\n", file, line, what);
    abort();
}

void *insist_alloc(void *p)
{
    if (p == NULL) {
        fputs("sstpgate: out of memory\n", stderr);
        abort();
    }
    return p;
}
