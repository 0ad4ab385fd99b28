#include "explain/explain_print.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/memo.h"
#include "config/config.h"
#include "explain/explain_query.h"
#include "policy/rules_words.h"
#include "users/until.h"
#include "site/snapshot.h"

/* ---- the two forms ---- */

/* Text: a line "key: value" for each value, and for each item of a list. */
struct form {
    FILE *out;
    struct json json;
    bool is_json;
};

/* Writes a key of the JSON form with '-' instead of '_'. */
static void text_key(const struct form *f, const char *key)
{
    for (; *key != '\0'; key++)
        fputc(*key == '_' ? '-' : *key, f->out);
    fputs(": ", f->out);
}

/* value NULL: null, which the text does not have. */
static void put(struct form *f, const char *key, const char *value)
{
    if (f->is_json) {
        json_key(&f->json, key);
        json_str(&f->json, value);
    } else if (value != NULL) {
        text_key(f, key);
        fprintf(f->out, "%s\n", value);
    }
}

__attribute__((format(printf, 3, 4))) static void put_words(struct form *f, const char *key,
                                                            const char *format, ...)
{
    struct memo m;
    va_list args;

    va_start(args, format);
    vfprintf(memo_open(&m), format, args);
    va_end(args);
    put(f, key, memo_text(&m));
    memo_free(&m);
}

/* most 0: no limit. */
static void put_count(struct form *f, const char *key, const char *most_key, unsigned n,
                      unsigned most)
{
    if (f->is_json) {
        json_key(&f->json, key);
        json_u64(&f->json, n);
        json_key(&f->json, most_key);
        if (most == 0)
            json_null(&f->json);
        else
            json_u64(&f->json, most);
    } else if (most == 0) {
        put_words(f, key, "%u", n);
    } else {
        put_words(f, key, "%u of %u", n, most);
    }
}

static void list_begin(struct form *f, const char *key)
{
    if (f->is_json) {
        json_key(&f->json, key);
        json_array_begin(&f->json);
    }
}

static void list_end(struct form *f)
{
    if (f->is_json)
        json_array_end(&f->json);
}

__attribute__((format(printf, 3, 4))) static void list_item(struct form *f, const char *text_name,
                                                            const char *format, ...)
{
    struct memo m;
    va_list args;

    va_start(args, format);
    vfprintf(memo_open(&m), format, args);
    va_end(args);
    if (f->is_json)
        json_str(&f->json, memo_text(&m));
    else
        put(f, text_name, memo_text(&m));
    memo_free(&m);
}

/* ---- the verdict ---- */

static const char *const stages[] = {[EXPLAIN_ACCEPT] = "accept",
                                     [EXPLAIN_HANDSHAKE] = "handshake",
                                     [EXPLAIN_REQUEST] = "request",
                                     [EXPLAIN_BACKEND] = "backend",
                                     [EXPLAIN_LOGIN] = "login"};

static void put_facts(struct form *f, const char *key, unsigned mask)
{
    static const enum rules_fact facts[] = {RULES_HOST, RULES_SNI, RULES_TENANT, RULES_USER};
    struct memo m;

    if (!f->is_json) {
        rules_words_facts(mask, memo_open(&m));
        put(f, key, mask == 0 ? NULL : memo_text(&m));
        memo_free(&m);
        return;
    }
    list_begin(f, key);
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        if ((mask & facts[i]) == 0)
            continue;
        rules_words_facts(facts[i], memo_open(&m));
        json_str(&f->json, memo_text(&m));
        memo_free(&m);
    }
    list_end(f);
}

/* Writes what the client of a refused call receives, from the row of the reason. */
static void put_client_gets(struct form *f, const struct explanation *e)
{
    const struct reason_info *info = reason_info(e->reason);
    const struct config_backend *site = e->listener->fallback;

    if (e->reason == REASON_NONE)
        put(f, "client_gets", NULL);
    else if (e->dropped)
        put(f, "client_gets", "no answer at all");
    else if (e->stage == EXPLAIN_LOGIN && info->message == SSTP_DISCONNECT)
        put(f, "client_gets", "SSTP Call Disconnect");
    else if (e->stage == EXPLAIN_HANDSHAKE)
        put(f, "client_gets", "the TLS alert unrecognized_name");
    else if (info->http == 404 && site != NULL)
        put_words(f, "client_gets", "the web site (backend %s)", site->name);
    else if (info->http != 0)
        put_words(f, "client_gets", "HTTP %u", info->http);
    else
        put(f, "client_gets", "a reset of the connection");
}

static void put_rule_text(struct form *f, const char *key, const struct explanation *e,
                          const struct rules *r, size_t i)
{
    put_words(f, key, "%s:%u: %s = %s", e->listener->file, rules_line(r, i), rules_key(r, i),
              rules_text(r, i));
}

/* Returns whether the rules have refused the call. */
static bool is_rules_reason(enum reason r)
{
    return r == REASON_ADDRESS_DENIED || r == REASON_RULE_DENIED || r == REASON_RULE_REJECTED ||
           r == REASON_USER_DENIED;
}

/* Writes the line that decides. */
static void put_decider(struct form *f, const struct explanation *e)
{
    const struct config *c = e->snapshot->config;
    const struct rules_answer *a = &e->answer;

    if (e->reason == REASON_HOST_REFUSED)
        put_words(f, "decided_by", "%s:%u: host", e->listener->file,
                  config_line(c, e->listener, "host"));
    else if (e->reason == REASON_TLS_REFUSED)
        put_words(f, "decided_by", "%s:%u: strict-sni", e->listener->file,
                  config_line(c, e->listener, "strict-sni"));
    else if (e->reason == REASON_LIMIT && e->limits.verdict == LIMITS_BANNED)
        put(f, "decided_by", "a ban of the address (sstpgate ctl bans)");
    else if (e->reason == REASON_LIMIT)
        put(f, "decided_by", limits_key(e->limits.verdict));
    else if (e->reason == REASON_USER_BANNED)
        put(f, "decided_by", "a ban of the user (sstpgate ctl bans)");
    else if (e->reason == REASON_USER_EXPIRED)
        put_words(f, "decided_by", "%s:%u: the end of the user's line", e->backend->users_file,
                  e->user_line);
    else if (e->reason == REASON_USER_LIMIT)
        put(f, "decided_by", limits_key(LIMITS_PER_USER));
    else if ((e->reason != REASON_NONE && !is_rules_reason(e->reason)) ||
             a->verdict == RULES_UNDECIDED)
        put(f, "decided_by", NULL);
    else if (a->rule == 0)
        put_words(f, "decided_by", "%s:%u: default = %s", e->listener->file,
                  config_line(c, e->listener, "default"),
                  e->listener->rules.default_allow ? "allow" : "deny");
    else
        put_rule_text(f, "decided_by", e, &e->listener->rules, a->rule - 1);
}

static void put_verdict(struct form *f, const struct explanation *e)
{
    static const char *const verdicts[] = {[EXPLAIN_ADMITTED] = "admitted",
                                           [EXPLAIN_REFUSED] = "refused",
                                           [EXPLAIN_DEPENDS] = "depends"};
    const bool refused = e->reason != REASON_NONE;

    put(f, "verdict", verdicts[e->verdict]);
    put_facts(f, "depends_on", e->verdict == EXPLAIN_DEPENDS ? e->missing : 0);
    put(f, "stage", refused ? stages[e->stage] : NULL);
    put(f, "reason", refused ? reason_info(e->reason)->name : NULL);
    put_decider(f, e);
    put_client_gets(f, e);
}

/* ---- the listener ---- */

static void put_listener(struct form *f, const struct explanation *e)
{
    char when[sizeof "2026-01-01T00:00:00Z"] = "";
    const time_t now = (time_t)e->now;
    struct tm tm;

    if (gmtime_r(&now, &tm) != NULL)
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    put(f, "time", when);
    put(f, "configuration", e->snapshot->config->path);
    put(f, "listener", e->listener->name);
    put(f, "mode", e->listener->dry_run ? "dry-run" : "enforce");
    put(f, "rules_at", stages[e->judged]);
}

static void put_step(struct form *f, const struct explanation *e, const struct rules *r,
                     const struct explain_step *s)
{
    static const char *const results[] = {"matches", "perhaps", "no"};
    const size_t result = s->holds == RULES_HOLDS ? 0 : s->holds == RULES_HOLDS_PERHAPS ? 1 : 2;

    if (!f->is_json) {
        fprintf(f->out, "rule %zu: %s:%u: %s = %s: %s\n", s->rule + 1, e->listener->file,
                rules_line(r, s->rule), rules_key(r, s->rule), rules_text(r, s->rule), s->words);
        return;
    }
    json_object_begin(&f->json);
    json_key(&f->json, "rule");
    json_u64(&f->json, s->rule + 1);
    put(f, "file", e->listener->file);
    json_key(&f->json, "line");
    json_u64(&f->json, rules_line(r, s->rule));
    put(f, "key", rules_key(r, s->rule));
    put(f, "text", rules_text(r, s->rule));
    put(f, "result", results[result]);
    put(f, "words", s->words);
    json_object_end(&f->json);
}

static void put_rules(struct form *f, const struct explanation *e)
{
    list_begin(f, "rules");
    for (size_t i = 0; i < e->steps.count; i++)
        put_step(f, e, &e->listener->rules, &e->steps.item[i]);
    list_end(f);
}

/* ---- the limits of a running gate ---- */

static void put_limits(struct form *f, const struct explanation *e)
{
    const struct limits_state *l = &e->limits;
    const bool has_user = e->query->user != NULL && *e->query->user != '\0';

    if (e->live == NULL)
        return;
    put_count(f, "calls", "calls_max", e->live->calls, e->live->calls_max);
    put_count(f, "tunnels_of_address", "max_tunnels_per_address", l->tunnels, l->tunnels_max);
    if (has_user)
        put_count(f, "tunnels_of_user", "max_tunnels_per_user", l->user_tunnels,
                  l->user_tunnels_max);
    if (l->ban_points != 0)
        put_count(f, "points", "ban_points", l->points, l->ban_points);
    if (l->ban_left_ms != 0)
        put_count(f, "ban_seconds", "ban_time", (unsigned)((l->ban_left_ms + 999) / 1000),
                  e->snapshot->config->gate.limits.ban_time / 1000);
}

/* ---- the backend ---- */

static void put_servers(struct form *f, const struct explanation *e)
{
    char name[BACKENDS_NAME_MAX];

    list_begin(f, "servers");
    for (size_t i = 0; i < e->server_count; i++)
        list_item(f, "server", "%s", backends_name(e->servers, e->server[i], name));
    list_end(f);
}

/* Returns where the gate would find the key for the crypto-binding of the login. */
static const char *key_source(const struct explanation *e)
{
    return e->user_line != 0 && !e->user_expired ? "users-file"
           : e->backend->radius_name != NULL     ? "radius"
                                                 : "none";
}

static void put_user(struct form *f, const struct explanation *e)
{
    const bool asked = e->query->user != NULL && *e->query->user != '\0';
    const char *path = e->backend->users_file;
    char until[UNTIL_TEXT_MAX];

    put(f, "users_file", path);
    if (!asked)
        return;
    if (e->user_line != 0)
        put_words(f, "user_found", "%s:%u", path, e->user_line);
    else
        put(f, "user_found", path == NULL ? NULL : "no");
    put(f, "user_until",
        e->user_line == 0 || e->user_until == UNTIL_NEVER ? NULL
                                                          : until_print(e->user_until, until));
    put(f, "keys", key_source(e));
}

static void put_backend(struct form *f, const struct explanation *e)
{
    static const char *const bindings[] = {[CONFIG_BINDING_REWRITE] = "rewrite",
                                           [CONFIG_BINDING_AUTO] = "auto",
                                           [CONFIG_BINDING_PASSTHROUGH] = "passthrough",
                                           [CONFIG_BINDING_OFF] = "off"};

    put_facts(f, "backend_depends_on", e->route_missing);
    put(f, "backend", e->backend == NULL ? NULL : e->backend->name);
    if (e->backend == NULL)
        return;
    if (e->route.rule != 0)
        put_words(f, "backend_chosen_by", "%s:%u: use-backend = %s %s", e->listener->file,
                  rules_line(&e->listener->routes, e->route.rule - 1), e->backend->name,
                  rules_text(&e->listener->routes, e->route.rule - 1));
    put_servers(f, e);
    put(f, "crypto_binding", bindings[e->backend->binding]);
    put_user(f, e);
}

/* ---- notes ---- */

static void note(struct form *f, const char *text)
{
    list_item(f, "note", "%s", text);
}

static void note_rules(struct form *f, const struct explanation *e)
{
    const struct config_listener *c = e->listener;

    if (e->overruled)
        note(f, "the rules deny this client, but the listener is in a dry run and admits it");
    if (e->dry.rule != 0)
        list_item(f, "note", "the dry-run rule %zu (%s:%u) would deny this client", e->dry.rule,
                  e->listener->file, rules_line(&c->rules, e->dry.rule - 1));
    if (e->decoy)
        note(f, "the rules deny this address at accept; the denial takes effect at the request");
    if (is_rules_reason(e->reason) && e->listener->acme.family != 0)
        note(f, "validations of ACME (acme) are exempt from the rules");
    if (rules_needs_user(&c->rules) && e->backend != NULL && !e->backend->outer_name_verified)
        note(f, "the outer name of EAP-TLS, PEAP and EAP-TTLS is a claim: the rules treat such a "
                "login as --user \"\"");
    if (c->accept_proxy && cidrs_have(&c->trusted_proxies, &e->query->address))
        note(f, "a connection from this address is a trusted proxy's: the rules apply to the "
                "address in its PROXY header");
    if (e->strict_sni_open)
        note(f,
             "strict-sni was not checked: only a running gate has the names of the certificates");
}

/* Explains why `auto` has no key, and the step after which `rewrite` works. */
static void note_auto(struct form *f, const struct explanation *e)
{
    const bool asked = e->query->user != NULL;

    if (e->backend == NULL || e->backend->binding != CONFIG_BINDING_AUTO)
        return;
    if (e->backend->users_file == NULL && e->backend->radius_name == NULL)
        note(f,
             "crypto-binding = auto without users-file or radius admits users unverified; if the "
             "VPN server asks a RADIUS server, [radius NAME] and radius = NAME make "
             "crypto-binding = rewrite possible; otherwise users-file");
    else if (asked && strcmp(key_source(e), "none") == 0)
        note(f,
             "no key of this user is known, so crypto-binding = auto admits the user unverified; "
             "sstpgate user -f FILE NAME adds a line for MS-CHAPv2 and EAP-MSCHAPv2; when every "
             "user has one, set crypto-binding = rewrite");
}

static void note_backend(struct form *f, const struct explanation *e)
{
    const bool needs = e->backend != NULL && e->backend->binding == CONFIG_BINDING_REWRITE;

    if (needs && e->query->user != NULL && strcmp(key_source(e), "none") == 0)
        note(f, "no key of this user is known: a login by MS-CHAP or EAP-MSCHAPv2 ends with "
                "binding-mac");
    note_auto(f, e);
    if (e->backend != NULL && e->server_count == 0)
        note(f, "no server can take a call now");
}

static void note_gate(struct form *f, const struct explanation *e)
{
    const struct explain_state *l = e->live;

    if (l == NULL) {
        note(f, "limits, bans and the health of servers are known to a running gate only: "
                "sstpgate ctl explain");
        return;
    }
    if (!l->serving)
        note(f, "the gate is ending and accepts no new calls");
    if (l->calls >= l->calls_max)
        note(f, "max-tunnels is reached: new calls wait until others end");
    if (l->outdated)
        note(f, "the configuration file has changed since it was loaded");
    if (e->query->at != NULL)
        note(f, "limits and servers are those of now");
}

static void put_notes(struct form *f, const struct explanation *e)
{
    list_begin(f, "notes");
    note_rules(f, e);
    note_backend(f, e);
    note_gate(f, e);
    list_end(f);
}

void explain_print(const struct explanation *e, FILE *out)
{
    struct form f = {.out = out, .json = json_to(out), .is_json = e->query->json};

    if (f.is_json)
        json_object_begin(&f.json);
    put_verdict(&f, e);
    put_listener(&f, e);
    put_limits(&f, e);
    put_backend(&f, e);
    put_rules(&f, e);
    put_notes(&f, e);
    if (f.is_json) {
        json_object_end(&f.json);
        fputc('\n', out);
    }
}
