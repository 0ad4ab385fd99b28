#include "gate/mistakes_keys.h"

#include <stdint.h>

#include "config/config.h"

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

bool mistakes_denies_nobody(const struct config *c, const void *section)
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

bool mistakes_is_fallback(const struct config *c, const struct config_backend *b)
{
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listener[i].fallback == b)
            return true;
    return false;
}

bool mistakes_is_only_fallback(const struct config *c, const void *section)
{
    return mistakes_is_fallback(c, section) && !config_has_calls(c, section);
}

bool mistakes_signs_nothing(const struct config *c, const void *section)
{
    const struct config_backend *b = section;
    return !mistakes_is_only_fallback(c, section) &&
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
    const char *why; /* end of the warning "NAME has no effect ..." */
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
    {LISTENER, "deny-action", mistakes_denies_nobody, "because no rule denies"},
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
    {BACKEND, "users-file", mistakes_signs_nothing, no_signing},
    {BACKEND, "zero-key", mistakes_signs_nothing, no_signing},
    {BACKEND, "users-file", mistakes_is_only_fallback, only_web},
    {BACKEND, "radius", mistakes_is_only_fallback, only_web},
    {BACKEND, "crypto-binding", mistakes_is_only_fallback, only_web},
    {BACKEND, "binding-cert-hash", mistakes_is_only_fallback, only_web},
    {BACKEND, "pass-tenant", mistakes_is_only_fallback, only_web},
    {BACKEND, "outer-name", mistakes_is_only_fallback, only_web},
};

void mistakes_idle_keys(const struct mistakes_section *s)
{
    for (size_t i = 0; i < sizeof idle_keys / sizeof *idle_keys; i++) {
        const struct idle_key *k = &idle_keys[i];
        if (k->in == s->in && config_differs(s->c, s->at, k->name) && k->idle(s->c, s->at))
            mistakes_warn(s, mistakes_line(s, k->name), "%s has no effect %s", k->name, k->why);
    }
}
