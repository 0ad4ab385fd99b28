#include "gate/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATH_ROOM = 4096,
    BASE = 24 << 20, /* the program, its configuration, and blocks that malloc keeps */
    CALL = 64 << 10, /* a call before its tunnel is up, and what the kernel keeps for it */
};

/* ---- files of one group ---- */

/* Reads up to two numbers of a file, where `max` and -1 are UINT64_MAX. Returns how many. */
static int read_numbers(const char *root, const char *dir, const char *name, uint64_t number[2])
{
    char path[PATH_ROOM], line[64] = "", *rest, *word;
    int n = 0;

    if (snprintf(path, sizeof path, "%s%s/%s", root, dir, name) >= (int)sizeof path)
        return 0;
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    if (fgets(line, sizeof line, f) == NULL)
        line[0] = '\0';
    fclose(f);
    for (rest = line; n < 2 && (word = strsep(&rest, " \n")) != NULL && *word != '\0'; n++)
        number[n] = *word < '0' || *word > '9' ? UINT64_MAX : strtoull(word, NULL, 10);
    return n;
}

static void take_memory(struct cgroup_limits *least, uint64_t bytes)
{
    if (bytes < least->memory)
        least->memory = bytes;
}

/* quota, period: microseconds of CPU time in a period. */
static void take_cpus(struct cgroup_limits *least, uint64_t quota, uint64_t period)
{
    if (quota == UINT64_MAX || quota == 0 || period == 0)
        return;
    const uint64_t cpus = quota / period + (quota % period != 0);
    if (cpus < least->cpus)
        least->cpus = (size_t)cpus;
}

static void group_read(const char *root, const char *dir, struct cgroup_limits *least)
{
    uint64_t number[2], period[2];

    if (read_numbers(root, dir, "memory.max", number) >= 1 ||
        read_numbers(root, dir, "memory.limit_in_bytes", number) >= 1)
        take_memory(least, number[0]);
    if (read_numbers(root, dir, "cpu.max", number) == 2)
        take_cpus(least, number[0], number[1]);
    else if (read_numbers(root, dir, "cpu.cfs_quota_us", number) >= 1 &&
             read_numbers(root, dir, "cpu.cfs_period_us", period) >= 1)
        take_cpus(least, number[0], period[0]);
}

/* ---- groups of the process ---- */

/* Reads the group at path below root, and all that contain it. In a container the path may be that
 * of the host: then only the root exists. */
static void branch_read(const char *root, char *path, struct cgroup_limits *least)
{
    char *slash;

    for (; (slash = strrchr(path, '/')) != NULL; *slash = '\0')
        if (slash[1] != '\0')
            group_read(root, path, least);
    group_read(root, "", least);
}

static bool has_controller(char *list, const char *name)
{
    for (char *word; (word = strsep(&list, ",")) != NULL;)
        if (strcmp(word, name) == 0)
            return true;
    return false;
}

/* Reads the groups of a line `ID:CONTROLLERS:PATH`; version 2 has no controllers. Version 1 mounts
 * each controller below root, as a link if several share a directory. */
static void line_read(const char *root, char *line, struct cgroup_limits *least)
{
    static const char *const controllers[] = {"memory", "cpu"};
    char mount[PATH_ROOM];

    (void)strsep(&line, ":");
    char *list = strsep(&line, ":");
    if (line == NULL)
        return;
    line[strcspn(line, "\n")] = '\0';
    if (*list == '\0') {
        branch_read(root, line, least);
        return;
    }
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; i++) {
        char copy[128], path[PATH_ROOM];
        snprintf(copy, sizeof copy, "%s", list);
        snprintf(path, sizeof path, "%s", line);
        if (has_controller(copy, controllers[i]) &&
            snprintf(mount, sizeof mount, "%s/%s", root, controllers[i]) < (int)sizeof mount)
            branch_read(mount, path, least);
    }
}

struct cgroup_limits cgroup_read(const char *groups, const char *root)
{
    struct cgroup_limits least = {.memory = UINT64_MAX, .cpus = SIZE_MAX};
    char *line = NULL;
    size_t room = 0;
    FILE *f = fopen(groups, "re");

    if (f == NULL)
        return least;
    while (getline(&line, &room, f) >= 0)
        line_read(root, line, &least);
    free(line);
    fclose(f);
    return least;
}

size_t cgroup_calls(uint64_t memory)
{
    const uint64_t calls = memory > BASE ? (memory - BASE) / CALL : 0;
    return calls < 1 ? 1 : calls > SIZE_MAX ? SIZE_MAX : (size_t)calls;
}
