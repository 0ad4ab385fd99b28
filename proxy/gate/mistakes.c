#include "gate/mistakes.h"

#include <stdbool.h>
#include <string.h>

#include "base/hostname.h"
#include "config/config.h"
#include "config/config_table.h"
#include "gate/machine.h"
#include "gate/mistakes_keys.h"
#include "gate/mistakes_section.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"
#include "users/secret.h"
#include "users/users.h"

/* ---- calls that return to the gate ---- */

/* Returns whether host is an address; "localhost" is one without a query to DNS (RFC 6761 6.3). */
static bool read_address(const char *host, uint16_t port, struct addr *out)
{
    char text[ADDR_TEXT_MAX];

    if (hostname_equal(span_str(host), span_str("localhost")))
        host = "127.0.0.1";
    snprintf(text, sizeof text, strchr(host, ':') == NULL ? "%s" : "[%s]", host);
    return strlen(host) + 2 < sizeof text && addr_parse(text, port, out) == ERR_OK;
}

/* Returns whether a socket that is bound to `place` receives what is sent to `to`. v4: a wildcard
 * of IPv6 also receives IPv4. */
static bool receives(const struct addr *place, bool v4, const struct addr *to)
{
    if (place->port == 0 || place->port != to->port)
        return false;
    if (!addr_is_any(place))
        return addr_equal(place, to);
    return (place->family == to->family || (v4 && place->family == AF_INET6)) &&
           machine_has_address(to);
}

/* Returns the listener of this gate at the address of a server; NULL: none. */
static const struct config_listener *own_listener(const struct config *c,
                                                  const struct backends_server *s)
{
    struct addr to;

    if (!read_address(s->host, s->port, &to))
        return NULL;
    for (size_t i = 0; i < c->listener_count; i++)
        for (size_t k = 0; k < c->listener[i].listen_count; k++)
            if (receives(&c->listener[i].listen[k], !c->listener[i].v6only, &to))
                return &c->listener[i];
    return NULL;
}

static void check_loops(const struct mistakes_section *s, const struct config_backend *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        const struct config_listener *l = own_listener(s->c, &b->servers.item[i]);
        if (l != NULL)
            mistakes_warn(
                s, b->servers.item[i].line,
                "server: %s, port %u, is [listener %s] of this gate: its calls would return to it",
                b->servers.item[i].host, (unsigned)b->servers.item[i].port, l->name);
    }
}

/* Warns about an ACME client that is this gate: a validation would return to the gate until the
 * bound on connections. */
static void check_acme(const struct mistakes_section *s, const char *key, const struct addr *acme)
{
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; acme->family != 0 && i < s->c->listener_count; i++) {
        const struct config_listener *l = &s->c->listener[i];
        for (size_t k = 0; k < l->listen_count; k++)
            if (receives(&l->listen[k], !l->v6only, acme))
                mistakes_warn(
                    s, mistakes_line(s, key),
                    "%s: %s is [listener %s] of this gate: the validations would return to it", key,
                    addr_format(acme, text), l->name);
    }
}

/* Returns whether both are the same server: config/config_finish.c refuses those with the same
 * text, but the same address may be written in two forms. */
static bool is_same_server(const struct backends_server *x, const struct backends_server *y)
{
    struct addr a, b;
    return read_address(x->host, x->port, &a) && read_address(y->host, y->port, &b) &&
           addr_equal(&a, &b);
}

static void check_web_servers(const struct mistakes_section *s, const struct config_backend *web)
{
    for (size_t i = 0; i < s->c->backend_count; i++) {
        const struct config_backend *b = &s->c->backend[i];
        for (size_t k = 0; config_has_calls(s->c, b) && k < b->servers.count; k++)
            for (size_t n = 0; n < web->servers.count; n++)
                if (is_same_server(&b->servers.item[k], &web->servers.item[n]))
                    mistakes_warn(
                        s, web->servers.item[n].line,
                        "server: this is also a server of [backend %s]: a denied client would "
                        "reach SSTP there through `fallback`",
                        b->name);
    }
}

/* Returns whether datagrams for h arrive at a [radius NAME] of c. */
static bool is_own_radius(const struct config *c, const struct config_host *h)
{
    struct addr to;

    if (!read_address(h->host, h->port, &to))
        return false;
    for (size_t i = 0; i < c->radius_count; i++) {
        const struct config_places *places[] = {&c->radius[i].listen,
                                                &c->radius[i].accounting_listen};
        for (size_t k = 0; k < 2; k++)
            for (size_t n = 0; n < places[k]->count; n++)
                if (receives(&places[k]->item[n], false, &to))
                    return true;
    }
    return false;
}

static void check_radius_servers(const struct mistakes_section *s, const char *key,
                                 const struct config_hosts *servers)
{
    for (size_t i = 0; i < servers->count; i++)
        if (is_own_radius(s->c, &servers->item[i]))
            mistakes_warn(
                s, mistakes_line(s, key),
                "%s: %s, port %u, is this gate's own address: its requests would return to it", key,
                servers->item[i].host, (unsigned)servers->item[i].port);
}

/* ---- sections ---- */

static bool covers_everything(const struct cidrs *nets)
{
    for (size_t i = 0; i < nets->count; i++)
        if (nets->item[i].bits == 0)
            return true;
    return false;
}

static void check_rules(const struct mistakes_section *s, const struct config_listener *l)
{
    rules_unreached(&l->rules, s->file, l->name, s->to);
    rules_unreached(&l->routes, s->file, l->name, s->to);
    if (!l->rules.default_allow && !rules_have(&l->rules, true))
        mistakes_warn(s, mistakes_line(s, "default"),
                      "no allow rule: the listener denies every client");
    if (l->dry_run && !mistakes_denies_nobody(s->c, l))
        mistakes_warn(s, mistakes_line(s, "mode"),
                      "mode = dry-run: no rule is enforced, every client is admitted");
}

/* Warns about finite fields in `groups`. */
static void check_groups(const struct mistakes_section *s, const char *groups)
{
    if (groups != NULL && strcasestr(groups, "ffdhe") != NULL)
        mistakes_warn(
            s, mistakes_line(s, "groups"),
            "groups: with a finite-field group (ffdhe), one packet of the peer costs up to 150 ms "
            "of CPU time");
}

/* Warns about dry-run rules; check_rules warns about a listener with mode = dry-run. */
static void check_dry_runs(const struct mistakes_section *s, const struct config_listener *l)
{
    unsigned line;
    const size_t n = rules_dry_runs(&l->rules, &line);

    if (n > 0 && !l->dry_run)
        mistakes_warn(s, line, "dry-run: %zu of %zu rules %s not enforced", n, l->rules.count,
                      n == 1 ? "is" : "are");
}

static void check_gate(const struct mistakes_section *s, const struct config_gate *g)
{
    if (g->shared.count > 0 && s->c->radius_count > 0 && g->shared_secret_file == NULL)
        mistakes_warn(
            s, mistakes_line(s, "shared"),
            "shared without shared-secret-file: a call whose RADIUS packets pass through another "
            "gate has no key, so it is refused");
    if (g->key_log != NULL)
        mistakes_warn(
            s, mistakes_line(s, "key-log"),
            "key-log: %s gets the keys of all TLS connections: an attacker with this file "
            "can decrypt the connections; remove this line when the fault is found",
            g->key_log);
}

static void check_listener(const struct mistakes_section *s, const struct config_listener *l)
{
    check_dry_runs(s, l);
    check_rules(s, l);
    check_groups(s, l->groups);
    check_acme(s, "acme", &l->acme);
    check_acme(s, "acme-http", &l->acme_http);
    if (covers_everything(&l->trusted_proxies))
        mistakes_warn(s, mistakes_line(s, "trusted-proxies"),
                      "trusted-proxies contains every address, so any client can forge its own");
}

/* Warns about `rewrite` without keys: no error, because the crypto-binding of PAP needs none. */
static void check_binding_keys(const struct mistakes_section *s, const struct config_backend *b)
{
    if (config_has_calls(s->c, b) && b->binding == CONFIG_BINDING_REWRITE &&
        b->users_file == NULL && b->radius == NULL)
        mistakes_warn(
            s, mistakes_line(s, "crypto-binding"),
            "crypto-binding = rewrite without users-file or radius: no key for MS-CHAPv2 and "
            "EAP, so their calls are refused");
}

static void check_verify(const struct mistakes_section *s, const struct config_backend *b)
{
    struct addr a;

    if (!b->tls || b->verify != CONFIG_VERIFY_CA || b->verify_host != NULL || b->sni != NULL)
        return;
    for (size_t i = 0; i < b->servers.count; i++)
        if (read_address(b->servers.item[i].host, 1, &a))
            mistakes_warn(
                s, b->servers.item[i].line,
                "verify = ca: the certificate must contain the address %s, which is rare: set "
                "verify-host to its name",
                b->servers.item[i].host);
}

static void check_backend(const struct mistakes_section *s, const struct config_backend *b)
{
    if (!config_has_calls(s->c, b) && !mistakes_is_fallback(s->c, b))
        mistakes_warn(s, b->line, "no listener uses this backend");
    check_binding_keys(s, b);
    check_verify(s, b);
    check_groups(s, b->groups);
    check_loops(s, b);
    if (mistakes_is_only_fallback(s->c, b))
        check_web_servers(s, b);
}

static bool is_used_radius(const struct config *c, const struct config_radius *r)
{
    for (size_t i = 0; i < c->backend_count; i++)
        if (c->backend[i].radius == r)
            return true;
    return false;
}

static void check_radius(const struct mistakes_section *s, const struct config_radius *r)
{
    if (!is_used_radius(s->c, r))
        mistakes_warn(s, r->line,
                      "no backend has radius = %s, so the keys of its logins are not used",
                      r->name);
    if (covers_everything(&r->clients))
        mistakes_warn(s, mistakes_line(s, "clients"),
                      "clients contains every address: only the secret keeps others out");
    check_radius_servers(s, "server", &r->server);
    check_radius_servers(s, "accounting-server", &r->accounting_server);
}

void mistakes_in_config(const struct config *c, FILE *to)
{
    for (enum config_section in = GATE; in < SECTION_COUNT; in++)
        for (size_t i = 0; i < config_section_count(c, in); i++) {
            const struct mistakes_section s = mistakes_section_of(c, in, i, to);
            mistakes_idle_keys(&s);
            if (in == GATE)
                check_gate(&s, &c->gate);
            else if (in == LISTENER)
                check_listener(&s, &c->listener[i]);
            else if (in == BACKEND)
                check_backend(&s, &c->backend[i]);
            else if (in == RADIUS)
                check_radius(&s, &c->radius[i]);
        }
}

/* ---- files ---- */

static void check_hosts(const struct mistakes_section *s, const struct site_listener *l)
{
    for (size_t i = 0; i < l->config->host.count; i++)
        if (!tls_ctx_has_name(l->tls, l->config->host.item[i]))
            mistakes_warn(
                s, mistakes_line(s, "host"),
                "host: no certificate contains '%s', so clients that dial this name refuse it",
                l->config->host.item[i]);
}

/* A backend, and the listener whose certificates are compared with its hashes. */
struct own_leaf {
    const struct mistakes_section *s;
    const struct config_backend *backend;
    const char *listener;
};

static void on_leaf(void *arg, struct span der)
{
    const struct own_leaf *o = arg;
    const struct config_backend *b = o->backend;
    struct binding_leaf leaf;

    binding_leaf_from_der(&leaf, der);
    for (size_t i = 0; i < b->pin_count; i++)
        if (memcmp(b->pin[i].sha256, leaf.sha256, sizeof leaf.sha256) == 0)
            mistakes_warn(
                o->s, mistakes_line(o->s, "pin-sha256"),
                "pin-sha256: this is the certificate of [listener %s] and not the server's, unless "
                "both have the same",
                o->listener);
    if ((b->binding_sha256_known &&
         memcmp(b->binding_sha256, leaf.sha256, sizeof leaf.sha256) == 0) ||
        (b->binding_sha1_known && memcmp(b->binding_sha1, leaf.sha1, sizeof leaf.sha1) == 0))
        mistakes_warn(
            o->s, mistakes_line(o->s, "binding-cert-hash"),
            "binding-cert-hash: this is the certificate of [listener %s]: if the server expects "
            "it, crypto-binding = passthrough is enough",
            o->listener);
}

/* Warns about hashes of this gate's certificates. Skips a backend with passthrough: both sides have
 * the same certificate there, because no message is re-signed. */
static void check_pins(const struct mistakes_section *s, const struct site *site,
                       const struct config_backend *b)
{
    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct own_leaf o = {s, b, site->config->listener[i].name};
        if (b->binding != CONFIG_BINDING_PASSTHROUGH)
            tls_ctx_leaves(site->listener[i].tls, on_leaf, &o);
    }
}

static void check_secret(const struct mistakes_section *s, const char *key,
                         const struct secret *secret)
{
    enum { LEAST = 16 }; /* RFC 2865 3 */

    if (secret != NULL && secret->n < LEAST)
        mistakes_warn(
            s, mistakes_line(s, key),
            "%s: the secret has only %zu bytes: an attacker who records a login can guess it (RFC "
            "2865 "
            "recommends at least %d)",
            key, secret->n, (int)LEAST);
}

static void warn_of_ending(const struct mistakes_section *s, const struct users *u,
                           const char *what, const struct users_ending *e)
{
    char until[UNTIL_TEXT_MAX];

    if (e->count > 0)
        mistakes_warn(s, mistakes_line(s, "users-file"),
                      "users-file: %s: %zu line%s %s, line %u at %s", users_path(u), e->count,
                      e->count == 1 ? "" : "s", what, e->line, until_print(e->until, until));
}

void mistakes_of_time(const struct site *site, int64_t now, FILE *to, FILE *steps)
{
    enum { SOON = 14 * 24 * 60 * 60 };
    const struct config *c = site->config;

    for (size_t i = 0; i < c->backend_count; i++) {
        const struct mistakes_section s = mistakes_section_of(c, BACKEND, i, to);
        const struct users *u = site->backend[i].users;
        if (u == NULL || mistakes_signs_nothing(c, &c->backend[i])) /* no effect: another warning */
            continue;
        const struct users_ending past = users_ending(u, INT64_MIN, now);
        const struct users_ending soon = users_ending(u, now, now + SOON);
        warn_of_ending(&s, u, "expired: these users are refused", &past);
        warn_of_ending(&s, u, "will expire within 14 days", &soon);
        if (steps != NULL)
            fprintf(steps, "%s %zu %zu\n", users_path(u), past.count, soon.count);
    }
}

void mistakes_in_files(const struct site *site, FILE *to)
{
    const struct config *c = site->config;

    for (size_t i = 0; i < c->listener_count; i++) {
        const struct mistakes_section s = mistakes_section_of(c, LISTENER, i, to);
        const struct config_strings *host = &c->listener[i].host;
        rules_without_match(&c->listener[i].rules, host->item, host->count, s.file, s.name, to);
        rules_without_match(&c->listener[i].routes, host->item, host->count, s.file, s.name, to);
        check_hosts(&s, &site->listener[i]);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct mistakes_section s = mistakes_section_of(c, BACKEND, i, to);
        if (site->backend[i].users != NULL && users_count(site->backend[i].users) == 0)
            mistakes_warn(&s, mistakes_line(&s, "users-file"), "users-file: %s contains no user",
                          c->backend[i].users_file);
        check_pins(&s, site, &c->backend[i]);
    }
    for (size_t i = 0; i < c->radius_count; i++) {
        const struct mistakes_section s = mistakes_section_of(c, RADIUS, i, to);
        const struct snapshot_secrets *secrets = &site->snapshot->radius[i];
        check_secret(&s, "secret-file", secrets->client);
        if (secrets->server != secrets->client)
            check_secret(&s, "server-secret-file", secrets->server);
    }
}
