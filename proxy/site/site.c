#include "site/site.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/files.h"
#include "base/insist.h"
#include "base/memo.h"
#include "base/uri.h"
#include "site/leaves.h"
#include "site/snapshot.h"
#include "tls/key_log.h"
#include "tls/tls_ctx.h"
#include "tls/tls_loaded.h"

static enum tls_version version_of(enum config_tls version)
{
    return TLS_1_0 + (enum tls_version)version;
}

/* Applies the settings that all contexts share. */
static void context_init(struct tls_ctx *ctx, const struct config_gate *g)
{
    tls_ctx_set_records(ctx, g->own_records);
    if (g->key_log != NULL)
        tls_ctx_set_keylog(ctx, key_log_write, NULL);
}

/* ---- listeners ---- */

/* Returns whether only the owner and the group of the file may use it; otherwise reports it. The
 * rights to a device are its own matter. */
static bool is_private(const char *path, FILE *problems)
{
    struct stat st;
    return uri_scheme(path) > 0 || stat(path, &st) != 0 || !file_exposed(path, &st, problems);
}

/* Without a file for the key, the key is in the file of the certificate. */
static void *read_pair(const char *const path[FILES_PATHS], FILE *problems)
{
    char error[TLS_ERROR_MAX];
    struct tls_pair *pair = tls_pair_load(
        &(struct tls_certificate){.file = path[0], .key = path[1], .passphrase_file = path[2]},
        error);

    if (pair == NULL)
        fprintf(problems, "%s\n", error);
    else if (is_private(path[1] == NULL ? path[0] : path[1], problems) &&
             (path[2] == NULL || is_private(path[2], problems)))
        return pair;
    tls_pair_free(pair);
    return NULL;
}

static void drop_pair(void *pair)
{
    tls_pair_free(pair);
}

static void *read_response(const char *const path[FILES_PATHS], FILE *problems)
{
    (void)problems;
    return tls_response_load(path[0]);
}

static void drop_response(void *response)
{
    tls_response_free(response);
}

static const struct files_kind pair_kind = {.load = read_pair, .free = drop_pair},
                               response_kind = {.load = read_response, .free = drop_response};

/* The files of a certificate as arguments of files_get() and files_revert(). */
#define PAIR_OF(c)                                                                                 \
    (const char *const[FILES_PATHS])                                                               \
    {                                                                                              \
        (c)->file, (c)->key, (c)->passphrase_file                                                  \
    }

/* A listener while its context is built. */
struct site_trial {
    struct files *files;
    const struct config *config;
    const struct config_listener *listener;
    const struct config_certificate **tried; /* those passed to tls_ctx_new_server() */
    struct tls_certificate *certificate;
    size_t count;
    bool retried;  /* a certificate is on trial again: files_is_retried() */
    bool reverted; /* a certificate was replaced by its old content: another trial may succeed */
    FILE *problems;
};

static bool is_about(const char *text, const char *name)
{
    const size_t n = name == NULL ? 0 : strlen(name);
    return n > 0 && strncmp(text, name, n) == 0 && text[n] == ':';
}

static unsigned certificate_line(const struct config_certificate *c, const char *text)
{
    return is_about(text, c->key)               ? c->key_line
           : is_about(text, c->passphrase_file) ? c->passphrase_line
                                                : c->line;
}

/* Returns the line of the key that text is about. otherwise: the key for other texts. */
static unsigned setting_line(const struct config *c, const void *section, const char *text,
                             const char *otherwise)
{
    static const char *const keys[] = {"ciphers", "ciphersuites", "groups"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (is_about(text, keys[i]))
            return config_line(c, section, keys[i]);
    return config_line(c, section, otherwise);
}

static void trial_problem(const struct site_trial *t, unsigned line, const char *text)
{
    fprintf(t->problems, "%s:%u: listener %s: %s\n", t->listener->file, line, t->listener->name,
            text);
}

static void on_tls_error(void *arg, size_t certificate, const char *text)
{
    struct site_trial *t = arg;
    const struct config_certificate *c =
        certificate == TLS_NO_CERTIFICATE ? NULL : t->tried[certificate];

    if (t->retried)
        return;
    if (c == NULL)
        trial_problem(t, setting_line(t->config, t->listener, text, "tls-min"), text);
    else if (files_revert(t->files, &pair_kind, PAIR_OF(c), text))
        t->reverted = true;
    else
        trial_problem(t, certificate_line(c, text), text);
}

/* Returns false if one of its paths was invalid, which is reported. A sound configuration has no
 * such certificate. */
static bool is_complete(const struct config_certificate *c)
{
    return c->file != NULL && (c->key != NULL || c->key_line == 0) &&
           (c->passphrase_file != NULL || c->passphrase_line == 0);
}

/* Adds a certificate to the trial. Returns false after a problem. */
static bool trial_add(struct site_trial *t, const struct config_certificate *c)
{
    struct memo m;
    const struct tls_pair *pair = files_get(t->files, &pair_kind, PAIR_OF(c), memo_open(&m));

    if (pair == NULL) {
        char *text = memo_text(&m);
        text[strcspn(text, "\n")] = '\0';
        trial_problem(t, certificate_line(c, text),
                      *text == '\0' ? "its certificate cannot be used, see above" : text);
    } else {
        t->retried |= files_is_retried(t->files, &pair_kind, PAIR_OF(c));
        t->tried[t->count] = c;
        t->certificate[t->count++] = (struct tls_certificate){
            .file = c->file,
            .key = c->key,
            .passphrase_file = c->passphrase_file,
            .ocsp_file = c->ocsp_file,
            .pair = pair,
            .response = c->ocsp_file == NULL
                            ? NULL
                            : files_get_one(t->files, &response_kind, c->ocsp_file, t->problems)};
    }
    memo_free(&m);
    return pair != NULL;
}

static struct tls_settings listener_settings(const struct config_listener *l)
{
    return (struct tls_settings){
        .min = version_of(l->tls_min),
        .max = version_of(l->tls_max),
        .security_level = -1,
        .ciphers = l->ciphers,
        .ciphersuites = l->ciphersuites,
        .groups = l->groups,
        .key_update = l->key_update,
    };
}

static struct tls_ctx *trial_run(struct site_trial *t)
{
    const struct config_listener *l = t->listener;
    const struct tls_settings s = listener_settings(l);
    bool good = true;

    t->count = 0;
    t->retried = t->reverted = false;
    for (size_t i = 0; i < l->certificate_count; i++)
        if (is_complete(&l->certificate[i]))
            good &= trial_add(t, &l->certificate[i]);
    struct tls_ctx *ctx = t->count == 0 ? NULL
                                        : tls_ctx_new_server(&s, t->certificate, t->count,
                                                             l->strict_sni, on_tls_error, t);
    if (ctx != NULL)
        context_init(ctx, &t->config->gate);
    if (good || ctx == NULL)
        return ctx;
    tls_ctx_free(ctx);
    return NULL;
}

/* Ends the second trial of certificates that could not be used before: they must not delay a new
 * one. Returns false if there is none. */
static bool trial_revert_retried(struct site_trial *t)
{
    bool any = false;
    for (size_t i = 0; i < t->count; i++)
        any |= files_revert_retried(t->files, &pair_kind, PAIR_OF(t->tried[i]));
    return any;
}

/* Replaces all new certificates by their old content, because a certificate that has not changed
 * does not fit together with one of them. Returns false if there is none. */
static bool trial_revert_all(struct site_trial *t)
{
    bool any = false;
    for (size_t i = 0; i < t->count; i++)
        any |= files_revert(t->files, &pair_kind, PAIR_OF(t->tried[i]),
                            "it does not fit together with the other certificates of the listener");
    return any;
}

/* Sets *reverted if a certificate was replaced by its old content. */
static bool listener_init(struct site_listener *l, struct files *files, const struct config *c,
                          const struct config_listener *from, FILE *problems, bool *reverted)
{
    const size_t most = from->certificate_count + 1;
    struct site_trial t = {.files = files,
                           .config = c,
                           .listener = from,
                           .tried = insist_alloc(calloc(most, sizeof *t.tried)),
                           .certificate = insist_alloc(calloc(most, sizeof *t.certificate)),
                           .problems = problems};

    l->config = from;
    while ((l->tls = trial_run(&t)) == NULL &&
           (trial_revert_retried(&t) || t.reverted || trial_revert_all(&t)))
        *reverted = true;
    free(t.certificate);
    free(t.tried);
    return l->tls != NULL;
}

/* ---- backends ---- */

static void *read_ca(const char *const path[FILES_PATHS], FILE *problems)
{
    char error[TLS_ERROR_MAX];
    struct tls_ca *ca = tls_ca_load(path[0], error);

    if (ca == NULL)
        fprintf(problems, "%s\n", error);
    return ca;
}

static void drop_ca(void *ca)
{
    tls_ca_free(ca);
}

static const struct files_kind ca_kind = {.load = read_ca, .free = drop_ca},
                               system_ca_kind = {.load = read_ca, .free = drop_ca, .fixed = true};

/* Returns the trusted certificates of a backend. NULL: after a problem. */
static const struct tls_ca *backend_ca(struct files *files, const struct config *c,
                                       const struct config_backend *b, FILE *problems)
{
    struct memo m;
    const bool system = strcmp(b->ca_file, "system") == 0;
    const struct tls_ca *ca =
        files_get_one(files, system ? &system_ca_kind : &ca_kind, b->ca_file, memo_open(&m));
    const char *text = memo_text(&m);

    if (ca == NULL)
        fprintf(problems, "%s:%u: backend %s: %s", b->file, config_line(c, b, "ca-file"), b->name,
                *text == '\0' ? "its certificates cannot be used, see above\n" : text);
    memo_free(&m);
    return ca;
}

static struct tls_settings backend_settings(const struct config_backend *b)
{
    return (struct tls_settings){
        .min = version_of(b->tls_min),
        .max = version_of(b->tls_max),
        .security_level = b->security_level,
        .ciphers = b->ciphers,
        .ciphersuites = b->ciphersuites,
        .groups = b->groups,
        .key_update = b->key_update,
    };
}

static bool backend_tls(struct site_backend *b, struct files *files, const struct config *c,
                        const struct config_backend *from, FILE *problems)
{
    char error[TLS_ERROR_MAX];
    const struct tls_settings s = backend_settings(from);
    const bool verify = from->verify == CONFIG_VERIFY_CA && from->ca_file != NULL;
    const struct tls_ca *ca = verify ? backend_ca(files, c, from, problems) : NULL;

    if (verify && ca == NULL)
        return false;
    b->tls = tls_ctx_new_client(&s, ca, error);
    if (b->tls == NULL)
        fprintf(problems, "%s:%u: backend %s: %s\n", from->file,
                setting_line(c, from, error, "tls-min"), from->name, error);
    else
        context_init(b->tls, &c->gate);
    return b->tls != NULL;
}

static bool backend_init(struct site_backend *b, struct files *files, const struct config *c,
                         const struct config_backend *from, FILE *problems)
{
    b->config = from;
    if (from->binding_sha1_known) {
        b->configured_leaf.known |= SSTP_HASH_SHA1;
        memcpy(b->configured_leaf.sha1, from->binding_sha1, BINDING_SHA1);
    }
    if (from->binding_sha256_known) {
        b->configured_leaf.known |= SSTP_HASH_SHA256;
        memcpy(b->configured_leaf.sha256, from->binding_sha256, BINDING_SHA256);
    }
    return !from->tls || backend_tls(b, files, c, from, problems);
}

/* ---- the site ---- */

static void site_free(struct site *s)
{
    for (size_t i = 0; i < s->config->listener_count; i++)
        tls_ctx_free(s->listener[i].tls);
    for (size_t i = 0; i < s->config->backend_count; i++)
        tls_ctx_free(s->backend[i].tls);
    free(s->listener);
    free(s->backend);
    snapshot_unref(s->snapshot);
    free(s);
}

/* Builds the listeners again after a certificate was replaced by its old content, because another
 * listener above may have the new one. */
static bool listeners_init(struct site *s, FILE *problems)
{
    const struct config *c = s->config;
    bool ok, reverted;

    do {
        ok = true;
        reverted = false;
        for (size_t i = 0; i < c->listener_count; i++) {
            tls_ctx_free(s->listener[i].tls);
            ok &= listener_init(&s->listener[i], s->snapshot->files, c, &c->listener[i], problems,
                                &reverted);
        }
    } while (ok && reverted);
    return ok;
}

struct site *site_new(struct snapshot *from, FILE *problems)
{
    const struct config *c = from->config;
    struct site *s = NEW(struct site);

    s->refs = 1;
    s->snapshot = snapshot_ref(from);
    s->config = c;
    s->rules = from->rules;
    s->listener = insist_alloc(calloc(c->listener_count, sizeof *s->listener));
    s->backend = insist_alloc(calloc(c->backend_count, sizeof *s->backend));
    bool ok = listeners_init(s, problems);
    for (size_t i = 0; i < c->backend_count; i++) {
        ok &= backend_init(&s->backend[i], from->files, c, &c->backend[i], problems);
        s->backend[i].users = from->users[i];
        s->backend[i].servers = from->servers == NULL ? NULL : from->servers[i];
        s->backend[i].sessions = from->sessions == NULL ? NULL : from->sessions[i];
    }
    if (ok)
        return s;
    site_unref(s);
    return NULL;
}

struct site_shown {
    struct leaves_shown *item;
    size_t count;
    const char *listener;
};

static void add_shown(void *arg, struct span der)
{
    struct site_shown *l = arg;

    l->item = insist_alloc(reallocarray(l->item, l->count + 1, sizeof *l->item));
    l->item[l->count].listener = l->listener;
    binding_leaf_from_der(&l->item[l->count++].leaf, der);
}

void site_show_leaves(const struct site *s, struct leaves *leaves)
{
    struct site_shown l = {0};

    for (size_t i = 0; i < s->config->listener_count; i++) {
        l.listener = s->listener[i].config->name;
        tls_ctx_leaves(s->listener[i].tls, add_shown, &l);
    }
    leaves_show(leaves, l.item, l.count);
    free(l.item);
}

struct site *site_ref(struct site *s)
{
    s->refs++;
    return s;
}

void site_unref(struct site *s)
{
    if (s != NULL && --s->refs == 0)
        site_free(s);
}
