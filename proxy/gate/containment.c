#include "gate/containment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/denied.h"
#include "base/files.h"
#include "base/insist.h"
#include "base/log.h"
#include "config/config.h"
#include "confine/syscalls.h"

enum { LOW_PORTS = 1024, WRITTEN_MAX = 5 + CONFIG_SOCKETS_MAX };

/* ---- what the configuration needs ---- */

static bool is_low(const struct addr *a)
{
    return a->port != 0 && a->port < LOW_PORTS;
}

static bool has_low_place(const struct config_places *places)
{
    for (size_t i = 0; i < places->count; i++)
        if (is_low(&places->item[i]))
            return true;
    return false;
}

/* A gate that listens on a low port keeps the right to bind others in a reload. */
static bool needs_low_ports(const struct config *c)
{
    for (size_t i = 0; i < c->listener_count; i++)
        for (size_t k = 0; k < c->listener[i].listen_count; k++)
            if (is_low(&c->listener[i].listen[k]))
                return true;
    for (size_t i = 0; i < c->radius_count; i++)
        if (has_low_place(&c->radius[i].listen) || has_low_place(&c->radius[i].accounting_listen))
            return true;
    return false;
}

/* A file that the gate creates or replaces while it runs. */
struct written {
    const char *key; /* NULL: not a key of the configuration */
    const char *path;
};

static size_t written_by(const struct config *c, const char *ready_file,
                         struct written out[WRITTEN_MAX])
{
    size_t n = 0;

    if (*c->gate.log == '/')
        out[n++] = (struct written){"log", c->gate.log};
    if (c->gate.limits.ban_file != NULL)
        out[n++] = (struct written){"ban-file", c->gate.limits.ban_file};
    if (c->gate.key_log != NULL)
        out[n++] = (struct written){"key-log", c->gate.key_log};
    if (c->gate.admin != NULL)
        out[n++] = (struct written){"admin", c->gate.admin};
    for (size_t i = 0; i < c->gate.status.count; i++)
        if (c->gate.status.item[i].path != NULL)
            out[n++] = (struct written){"status", c->gate.status.item[i].path};
    if (ready_file != NULL)
        out[n++] = (struct written){NULL, ready_file};
    return n;
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return insist_alloc(strdup("."));
    return insist_alloc(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
}

static struct confine_settings settings_of(const struct config *c)
{
    static const enum confine_mode modes[] = {[CONFIG_SANDBOX_NO] = CONFINE_NO,
                                              [CONFIG_SANDBOX_AUTO] = CONFINE_AUTO,
                                              [CONFIG_SANDBOX_REQUIRE] = CONFINE_REQUIRE};

    return (struct confine_settings){.mode = modes[c->gate.sandbox],
                                     .user = c->gate.user,
                                     .group = c->gate.group,
                                     .low_ports = needs_low_ports(c)};
}

/* ---- enter ---- */

/* Writes a reason of confine.h, which begins with the key that it is about. */
static bool report(const struct config *c, const char *reason, FILE *problems)
{
    char key[16] = "";

    if (reason == NULL)
        return true;
    snprintf(key, sizeof key, "%.*s", (int)strcspn(reason, ":"), reason);
    const unsigned line = config_line(c, &c->gate, key);
    fprintf(problems, "%s:%u: %s\n", c->gate.file, line, reason);
    return false;
}

bool containment_enter(struct containment *c, const struct config *config, const char *ready_file,
                       FILE *problems)
{
    struct confine_settings s = settings_of(config);
    struct written written[WRITTEN_MAX];
    const char *path[WRITTEN_MAX];

    s.write_count = written_by(config, ready_file, written);
    c->directory = insist_alloc(calloc(s.write_count + 1, sizeof *c->directory));
    for (size_t i = 0; i < s.write_count; i++) {
        path[i] = written[i].path;
        c->directory[i] = directory_of(path[i]);
    }
    s.write = path;
    if (!report(config, confine_enter(&s, &c->confine), problems))
        return false;
    snprintf(c->text, sizeof c->text, "%s%s%s", c->confine.text,
             *c->confine.missing == '\0' ? "" : "; missing: ", c->confine.missing);
    return true;
}

bool containment_try_user(const struct config *config, FILE *problems)
{
    const struct confine_settings s = settings_of(config);
    return report(config, confine_user(&s), problems);
}

void containment_log(const struct containment *c, const struct config *config)
{
    if (config->gate.sandbox == CONFIG_SANDBOX_NO)
        log_msg(LOG_LEVEL_WARNING, "sandbox", "in force: %s", c->confine.text);
    else
        log_msg(LOG_LEVEL_INFO, "sandbox", "in force: %s", c->confine.text);
    if (*c->confine.missing != '\0')
        log_msg(LOG_LEVEL_WARNING, "sandbox", "not in force: %s", c->confine.missing);
    if (geteuid() == 0)
        log_msg(LOG_LEVEL_WARNING, "sandbox",
                "the gate runs as root and can read every file of root: set user in [gate]");
}

void containment_log_refused(void)
{
    char name[SYSCALLS_NAME];

    while (syscalls_take_refused(name))
        log_msg(LOG_LEVEL_ERROR, "sandbox",
                "the system call %s was refused: report it; until then, sandbox = no permits it",
                name);
}

/* ---- a reload ---- */

/* Returns whether the process may create files next to path. */
static bool may_write(const struct containment *c, const char *path)
{
    char *directory = directory_of(path);
    bool found = !c->confine.paths;

    for (size_t i = 0; !found && c->directory[i] != NULL; i++)
        found = strcmp(c->directory[i], directory) == 0;
    free(directory);
    return found;
}

static bool check_written(const struct containment *c, const struct config *config, const char *key,
                          const char *path, FILE *problems)
{
    if (path == NULL || may_write(c, path))
        return true;
    fprintf(problems,
            "%s:%u: %s: the running gate may not write to the directory of %s (sandbox): restart "
            "it\n",
            config->gate.file, config_line(config, &config->gate, key), key, path);
    return false;
}

/* The other files require a restart anyway. */
bool containment_check(const struct containment *c, const struct config *config, FILE *problems)
{
    if (c->directory == NULL)
        return true;
    const bool bans = check_written(c, config, "ban-file", config->gate.limits.ban_file, problems);
    return check_written(c, config, "key-log", config->gate.key_log, problems) && bans;
}

void containment_fini(struct containment *c)
{
    for (size_t i = 0; c->directory != NULL && c->directory[i] != NULL; i++)
        free(c->directory[i]);
    free(c->directory);
    c->directory = NULL;
}

/* ---- files of the user ---- */

static void check_readable(void *arg, const struct files_item *item)
{
    FILE *to = arg;

    if (item->path[0] == '/' && access(item->path, R_OK) != 0 && errno == EACCES)
        fprintf(to, "%s: warning: a reload cannot read it: %s\n", item->path,
                denied_reason(item->path, EACCES));
}

static bool is_log(const char *key)
{
    return strcmp(key, "log") == 0 || strcmp(key, "key-log") == 0;
}

/* A log may exist and be writable in a directory that is not. */
static void check_writable(const struct config *c, const struct written *w, FILE *to)
{
    char *directory = directory_of(w->path);

    if (access(directory, W_OK | X_OK) != 0 && errno == EACCES &&
        (!is_log(w->key) || access(w->path, W_OK) != 0))
        fprintf(to, "%s:%u: warning: %s: the user %s may not write to %s: run chown %s on it\n",
                c->gate.file, config_line(c, &c->gate, w->key), w->key, c->gate.user, directory,
                c->gate.user);
    free(directory);
}

void containment_check_access(const struct config *config, const struct files *files, FILE *to)
{
    struct written written[WRITTEN_MAX];
    const size_t n = written_by(config, NULL, written);

    if (config->gate.user == NULL || geteuid() == 0)
        return;
    if (access(config->path, R_OK) != 0 && errno == EACCES)
        fprintf(to, "%s: warning: a reload cannot read it: %s\n", config->path,
                denied_reason(config->path, EACCES));
    files_each(files, check_readable, to);
    for (size_t i = 0; i < n; i++)
        check_writable(config, &written[i], to);
}
