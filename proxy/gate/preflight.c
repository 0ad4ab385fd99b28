#include "gate/preflight.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/insist.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"

struct warnings {
    const struct config *config;
    const struct config_listener *listener;
    FILE *to;
    FILE *steps; /* NULL: not wanted */
};

static void certificate_warn(const struct warnings *w, size_t certificate, const char *text)
{
    if (text != NULL)
        fprintf(w->to, "%s:%u: warning: listener %s: %s\n", w->config->path,
                w->listener->certificate[certificate].line, w->listener->name, text);
}

static void on_expiry(void *arg, const struct tls_expiry *e)
{
    char text[TLS_ERROR_MAX];
    certificate_warn(arg, e->certificate, tls_expiry_text(e, text));
    certificate_warn(arg, e->certificate, tls_staple_text(e, text));
    certificate_warn(arg, e->certificate, tls_key_text(e, text));
    const struct warnings *w = arg;
    if (w->steps != NULL)
        fprintf(w->steps, "%s %d %d\n", e->file, e->due, (int)e->staple);
}

void preflight_expiry(const struct site *site, time_t now, FILE *to, FILE *steps)
{
    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct warnings w = {
            .config = site->config, .listener = site->listener[i].config, .to = to, .steps = steps};
        tls_ctx_expiry(site->listener[i].tls, now, on_expiry, &w);
    }
}

/* ---- files with secrets ---- */

static void check_mode(const struct config *c, const struct config_listener *l, unsigned line,
                       const char *path, FILE *to)
{
    struct stat st;
    if (path != NULL && stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
        fprintf(to, "%s:%u: warning: listener %s: %s: accessible to other users (mode %04o)\n",
                c->path, line, l->name, path, (unsigned)st.st_mode & 07777);
}

void preflight_files(const struct config *c, FILE *to)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        for (size_t k = 0; k < l->certificate_count; k++) {
            const struct config_certificate *from = &l->certificate[k];
            if (from->key == NULL) /* the key is in file */
                check_mode(c, l, from->line, from->file, to);
            check_mode(c, l, from->key_line, from->key, to);
            check_mode(c, l, from->passphrase_line, from->passphrase_file, to);
        }
    }
}

/* ---- likely mistakes ---- */

/* Warns about crypto-bindings that cannot be re-signed. Not an error, because that of PAP needs no
 * key. */
static void check_keys(const struct config *c, const struct config_backend *b, FILE *to)
{
    if (config_has_calls(c, b) && b->binding == CONFIG_BINDING_REWRITE && b->users_file == NULL &&
        b->radius == NULL)
        fprintf(
            to,
            "%s:%u: warning: backend %s: crypto-binding = rewrite without users-file or radius: no "
            "key for MS-CHAPv2 and EAP, so their calls are refused\n",
            c->path, config_line(c, b, "crypto-binding"), b->name);
}

/* Warns about finite fields in groups. section: a listener or a backend of c. */
static void check_groups(const struct config *c, const void *section, const char *kind,
                         const char *name, const char *groups, FILE *to)
{
    if (groups != NULL && strcasestr(groups, "ffdhe") != NULL)
        fprintf(
            to,
            "%s:%u: warning: %s %s: groups: with a finite-field group (ffdhe), one packet of the "
            "peer costs up to 150 ms of CPU time\n",
            c->path, config_line(c, section, "groups"), kind, name);
}

/* Warns if the directory of a file that the program creates does not exist. path: value of this key
 * of [gate]; NULL: none. */
static void check_directory(const struct config *c, const char *key, const char *path, FILE *to)
{
    struct stat st;

    if (path == NULL)
        return;
    const char *slash = strrchr(path, '/'); /* the path is absolute */
    char *directory = insist_alloc(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
    const int reason = stat(directory, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (reason != 0)
        fprintf(to, "%s:%u: warning: %s: its directory %s: %s\n", c->path,
                config_line(c, &c->gate, key), key, directory, strerror(reason));
    free(directory);
}

void preflight_mistakes(const struct config *c, FILE *to)
{
    check_directory(c, "log", *c->gate.log == '/' ? c->gate.log : NULL, to);
    check_directory(c, "ban-file", c->gate.limits.ban_file, to);
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        rules_unreached(&l->rules, c->path, l->name, to);
        rules_unreached(&l->routes, c->path, l->name, to);
        check_groups(c, l, "listener", l->name, l->groups, to);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct config_backend *b = &c->backend[i];
        check_keys(c, b, to);
        check_groups(c, b, "backend", b->name, b->groups, to);
    }
}

bool preflight_config(const char *path, FILE *problems, FILE *print)
{
    struct snapshot *snapshot = snapshot_load(path, NULL, problems);
    if (snapshot == NULL)
        return false;
    struct site *site = site_new(snapshot, problems);
    bool ok = snapshot->sound && site != NULL;

    if (site != NULL) {
        preflight_mistakes(site->config, problems);
        preflight_files(site->config, problems);
        preflight_expiry(site, time(NULL), problems, NULL);
    }
    if (ok && print != NULL)
        config_print(snapshot->config, print);
    site_unref(site);
    snapshot_unref(snapshot);
    return ok;
}
