#include "control/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t us_of(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000000 + (uint64_t)t->tv_usec;
}

bool process_cpu_us(uint64_t *us)
{
    struct rusage used;

    if (getrusage(RUSAGE_SELF, &used) != 0)
        return false;
    *us = us_of(&used.ru_utime) + us_of(&used.ru_stime);
    return true;
}

bool process_memory(uint64_t *resident, uint64_t *size)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    unsigned long long pages, resident_pages;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL)
        return false;
    const bool ok = fscanf(f, "%llu %llu", &pages, &resident_pages) == 2;
    fclose(f);
    if (!ok)
        return false;
    *size = pages * page;
    *resident = resident_pages * page;
    return true;
}

/* The descriptor of the directory itself is not counted. */
bool process_open_files(uint64_t *count)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;

    if (d == NULL)
        return false;
    *count = 0;
    while ((e = readdir(d)) != NULL)
        *count += e->d_name[0] != '.';
    closedir(d);
    if (*count > 0)
        --*count;
    return true;
}

bool process_max_files(uint64_t *count)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return false;
    *count = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : (uint64_t)limit.rlim_cur;
    return true;
}
