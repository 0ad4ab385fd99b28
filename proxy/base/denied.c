#include "base/denied.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { NAME_ROOM = 64, ENTRY_ROOM = 4096 };

/* The reason with two paths and two names. */
static _Thread_local char reason[2 * PATH_MAX + 4 * NAME_ROOM];

static void user_name(char out[NAME_ROOM])
{
    char room[ENTRY_ROOM];
    struct passwd entry, *found = NULL;

    if (getpwuid_r(geteuid(), &entry, room, sizeof room, &found) != 0 || found == NULL)
        snprintf(out, NAME_ROOM, "%u", (unsigned)geteuid());
    else
        snprintf(out, NAME_ROOM, "%s", found->pw_name);
}

static void group_name(char out[NAME_ROOM])
{
    char room[ENTRY_ROOM];
    struct group entry, *found = NULL;

    if (getgrgid_r(getegid(), &entry, room, sizeof room, &found) != 0 || found == NULL)
        snprintf(out, NAME_ROOM, "%u", (unsigned)getegid());
    else
        snprintf(out, NAME_ROOM, "%s", found->gr_name);
}

/* Finds the first directory of path that the process may not search. */
static bool find_closed(const char *path, char out[PATH_MAX])
{
    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        const size_t n = slash == path ? 1 : (size_t)(slash - path);
        if (n >= PATH_MAX)
            return false;
        memcpy(out, path, n);
        out[n] = '\0';
        if (access(out, X_OK) != 0)
            return errno == EACCES;
    }
    return false;
}

const char *denied_reason(const char *path, int error)
{
    char user[NAME_ROOM], group[NAME_ROOM], closed[PATH_MAX];

    if (error != EACCES)
        return strerror(error);
    user_name(user);
    group_name(group);
    if (find_closed(path, closed))
        snprintf(
            reason, sizeof reason,
            "%s: the user %s may not search the directory %s: run chgrp %s and chmod g+x on it",
            strerror(error), user, closed, group);
    else
        snprintf(reason, sizeof reason,
                 "%s: the user %s may not read it: run chgrp %s and chmod g+r on it",
                 strerror(error), user, group);
    return reason;
}
