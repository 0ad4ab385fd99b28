#include "confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/core_dumps.h"
#include "confine/capabilities.h"
#include "confine/identity.h"
#include "confine/paths.h"
#include "confine/syscalls.h"

static char why[512];

/* Appends to a list that is separated by commas. */
__attribute__((format(printf, 3, 4))) static void append(char *list, size_t room,
                                                         const char *format, ...)
{
    const size_t n = strlen(list);
    const int comma = n == 0 ? 0 : snprintf(list + n, room - n, ", ");
    va_list args;

    if (n + (size_t)comma >= room)
        return;
    va_start(args, format);
    vsnprintf(list + n + comma, room - n - (size_t)comma, format, args);
    va_end(args);
}

static uint64_t capabilities_needed(const struct confine_settings *s)
{
    return s->low_ports ? (uint64_t)1 << CAP_NET_BIND_SERVICE : 0;
}

static const char *reason(const char *what)
{
    snprintf(why, sizeof why, "%s: %s", what, strerror(errno));
    return why;
}

/* Gives a file that the start has created as root to the user: a socket, or an empty log. It
 * follows no link, because the directory may belong to another user. */
static void give_file(const char *path, uid_t uid)
{
    const int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_uid == 0 && st.st_nlink == 1 &&
        (S_ISSOCK(st.st_mode) || (S_ISREG(st.st_mode) && st.st_size == 0)))
        (void)!fchownat(fd, "", uid, (gid_t)-1,
                        AT_EMPTY_PATH); /* a warning reports a failure later */
    close(fd);
}

/* Becomes the user of id with the capabilities `keep` only. */
static const char *give_up(const struct identity *id, uint64_t keep)
{
    if (!capabilities_begin(keep))
        return reason("sandbox: cannot empty the bounding set of capabilities");
    const char *failed = identity_take(id);
    if (failed != NULL)
        return failed;
    if (!capabilities_end(keep) || (capabilities_left() & ~keep) != 0)
        return reason("sandbox: cannot give up capabilities");
    core_dumps_off(); /* a change of the user may permit them again */
    return NULL;
}

const char *confine_user(const struct confine_settings *s)
{
    struct identity id;
    const char *failed = identity_find(s->user, s->group, &id);

    return failed != NULL || !id.changes ? failed : give_up(&id, capabilities_needed(s));
}

/* ---- what is in force ---- */

static void describe_user(const struct confine_settings *s, struct confine *out)
{
    if (s->user != NULL)
        append(out->text, sizeof out->text, "user %s", s->user);
    else
        append(out->text, sizeof out->text, geteuid() == 0 ? "user root" : "user %u",
               (unsigned)geteuid());
}

static void describe_capabilities(struct confine *out)
{
    const uint64_t left = capabilities_left();

    if (left == 0)
        append(out->text, sizeof out->text, "no capabilities");
    else if (left == (uint64_t)1 << CAP_NET_BIND_SERVICE)
        append(out->text, sizeof out->text, "capability net_bind_service");
    else
        append(out->text, sizeof out->text, "capabilities %#llx", (unsigned long long)left);
}

/* ---- layers ---- */

static void enter_no_new_privileges(struct confine *out)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        append(out->text, sizeof out->text, "no new privileges");
    else
        append(out->missing, sizeof out->missing, "no new privileges: %s", strerror(errno));
}

static void enter_paths(const struct confine_settings *s, struct confine *out)
{
    const int version = paths_restrict(s->write, s->write_count);

    out->paths = version > 0;
    if (out->paths)
        append(out->text, sizeof out->text, "files by Landlock %d", version);
    else
        append(out->missing, sizeof out->missing, "Landlock: %s",
               errno == ENOSYS       ? "this kernel has none"
               : errno == EOPNOTSUPP ? "it is switched off in this kernel"
                                     : strerror(errno));
}

static void enter_syscalls(struct confine *out)
{
    const char *failed = syscalls_filter();

    if (failed == NULL)
        append(out->text, sizeof out->text, "system calls by seccomp");
    else
        append(out->missing, sizeof out->missing, "seccomp: %s", failed);
}

const char *confine_enter(const struct confine_settings *s, struct confine *out)
{
    struct identity id;
    const char *failed = identity_find(s->user, s->group, &id);

    *out = (struct confine){0};
    for (size_t i = 0; failed == NULL && id.changes && i < s->write_count; i++)
        give_file(s->write[i], id.uid);
    if (failed == NULL && (id.changes || s->mode != CONFINE_NO))
        failed = give_up(&id, capabilities_needed(s));
    if (failed != NULL)
        return failed;
    describe_user(s, out);
    describe_capabilities(out);
    if (s->mode == CONFINE_NO) {
        append(out->text, sizeof out->text, "nothing else (sandbox = no)");
        return NULL;
    }
    enter_no_new_privileges(out);
    enter_paths(s, out);
    enter_syscalls(out);
    if (s->mode != CONFINE_REQUIRE || *out->missing == '\0')
        return NULL;
    snprintf(why, sizeof why, "sandbox: missing: %s; sandbox = auto starts without it",
             out->missing);
    return why;
}
