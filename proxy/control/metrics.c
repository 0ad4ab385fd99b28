#include "control/metrics.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

#include "base/insist.h"
#include "base/log.h"
#include "base/version.h"
#include "call/reason.h"
#include "call/tally.h"
#include "control/metrics_text.h"
#include "control/process.h"
#include "gate/gate_state.h"
#include "gate/totals.h"
#include "policy/backends.h"
#include "policy/limits.h"
#include "radius/radius_section.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"

/* One answer. */
struct scrape {
    FILE *out;
    const char *name; /* of the metric that is being written */
    const struct gate *gate;
    const struct tally *sum; /* of all workers */
    struct limits_counts limits;
    struct {
        bool known; /* the configuration has a store */
        struct shared_state state;
    } store;
};

static void put(const struct scrape *s, uint64_t value)
{
    metrics_count(s->out, s->name, NULL, value);
}

static void put_counter(const struct scrape *s, const struct metrics_label *labels,
                        const struct tally_count *c)
{
    metrics_count(s->out, s->name, labels, tally_get(c));
}

/* ---- the program ---- */

static void put_build(const struct scrape *s)
{
    metrics_count(
        s->out, s->name,
        LABELS({"version", version_text}, {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)}), 1);
}

static void put_draining(const struct scrape *s)
{
    put(s, s->gate->phase != SERVING);
}

static void put_reload_time(const struct scrape *s)
{
    const time_t when = s->gate->last_reload.when;
    put(s, (uint64_t)(when != 0 ? when : s->gate->started));
}

static void put_reload_success(const struct scrape *s)
{
    put(s, s->gate->last_reload.when == 0 || s->gate->last_reload.ok);
}

static void put_log_dropped(const struct scrape *s)
{
    put(s, log_dropped());
}

static void put_lag(const struct scrape *s)
{
    char index[24];

    for (size_t i = 0; i < s->gate->workers; i++) {
        snprintf(index, sizeof index, "%zu", i);
        metrics_seconds(s->out, s->name, LABELS({"worker", index}),
                        worker_lag_us(&s->gate->worker[i].worker));
    }
}

static void put_old_tunnels(const struct scrape *s)
{
    put(s, s->gate->old_tunnels);
}

/* ---- calls ---- */

static void put_calls(const struct scrape *s)
{
    put(s, atomic_load(&s->gate->shared.count));
}

/* Pairs of an end that every listener has, so that a rate can be computed from the first one on. */
static const struct {
    enum reason reason;
    enum reason_outcome outcome;
} usual[] = {
    {REASON_CLIENT_DISCONNECT, OUTCOME_ENDED}, {REASON_CLIENT_CLOSED, OUTCOME_ENDED},
    {REASON_LOGIN_REFUSED, OUTCOME_FAILED},    {REASON_TLS_FAILED, OUTCOME_FAILED},
    {REASON_NO_SERVER, OUTCOME_FAILED},        {REASON_BACKEND_UNREACHABLE, OUTCOME_FAILED},
    {REASON_BINDING_LEAF, OUTCOME_FAILED},     {REASON_BINDING_MAC, OUTCOME_FAILED},
    {REASON_ADDRESS_DENIED, OUTCOME_REFUSED},  {REASON_LIMIT, OUTCOME_REFUSED},
    {REASON_RULE_DENIED, OUTCOME_REFUSED},     {REASON_NOT_SSTP, OUTCOME_REFUSED},
};

static bool is_usual(enum reason reason, enum reason_outcome outcome)
{
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (usual[i].reason == reason && usual[i].outcome == outcome)
            return true;
    return false;
}

static bool same_word(enum reason a, enum reason b)
{
    return strcmp(reason_info(a)->name, reason_info(b)->name) == 0;
}

/* Writes the calls that have ended for a reason, with those of other reasons that have the same
 * word in the log. */
static void put_reason(const struct scrape *s, const struct tally_listener *l, enum reason reason,
                       enum reason_outcome outcome)
{
    static const char *const outcomes[] = {NULL, "ended", "failed", "refused"};
    uint64_t n = 0;

    for (enum reason r = 0; r < REASON_COUNT; r++) {
        if (!same_word(r, reason))
            continue;
        if (r < reason)
            return; /* written before */
        n += tally_get(&l->calls.ended[r][outcome]);
    }
    if (n > 0 || is_usual(reason, outcome))
        metrics_count(s->out, s->name,
                      LABELS({"listener", l->name}, {"reason", reason_info(reason)->name},
                             {"outcome", outcomes[outcome]}),
                      n);
}

static void put_ended(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        for (enum reason r = REASON_NONE; r < REASON_COUNT; r++)
            for (enum reason_outcome o = OUTCOME_ENDED; o <= OUTCOME_REFUSED; o++)
                put_reason(s, l, r, o);
}

static void put_handshakes(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        for (enum tally_tls v = TALLY_TLS_1_0; v < TALLY_TLS_VERSIONS; v++)
            if (v >= TALLY_TLS_1_2 || tally_get(&l->calls.handshakes[v]) > 0)
                put_counter(s, LABELS({"listener", l->name}, {"version", tally_tls_name(v)}),
                            &l->calls.handshakes[v]);
}

static void put_flow(const struct scrape *s, const struct tally_listener *l,
                     const struct tally_count c[TALLY_DIRECTIONS])
{
    put_counter(s, LABELS({"listener", l->name}, {"direction", "up"}), &c[TALLY_UP]);
    put_counter(s, LABELS({"listener", l->name}, {"direction", "down"}), &c[TALLY_DOWN]);
}

static void put_bytes(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        put_flow(s, l, l->calls.bytes);
}

static void put_packets(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        put_flow(s, l, l->calls.packets);
}

static void put_login_failures(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        put_counter(s, LABELS({"listener", l->name}), &l->calls.login_failures);
}

static void put_denials(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        for (enum tally_action a = TALLY_RESET; a < TALLY_ACTIONS; a++)
            put_counter(s, LABELS({"listener", l->name}, {"action", tally_action_name(a)}),
                        &l->calls.denials[a]);
}

/* ---- tunnels ---- */

static void put_tunnels(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        for (const struct tally_tunnels *t = l->tunnels; t != NULL; t = t->next)
            put_counter(s, LABELS({"listener", l->name}, {"backend", t->backend}), &t->now);
}

static void put_tunnels_total(const struct scrape *s)
{
    for (const struct tally_listener *l = s->sum->listener; l != NULL; l = l->next)
        for (const struct tally_tunnels *t = l->tunnels; t != NULL; t = t->next)
            put_counter(s, LABELS({"listener", l->name}, {"backend", t->backend}), &t->total);
}

static void put_histogram(const struct scrape *s, const struct tally_histogram *h)
{
    uint64_t bucket[TALLY_BUCKETS + 1];

    for (size_t i = 0; i <= TALLY_BUCKETS; i++)
        bucket[i] = tally_get(&h->bucket[i]);
    metrics_histogram(s->out, s->name, tally_bounds_ms, bucket, TALLY_BUCKETS,
                      tally_get(&h->sum_ms));
}

static void put_records(const struct scrape *s)
{
    for (enum tally_side side = TALLY_CLIENT; side < TALLY_SIDES; side++)
        for (unsigned i = 0; i < TALLY_RECORDS; i++)
            put_counter(s, LABELS({"side", tally_side_name(side)}, {"path", tally_records_name(i)}),
                        &s->sum->gate.records[side][i]);
}

static void put_handshake_time(const struct scrape *s)
{
    put_histogram(s, &s->sum->gate.handshake);
}

static void put_setup_time(const struct scrape *s)
{
    put_histogram(s, &s->sum->gate.setup);
}

static void put_bindings(const struct scrape *s)
{
    static const char *const verdicts[TALLY_BINDINGS] = {NULL, "verified", "passed", "off",
                                                         "failed"};

    for (unsigned v = RECORD_BINDING_VERIFIED; v < TALLY_BINDINGS; v++)
        for (unsigned key = 0; key < TALLY_KEYS; key++)
            for (unsigned hash = 0; hash < TALLY_HASHES; hash++)
                if (tally_get(&s->sum->gate.bindings[v][key][hash]) > 0)
                    put_counter(s,
                                LABELS({"verdict", verdicts[v]}, {"key", tally_key_name(key)},
                                       {"hash", tally_hash_name(hash)}),
                                &s->sum->gate.bindings[v][key][hash]);
}

static void put_leaf_unknown(const struct scrape *s)
{
    put_counter(s, NULL, &s->sum->gate.leaf_unknown);
}

/* ---- limits and bans ---- */

static void put_limits(const struct scrape *s)
{
    for (unsigned i = LIMITS_OK + 1; i < TALLY_LIMITS; i++)
        put_counter(s, LABELS({"limit", tally_limit_name((enum tally_limit)i)}),
                    &s->sum->gate.limits[i]);
}

static void put_bans(const struct scrape *s)
{
    put(s, s->limits.bans);
}

static void put_bans_total(const struct scrape *s)
{
    put(s, s->limits.banned);
}

/* ---- servers ---- */

/* Calls each() with the labels and the state of every server of the configuration. */
static void each_server(const struct scrape *s,
                        void (*each)(const struct scrape *s, const struct metrics_label *labels,
                                     const struct backends_state *state))
{
    const struct snapshot *now = s->gate->snapshot;

    for (size_t i = 0; i < now->config->backend_count; i++) {
        const struct config_backend *b = &now->config->backend[i];
        for (size_t k = 0; k < b->servers.count; k++) {
            struct backends_state state;
            char name[BACKENDS_NAME_MAX];
            backends_state(now->servers[i], k, &state);
            each(s,
                 LABELS({"backend", b->name}, {"server", backends_name(now->servers[i], k, name)}),
                 &state);
        }
    }
}

static void put_up(const struct scrape *s, const struct metrics_label *labels,
                   const struct backends_state *state)
{
    metrics_count(s->out, s->name, labels, state->up);
}

static void put_server_calls(const struct scrape *s, const struct metrics_label *labels,
                             const struct backends_state *state)
{
    metrics_count(s->out, s->name, labels, state->tunnels);
}

static void put_check(const struct scrape *s, const struct metrics_label *labels,
                      const struct backends_state *state)
{
    if (state->check_ms != UINT64_MAX)
        metrics_seconds(s->out, s->name, labels, state->check_ms * 1000);
}

static void put_server_up(const struct scrape *s)
{
    each_server(s, put_up);
}

static void put_server_tunnels(const struct scrape *s)
{
    each_server(s, put_server_calls);
}

static void put_server_check(const struct scrape *s)
{
    each_server(s, put_check);
}

/* ---- certificates ---- */

struct certificates {
    const struct scrape *scrape;
    const char *listener;
};

static void put_certificate(void *arg, const struct tls_expiry *e)
{
    const struct certificates *c = arg;
    metrics_count(c->scrape->out, c->scrape->name,
                  LABELS({"listener", c->listener}, {"certificate", e->file}),
                  e->until < 0 ? 0 : (uint64_t)e->until);
}

static void put_certificates(const struct scrape *s)
{
    const struct site *site = s->gate->site;

    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct certificates c = {s, site->listener[i].config->name};
        tls_ctx_expiry(site->listener[i].tls, 0, put_certificate, &c);
    }
}

/* ---- RADIUS ---- */

struct section {
    const struct scrape *scrape;
    const char *name;
};

static void put_verdict(void *arg, const char *verdict, uint64_t count)
{
    const struct section *section = arg;
    metrics_count(section->scrape->out, section->scrape->name,
                  LABELS({"radius", section->name}, {"verdict", verdict}), count);
}

static void put_section(void *arg, const struct radius_section *from)
{
    struct section section = {arg, radius_section_name(from)};
    radius_section_verdicts(from, put_verdict, &section);
}

static void put_radius(const struct scrape *s)
{
    radius_service_each(&s->gate->radius, put_section, (void *)s);
}

/* ---- the store of several gates ---- */

static void put_shared(const struct scrape *s)
{
    if (s->store.known)
        put(s, s->store.state.up);
}

static void put_shared_gates(const struct scrape *s)
{
    if (s->store.known)
        put(s, s->store.state.gates);
}

static void put_shared_answers(const struct scrape *s)
{
    const struct shared_state *state = &s->store.state;
    const struct {
        const char *word;
        uint64_t n;
    } answers[] = {
        {"granted", state->granted}, {"refused", state->refused}, {"none", state->unavailable}};

    for (size_t i = 0; s->store.known && i < sizeof answers / sizeof *answers; i++)
        metrics_count(s->out, s->name, LABELS({"answer", answers[i].word}), answers[i].n);
}

static void put_shared_logins(const struct scrape *s)
{
    const struct shared_logins *l = &s->gate->store.logins;

    for (enum shared_logins_count i = 0; l->vault != NULL && i < SHARED_LOGINS_COUNTS; i++)
        metrics_count(s->out, s->name, LABELS({"entry", shared_logins_word(i)}),
                      atomic_load(&l->count[i]));
}

static void put_shared_lost(const struct scrape *s)
{
    if (s->store.known)
        put(s, s->store.state.lost);
}

/* ---- the process ---- */

static void put_cpu(const struct scrape *s)
{
    uint64_t us;
    if (process_cpu_us(&us))
        metrics_seconds(s->out, s->name, NULL, us);
}

static void put_resident(const struct scrape *s)
{
    uint64_t resident, size;
    if (process_memory(&resident, &size))
        put(s, resident);
}

static void put_virtual(const struct scrape *s)
{
    uint64_t resident, size;
    if (process_memory(&resident, &size))
        put(s, size);
}

static void put_open_files(const struct scrape *s)
{
    uint64_t n;
    if (process_open_files(&n))
        put(s, n);
}

static void put_max_files(const struct scrape *s)
{
    uint64_t n;
    if (process_max_files(&n))
        put(s, n);
}

static void put_start(const struct scrape *s)
{
    put(s, (uint64_t)s->gate->started);
}

/* ---- the table ---- */

static const struct {
    const char *name, *type, *help;
    void (*print)(const struct scrape *s);
} metrics[] = {
    {"sstpgate_build_info", "gauge", "The version of the program and of OpenSSL; always 1.",
     put_build},
    {"sstpgate_calls_total", "counter", "Calls that have ended, by the reason in their log line.",
     put_ended},
    {"sstpgate_calls", "gauge", "Connections of clients now, whatever their state.", put_calls},
    {"sstpgate_tunnels", "gauge", "Tunnels that are up now.", put_tunnels},
    {"sstpgate_tunnels_total", "counter", "Tunnels that came up.", put_tunnels_total},
    {"sstpgate_handshakes_total", "counter", "TLS handshakes with clients that were completed.",
     put_handshakes},
    {"sstpgate_tls_records_total", "counter",
     "TLS handshakes of calls, by the code that protects the records after the handshake.",
     put_records},
    {"sstpgate_handshake_seconds", "histogram",
     "Time from the accept to the end of the TLS handshake with the client.", put_handshake_time},
    {"sstpgate_tunnel_setup_seconds", "histogram", "Time from the accept until the tunnel is up.",
     put_setup_time},
    {"sstpgate_bytes_total", "counter",
     "Bytes forwarded, to the server (up) or to the client (down).", put_bytes},
    {"sstpgate_packets_total", "counter", "SSTP packets forwarded.", put_packets},
    {"sstpgate_bindings_total", "counter",
     "Verdicts on the crypto-binding, by the kind of the key that made the MAC and the client's "
     "hash "
     "protocol.",
     put_bindings},
    {"sstpgate_login_failures_total", "counter", "Logins that a server has refused.",
     put_login_failures},
    {"sstpgate_denials_total", "counter", "Denials by rules, by what became of the client.",
     put_denials},
    {"sstpgate_limit_hits_total", "counter", "Limits that were hit, by their key.", put_limits},
    {"sstpgate_bans", "gauge", "Bans in force now.", put_bans},
    {"sstpgate_bans_total", "counter", "Bans that began.", put_bans_total},
    {"sstpgate_server_up", "gauge", "Whether the server is up: 1, or 0.", put_server_up},
    {"sstpgate_server_tunnels", "gauge", "Calls that the server has now.", put_server_tunnels},
    {"sstpgate_server_check_seconds", "gauge",
     "Time that the latest health check took that has passed.", put_server_check},
    {"sstpgate_certificate_not_after_seconds", "gauge",
     "End of the validity of a certificate, in seconds since 1970.", put_certificates},
    {"sstpgate_binding_leaf_unknown_total", "counter",
     "Clients that saw a certificate which is not known here: a man in the middle.",
     put_leaf_unknown},
    {"sstpgate_last_reload_timestamp_seconds", "gauge",
     "Time of the last reload, or of the start, in seconds since 1970.", put_reload_time},
    {"sstpgate_last_reload_success", "gauge", "Whether the last reload was successful: 1, or 0.",
     put_reload_success},
    {"sstpgate_log_lines_dropped_total", "counter", "Log lines that could not be written.",
     put_log_dropped},
    {"sstpgate_radius_requests_total", "counter",
     "Requests of VPN servers, by what became of them.", put_radius},
    {"sstpgate_shared_up", "gauge", "Whether the store of several gates is in use: 1, or 0.",
     put_shared},
    {"sstpgate_shared_gates", "gauge", "Gates that share the store, with this one.",
     put_shared_gates},
    {"sstpgate_shared_questions_total", "counter",
     "Questions about a limit over all gates, by the store's answer.", put_shared_answers},
    {"sstpgate_shared_lost_total", "counter",
     "Connections to the store that were lost, or could not be made.", put_shared_lost},
    {"sstpgate_shared_logins_total", "counter",
     "Entries about logins at RADIUS that gates exchange through the store, by what became of "
     "them.",
     put_shared_logins},
    {"sstpgate_loop_lag_seconds", "gauge",
     "Largest delay of a worker's loop in the last 15 to 30 seconds.", put_lag},
    {"sstpgate_draining", "gauge", "Whether the gate accepts no new calls: 1, or 0.", put_draining},
    {"sstpgate_old_process_tunnels", "gauge",
     "Calls that are left in the processes before an upgrade.", put_old_tunnels},
    {"process_cpu_seconds_total", "counter", "Processor time, user and system.", put_cpu},
    {"process_resident_memory_bytes", "gauge", "Resident memory.", put_resident},
    {"process_virtual_memory_bytes", "gauge", "Virtual memory.", put_virtual},
    {"process_open_fds", "gauge", "Open file descriptors.", put_open_files},
    {"process_max_fds", "gauge", "Limit of open file descriptors.", put_max_files},
    {"process_start_time_seconds", "gauge", "Start of the process, in seconds since 1970.",
     put_start},
};

void metrics_print(struct gate *gate, FILE *out)
{
    struct tally sum;
    struct scrape s = {.out = out, .gate = gate, .sum = &sum};

    totals_sum(gate, &sum);
    limits_count(gate->shared.limits, &s.limits);
    struct shared *const store = shared_service_view(&gate->store);
    s.store.known = store != NULL;
    if (s.store.known)
        shared_look(store, &s.store.state, NULL, NULL);
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        s.name = metrics[i].name;
        metrics_head(out, s.name, metrics[i].type, metrics[i].help);
        metrics[i].print(&s);
    }
    tally_fini(&sum);
}
