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
    FILE *steps; /* NULL: nobody asks */
};

static void warn(const struct warnings *w, size_t certificate, const char *text)
{
    if (text != NULL)
        fprintf(w->to, "%s:%u: warning: listener %s: %s\n", w->config->path,
                w->listener->certificate[certificate].line, w->listener->name, text);
}

static void on_expiry(void *arg, const struct tls_expiry *e)
{
    char text[TLS_ERROR_MAX];
    warn(arg, e->certificate, tls_expiry_text(e, text));
    warn(arg, e->certificate, tls_staple_text(e, text));
    warn(arg, e->certificate, tls_key_text(e, text));
    const struct warnings *w = arg;
    if (w->steps != NULL)
        fprintf(w->steps, "%s %d %d\n", e->file, e->due, (int)e->staple);
}

void preflight_expiry(const struct site *site, FILE *to, FILE *steps)
{
    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct warnings w = {
            .config = site->config, .listener = site->listener[i].config, .to = to, .steps = steps};
        tls_ctx_expiry(site->listener[i].tls, time(NULL), on_expiry, &w);
    }
}

/* ---- files that should be nobody else's ---- */

static void preflight_file(const struct config *c, const struct config_listener *l, unsigned line,
                           const char *path, FILE *to)
{
    struct stat st;
    if (path != NULL && stat(path, &st) == 0 && (st.st_mode & S_IRWXO) != 0)
        fprintf(to,
                "%s:%u: warning: listener %s: %s: open to every user of this machine (mode %04o)\n",
                c->path, line, l->name, path, (unsigned)st.st_mode & 07777);
}

void preflight_files(const struct config *c, FILE *to)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        for (size_t k = 0; k < l->certificate_count; k++) {
            const struct config_certificate *from = &l->certificate[k];
            if (from->key == NULL) /* then it is in file */
                preflight_file(c, l, from->line, from->file, to);
            preflight_file(c, l, from->key_line, from->key, to);
            preflight_file(c, l, from->passphrase_line, from->passphrase_file, to);
        }
    }
}

/* ---- what is hardly meant ---- */

/* PAP's binding needs no key, so it is not an error. */
static void preflight_keys(const struct config *c, const struct config_backend *b, FILE *to)
{
    if (config_has_calls(c, b) && b->binding == CONFIG_BINDING_REWRITE && b->users_file == NULL &&
        b->radius == NULL)
        fprintf(
            to,
            "%s:%u: warning: backend %s: crypto-binding = rewrite without users-file and radius: "
            "there is no key for MS-CHAPv2 and EAP, whose calls are refused\n",
            c->path, config_line(c, b, "crypto-binding"), b->name);
}

/* Warns about a finite field in groups. section: a listener or a backend of c. */
static void preflight_groups(const struct config *c, const void *section, const char *kind,
                             const char *name, const char *groups, FILE *to)
{
    if (groups != NULL && strcasestr(groups, "ffdhe") != NULL)
        fprintf(
            to,
            "%s:%u: warning: %s %s: groups: a finite field (ffdhe) lets the other side cause up "
            "to 150 ms of CPU time with one packet\n",
            c->path, config_line(c, section, "groups"), kind, name);
}

/* path: a file that the program makes, the value of this key of [gate]; NULL: none. */
static void preflight_folder(const struct config *c, const char *key, const char *path, FILE *to)
{
    struct stat st;

    if (path == NULL)
        return;
    const char *slash = strrchr(path, '/'); /* the path is absolute */
    char *folder = insist_alloc(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
    const int reason = stat(folder, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (reason != 0)
        fprintf(to, "%s:%u: warning: %s: its folder %s: %s\n", c->path,
                config_line(c, &c->gate, key), key, folder, strerror(reason));
    free(folder);
}

void preflight_doubts(const struct config *c, FILE *to)
{
    preflight_folder(c, "log", *c->gate.log == '/' ? c->gate.log : NULL, to);
    preflight_folder(c, "ban-file", c->gate.limits.ban_file, to);
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        rules_unreached(&l->rules, c->path, l->name, to);
        rules_unreached(&l->routes, c->path, l->name, to);
        preflight_groups(c, l, "listener", l->name, l->groups, to);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct config_backend *b = &c->backend[i];
        preflight_keys(c, b, to);
        preflight_groups(c, b, "backend", b->name, b->groups, to);
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
        preflight_doubts(site->config, problems);
        preflight_files(site->config, problems);
        preflight_expiry(site, problems, NULL);
    }
    if (ok && print != NULL)
        config_print(snapshot->config, print);
    site_unref(site);
    snapshot_unref(snapshot);
    return ok;
}
