#include "config/config_finish.h"

#include <stdlib.h>
#include <string.h>

#include "base/hostname.h"
#include "base/insist.h"
#include "base/suggest.h"
#include "config/config.h"
#include "config/config_mark.h"
#include "config/config_table.h"
#include "policy/backends.h"

static bool key_written(struct config_builder *b, enum config_section in, size_t index,
                        const char *name)
{
    const struct config_key *k = config_key_find(in, name);
    INSIST(k != NULL);
    return config_mark_first(b->c, index, k) != NULL;
}

/* Returns whether the value of a key is invalid. If so, the default replaces it, and no other
 * check may draw conclusions from that default. */
static bool key_refused(struct config_builder *b, enum config_section in, size_t index,
                        const char *name)
{
    const struct config_key *k = config_key_find(in, name);
    INSIST(k != NULL);
    const struct config_mark *m = config_mark_last(b->c, index, k);
    return m != NULL && m->refused;
}

static unsigned key_line(struct config_builder *b, enum config_section in, size_t index,
                         const char *name)
{
    return config_line(b->c, config_section_at(b->c, in, index), name);
}

/* Makes further problems name the file of a section. */
static void at_section(struct config_builder *b, enum config_section in, size_t index)
{
    b->input.path = config_section_file(b->c, in, index);
}

/* Sets the defaults of keys that are not set (or invalid), and reports missing required keys. */
static void complete_section(struct config_builder *b, enum config_section in, size_t index)
{
    void *section = config_section_at(b->c, in, index);
    at_section(b, in, index);
    b->input.line = config_section_line(b->c, in, index);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (k->in != in)
            continue;
        const struct config_mark *m = config_mark_first(b->c, index, k);
        if (k->initial != NULL && (m == NULL || m->refused))
            INSIST(k->type->parse(&b->input, k, (char *)section + k->at, k->initial));
        if ((k->flags & KEY_REQUIRED) && m == NULL)
            config_problem(&b->input, b->input.line, "[%s %s] has no `%s`",
                           config_sections[in].word, config_section_name(b->c, in, index), k->name);
    }
}

static void check_tls_range(struct config_builder *b, enum config_section in, size_t index,
                            enum config_tls min, enum config_tls max)
{
    if (min <= max || key_refused(b, in, index, "tls-min") || key_refused(b, in, index, "tls-max"))
        return;
    const char *key = key_written(b, in, index, "tls-max") ? "tls-max" : "tls-min";
    config_problem(&b->input, key_line(b, in, index, key),
                   "tls-min, %s, is higher than tls-max, %s",
                   config_choice_of(config_key_find(in, "tls-min"), (int)min)->word,
                   config_choice_of(config_key_find(in, "tls-max"), (int)max)->word);
}

/* Returns whether be is only a fallback, a web site, which has no crypto-binding. */
static bool is_web_only(const struct config *c, const struct config_backend *be)
{
    if (config_has_calls(c, be))
        return false;
    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listener[i].fallback == be)
            return true;
    return false;
}

/* Reports keys of TLS, which have no effect with tls = no, although their author expects one. */
static void finish_plain(struct config_builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (k->in != BACKEND || !(k->flags & KEY_TLS))
            continue;
        const struct config_mark *m = config_mark_first(b->c, index, k);
        if (m != NULL)
            config_problem(&b->input, m->line, "%s has no effect with tls = no", k->name);
    }
    be->verify = CONFIG_VERIFY_OFF;
    bool wants_hash = be->binding == CONFIG_BINDING_REWRITE || be->binding == CONFIG_BINDING_AUTO;
    if (wants_hash && !is_web_only(b->c, be) && !key_refused(b, BACKEND, index, "crypto-binding") &&
        !key_written(b, BACKEND, index, "binding-cert-hash"))
        config_problem(
            &b->input, key_line(b, BACKEND, index, "tls"),
            "with tls = no the server shows no certificate: crypto-binding = %s needs "
            "binding-cert-hash",
            config_choice_of(config_key_find(BACKEND, "crypto-binding"), (int)be->binding)->word);
}

/* Keys that belong to one value of `verify`. */
static const struct verify_key {
    const char *name;
    enum config_verify with;
    const char *needed_as; /* with `with` the key must be set: how to write it; NULL: optional */
} verify_keys[] = {
    {"pin-sha256", CONFIG_VERIFY_PIN, "pin-sha256"},
    {"ca-file", CONFIG_VERIFY_CA, "ca-file (a file, or `system`)"},
    {"verify-host", CONFIG_VERIFY_CA, NULL},
};

/* Derives `verify`, which is not set, from the other keys. Returns false if it cannot; the
 * problem is reported. */
static bool derive_verify(struct config_builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    const bool pin = key_written(b, BACKEND, index, "pin-sha256");
    const bool ca = key_written(b, BACKEND, index, "ca-file");

    if (pin && ca)
        config_problem(&b->input, key_line(b, BACKEND, index, "ca-file"),
                       "pin-sha256 and ca-file are both set: write verify = pin or verify = ca, "
                       "and only its keys");
    else if (!pin && !ca)
        config_problem(&b->input, be->line,
                       "[backend %s] has no pin-sha256, ca-file or verify: write pin-sha256 = "
                       "FINGERPRINT, or ca-file = FILE (or `system`), or verify = off to trust "
                       "any server",
                       be->name);
    else
        be->verify = pin ? CONFIG_VERIFY_PIN : CONFIG_VERIFY_CA;
    return pin != ca;
}

/* Checks that the keys of `verify` are set, and no keys that it does not use: an administrator
 * who pins a certificate expects that the pin is checked. */
static void finish_verify(struct config_builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    const struct config_key *verify = config_key_find(BACKEND, "verify");

    if (key_refused(b, BACKEND, index, "verify"))
        return;
    if (!key_written(b, BACKEND, index, "verify") && !derive_verify(b, index))
        return;
    for (size_t i = 0; i < sizeof verify_keys / sizeof *verify_keys; i++) {
        const struct verify_key *k = &verify_keys[i];
        const char *word = config_choice_of(verify, (int)k->with)->word;
        const bool is_written = key_written(b, BACKEND, index, k->name);
        if (is_written && be->verify != k->with)
            config_problem(&b->input, key_line(b, BACKEND, index, k->name),
                           "%s is used only with verify = %s", k->name, word);
        if (!is_written && be->verify == k->with && k->needed_as != NULL)
            config_problem(&b->input, key_line(b, BACKEND, index, "verify"), "verify = %s needs %s",
                           word, k->needed_as);
    }
}

/* Returns the section that key on this line refers to. NULL: none, the problem is reported. */
static const void *find_section(struct config_builder *b, enum config_section in, const char *key,
                                const char *name, unsigned line)
{
    const char *word = config_sections[in].word;
    struct suggest s = suggest_init(name);
    for (size_t i = 0; i < config_section_count(b->c, in); i++) {
        const char *other = config_section_name(b->c, in, i);
        suggest_offer(&s, other);
        if (strcmp(other, name) == 0)
            return config_section_at(b->c, in, i);
    }
    if (b->section_lost) /* the unreadable header may be that of this section */
        return NULL;
    if (s.best != NULL)
        config_problem(&b->input, line, "%s: there is no [%s %s]; did you mean '%s'?", key, word,
                       name, s.best);
    else
        config_problem(&b->input, line, "%s: there is no [%s %s]", key, word, name);
    return NULL;
}

/* Completes and checks the i-th server. */
static void finish_server(struct config_builder *b, struct config_backend *be, size_t i, bool first)
{
    struct backends_server *s = &be->servers.item[i];

    if (s->port == 0)
        s->port = be->tls ? 443 : 80;
    if (s->weight != 0 && first)
        config_problem(&b->input, s->line, "server: weight has no effect with balance = first");
    if (s->weight == 0)
        s->weight = 1;
    for (size_t k = 0; k < i; k++) {
        const struct backends_server *other = &be->servers.item[k];
        if (other->port == s->port && strcmp(other->host, s->host) == 0) {
            config_problem(&b->input, s->line, "server: '%s:%u' is already set on line %u", s->host,
                           (unsigned)s->port, other->line);
            break;
        }
    }
    if (i == BACKENDS_SERVERS_MAX)
        config_problem(&b->input, s->line, "server: a backend has at most %d servers",
                       (int)BACKENDS_SERVERS_MAX);
}

static void finish_servers(struct config_builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    const bool first =
        be->servers.balance == BACKENDS_FIRST && !key_refused(b, BACKEND, index, "balance");

    be->servers.name = be->name;
    be->servers.probed = be->check != CONFIG_CHECK_NO;
    for (size_t i = 0; i < be->servers.count; i++)
        finish_server(b, be, i, first);
    if (first && be->servers.slow_start != 0)
        config_problem(&b->input, key_line(b, BACKEND, index, "slow-start"),
                       "slow-start has no effect with balance = first");
}

static void finish_check(struct config_builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    const bool http = be->check == CONFIG_CHECK_HTTP || be->check == CONFIG_CHECK_SSTP;

    if (key_refused(b, BACKEND, index, "check"))
        return;
    if (!http && key_written(b, BACKEND, index, "check-statuses"))
        config_problem(&b->input, key_line(b, BACKEND, index, "check-statuses"),
                       "check-statuses is used only with check = http or sstp");
    if (be->check == CONFIG_CHECK_TLS && !be->tls && !key_refused(b, BACKEND, index, "tls"))
        config_problem(&b->input, key_line(b, BACKEND, index, "check"),
                       "check = tls needs tls = yes");
    if (http && be->check_statuses.count == 0) {
        const struct config_key *k = config_key_find(BACKEND, "check-statuses");
        INSIST(k->type->parse(&b->input, k, &be->check_statuses,
                              be->check == CONFIG_CHECK_SSTP ? "200" : "200-499 501"));
    }
}

static void finish_backend(struct config_builder *b, size_t index)
{
    struct config_backend *be = &b->c->backend[index];
    at_section(b, BACKEND, index);
    finish_servers(b, index);
    finish_check(b, index);
    if (!key_refused(b, BACKEND, index, "tls")) {
        if (be->tls)
            finish_verify(b, index);
        else
            finish_plain(b, index);
    }
    check_tls_range(b, BACKEND, index, be->tls_min, be->tls_max);
    if (be->binding == CONFIG_BINDING_PASSTHROUGH || be->binding == CONFIG_BINDING_OFF) {
        if (key_written(b, BACKEND, index, "binding-cert-hash"))
            config_problem(&b->input, key_line(b, BACKEND, index, "binding-cert-hash"),
                           "binding-cert-hash is used only with crypto-binding = rewrite or auto");
    }
    if (be->radius_name != NULL)
        be->radius = find_section(b, RADIUS, "radius", be->radius_name,
                                  key_line(b, BACKEND, index, "radius"));
}

static void finish_radius(struct config_builder *b, size_t index)
{
    const struct config_radius *r = &b->c->radius[index];
    const bool listens = r->accounting_listen.count > 0, sends = r->accounting_server.count > 0;

    at_section(b, RADIUS, index);
    if (listens != sends && !key_refused(b, RADIUS, index, "accounting-listen") &&
        !key_refused(b, RADIUS, index, "accounting-server"))
        config_problem(
            &b->input,
            key_line(b, RADIUS, index, listens ? "accounting-listen" : "accounting-server"),
            "accounting-listen and accounting-server must be set together");
}

/* The addresses of one listen key of a [radius NAME], and its line. */
struct radius_places {
    const struct config_places *of;
    const char *file;
    unsigned line;
};

/* Reports addresses of `places` that are also in `others`. If both are the same list, reports
 * the addresses that it contains twice. */
static void check_radius_pair(struct config_builder *b, const struct radius_places *places,
                              const struct radius_places *others)
{
    b->input.path = places->file;
    for (size_t i = 0; i < places->of->count; i++) {
        const struct addr *a = &places->of->item[i];
        const size_t n = places == others ? i : others->of->count;
        for (size_t k = 0; k < n; k++) {
            char text[ADDR_TEXT_MAX];
            if (a->port != 0 && addr_equal(a, &others->of->item[k]))
                config_problem(&b->input, places->line, "'%s' is used twice", addr_format(a, text));
        }
    }
}

/* Compares the addresses of all [radius NAME]. They are UDP, so those of listeners do not
 * matter. */
static void check_radius_places(struct config_builder *b)
{
    struct radius_places *all = insist_alloc(calloc(2 * b->c->radius_count + 1, sizeof *all));
    size_t n = 0;

    for (size_t i = 0; i < b->c->radius_count; i++) {
        const struct config_radius *r = &b->c->radius[i];
        all[n++] = (struct radius_places){&r->listen, r->file, key_line(b, RADIUS, i, "listen")};
        all[n++] = (struct radius_places){&r->accounting_listen, r->file,
                                          key_line(b, RADIUS, i, "accounting-listen")};
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k <= i; k++)
            check_radius_pair(b, &all[i], &all[k]);
    free(all);
}

/* Sets the backend of a listener that names none: the only one that is not its fallback. */
static void find_only_backend(struct config_builder *b, struct config_listener *l, unsigned line)
{
    struct config *c = b->c;
    size_t others = 0;

    for (size_t i = 0; i < c->backend_count; i++) {
        if (&c->backend[i] == l->fallback)
            continue;
        others++;
        l->backend = &c->backend[i];
    }
    if (others == 1) {
        l->backend_name = config_type_copy(l->backend->name);
        return;
    }
    l->backend = NULL;
    if (b->section_lost)
        return;
    if (others == 0)
        config_problem(&b->input, line, "[listener %s] has no server for its calls: %s", l->name,
                       c->backend_count == 0 ? "write a [backend NAME]"
                                             : "the only backend is its fallback");
    else
        config_problem(
            &b->input, line,
            "[listener %s] has no `backend`, and the file has more than one: write backend = NAME",
            l->name);
}

static void find_backends(struct config_builder *b, size_t index)
{
    struct config_listener *l = &b->c->listener[index];
    unsigned line = key_line(b, LISTENER, index, "backend");

    if (l->fallback_name != NULL)
        l->fallback = find_section(b, BACKEND, "fallback", l->fallback_name,
                                   key_line(b, LISTENER, index, "fallback"));
    for (size_t i = 0; i < l->route_count; i++)
        l->route[i].backend =
            find_section(b, BACKEND, "use-backend", l->route[i].backend_name, l->route[i].line);
    if (key_refused(b, LISTENER, index, "backend"))
        return;
    if (l->backend_name != NULL)
        l->backend = find_section(b, BACKEND, "backend", l->backend_name, line);
    else
        find_only_backend(b, l, line);
}

static void check_proxies(struct config_builder *b, size_t index)
{
    const struct config_listener *l = &b->c->listener[index];

    if (l->accept_proxy && l->trusted_proxies.count == 0 &&
        !key_refused(b, LISTENER, index, "trusted-proxies"))
        config_problem(
            &b->input, key_line(b, LISTENER, index, "accept-proxy"),
            "accept-proxy needs trusted-proxies, because any client could send a header");
    if (!l->accept_proxy && l->trusted_proxies.count > 0 &&
        !key_refused(b, LISTENER, index, "accept-proxy"))
        config_problem(&b->input, key_line(b, LISTENER, index, "trusted-proxies"),
                       "trusted-proxies has no effect without accept-proxy = yes");
}

static void check_country(struct config_builder *b, const struct rules *r)
{
    const unsigned line = rules_country_line(r);
    if (line != 0 && !key_written(b, GATE, 0, "country-file"))
        config_problem(&b->input, line, "country: needs country-file in [gate]");
}

static void finish_listener(struct config_builder *b, size_t index)
{
    struct config_listener *l = &b->c->listener[index];
    at_section(b, LISTENER, index);
    /* A list of allowed clients means that others are denied. */
    if (!key_written(b, LISTENER, index, "default"))
        l->rules.default_allow = !key_written(b, LISTENER, index, "allow") &&
                                 !key_written(b, LISTENER, index, "allow-file");
    check_country(b, &l->rules);
    check_country(b, &l->routes);
    if (rules_needs_user(&l->routes))
        config_problem(&b->input, rules_user_line(&l->routes),
                       "use-backend: user: not known yet when the backend is chosen");
    check_tls_range(b, LISTENER, index, l->tls_min, l->tls_max);
    find_backends(b, index);
    check_proxies(b, index);
}

static bool is_same_interface(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Reports an address that an earlier line has already set, for the same interface. */
static void check_place(struct config_builder *b, const struct config_listener *l, size_t which)
{
    const struct config *c = b->c;
    const struct addr *place = &l->listen[which];
    char text[ADDR_TEXT_MAX], where[CONFIG_WHERE_MAX];

    for (size_t i = 0; &c->listener[i] <= l && place->port != 0; i++) {
        const struct config_listener *other = &c->listener[i];
        const size_t n = other == l ? which : other->listen_count;
        for (size_t k = 0; k < n; k++) {
            if (!addr_equal(place, &other->listen[k]) ||
                !is_same_interface(l->interface, other->interface))
                continue;
            config_problem(&b->input, l->listen_line[which], "%s: '%s' is already set %s",
                           l->listen_plain[which] ? "listen-http" : "listen",
                           addr_format(place, text),
                           config_where(&b->input, other->file, other->listen_line[k], where));
            return;
        }
    }
}

static void check_places(struct config_builder *b)
{
    for (size_t i = 0; i < b->c->listener_count; i++) {
        at_section(b, LISTENER, i);
        for (size_t k = 0; k < b->c->listener[i].listen_count; k++)
            check_place(b, &b->c->listener[i], k);
    }
}

/* Finds an earlier socket with the place of number `which`: of the status listener, or of a
 * listener. Returns its line; 0: none. */
static unsigned find_status_place(const struct config *c, size_t which, const char **file)
{
    const struct config_socket *s = &c->gate.status.item[which];

    *file = c->gate.file;
    for (size_t i = 0; i < which; i++) {
        const struct config_socket *other = &c->gate.status.item[i];
        if (s->path != NULL && other->path != NULL && strcmp(s->path, other->path) == 0)
            return other->line;
        if (s->path == NULL && other->path == NULL && s->addr.port != 0 &&
            addr_equal(&s->addr, &other->addr))
            return other->line;
    }
    for (size_t i = 0; s->path == NULL && s->addr.port != 0 && i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        *file = l->file;
        for (size_t k = 0; k < l->listen_count; k++)
            if (addr_equal(&s->addr, &l->listen[k]))
                return l->listen_line[k];
    }
    return 0;
}

static void check_status_places(struct config_builder *b)
{
    const struct config_sockets *status = &b->c->gate.status;
    char text[ADDR_TEXT_MAX], where[CONFIG_WHERE_MAX];

    at_section(b, GATE, 0);
    for (size_t i = 0; i < status->count; i++) {
        const struct config_socket *s = &status->item[i];
        const char *file;
        const unsigned line = find_status_place(b->c, i, &file);
        if (line != 0)
            config_problem(&b->input, s->line, "status: '%s' is already set %s",
                           s->path != NULL ? s->path : addr_format(&s->addr, text),
                           config_where(&b->input, file, line, where));
    }
}

/* Returns the server of be at the host and port of `same`; NULL: none. */
static const struct backends_server *backend_find_server(const struct config_backend *be,
                                                         const struct backends_server *same)
{
    for (size_t i = 0; i < be->servers.count; i++)
        if (be->servers.item[i].port == same->port &&
            hostname_equal(span_str(be->servers.item[i].host), span_str(same->host)))
            return &be->servers.item[i];
    return NULL;
}

static void check_fallback_server(struct config_builder *b, const struct config_listener *l,
                                  const struct backends_server *s)
{
    const size_t index = (size_t)(l - b->c->listener);

    for (size_t i = 0; i < b->c->backend_count; i++) {
        const struct config_backend *be = &b->c->backend[i];
        if (!config_has_calls(b->c, be) || backend_find_server(be, s) == NULL)
            continue;
        config_problem(&b->input, key_line(b, LISTENER, index, "fallback"),
                       "fallback: %s, port %u, is also a server of [backend %s]: a denied client "
                       "would reach SSTP there, past all rules and limits",
                       s->host, s->port, be->name);
        return;
    }
}

/* Reports web sites at the host and port of a VPN server: the gate does not check the bytes
 * that it sends to a web site, so SSTP would pass. */
static void check_fallbacks(struct config_builder *b)
{
    for (size_t i = 0; i < b->c->listener_count; i++) {
        const struct config_listener *l = &b->c->listener[i];
        at_section(b, LISTENER, i);
        for (size_t k = 0; l->fallback != NULL && k < l->fallback->servers.count; k++)
            check_fallback_server(b, l, &l->fallback->servers.item[k]);
    }
}

/* Collects the trusted-proxies of all listeners, because bans and points belong to the gate.
 * All proxies are exempt, because the ban of a proxy would ban all clients behind it. */
static void collect_proxies(struct config *c)
{
    struct cidrs *all = &c->gate.limits.proxies;

    for (size_t i = 0; i < c->listener_count; i++) {
        const struct cidrs *l = &c->listener[i].trusted_proxies;
        if (l->count == 0)
            continue;
        all->item = insist_alloc(reallocarray(all->item, all->count + l->count, sizeof *all->item));
        memcpy(all->item + all->count, l->item, l->count * sizeof *all->item);
        all->count += l->count;
    }
}

void config_finish(struct config_builder *b)
{
    struct config *c = b->c;
    if (c->gate.file == NULL)
        c->gate.file = c->path;
    for (enum config_section in = GATE; in < SECTION_COUNT; in++)
        for (size_t i = 0; i < config_section_count(c, in); i++)
            complete_section(b, in, i);
    for (size_t i = 0; i < c->listener_count; i++)
        finish_listener(b, i);
    for (size_t i = 0; i < c->backend_count; i++)
        finish_backend(b, i);
    for (size_t i = 0; i < c->radius_count; i++)
        finish_radius(b, i);
    collect_proxies(c);
    check_places(b);
    check_status_places(b);
    check_fallbacks(b);
    check_radius_places(b);
    b->input.path = c->path;
    if (c->listener_count == 0 && !b->section_lost)
        config_problem(&b->input, 1,
                       "there is no [listener NAME]: the gate would accept no connection");
}
