#include "gate/key_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "config/config.h"
#include "confine/identity.h"
#include "tls/key_log.h"

/* Returns the user that the gate becomes, and that owns a file of an earlier gate. */
static uid_t owner_of(const struct config_gate *g)
{
    struct identity id;

    return identity_find(g->user, g->group, &id) == NULL && id.changes ? id.uid : geteuid();
}

static bool report(const struct config *c, const char *reason, FILE *problems)
{
    if (reason != NULL)
        fprintf(problems, "%s:%u: key-log: %s: %s\n", c->gate.file,
                config_line(c, &c->gate, "key-log"), c->gate.key_log, reason);
    return reason == NULL;
}

bool key_file_prepare(const struct config *c, int *fd, FILE *problems)
{
    const char *reason;

    *fd = -1;
    if (c->gate.key_log == NULL)
        return true;
    *fd = key_log_open(c->gate.key_log, owner_of(&c->gate), &reason);
    return *fd >= 0 || report(c, reason, problems);
}

void key_file_commit(const struct config *c, int fd)
{
    key_log_use(fd, c->gate.key_log, owner_of(&c->gate));
}

void key_file_reopen(void)
{
    const char *reason;

    if (!key_log_reopen(&reason))
        log_msg(LOG_LEVEL_ERROR, "key-log", "cannot reopen the file: %s", reason);
}

bool key_file_check(const struct config *c, FILE *problems)
{
    struct stat st;

    if (c->gate.key_log == NULL || lstat(c->gate.key_log, &st) != 0)
        return true;
    return report(c, key_log_flaw(&st, st.st_uid), problems);
}
