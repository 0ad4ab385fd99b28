#include "gate/shared_service.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fold.h"
#include "base/insist.h"
#include "base/version.h"
#include "binding/vault.h"
#include "config/config.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"
#include "shared/shared_thread.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"
#include "tls/tls_loaded.h"
#include "users/secret.h"

enum {
    BAN_LINES_PER_SECOND = 100,        /* of other gates, which log their own bans */
    STORE_LINES_PER_SECOND = 3,        /* about failures of the store */
    SUBJECT_SIZE = LIMITS_USER_MAX + 3 /* of a ban */
};

/* ---- settings ---- */

static bool wants_tls(const struct config_gate *g)
{
    for (size_t i = 0; i < g->shared.count; i++)
        if (g->shared.item[i].tls)
            return true;
    return false;
}

/* Requires TLS 1.2, because no store with TLS is older. */
static bool tls_prepare(struct shared_service *s, const struct config *c, FILE *problems)
{
    const struct tls_settings settings = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1};
    const struct config_gate *g = &c->gate;
    char error[TLS_ERROR_MAX] = "";

    if (!wants_tls(g))
        return true;
    if (g->shared_pin.count == 0)
        s->ca = tls_ca_load(g->shared_ca_file, error);
    if (g->shared_pin.count > 0 || s->ca != NULL)
        s->tls = tls_ctx_new_client(&settings, s->ca, error);
    if (s->tls == NULL)
        fprintf(problems, "%s:%u: shared-ca-file: %s\n", g->file,
                config_line(c, g, "shared-ca-file"), error);
    return s->tls != NULL;
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : insist_alloc(strdup(text));
}

static void places_prepare(struct shared_service *s, const struct config_stores *stores)
{
    s->place = insist_alloc(calloc(stores->count, sizeof *s->place));
    for (size_t i = 0; i < stores->count; i++) {
        const struct config_store *from = &stores->item[i];
        s->place[i] = (struct shared_place){.path = copy(from->path),
                                            .host = copy(from->host),
                                            .user = copy(from->user),
                                            .service = copy(from->service),
                                            .port = from->port,
                                            .database = from->database,
                                            .tls = from->tls ? s->tls : NULL};
    }
    s->settings.link.place = s->place;
    s->settings.link.count = stores->count;
}

static void pins_prepare(struct shared_service *s, const struct config_pins *pins)
{
    s->pin = insist_alloc(calloc(pins->count + 1, sizeof *s->pin));
    for (size_t i = 0; i < pins->count; i++)
        memcpy(s->pin[i].sha256, pins->item[i].sha256, sizeof s->pin[i].sha256);
    s->settings.link.pin = s->pin;
    s->settings.link.pin_count = pins->count;
}

/* Returns a copy of a password, for *out, too. */
static uint8_t *password_prepare(const struct secret *secret, struct span *out)
{
    if (secret == NULL)
        return NULL;
    const struct span from = secret_span(secret);
    uint8_t *copied = insist_alloc(malloc(from.n));
    memcpy(copied, from.p, from.n);
    *out = span_of(copied, from.n);
    return copied;
}

static void password_free(uint8_t *password, struct span value)
{
    if (password != NULL)
        OPENSSL_cleanse(password, value.n);
    free(password);
}

/* Sets the name of this process: two processes of a gate, during an upgrade, have two counts. */
static void name_prepare(struct shared_service *s, const char *name)
{
    char host[65] = "gate";
    uint32_t number;

    INSIST(getentropy(&number, sizeof number) == 0);
    if (name == NULL) {
        (void)!gethostname(host, sizeof host - 1);
        name = host;
    }
    snprintf(s->gate, sizeof s->gate, "%s.%08" PRIx32, name, number);
    s->name = copy(name);
    s->settings.gate = s->gate;
}

bool shared_service_prepare(struct shared_service *s, const struct snapshot *snapshot,
                            FILE *problems)
{
    const struct config *c = snapshot->config;
    const struct config_gate *g = &c->gate;

    *s = (struct shared_service){0};
    if (g->shared.count == 0)
        return true;
    if (!tls_prepare(s, c, problems)) {
        shared_service_fini(s);
        return false;
    }
    places_prepare(s, &g->shared);
    pins_prepare(s, &g->shared_pin);
    s->password = password_prepare(snapshot->shared_password, &s->settings.link.password);
    s->sentinel_password =
        password_prepare(snapshot->sentinel_password, &s->settings.link.sentinel_password);
    if (snapshot->shared_secret != NULL && snapshot->shared_secret->n >= VAULT_SECRET_MIN)
        shared_logins_init(&s->logins, secret_span(snapshot->shared_secret));
    name_prepare(s, g->shared_name);
    s->prefix = copy(g->shared_prefix);
    s->settings.prefix = s->prefix;
    s->settings.timeout_ms = g->shared_timeout;
    return true;
}

void shared_service_fini(struct shared_service *s)
{
    if (s->shared != NULL)
        orders_fini(&s->orders);
    if (s->started != 0)
        inquiries_fini(&s->inquiries);
    shared_free(s->shared);
    s->shared = NULL;
    for (size_t i = 0; s->place != NULL && i < s->settings.link.count; i++) {
        free((char *)s->place[i].path);
        free((char *)s->place[i].host);
        free((char *)s->place[i].user);
        free((char *)s->place[i].service);
    }
    password_free(s->password, s->settings.link.password);
    password_free(s->sentinel_password, s->settings.link.sentinel_password);
    shared_logins_fini(&s->logins);
    free(s->place);
    free(s->pin);
    free(s->prefix);
    free(s->name);
    tls_ctx_free(s->tls);
    tls_ca_free(s->ca);
    *s = (struct shared_service){0};
}

/* Returns the clock of limits.h, as bans_now_ms() does. */
static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

/* ---- bans of this gate, for others: any thread ---- */

/* Writes the subject of a user. Bans ignore the case of letters, so the subject does, too, unless
 * it gets too long for a ban. */
static void user_subject(const char *user, char out[SUBJECT_SIZE])
{
    const struct span name = span_str(user);
    uint8_t folded[FOLD_ROOM(LIMITS_USER_MAX)];
    const size_t n = name.n > LIMITS_USER_MAX ? 0 : fold_case(name, folded);

    if (n > 0 && n <= LIMITS_USER_MAX)
        snprintf(out, SUBJECT_SIZE, "u:%.*s", (int)n, (const char *)folded);
    else
        snprintf(out, SUBJECT_SIZE, "u:%s", user);
}

/* Calls use() with a ban in the form of the store. */
static void as_shared(const struct limits_ban *ban,
                      void (*use)(void *to, const struct shared_ban *b), void *to)
{
    char net[ADDR_TEXT_MAX], subject[SUBJECT_SIZE];

    if (ban->user != NULL)
        user_subject(ban->user, subject);
    else
        snprintf(subject, sizeof subject, "n:%s", cidr_format(&ban->net, net));
    const struct shared_ban b = {.subject = subject,
                                 .kind = ban->manual ? SHARED_MANUAL : SHARED_BY_POINTS,
                                 .left_ms = ban->left_ms};
    use(to, &b);
}

static void announce(void *to, const struct shared_ban *b)
{
    shared_ban(to, b);
}

static void on_local_ban(void *arg, const struct limits_ban *ban)
{
    const struct shared_service *s = arg;
    as_shared(ban, announce, s->shared);
}

static void on_local_lift(void *arg, const struct limits_target *target)
{
    const struct shared_service *s = arg;
    char net[ADDR_TEXT_MAX], subject[SUBJECT_SIZE] = "*";

    if (target != NULL && target->user != NULL)
        user_subject(target->user, subject);
    else if (target != NULL)
        snprintf(subject, sizeof subject, "n:%s", cidr_format(target->net, net));
    shared_ban(s->shared, &(struct shared_ban){.subject = subject, .kind = SHARED_LIFT});
}

static void on_local_points(void *arg, const struct cidr *net, unsigned points)
{
    const struct shared_service *s = arg;
    const struct limits_ban_settings c = limits_ban_settings(s->limits);
    char text[ADDR_TEXT_MAX];

    if (c.points > 0)
        shared_points(s->shared, &(struct shared_points){.net = cidr_format(net, text),
                                                         .points = points,
                                                         .ban_points = c.points,
                                                         .slot_ms = c.slot_ms,
                                                         .ban_ms = c.ban_ms});
}

/* ---- callbacks of the store's thread ---- */

static void log_ban(struct shared_service *s, const struct shared_ban *b)
{
    struct log_line l;

    if (!log_begin_limited(&l, b->kind == SHARED_LIFT ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
                           b->kind == SHARED_LIFT ? "unban" : "ban", &s->limit_ban, now_ms(),
                           BAN_LINES_PER_SECOND))
        return;
    if (*b->subject == 'u')
        log_str(&l, "user", b->subject + 2);
    else
        log_str(&l, "network", *b->subject == '*' ? "all" : b->subject + 2);
    if (b->kind != SHARED_LIFT)
        log_num(&l, "seconds", b->left_ms / 1000);
    log_str(&l, "gate", strcmp(b->by, "-") == 0 ? NULL : b->by);
    log_str(&l, "msg",
            b->kind == SHARED_LIFT     ? "a ban was lifted at another gate"
            : b->kind == SHARED_MANUAL ? "banned at another gate"
                                       : "ban-points reached at several gates together");
    log_end(&l);
}

/* ---- orders to end tunnels ---- */

static void log_too_many(struct shared_service *s, const char *error)
{
    struct log_line l;

    if (!log_begin_limited(&l, LOG_LEVEL_WARNING, "shared", &s->limit_orders, now_ms(), 1))
        return;
    log_str(&l, "error", error);
    log_end(&l);
}

/* Hands an order to the main thread, because the thread of the store waits for no worker. */
static void order_give(struct shared_service *s, const char *text, const char *gate, bool is_ban)
{
    if (orders_put(&s->orders, text, gate, is_ban))
        INSIST_UV(uv_async_send(s->done));
    else
        log_too_many(s, "too many orders of other gates to end tunnels: some were not carried out");
}

/* A ban by points ends no tunnel at the gate that makes it, so it ends none here. */
static void order_by_ban(struct shared_service *s, const struct shared_ban *b,
                         const struct limits_target *target)
{
    struct call_filter f = {.user = target->user, .has_address = target->net != NULL};
    char text[ORDERS_TEXT_MAX];

    if (target->net != NULL)
        f.address = *target->net;
    if (b->kind == SHARED_MANUAL && orders_write(&f, text))
        order_give(s, text, b->by, true);
}

bool shared_service_end(struct shared_service *s, const struct call_filter *f)
{
    char subject[2 + ORDERS_TEXT_MAX] = "e:";
    struct shared_state state;

    if (shared_service_view(s) == NULL || !orders_write(f, subject + 2))
        return false;
    shared_look(s->shared, &state, NULL, NULL);
    if (state.up)
        shared_ban(s->shared, &(struct shared_ban){.subject = subject,
                                                   .kind = SHARED_END,
                                                   .left_ms = SHARED_ORDER_MS});
    return state.up;
}

struct order *shared_service_order(struct shared_service *s)
{
    return s->shared == NULL ? NULL : orders_take(&s->orders);
}

/* Applies a change of another gate. An unknown kind is ignored, because the other gate may be
 * newer. */
static void on_ban(void *arg, const struct shared_ban *b)
{
    struct shared_service *s = arg;
    const bool mine = strcmp(b->by, s->gate) == 0;
    struct cidr net = {0};
    struct limits_target target = {0};
    const bool all = strcmp(b->subject, "*") == 0;
    bool changed;

    if (b->kind == SHARED_END) {
        if (!mine && strncmp(b->subject, "e:", 2) == 0)
            order_give(s, b->subject + 2, b->by, false);
        return;
    }
    if (strncmp(b->subject, "u:", 2) == 0)
        target.user = b->subject + 2;
    else if (strncmp(b->subject, "n:", 2) == 0 && cidr_parse(b->subject + 2, &net) == ERR_OK)
        target.net = &net;
    else if (!all || b->kind != SHARED_LIFT)
        return;
    struct limits_ban ban = {
        .user = target.user, .manual = b->kind == SHARED_MANUAL, .left_ms = b->left_ms};
    if (target.net != NULL)
        ban.net = net;
    if (b->kind == SHARED_LIFT)
        changed = limits_take_lift(s->limits, all ? NULL : &target, now_ms()) > 0;
    else
        changed = (ban.manual || target.net != NULL) && limits_take(s->limits, &ban, now_ms());
    if (!changed || mine)
        return;
    log_ban(s, b);
    order_by_ban(s, b, &target);
}

struct each_ban {
    void (*each)(void *to, const struct shared_ban *ban);
    void *to;
};

static void give_ban(void *arg, const struct limits_ban *ban)
{
    const struct each_ban *e = arg;
    as_shared(ban, e->each, e->to);
}

static void on_bans(void *arg, void (*each)(void *to, const struct shared_ban *ban), void *to)
{
    const struct shared_service *s = arg;
    struct each_ban e = {.each = each, .to = to};
    limits_bans(s->limits, now_ms(), give_ban, &e);
}

static void on_describe(void *arg, char out[SHARED_INFO_MAX])
{
    const struct shared_service *s = arg;

    const int n =
        snprintf(out, SHARED_INFO_MAX, "name=%s version=%s started=%" PRIu64 " tunnels=%u state=%s",
                 s->name, version_text, s->started, atomic_load(s->tunnels),
                 atomic_load(&s->draining) ? "draining" : "serving");
    if (s->logins.vault != NULL && n < SHARED_INFO_MAX)
        snprintf(out + n, SHARED_INFO_MAX - (size_t)n, " secret=%s", s->logins.print);
}

/* Logs the state of the store if it differs from the last line, because the link retries forever.
 * Lines about failures are rate-limited, because a store may fail soon after each login, each time
 * with another reason. A suppressed line does not count as the last line: the next failure can be
 * logged, and a store that is up again is not logged if the last line says `up`. */
static void on_store(void *arg, const char *store, const char *why)
{
    struct shared_service *s = arg;
    const bool is_new = why == NULL ? !s->is_up : strcmp(why, s->why) != 0;
    struct log_line l;

    if (!is_new)
        return;
    if (why == NULL)
        log_begin(&l, LOG_LEVEL_INFO, "shared");
    else if (!log_begin_limited(&l, LOG_LEVEL_WARNING, "shared", &s->limit_store, now_ms(),
                                STORE_LINES_PER_SECOND))
        return;
    s->is_up = why == NULL;
    snprintf(s->why, sizeof s->why, "%s", why == NULL ? "" : why);
    log_str(&l, "store", store);
    log_str(&l, "state", why == NULL ? "up" : "down");
    if (why != NULL)
        log_str(&l, "cause", why);
    log_end(&l);
}

static void on_question(void *arg, const struct shared_question *q)
{
    struct shared_service *s = arg;

    if (inquiries_put(&s->inquiries, q))
        INSIST_UV(uv_async_send(s->done));
    else
        log_too_many(s, "too many questions of other gates: some were not answered");
}

static void on_answers(void *arg, struct shared_answers *a)
{
    struct shared_service *s = arg;

    inquiries_put_answers(&s->inquiries, a);
    INSIST_UV(uv_async_send(s->done));
}

struct inquiry_question *shared_service_question(struct shared_service *s)
{
    return s->started == 0 ? NULL : inquiries_take(&s->inquiries);
}

struct shared_answers *shared_service_answers(struct shared_service *s)
{
    return s->started == 0 ? NULL : inquiries_take_answers(&s->inquiries);
}

static bool on_entry(void *arg, const char *name, struct span text)
{
    struct shared_service *s = arg;
    return shared_logins_entry(&s->logins, name, text);
}

static void on_gate(void *arg, const char *gate, const char *info)
{
    struct shared_service *s = arg;
    shared_logins_gate(&s->logins, gate, info);
}

static void on_ended(void *arg)
{
    struct shared_service *s = arg;

    atomic_store(&s->ended, true);
    INSIST_UV(uv_async_send(s->done));
}

static const struct shared_ops service_ops = {.on_ban = on_ban,
                                              .bans = on_bans,
                                              .describe = on_describe,
                                              .on_store = on_store,
                                              .on_question = on_question,
                                              .on_answers = on_answers,
                                              .on_entry = on_entry,
                                              .on_gate = on_gate,
                                              .on_ended = on_ended};

/* ---- thread ---- */

static void service_main(void *arg)
{
    const struct shared_service *s = arg;
    shared_run(s->shared);
}

struct shared *shared_service_start(struct shared_service *s, struct limits *limits,
                                    struct keyring *keyring, const atomic_uint *tunnels,
                                    uv_async_t *done)
{
    if (s->settings.link.count == 0)
        return NULL;
    s->limits = limits;
    s->tunnels = tunnels;
    s->done = done;
    s->started = (uint64_t)time(NULL);
    orders_init(&s->orders);
    inquiries_init(&s->inquiries);
    s->shared = shared_new(&s->settings, &service_ops, s);
    shared_logins_start(&s->logins, keyring, s->shared, s->settings.timeout_ms);
    limits_observe(limits, &(struct limits_observer){.arg = s,
                                                     .on_points = on_local_points,
                                                     .on_ban = on_local_ban,
                                                     .on_lift = on_local_lift});
    INSIST_UV(uv_thread_create(&s->thread, service_main, s));
    return s->shared;
}

struct shared *shared_service_view(const struct shared_service *s)
{
    return s->stopping ? NULL : s->shared;
}

void shared_service_drain(struct shared_service *s, bool draining)
{
    atomic_store(&s->draining, draining);
}

bool shared_service_stop(struct shared_service *s)
{
    if (s->shared == NULL)
        return true;
    if (!s->stopping) {
        s->stopping = true;
        limits_observe(s->limits, NULL); /* the workers have ended */
        shared_stop(s->shared);
    }
    if (!atomic_load(&s->ended))
        return false;
    INSIST_UV(uv_thread_join(&s->thread));
    shared_free(s->shared);
    s->shared = NULL;
    orders_fini(&s->orders);
    return true;
}
