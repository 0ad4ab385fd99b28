#include "status/guard.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/hostname.h"
#include "base/insist.h"

struct guard {
    struct cidrs allow;
    char **host; /* in the form of hostname_normal */
    size_t host_count;
    size_t token_n;
    char token[];
};

struct guard *guard_new(const struct guard_settings *c)
{
    struct guard *g = insist_alloc(calloc(1, sizeof *g + c->token.n));
    char name[HOSTNAME_SIZE];

    g->allow.count = c->allow->count;
    g->allow.item = insist_alloc(calloc(c->allow->count + 1, sizeof *g->allow.item));
    for (size_t i = 0; i < c->allow->count; i++)
        g->allow.item[i] = c->allow->item[i];
    g->host = insist_alloc(calloc(c->host_count + 1, sizeof *g->host));
    for (size_t i = 0; i < c->host_count; i++)
        if (hostname_normal(span_str(c->host[i]), name))
            g->host[g->host_count++] = insist_alloc(strdup(name));
    g->token_n = c->token.n;
    if (c->token.n > 0)
        memcpy(g->token, c->token.p, c->token.n);
    return g;
}

void guard_free(struct guard *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->host_count; i++)
        free(g->host[i]);
    free(g->host);
    free(g->allow.item);
    OPENSSL_cleanse(g->token, g->token_n);
    free(g);
}

static bool is_loopback(const struct addr *a)
{
    static const uint8_t ip6[16] = {[15] = 1};

    return a->family == AF_INET ? a->ip[0] == 127 : memcmp(a->ip, ip6, sizeof ip6) == 0;
}

bool guard_admits(const struct guard *g, const struct addr *client)
{
    return is_loopback(client) || cidrs_have(&g->allow, client);
}

bool guard_knows_host(const struct guard *g, const char *host)
{
    char name[HOSTNAME_SIZE];

    if (host == NULL)
        return true;
    if (!hostname_normal(span_str(host), name))
        return false;
    for (size_t i = 0; i < g->host_count; i++)
        if (strcmp(name, g->host[i]) == 0)
            return true;
    return hostname_is_address(name) || strcmp(name, "localhost") == 0;
}

/* Returns the part of an origin behind its scheme; NULL: the scheme is not that of a web page. */
static const char *origin_host(const char *origin)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(origin, schemes[i], strlen(schemes[i])) == 0)
            return origin + strlen(schemes[i]);
    return NULL;
}

bool guard_same_origin(const char *host, const char *origin, const char *fetch_site)
{
    const char *from = origin == NULL ? host : origin_host(origin);

    if (fetch_site != NULL && strcmp(fetch_site, "same-origin") != 0 &&
        strcmp(fetch_site, "none") != 0)
        return false;
    if (origin == NULL)
        return true;
    return from != NULL && host != NULL && span_eq_nocase(span_str(from), span_str(host));
}

/* Returns the token of `Bearer TOKEN`; empty: the field has another form. */
static struct span token_of(const char *authorization)
{
    static const char scheme[] = "Bearer ";
    struct span s = span_str(authorization == NULL ? "" : authorization);

    if (!span_eq_nocase(span_sub(s, 0, strlen(scheme)), span_str(scheme)))
        return span_of(NULL, 0);
    s = span_from(s, strlen(scheme));
    while (s.n > 0 && ascii_is_blank(s.p[0]))
        s = span_from(s, 1);
    while (s.n > 0 && ascii_is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

enum guard_token guard_token(const struct guard *g, const char *authorization)
{
    const struct span given = token_of(authorization);

    if (g->token_n == 0)
        return GUARD_READ_ONLY;
    if (given.n == 0)
        return GUARD_TOKEN_MISSING;
    if (given.n != g->token_n || CRYPTO_memcmp(given.p, g->token, g->token_n) != 0)
        return GUARD_TOKEN_WRONG;
    return GUARD_TOKEN_RIGHT;
}
