#include "gate/preflight.h"

#include <time.h>

#include "base/memo.h"
#include "gate/containment.h"
#include "gate/key_file.h"
#include "gate/machine.h"
#include "gate/mistakes.h"
#include "gate/shared_service.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"

struct warnings {
    const struct config *config;
    const struct config_listener *listener;
    FILE *to;
    FILE *steps; /* NULL: not wanted */
};

static void certificate_warn(const struct warnings *w, unsigned line, const char *text)
{
    if (text != NULL)
        fprintf(w->to, "%s:%u: warning: listener %s: %s\n", w->listener->file, line,
                w->listener->name, text);
}

static void on_expiry(void *arg, const struct tls_expiry *e)
{
    const struct warnings *w = arg;
    const struct config_certificate *c = &w->listener->certificate[e->certificate];
    char text[TLS_ERROR_MAX];

    certificate_warn(w, c->line, tls_expiry_text(e, text));
    certificate_warn(w, c->ocsp_line, tls_staple_text(e, text));
    certificate_warn(w, c->line, tls_key_text(e, text));
    if (w->steps != NULL)
        fprintf(w->steps, "%s %d %d %s\n", e->file, e->due, (int)e->staple,
                e->unusable == NULL ? "" : e->unusable);
}

void preflight_expiry(const struct site *site, time_t now, FILE *to, FILE *steps)
{
    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct warnings w = {
            .config = site->config, .listener = site->listener[i].config, .to = to, .steps = steps};
        tls_ctx_expiry(site->listener[i].tls, now, on_expiry, &w);
    }
    mistakes_of_time(site, now, to, steps);
}

/* ---- likely mistakes ---- */

static void on_doubt(void *arg, size_t certificate, const char *text)
{
    const struct warnings *w = arg;
    if (certificate != TLS_NO_CERTIFICATE)
        certificate_warn(w, w->listener->certificate[certificate].line, text);
    else
        fprintf(w->to, "%s:%u: warning: listener %s: %s\n", w->listener->file,
                config_line(w->config, w->listener, "strict-sni"), w->listener->name, text);
}

/* A backend whose CAs are checked. */
struct ca_warnings {
    const struct config *config;
    const struct config_backend *backend;
    FILE *to;
};

static void on_ca_doubt(void *arg, size_t certificate, const char *text)
{
    const struct ca_warnings *w = arg;
    (void)certificate;
    fprintf(w->to, "%s:%u: warning: backend %s: %s\n", w->backend->file,
            config_line(w->config, w->backend, "ca-file"), w->backend->name, text);
}

/* Ignores the CAs of the system, which always have some that have expired. */
static void check_cas(const struct site *site, size_t index, time_t now, FILE *to)
{
    const struct config_backend *b = site->backend[index].config;
    struct ca_warnings w = {.config = site->config, .backend = b, .to = to};

    if (b->tls && b->verify == CONFIG_VERIFY_CA && strcmp(b->ca_file, "system") != 0)
        tls_ctx_ca_doubts(site->backend[index].tls, b->ca_file, now, on_ca_doubt, &w);
}

void preflight_mistakes(const struct site *site, time_t now, FILE *to)
{
    machine_check_directories(site->config, to);
    mistakes_in_config(site->config, to);
    mistakes_in_files(site, to);
    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct warnings w = {
            .config = site->config, .listener = site->listener[i].config, .to = to};
        tls_ctx_doubts(site->listener[i].tls, now, on_doubt, &w);
    }
    for (size_t i = 0; i < site->config->backend_count; i++)
        check_cas(site, i, now, to);
}

/* ---- -t ---- */

/* Reports what a start would report about the store of several gates. */
static bool store_check(const struct snapshot *snapshot, FILE *problems)
{
    struct shared_service s;
    const bool ok = shared_service_prepare(&s, snapshot, problems);

    if (ok)
        shared_service_fini(&s);
    return ok;
}

/* Returns the configuration, its files and what a worker makes of them; NULL: an error. */
static struct site *preflight_load(struct snapshot *snapshot, FILE *problems)
{
    struct site *site = site_new(snapshot, problems);

    if (site != NULL && snapshot->sound &&
        (!store_check(snapshot, problems) || !key_file_check(site->config, problems) ||
         !containment_try_user(site->config, problems))) {
        site_unref(site);
        return NULL;
    }
    if (site != NULL && snapshot->sound) { /* mistakes would follow from errors */
        machine_check_places(site->config, problems);
        machine_check_log(site->config, problems);
        containment_check_access(site->config, snapshot->files, problems);
        preflight_mistakes(site, time(NULL), problems);
    }
    if (site != NULL) {
        preflight_expiry(site, time(NULL), problems, NULL);
    }
    if (site == NULL || snapshot->sound)
        return site;
    site_unref(site);
    return NULL;
}

enum preflight_result preflight_config(const char *path, FILE *problems, FILE *print)
{
    struct memo found;
    struct snapshot *snapshot = snapshot_load(path, NULL, memo_open(&found));
    struct site *site = snapshot == NULL ? NULL : preflight_load(snapshot, found.file);
    const bool silent = *memo_text(&found) == '\0';

    fputs(memo_text(&found), problems);
    memo_free(&found);
    if (site != NULL && print != NULL)
        config_print(snapshot->config, print);
    const enum preflight_result result = site == NULL ? PREFLIGHT_ERRORS
                                         : silent     ? PREFLIGHT_GOOD
                                                      : PREFLIGHT_WARNINGS;
    site_unref(site);
    snapshot_unref(snapshot);
    return result;
}
