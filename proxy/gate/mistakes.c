#include "gate/mistakes.h"

#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "base/hostname.h"
#include "config/config.h"
#include "config/config_table.h"
#include "gate/machine.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"
#include "users/secret.h"
#include "users/users.h"

/* A section, and where its warnings go. */
struct section {
    const struct config *c;
    enum config_section in;
    const void *at;
    const char *name; /* NULL: [gate] */
    const char *file;
    FILE *to;
};

static struct section section_of(const struct config *c, enum config_section in, size_t index,
                                 FILE *to)
{
    return (struct section){.c = c,
                            .in = in,
                            .at = config_section_at(c, in, index),
                            .name = config_section_name(c, in, index),
                            .file = config_section_file(c, in, index),
                            .to = to};
}

__attribute__((format(printf, 3, 4))) static void warn(const struct section *s, unsigned line,
                                                       const char *format, ...)
{
    va_list args;

    fprintf(s->to, "%s:%u: warning: ", s->file, line);
    if (s->name != NULL)
        fprintf(s->to, "%s %s: ", config_sections[s->in].word, s->name);
    va_start(args, format);
    vfprintf(s->to, format, args);
    va_end(args);
    fputc('\n', s->to);
}

static unsigned line_of(const struct section *s, const char *key)
{
    return config_line(s->c, s->at, key);
}

/* ---- keys without effect ---- */

static bool has_no_bans(const struct config *c, const void *section)
{
    (void)section;
    return c->gate.limits.ban_points == 0;
}

static bool has_no_status(const struct config *c, const void *section)
{
    (void)section;
    return c->gate.status.count == 0;
}

static bool has_no_status_path(const struct config *c, const void *section)
{
    (void)section;
    for (size_t i = 0; i < c->gate.status.count; i++)
        if (c->gate.status.item[i].path != NULL)
            return false;
    return true;
}

static bool has_no_store(const struct config *c, const void *section)
{
    (void)section;
    return c->gate.shared.count == 0;
}

static bool has_no_radius(const struct config *c, const void *section)
{
    (void)section;
    return c->radius_count == 0;
}

static bool shares_no_login(const struct config *c, const void *section)
{
    return has_no_store(c, section) || has_no_radius(c, section);
}

static bool has_no_tls_store(const struct config *c, const void *section)
{
    (void)section;
    for (size_t i = 0; i < c->gate.shared.count; i++)
        if (c->gate.shared.item[i].tls)
            return false;
    return true;
}

static bool has_no_sentinel(const struct config *c, const void *section)
{
    (void)section;
    for (size_t i = 0; i < c->gate.shared.count; i++)
        if (c->gate.shared.item[i].service != NULL)
            return false;
    return true;
}

static bool counts_no_address(const struct config *c, const void *section)
{
    const struct limits_settings *l = &c->gate.limits;
    (void)section;
    return l->ban_points == 0 && l->tunnels_per_address == 0 && l->rate_per_address.count == 0;
}

static bool has_no_country(const struct config *c, const void *section)
{
    (void)section;
    for (size_t i = 0; i < c->listener_count; i++)
        if (rules_country_line(&c->listener[i].rules) != 0 ||
            rules_country_line(&c->listener[i].routes) != 0)
            return false;
    return true;
}

static bool has_no_fallback(const struct config *c, const void *section)
{
    (void)section;
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listener[i].fallback != NULL)
            return false;
    return true;
}

static bool reaches_limit_of_all(const struct config *c, unsigned limit)
{
    return limit != 0 && limit >= c->gate.max_tunnels;
}

static bool address_reaches_max(const struct config *c, const void *section)
{
    (void)section;
    return reaches_limit_of_all(c, c->gate.limits.tunnels_per_address);
}

static bool user_reaches_max(const struct config *c, const void *section)
{
    (void)section;
    return reaches_limit_of_all(c, c->gate.limits.tunnels_per_user);
}

static bool address_reaches_rate(const struct config *c, const void *section)
{
    const struct rate *all = &c->gate.limits.rate, *one = &c->gate.limits.rate_per_address;
    (void)section;
    return all->count != 0 && one->count != 0 &&
           (uint64_t)one->count * all->per_ms >= (uint64_t)all->count * one->per_ms;
}

static bool denies_nobody(const struct config *c, const void *section)
{
    const struct config_listener *l = section;
    (void)c;
    return !rules_have(&l->rules, false) &&
           (l->rules.default_allow || rules_catch_all_line(&l->rules) != 0);
}

static bool rechecks_nothing(const struct config *c, const void *section)
{
    const struct config_listener *l = section;
    (void)c;
    return l->recheck_tunnels && l->rules.count == 0;
}

static bool has_no_v6_wildcard(const struct config *c, const void *section)
{
    const struct config_listener *l = section;
    (void)c;
    for (size_t i = 0; i < l->listen_count; i++)
        if (l->listen[i].family == AF_INET6 && addr_is_any(&l->listen[i]))
            return false;
    return true;
}

static bool has_no_http(const struct config *c, const void *section)
{
    const struct config_listener *l = section;
    (void)c;
    for (size_t i = 0; i < l->listen_count; i++)
        if (l->listen_plain[i])
            return false;
    return true;
}

static bool listener_is_new_tls(const struct config *c, const void *section)
{
    const struct config_listener *l = section;
    (void)c;
    return l->tls_min == CONFIG_TLS_1_3;
}

static bool listener_is_old_tls(const struct config *c, const void *section)
{
    const struct config_listener *l = section;
    (void)c;
    return l->tls_max < CONFIG_TLS_1_3;
}

static bool backend_is_new_tls(const struct config *c, const void *section)
{
    const struct config_backend *b = section;
    (void)c;
    return b->tls_min == CONFIG_TLS_1_3;
}

static bool backend_is_old_tls(const struct config *c, const void *section)
{
    const struct config_backend *b = section;
    (void)c;
    return b->tls_max < CONFIG_TLS_1_3;
}

static bool has_no_check(const struct config *c, const void *section)
{
    const struct config_backend *b = section;
    (void)c;
    return b->check == CONFIG_CHECK_NO;
}

static bool has_check(const struct config *c, const void *section)
{
    return !has_no_check(c, section);
}

static bool is_fallback(const struct config *c, const struct config_backend *b)
{
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listener[i].fallback == b)
            return true;
    return false;
}

static bool is_only_fallback(const struct config *c, const void *section)
{
    return is_fallback(c, section) && !config_has_calls(c, section);
}

static bool signs_nothing(const struct config *c, const void *section)
{
    const struct config_backend *b = section;
    return !is_only_fallback(c, section) &&
           (b->binding == CONFIG_BINDING_PASSTHROUGH || b->binding == CONFIG_BINDING_OFF);
}

static const char no_points[] = "without ban-points";
static const char no_status[] = "without `status`";
static const char no_store[] = "without `shared`";
static const char no_login_store[] = "without `shared` and a [radius NAME]";
static const char no_tls_store[] = "without rediss:// in `shared`";
static const char no_sentinel[] = "without redis+sentinel:// in `shared`";
static const char no_status_path[] = "without a Unix socket in `status`";
static const char no_signing[] = "with crypto-binding = passthrough or off";
static const char only_web[] = "for a backend that is only a fallback";
static const char no_check[] = "without check";
static const char max[] = "because it is not below max-tunnels";

static const char no_key_update[] = "with a tls-max below 1.3: TLS 1.2 has no KeyUpdate";

static const struct idle_key {
    enum config_section in;
    const char *name;
    bool (*idle)(const struct config *c, const void *section);
    const char *why; /* after "NAME has no effect " */
} idle_keys[] = {
    {LISTENER, "acme-http", has_no_http, "without listen-http"},
    {GATE, "ban-time", has_no_bans, no_points},
    {GATE, "ban-reset", has_no_bans, no_points},
    {GATE, "ban-exempt", has_no_bans, no_points},
    {GATE, "ban-file", has_no_bans, no_points},
    {GATE, "status-allow", has_no_status, no_status},
    {GATE, "status-host", has_no_status, no_status},
    {GATE, "status-group", has_no_status_path, no_status_path},
    {GATE, "status-mode", has_no_status_path, no_status_path},
    {GATE, "status-token-file", has_no_status, no_status},
    {GATE, "address-prefix-ipv4", counts_no_address, "without a limit or bans by address"},
    {GATE, "address-prefix-ipv6", counts_no_address, "without a limit or bans by address"},
    {GATE, "shared-password-file", has_no_store, no_store},
    {GATE, "shared-sentinel-password-file", has_no_sentinel, no_sentinel},
    {GATE, "shared-secret-file", shares_no_login, no_login_store},
    {GATE, "shared-prefix", has_no_store, no_store},
    {GATE, "shared-name", has_no_store, no_store},
    {GATE, "shared-timeout", has_no_store, no_store},
    {GATE, "shared-fail", has_no_store, no_store},
    {GATE, "shared-ca-file", has_no_tls_store, no_tls_store},
    {GATE, "shared-pin-sha256", has_no_tls_store, no_tls_store},
    {GATE, "country-file", has_no_country, "without a rule that has `country`"},
    {GATE, "timeout-web", has_no_fallback, "without a listener that has `fallback`"},
    {GATE, "timeout-key", has_no_radius, "without a [radius NAME]"},
    {GATE, "max-tunnels-per-address", address_reaches_max, max},
    {GATE, "max-tunnels-per-user", user_reaches_max, max},
    {GATE, "handshake-rate-per-address", address_reaches_rate,
     "because it is not below handshake-rate"},
    {LISTENER, "deny-action", denies_nobody, "because no rule denies"},
    {LISTENER, "recheck-tunnels", rechecks_nothing, "without rules"},
    {LISTENER, "v6only", has_no_v6_wildcard, "without the address [::]"},
    {LISTENER, "ciphers", listener_is_new_tls, "with tls-min = 1.3: see ciphersuites"},
    {LISTENER, "ciphersuites", listener_is_old_tls, "with a tls-max below 1.3: see ciphers"},
    {LISTENER, "key-update", listener_is_old_tls, no_key_update},
    {BACKEND, "ciphers", backend_is_new_tls, "with tls-min = 1.3: see ciphersuites"},
    {BACKEND, "ciphersuites", backend_is_old_tls, "with a tls-max below 1.3: see ciphers"},
    {BACKEND, "key-update", backend_is_old_tls, no_key_update},
    {BACKEND, "check-interval", has_no_check, no_check},
    {BACKEND, "rise", has_no_check, no_check},
    {BACKEND, "down-time", has_check, "with check"},
    {BACKEND, "users-file", signs_nothing, no_signing},
    {BACKEND, "zero-key", signs_nothing, no_signing},
    {BACKEND, "users-file", is_only_fallback, only_web},
    {BACKEND, "radius", is_only_fallback, only_web},
    {BACKEND, "crypto-binding", is_only_fallback, only_web},
    {BACKEND, "binding-cert-hash", is_only_fallback, only_web},
    {BACKEND, "pass-tenant", is_only_fallback, only_web},
    {BACKEND, "outer-name", is_only_fallback, only_web},
};

static void check_idle_keys(const struct section *s)
{
    for (size_t i = 0; i < sizeof idle_keys / sizeof *idle_keys; i++) {
        const struct idle_key *k = &idle_keys[i];
        if (k->in == s->in && config_differs(s->c, s->at, k->name) && k->idle(s->c, s->at))
            warn(s, line_of(s, k->name), "%s has no effect %s", k->name, k->why);
    }
}

/* ---- calls that return to the gate ---- */

/* Returns whether host is an address; "localhost" is one without the network (RFC 6761 6.3). */
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

static void check_loops(const struct section *s, const struct config_backend *b)
{
    for (size_t i = 0; i < b->servers.count; i++) {
        const struct config_listener *l = own_listener(s->c, &b->servers.item[i]);
        if (l != NULL)
            warn(s, b->servers.item[i].line,
                 "server: %s, port %u, is [listener %s] of this gate: its calls would return to it",
                 b->servers.item[i].host, (unsigned)b->servers.item[i].port, l->name);
    }
}

/* Warns about an ACME client that is this gate: a validation would return to it until its bound. */
static void check_acme(const struct section *s, const char *key, const struct addr *acme)
{
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; acme->family != 0 && i < s->c->listener_count; i++) {
        const struct config_listener *l = &s->c->listener[i];
        for (size_t k = 0; k < l->listen_count; k++)
            if (receives(&l->listen[k], !l->v6only, acme))
                warn(s, line_of(s, key),
                     "%s: %s is [listener %s] of this gate: the validations would return to it",
                     key, addr_format(acme, text), l->name);
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

static void check_web_servers(const struct section *s, const struct config_backend *web)
{
    for (size_t i = 0; i < s->c->backend_count; i++) {
        const struct config_backend *b = &s->c->backend[i];
        for (size_t k = 0; config_has_calls(s->c, b) && k < b->servers.count; k++)
            for (size_t n = 0; n < web->servers.count; n++)
                if (is_same_server(&b->servers.item[k], &web->servers.item[n]))
                    warn(s, web->servers.item[n].line,
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

static void check_radius_servers(const struct section *s, const char *key,
                                 const struct config_hosts *servers)
{
    for (size_t i = 0; i < servers->count; i++)
        if (is_own_radius(s->c, &servers->item[i]))
            warn(s, line_of(s, key),
                 "%s: %s, port %u, is this gate's own address: its requests would return to it",
                 key, servers->item[i].host, (unsigned)servers->item[i].port);
}

/* ---- sections ---- */

static bool covers_everything(const struct cidrs *nets)
{
    for (size_t i = 0; i < nets->count; i++)
        if (nets->item[i].bits == 0)
            return true;
    return false;
}

static void check_rules(const struct section *s, const struct config_listener *l)
{
    rules_unreached(&l->rules, s->file, l->name, s->to);
    rules_unreached(&l->routes, s->file, l->name, s->to);
    if (!l->rules.default_allow && !rules_have(&l->rules, true))
        warn(s, line_of(s, "default"), "no allow rule: the listener denies every client");
    if (l->dry_run && !denies_nobody(s->c, l))
        warn(s, line_of(s, "mode"),
             "mode = dry-run: no rule is enforced, every client is admitted");
}

/* Warns about finite fields in `groups`. */
static void check_groups(const struct section *s, const char *groups)
{
    if (groups != NULL && strcasestr(groups, "ffdhe") != NULL)
        warn(s, line_of(s, "groups"),
             "groups: with a finite-field group (ffdhe), one packet of the peer costs up to 150 ms "
             "of CPU time");
}

/* Warns about dry-run rules; check_rules warns about a listener with mode = dry-run. */
static void check_dry_runs(const struct section *s, const struct config_listener *l)
{
    unsigned line;
    const size_t n = rules_dry_runs(&l->rules, &line);

    if (n > 0 && !l->dry_run)
        warn(s, line, "dry-run: %zu of %zu rules %s not enforced", n, l->rules.count,
             n == 1 ? "is" : "are");
}

static void check_gate(const struct section *s, const struct config_gate *g)
{
    if (g->shared.count > 0 && s->c->radius_count > 0 && g->shared_secret_file == NULL)
        warn(s, line_of(s, "shared"),
             "shared without shared-secret-file: a call whose RADIUS packets pass through another "
             "gate has no key, so it is refused");
    if (g->key_log != NULL)
        warn(s, line_of(s, "key-log"),
             "key-log: %s gets the keys of all TLS connections: an attacker with this file "
             "can decrypt the connections; remove this line when the fault is found",
             g->key_log);
}

static void check_listener(const struct section *s, const struct config_listener *l)
{
    check_dry_runs(s, l);
    check_rules(s, l);
    check_groups(s, l->groups);
    check_acme(s, "acme", &l->acme);
    check_acme(s, "acme-http", &l->acme_http);
    if (covers_everything(&l->trusted_proxies))
        warn(s, line_of(s, "trusted-proxies"),
             "trusted-proxies contains every address, so any client can forge its own");
}

/* Not an error, because the crypto-binding of PAP needs no key. */
static void check_keys(const struct section *s, const struct config_backend *b)
{
    if (config_has_calls(s->c, b) && b->binding == CONFIG_BINDING_REWRITE &&
        b->users_file == NULL && b->radius == NULL)
        warn(s, line_of(s, "crypto-binding"),
             "crypto-binding = rewrite without users-file or radius: no key for MS-CHAPv2 and "
             "EAP, so their calls are refused");
}

static void check_verify(const struct section *s, const struct config_backend *b)
{
    struct addr a;

    if (!b->tls || b->verify != CONFIG_VERIFY_CA || b->verify_host != NULL || b->sni != NULL)
        return;
    for (size_t i = 0; i < b->servers.count; i++)
        if (read_address(b->servers.item[i].host, 1, &a))
            warn(s, b->servers.item[i].line,
                 "verify = ca: the certificate must contain the address %s, which is rare: set "
                 "verify-host to its name",
                 b->servers.item[i].host);
}

static void check_backend(const struct section *s, const struct config_backend *b)
{
    if (!config_has_calls(s->c, b) && !is_fallback(s->c, b))
        warn(s, b->line, "no listener uses this backend");
    check_keys(s, b);
    check_verify(s, b);
    check_groups(s, b->groups);
    check_loops(s, b);
    if (is_only_fallback(s->c, b))
        check_web_servers(s, b);
}

static bool is_used_radius(const struct config *c, const struct config_radius *r)
{
    for (size_t i = 0; i < c->backend_count; i++)
        if (c->backend[i].radius == r)
            return true;
    return false;
}

static void check_radius(const struct section *s, const struct config_radius *r)
{
    if (!is_used_radius(s->c, r))
        warn(s, r->line, "no backend has radius = %s, so the keys of its logins are not used",
             r->name);
    if (covers_everything(&r->clients))
        warn(s, line_of(s, "clients"),
             "clients contains every address: only the secret keeps others out");
    check_radius_servers(s, "server", &r->server);
    check_radius_servers(s, "accounting-server", &r->accounting_server);
}

void mistakes_in_config(const struct config *c, FILE *to)
{
    for (enum config_section in = GATE; in < SECTION_COUNT; in++)
        for (size_t i = 0; i < config_section_count(c, in); i++) {
            const struct section s = section_of(c, in, i, to);
            check_idle_keys(&s);
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

static void check_hosts(const struct section *s, const struct site_listener *l)
{
    for (size_t i = 0; i < l->config->host.count; i++)
        if (!tls_ctx_has_name(l->tls, l->config->host.item[i]))
            warn(s, line_of(s, "host"),
                 "host: no certificate contains '%s', so clients that dial this name refuse it",
                 l->config->host.item[i]);
}

/* A listener whose certificate is compared with the hashes of a backend. */
struct own_leaf {
    const struct section *s;
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
            warn(
                o->s, line_of(o->s, "pin-sha256"),
                "pin-sha256: this is the certificate of [listener %s] and not the server's, unless "
                "both have the same",
                o->listener);
    if ((b->binding_sha256_known &&
         memcmp(b->binding_sha256, leaf.sha256, sizeof leaf.sha256) == 0) ||
        (b->binding_sha1_known && memcmp(b->binding_sha1, leaf.sha1, sizeof leaf.sha1) == 0))
        warn(o->s, line_of(o->s, "binding-cert-hash"),
             "binding-cert-hash: this is the certificate of [listener %s]: if the server expects "
             "it, crypto-binding = passthrough is enough",
             o->listener);
}

/* If both sides have the same certificate, no message must be re-signed: passthrough. */
static void check_pins(const struct section *s, const struct site *site,
                       const struct config_backend *b)
{
    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct own_leaf o = {s, b, site->config->listener[i].name};
        if (b->binding != CONFIG_BINDING_PASSTHROUGH)
            tls_ctx_leaves(site->listener[i].tls, on_leaf, &o);
    }
}

static void check_secret(const struct section *s, const char *key, const struct secret *secret)
{
    enum { LEAST = 16 }; /* RFC 2865 3 */

    if (secret != NULL && secret->n < LEAST)
        warn(s, line_of(s, key),
             "%s: the secret has only %zu bytes: an attacker who records a login can guess it (RFC "
             "2865 "
             "recommends at least %d)",
             key, secret->n, (int)LEAST);
}

static void warn_of_ending(const struct section *s, const struct users *u, const char *what,
                           const struct users_ending *e)
{
    char until[UNTIL_TEXT_MAX];

    if (e->count > 0)
        warn(s, line_of(s, "users-file"), "users-file: %s: %zu line%s %s, line %u at %s",
             users_path(u), e->count, e->count == 1 ? "" : "s", what, e->line,
             until_print(e->until, until));
}

void mistakes_of_time(const struct site *site, int64_t now, FILE *to, FILE *steps)
{
    enum { SOON = 14 * 24 * 60 * 60 };
    const struct config *c = site->config;

    for (size_t i = 0; i < c->backend_count; i++) {
        const struct section s = section_of(c, BACKEND, i, to);
        const struct users *u = site->backend[i].users;
        if (u == NULL || signs_nothing(c, &c->backend[i])) /* no effect: another warning */
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
        const struct section s = section_of(c, LISTENER, i, to);
        const struct config_strings *host = &c->listener[i].host;
        rules_without_match(&c->listener[i].rules, host->item, host->count, s.file, s.name, to);
        rules_without_match(&c->listener[i].routes, host->item, host->count, s.file, s.name, to);
        check_hosts(&s, &site->listener[i]);
    }
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct section s = section_of(c, BACKEND, i, to);
        if (site->backend[i].users != NULL && users_count(site->backend[i].users) == 0)
            warn(&s, line_of(&s, "users-file"), "users-file: %s contains no user",
                 c->backend[i].users_file);
        check_pins(&s, site, &c->backend[i]);
    }
    for (size_t i = 0; i < c->radius_count; i++) {
        const struct section s = section_of(c, RADIUS, i, to);
        const struct snapshot_secrets *secrets = &site->snapshot->radius[i];
        check_secret(&s, "secret-file", secrets->client);
        if (secrets->server != secrets->client)
            check_secret(&s, "server-secret-file", secrets->server);
    }
}
