#include "tls/tls_served.h"

#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/hostname.h"
#include "base/insist.h"
#include "tls/tls_loaded.h"

void tls_served_init(struct tls_served *served, size_t count)
{
    *served = (struct tls_served){.count = count};
    served->cert = insist_alloc(calloc(count, sizeof *served->cert));
}

static void served_cert_fini(struct tls_served_cert *s)
{
    tls_cert_fini(&s->cert);
    tls_staple_fini(&s->staple);
    free(s->file);
    free(s->ocsp_file);
}

void tls_served_fini(struct tls_served *served)
{
    for (size_t i = 0; i < served->group_count; i++)
        SSL_CTX_free(served->group[i].ssl);
    for (size_t i = 0; i < served->count; i++)
        served_cert_fini(&served->cert[i]);
    free(served->group);
    free(served->cert);
    free(served->name);
    *served = (struct tls_served){0};
}

/* ---- certificates ---- */

/* Returns whether a listener with the settings of probe can use the certificate. */
static bool fits_settings(const struct tls_cert *cert, const struct tls_certificate *from,
                          SSL_CTX *probe, char *error)
{
    ERR_clear_error();
    if (tls_cert_use(cert, probe))
        return true;
    tls_error_text(error, from->file);
    return false;
}

bool tls_served_load(struct tls_served *served, size_t index, const struct tls_certificate *from,
                     SSL_CTX *probe, char error[TLS_ERROR_MAX])
{
    struct tls_served_cert *s = &served->cert[index];

    if (from->pair != NULL)
        tls_cert_copy(&from->pair->cert, &s->cert);
    else if (!tls_cert_load(from, true, &s->cert, error))
        return false;
    s->file = insist_alloc(strdup(from->file));
    if (!fits_settings(&s->cert, from, probe, error))
        return false;
    if (from->ocsp_file == NULL)
        return true;
    s->ocsp_file = insist_alloc(strdup(from->ocsp_file));
    struct tls_response *own = from->response == NULL ? tls_response_load(from->ocsp_file) : NULL;
    tls_staple_init(&s->staple, own == NULL ? from->response : own, &s->cert);
    tls_response_free(own);
    return true;
}

const struct tls_staple *tls_served_staple(const struct tls_served *served, const X509 *leaf)
{
    for (size_t i = 0; i < served->count; i++)
        if (served->cert[i].cert.leaf == leaf)
            return &served->cert[i].staple;
    return NULL;
}

/* ---- groups ---- */

static bool cert_has_name(const struct tls_cert *cert, const char *name)
{
    for (size_t i = 0; i < cert->name_count; i++)
        if (strcmp(cert->name[i], name) == 0)
            return true;
    return false;
}

static int key_kind(const struct tls_served *served, size_t index)
{
    return EVP_PKEY_get_base_id(served->cert[index].cert.key);
}

/* Returns the certificates with this name: the first of each kind of key. */
static struct tls_group group_of_name(const struct tls_served *served, const char *name)
{
    struct tls_group g = {0};
    for (size_t i = 0; i < served->count; i++) {
        bool taken = false;
        for (size_t k = 0; k < g.members; k++)
            taken = taken || key_kind(served, g.member[k]) == key_kind(served, i);
        if (!taken && cert_has_name(&served->cert[i].cert, name)) {
            INSIST(g.members < sizeof g.member / sizeof *g.member);
            g.member[g.members++] = i;
        }
    }
    return g;
}

/* Returns the index of the group with these members; adds the group if it does not exist. */
static size_t group_add(struct tls_served *served, const struct tls_group *g)
{
    for (size_t i = 0; i < served->group_count; i++)
        if (served->group[i].members == g->members &&
            memcmp(served->group[i].member, g->member, sizeof g->member) == 0)
            return i;
    served->group =
        insist_alloc(reallocarray(served->group, served->group_count + 1, sizeof *served->group));
    served->group[served->group_count] = *g;
    return served->group_count++;
}

bool tls_served_is_shown(const struct tls_served *served, size_t index)
{
    for (size_t i = 0; i < served->group_count; i++)
        for (size_t k = 0; k < served->group[i].members; k++)
            if (served->group[i].member[k] == index)
                return true;
    return false;
}

/* ---- names ---- */

static int by_name(const void *a, const void *b)
{
    const struct tls_name *left = a, *right = b;
    return strcmp(left->name, right->name);
}

static bool name_is_known(const struct tls_served *served, const char *name)
{
    for (size_t i = 0; i < served->name_count; i++)
        if (strcmp(served->name[i].name, name) == 0)
            return true;
    return false;
}

static void name_add(struct tls_served *served, const char *name)
{
    if (name_is_known(served, name))
        return;
    const struct tls_group g = group_of_name(served, name);
    served->name =
        insist_alloc(reallocarray(served->name, served->name_count + 1, sizeof *served->name));
    served->name[served->name_count++] =
        (struct tls_name){.name = name, .group = group_add(served, &g)};
}

void tls_served_group(struct tls_served *served)
{
    const struct tls_group alone = {.member = {0}, .members = 1};

    if (served->cert[0].cert.name_count == 0)
        group_add(served, &alone);
    for (size_t i = 0; i < served->count; i++)
        for (size_t k = 0; k < served->cert[i].cert.name_count; k++)
            name_add(served, served->cert[i].cert.name[k]);
    if (served->name_count > 0)
        qsort(served->name, served->name_count, sizeof *served->name, by_name);
}

static const struct tls_group *find_exactly(const struct tls_served *served, const char *name)
{
    const struct tls_name key = {.name = name};
    const struct tls_name *found =
        served->name_count == 0
            ? NULL
            : bsearch(&key, served->name, served->name_count, sizeof *served->name, by_name);
    return found == NULL ? NULL : &served->group[found->group];
}

const struct tls_group *tls_served_find(const struct tls_served *served, const char *asked)
{
    char name[HOSTNAME_SIZE];
    if (!hostname_normal(span_str(asked), name))
        return NULL;
    const struct tls_group *found = find_exactly(served, name);
    char *dot = strchr(name, '.');
    if (found != NULL || dot == NULL || dot == name)
        return found;
    dot[-1] = '*';
    return find_exactly(served, dot - 1);
}
