#include "site/site.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "site/leaves.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"

static struct tls_settings tls_settings_of(enum config_tls min, enum config_tls max, int level,
                                           const char *ciphers, const char *ciphersuites,
                                           const char *groups)
{
    return (struct tls_settings){
        .min = TLS_1_0 + (enum tls_version)min,
        .max = TLS_1_0 + (enum tls_version)max,
        .security_level = level,
        .ciphers = ciphers,
        .ciphersuites = ciphersuites,
        .groups = groups,
    };
}

struct site_listener_problems {
    const struct config *config;
    const struct config_listener *listener;
    const struct config_certificate **certificate; /* those passed to tls_ctx_new_server() */
    FILE *to;
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

static void on_tls_error(void *arg, size_t certificate, const char *text)
{
    const struct site_listener_problems *p = arg;
    const struct config_listener *l = p->listener;
    fprintf(p->to, "%s:%u: listener %s: %s\n", p->config->path,
            certificate == TLS_NO_CERTIFICATE ? setting_line(p->config, l, text, "tls-min")
                                              : certificate_line(p->certificate[certificate], text),
            l->name, text);
}

/* Returns false if one of its paths was invalid, which is reported. A sound configuration has no
 * such certificate. */
static bool is_complete(const struct config_certificate *c)
{
    return c->file != NULL && (c->key != NULL || c->key_line == 0) &&
           (c->passphrase_file != NULL || c->passphrase_line == 0);
}

static bool listener_init(struct site_listener *l, const struct config *c,
                          const struct config_listener *from, FILE *problems)
{
    struct tls_settings s = tls_settings_of(from->tls_min, from->tls_max, -1, from->ciphers,
                                            from->ciphersuites, from->groups);
    const size_t most = from->certificate_count + 1;
    struct tls_certificate *certificate = insist_alloc(calloc(most, sizeof *certificate));
    const struct config_certificate **tried = insist_alloc(calloc(most, sizeof *tried));
    struct site_listener_problems p = {
        .config = c, .listener = from, .certificate = tried, .to = problems};
    size_t n = 0;

    l->config = from;
    for (size_t i = 0; i < from->certificate_count; i++) {
        const struct config_certificate *one = &from->certificate[i];
        if (!is_complete(one))
            continue;
        tried[n] = one;
        certificate[n++] = (struct tls_certificate){.file = one->file,
                                                    .key = one->key,
                                                    .passphrase_file = one->passphrase_file,
                                                    .ocsp_file = one->ocsp_file};
    }
    if (n > 0)
        l->tls = tls_ctx_new_server(&s, certificate, n, from->strict_sni, on_tls_error, &p);
    free(certificate);
    free(tried);
    return l->tls != NULL;
}

static bool backend_init(struct site_backend *b, const struct config *c,
                         const struct config_backend *from, FILE *problems)
{
    char error[TLS_ERROR_MAX];
    struct tls_settings s = tls_settings_of(from->tls_min, from->tls_max, from->security_level,
                                            from->ciphers, from->ciphersuites, from->groups);

    b->config = from;
    if (from->binding_sha1_known) {
        b->told.known |= SSTP_HASH_SHA1;
        memcpy(b->told.sha1, from->binding_sha1, BINDING_SHA1);
    }
    if (from->binding_sha256_known) {
        b->told.known |= SSTP_HASH_SHA256;
        memcpy(b->told.sha256, from->binding_sha256, BINDING_SHA256);
    }
    if (!from->tls)
        return true;
    b->tls = tls_ctx_new_client(&s, from->verify == CONFIG_VERIFY_CA ? from->ca_file : NULL, error);
    if (b->tls == NULL)
        fprintf(problems, "%s:%u: backend %s: %s\n", c->path,
                setting_line(c, from, error, "ca-file"), from->name, error);
    return b->tls != NULL;
}

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

struct site *site_new(struct snapshot *from, FILE *problems)
{
    const struct config *c = from->config;
    struct site *s = NEW(struct site);
    bool ok = true;

    s->refs = 1;
    s->snapshot = snapshot_ref(from);
    s->config = c;
    s->listener = insist_alloc(calloc(c->listener_count, sizeof *s->listener));
    s->backend = insist_alloc(calloc(c->backend_count, sizeof *s->backend));
    for (size_t i = 0; i < c->listener_count; i++)
        ok &= listener_init(&s->listener[i], c, &c->listener[i], problems);
    for (size_t i = 0; i < c->backend_count; i++) {
        ok &= backend_init(&s->backend[i], c, &c->backend[i], problems);
        s->backend[i].users = from->users[i];
        s->backend[i].servers = from->servers == NULL ? NULL : from->servers[i];
    }
    if (!ok) {
        site_free(s);
        return NULL;
    }
    return s;
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
