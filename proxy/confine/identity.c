#include "confine/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char why[256];

/* Returns whether text is a number that can be an identifier; (uint32_t)-1 means "unchanged". */
static bool read_number(const char *text, uint32_t *out)
{
    char *end;

    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    const unsigned long n = strtoul(text, &end, 10);
    if (errno != 0 || *end != '\0' || n >= UINT32_MAX)
        return false;
    *out = (uint32_t)n;
    return true;
}

static const char *find_group(const char *text, gid_t *out)
{
    const struct group *entry = getgrnam(text);
    uint32_t number;

    if (entry != NULL)
        *out = entry->gr_gid;
    else if (read_number(text, &number))
        *out = number;
    else {
        snprintf(why, sizeof why, "group: there is no group '%s'", text);
        return why;
    }
    return NULL;
}

/* The entry of the user; a number may have none. */
static const char *find_user(const char *text, const struct passwd **entry, uid_t *uid)
{
    uint32_t number;

    *entry = getpwnam(text);
    if (*entry == NULL && read_number(text, &number)) {
        *uid = number;
        *entry = getpwuid(number);
    } else if (*entry != NULL) {
        *uid = (*entry)->pw_uid;
    } else {
        snprintf(why, sizeof why,
                 "user: there is no user '%s' (adduser --system --group --no-create-home %s)", text,
                 text);
        return why;
    }
    return NULL;
}

/* Fills the supplementary groups: those of the user database, or the one group of a user without an
 * entry. */
static const char *find_groups(const struct passwd *entry, struct identity *out)
{
    out->groups = IDENTITY_GROUPS;
    if (entry == NULL) {
        out->groups = 1;
        out->group[0] = out->gid;
    } else if (getgrouplist(entry->pw_name, out->gid, out->group, &out->groups) < 0) {
        snprintf(why, sizeof why, "user: '%s' has more than %d groups", out->user,
                 (int)IDENTITY_GROUPS);
        return why;
    }
    return NULL;
}

/* Checks whether this process can become, or is, this user. */
static const char *check_rights(struct identity *out)
{
    if (out->uid == 0)
        return "user: root would drop no privileges; write another user";
    out->changes = geteuid() == 0;
    if (out->changes || (geteuid() == out->uid && getegid() == out->gid))
        return NULL;
    snprintf(
        why, sizeof why,
        "user: only root can become '%s'; start the gate as root or as this user with its group",
        out->user);
    return why;
}

const char *identity_find(const char *user, const char *group, struct identity *out)
{
    const struct passwd *entry = NULL;
    const char *reason = NULL;

    *out = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (user == NULL)
        return group == NULL ? NULL : "group: it is used only with user";
    snprintf(out->user, sizeof out->user, "%s", user);
    reason = find_user(user, &entry, &out->uid);
    if (reason != NULL)
        return reason;
    if (group == NULL && entry == NULL)
        return "group: must be set for a user without an entry in the user database";
    if (group == NULL)
        out->gid = entry->pw_gid;
    else
        reason = find_group(group, &out->gid);
    if (reason == NULL)
        reason = find_groups(entry, out);
    return reason == NULL ? check_rights(out) : reason;
}

/* Returns whether the identifiers are those of id, and no call brings root back. */
static bool is_taken(const struct identity *id)
{
    uid_t real, effective, saved;
    gid_t group, group_effective, group_saved;

    return getresuid(&real, &effective, &saved) == 0 && real == id->uid && effective == id->uid &&
           saved == id->uid && getresgid(&group, &group_effective, &group_saved) == 0 &&
           group == id->gid && group_effective == id->gid && group_saved == id->gid &&
           setresuid(0, 0, 0) != 0 && seteuid(0) != 0 && (id->gid == 0 || setegid(0) != 0);
}

const char *identity_take(const struct identity *id)
{
    if (!id->changes)
        return NULL;
    if (setgroups((size_t)id->groups, id->group) != 0 ||
        setresgid(id->gid, id->gid, id->gid) != 0 || setresuid(id->uid, id->uid, id->uid) != 0) {
        snprintf(why, sizeof why, "user: cannot become '%s': %s", id->user, strerror(errno));
        return why;
    }
    return is_taken(id) ? NULL : "user: root could be regained";
}
