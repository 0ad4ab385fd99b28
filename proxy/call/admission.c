#include "call/admission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fold.h"
#include "base/insist.h"
#include "call/call.h"
#include "call/judgement.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"
#include "shared/shared.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "users/users.h"

enum { DENY_LINES_PER_SECOND = 20 }; /* for each worker */

/* ---- the rules ---- */

static struct span text_or_none(const char *text)
{
    return span_str(text == NULL ? "" : text);
}

static struct rules_facts address_facts(const struct call *call, time_t now)
{
    return (struct rules_facts){.client = &call->record.client, .now = now};
}

static struct rules_facts request_facts(const struct call *call, time_t now)
{
    struct rules_facts facts = address_facts(call, now);

    facts.request = RULES_REQUEST;
    facts.host = text_or_none(call->record.host);
    facts.sni = text_or_none(call->record.sni);
    facts.tenant = text_or_none(call->record.tenant);
    return facts;
}

static void set_user(struct rules_facts *facts, struct span user)
{
    facts->user_known = user.n > 0 ? RULES_USER_KNOWN : RULES_USER_DOUBTFUL;
    facts->user = user;
}

/* Counts a denial by the rules of a listener of this configuration, and logs it. */
static void log_denied(struct call *call, const struct config *config,
                       const struct config_listener *listener, const struct rules_answer *v,
                       enum tally_action action)
{
    struct log_line l;

    tally_add(&call->tally->calls.denials[action], 1);
    if (!record_line_limited(&call->record, &l, LOG_LEVEL_INFO, "deny", &call->set->limit_deny,
                             call_now(call), DENY_LINES_PER_SECOND))
        return;
    if (call->record.user != NULL)
        log_str(&l, "user", call->record.user);
    if (call->record.user_is_claim)
        log_str(&l, "outer-name", "claim");
    if (v->rule == 0)
        log_str(&l, "rule", "default");
    else
        log_num(&l, "rule", v->rule);
    if (v->file != NULL)
        log_str(&l, "file", v->file);
    if (v->line != 0)
        log_num(&l, "line", v->line);
    if (listener->file != NULL && strcmp(listener->file, config->path) != 0)
        log_str(&l, "config", listener->file);
    log_str(&l, "action", tally_action_name(action));
    log_end(&l);
}

/* Logs the dry-run rule that would have denied the call, once. */
static void log_dry_run(struct call *call, const struct rules_dry *dry)
{
    const struct rules_answer v = {.rule = dry->rule, .line = dry->line, .file = dry->file};

    if (dry->rule == 0 || dry->rule == call->admission.dry_rule)
        return;
    call->admission.dry_rule = dry->rule;
    log_denied(call, call->site->config, call->listener->config, &v, TALLY_DRY_RUN);
}

/* Notes the rule that denies the call, for the views of an administrator. */
static void note_rule(struct call *call, const struct rules_answer *v)
{
    char text[64];

    if (v->rule == 0)
        (void)snprintf(text, sizeof text, "default");
    else
        (void)snprintf(text, sizeof text, "rule %zu, line %u", v->rule, v->line);
    record_keep(&call->record.detail, span_str(text));
}

/* Judges the call by the rules, with the facts that are known so far, and logs a denial. answered:
 * the client has its 200, so a denial disconnects, whatever the rule's own action. */
static enum judgement judge(struct call *call, const struct rules_facts *facts, bool answered)
{
    const struct config_listener *c = call->listener->config;

    if (call->admission.overruled)
        return JUDGEMENT_OVERRULED;
    const struct rules_answer v = rules_decide(&c->rules, facts);
    const enum judgement judgement = judgement_of(c, &v);
    log_dry_run(call, &v.dry);
    if (judgement == JUDGEMENT_PASS)
        return judgement;
    call->admission.overruled = judgement == JUDGEMENT_OVERRULED;
    log_denied(call, call->site->config, c, &v,
               call->admission.overruled ? TALLY_DRY_RUN
               : answered                ? TALLY_DISCONNECT
                                         : (enum tally_action)v.action);
    if (!call->admission.overruled)
        note_rule(call, &v);
    return judgement;
}

static enum admission_verdict verdict_of(enum judgement judgement)
{
    switch (judgement) {
    case JUDGEMENT_PASS:
    case JUDGEMENT_OVERRULED: return ADMISSION_OK;
    case JUDGEMENT_RESET: return ADMISSION_REJECTED;
    case JUDGEMENT_DROP: return ADMISSION_DROPPED;
    case JUDGEMENT_DECOY: return ADMISSION_DECOY;
    }
    insist_failed("a judgement", __FILE__, __LINE__);
}

bool admission_serves(const struct call *call, struct span host)
{
    const struct config_listener *c = call->listener->config;
    return judgement_serves_host(c, host) &&
           judgement_serves_sni(c, tls_conn_sni(call->client.tls));
}

bool admission_would_admit(const struct call *call, struct span host)
{
    const struct config_listener *c = call->listener->config;

    if (!record_has_client(&call->record))
        return true;
    if (call->admission.decoy || !admission_serves(call, host))
        return false;
    const struct rules_facts facts = request_facts(call, call->admission.accepted);
    const struct rules_answer v = rules_decide(&c->rules, &facts);
    return verdict_of(judgement_of(c, &v)) == ADMISSION_OK;
}

enum admission_verdict admission_judge_request(struct call *call)
{
    const struct rules_facts facts = request_facts(call, call->admission.accepted);
    return verdict_of(judge(call, &facts, false));
}

const struct config_backend *admission_backend(const struct call *call)
{
    const struct config_listener *c = call->listener->config;
    const struct rules_facts facts = request_facts(call, call->admission.accepted);
    const struct rules_answer v = rules_decide(&c->routes, &facts);
    return judgement_backend(c, &v);
}

bool admission_user_allowed(void *arg, struct span user)
{
    struct call *call = arg;
    struct rules_facts facts = request_facts(call, call->admission.accepted);

    call->admission.banned =
        user.n > 0 && limits_user_banned(call->set->shared->limits, user, users_counted_name(user),
                                         call_now(call));
    if (call->admission.banned)
        return false;
    set_user(&facts, user);
    return verdict_of(judge(call, &facts, true)) == ADMISSION_OK;
}

enum judgement_recheck admission_recheck(const struct call *call, const struct config *config,
                                         time_t now, struct rules_answer *answer)
{
    struct rules_facts facts = request_facts(call, now);
    const struct span user = text_or_none(call->record.user_is_claim ? NULL : call->record.user);

    if (call->state == CALL_RELAY)
        set_user(&facts, user);
    else /* PPP may still show another user */
        facts.user = user;
    return judgement_recheck(config, call->record.listener, &facts, answer);
}

bool admission_still_allows(struct call *call, const struct site *site, time_t now)
{
    const struct config_listener *l = judgement_rechecking(site->config, call->record.listener);
    struct rules_answer v;

    if (l == NULL || admission_recheck(call, site->config, now, &v) != RECHECK_ENDS)
        return true;
    log_denied(call, site->config, l, &v, TALLY_DISCONNECT);
    return false;
}

/* ---- the limits ---- */

/* Counts a limit that was hit, and logs its key, at most once a second. by: the value of the log
 * field; NULL: this gate has counted. */
static void log_limited(struct call *call, enum limits_verdict hit, const char *by)
{
    struct log_line l;

    tally_add(&call->set->tally.gate.limits[hit], 1);
    if (!record_line_limited(&call->record, &l, LOG_LEVEL_WARNING, "limit", &call->set->limit_hit,
                             call_now(call), 1))
        return;
    log_str(&l, "key", limits_key(hit));
    if (call->record.user != NULL)
        log_str(&l, "user", call->record.user);
    if (by != NULL)
        log_str(&l, "by", by);
    log_end(&l);
}

enum admission_verdict admission_judge_address(struct call *call, time_t now)
{
    call->admission.accepted = now;
    if (!record_has_client(&call->record))
        return ADMISSION_OK;
    const struct rules_facts facts = address_facts(call, now);
    const enum admission_verdict v = verdict_of(judge(call, &facts, false));

    if (v != ADMISSION_OK && v != ADMISSION_DECOY)
        return v;
    call->admission.decoy = v == ADMISSION_DECOY;
    const enum limits_verdict hit =
        limits_enter(call->set->shared->limits, &call->record.client, call_now(call));
    if (hit == LIMITS_OK)
        return ADMISSION_OK;
    log_limited(call, hit, NULL);
    record_keep(&call->record.detail, span_str(limits_key(hit)));
    return ADMISSION_LIMITED;
}

bool admission_denies_address(const struct call *call, time_t now)
{
    const struct config_listener *c = call->listener->config;
    const struct rules_facts facts = address_facts(call, now);

    if (!record_has_client(&call->record))
        return false;
    const struct rules_answer v = rules_decide(&c->rules, &facts);
    const enum admission_verdict verdict = verdict_of(judgement_of(c, &v));
    return verdict == ADMISSION_REJECTED || verdict == ADMISSION_DROPPED;
}

bool admission_user_banned(struct call *call)
{
    const struct span name = text_or_none(call->record.user);

    return name.n > 0 && limits_user_banned(call->set->shared->limits, name,
                                            users_counted_name(name), call_now(call));
}

/* Does not count a call without a user, a name that the login did not prove, or a name that is
 * empty without its domain or realm (`@example.com`, `DOMAIN\`), because such a tunnel would use up
 * the limit of another user. Keeps the counted name, so that admission_leave releases exactly that
 * count. */
bool admission_count_user(struct call *call)
{
    char **name = &call->admission.counted_user;

    INSIST(*name == NULL);
    if (call->record.user != NULL && !call->record.user_is_claim)
        record_keep(name, users_counted_name(span_str(call->record.user)));
    if (*name == NULL)
        return true;
    const enum limits_verdict hit = limits_user_enter(call->set->shared->limits, span_str(*name));
    if (hit == LIMITS_OK)
        return true;
    log_limited(call, hit, NULL);
    record_keep(name, span_of(NULL, 0));
    return false;
}

/* ---- the store of several gates ---- */

/* Releases the count of a hold, or forgets its question. */
static void hold_leave(struct call *call, struct admission_hold *h)
{
    if (h->ask != NULL)
        shared_forget(h->ask);
    else if (h->subject != NULL)
        shared_release(call->set->shared->store, h->subject);
    h->ask = NULL;
    free(h->subject);
    h->subject = NULL;
}

/* Carries out the decision of the store. hit: the limit of a verdict that refuses. */
static void hold_decided(struct call *call, struct admission_hold *h, enum shared_verdict v,
                         enum limits_verdict hit)
{
    const bool silent = v == SHARED_UNAVAILABLE;
    const bool granted =
        v == SHARED_GRANTED || (silent && !call->set->site->config->gate.shared_refuse);

    h->ask = NULL;
    if (v == SHARED_FULL || v == SHARED_FAST) { /* nothing is counted */
        free(h->subject);
        h->subject = NULL;
    }
    if (!granted) {
        log_limited(call, hit, silent ? "shared-fail" : "all-gates");
        record_keep(&call->record.detail, span_str(silent ? "shared-fail" : limits_key(hit)));
    }
    h->decided(call, granted);
}

static void on_address_answer(void *arg, enum shared_verdict v)
{
    struct call *call = arg;
    hold_decided(call, &call->admission.address, v,
                 v == SHARED_FAST ? LIMITS_RATE_PER_ADDRESS : LIMITS_PER_ADDRESS);
}

bool admission_ask_address(struct call *call, void (*decided)(struct call *call, bool granted))
{
    const struct calls_shared *shared = call->set->shared;
    const struct limits_settings *c = &call->site->config->gate.limits;
    struct admission_hold *h = &call->admission.address;
    struct shared_rate rate = {.count = c->rate_per_address.count};
    char net[ADDR_TEXT_MAX], subject[ADDR_TEXT_MAX + 2];

    if (shared->store == NULL || !record_has_client(&call->record) ||
        (c->tunnels_per_address == 0 && rate.count == 0))
        return false;
    const struct cidr cidr = limits_net(shared->limits, &call->record.client);
    rate.net = cidr_format(&cidr, net);
    if (rate.count > 0)
        rate.step_us = rate_step(&c->rate_per_address) / 1000;
    snprintf(subject, sizeof subject, "a:%s", net);
    record_keep(&h->subject, span_str(subject));
    h->decided = decided;
    h->ask = shared_hold(shared->store, call->set->worker, subject, c->tunnels_per_address, &rate,
                         on_address_answer, call);
    return true;
}

/* Releases the count of this gate at once if the store refuses, because the call takes a while to
 * end, and its count could refuse another call meanwhile. */
static void on_user_answer(void *arg, enum shared_verdict v)
{
    struct call *call = arg;
    char **name = &call->admission.counted_user;

    if (v == SHARED_FULL) {
        limits_user_leave(call->set->shared->limits, span_str(*name));
        record_keep(name, span_of(NULL, 0));
    }
    hold_decided(call, &call->admission.user, v, LIMITS_PER_USER);
}

bool admission_ask_user(struct call *call, void (*decided)(struct call *call, bool granted))
{
    const struct calls_shared *shared = call->set->shared;
    const unsigned max = call->site->config->gate.limits.tunnels_per_user;
    const struct span name = text_or_none(call->admission.counted_user);
    struct admission_hold *h = &call->admission.user;

    if (shared->store == NULL || max == 0 || name.n == 0)
        return false;
    h->subject = insist_alloc(calloc(1, 2 + FOLD_ROOM(name.n) + 1));
    memcpy(h->subject, "u:", 2);
    (void)fold_case(name, (uint8_t *)h->subject + 2);
    h->decided = decided;
    h->ask =
        shared_hold(shared->store, call->set->worker, h->subject, max, NULL, on_user_answer, call);
    return true;
}

/* ---- points ---- */

/* Gives the client points (reason.h), and logs the ban if they cause one. */
static void give_points(struct call *call, unsigned points)
{
    struct log_line l;

    if (points == 0 || !record_has_client(&call->record) ||
        !limits_points(call->set->shared->limits, &call->record.client, points, call_now(call)))
        return;
    record_line(&call->record, &l, LOG_LEVEL_WARNING, "ban");
    log_str(&l, "user", call->record.user);
    log_num(&l, "seconds", call->set->site->config->gate.limits.ban_time / 1000);
    log_str(&l, "msg", "ban-points reached: this address is banned for ban-time");
    log_end(&l);
}

void admission_count_failures(struct call *call)
{
    struct admission *a = &call->admission;

    const unsigned more = call->record.failures - a->failures;

    if (more == 0)
        return;
    a->failures = call->record.failures;
    tally_add(&call->tally->calls.login_failures, more);
    give_points(call, POINTS_LOGIN * more);
}

void admission_leave(struct call *call)
{
    struct limits *limits = call->set->shared->limits;
    char *user = call->admission.counted_user;

    hold_leave(call, &call->admission.address);
    hold_leave(call, &call->admission.user);
    give_points(call, call->record.forged ? POINTS_REQUEST : reason_info(call->reason)->points);
    if (user != NULL)
        limits_user_leave(limits, span_str(user));
    free(user);
    if (call->ended_in > CALL_PROXY && record_has_client(&call->record) && !call->acme.denied)
        limits_leave(limits, &call->record.client);
}
