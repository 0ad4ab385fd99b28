#include "gate/state_transfer.h"

#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/memo.h"
#include "base/text.h"
#include "gate/bans.h"
#include "gate/gate_state.h"
#include "gate/state_text.h"
#include "gate/inherited.h"
#include "policy/backends.h"
#include "policy/ban_file.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"
#include "site/snapshot.h"

/* ---- writing ---- */

static void write_bans(struct gate *gate, FILE *out)
{
    struct memo bans;
    struct span line;

    ban_file_print(gate->shared.limits, memo_open(&bans), bans_now_ms(), (int64_t)time(NULL));
    struct span text = span_str(memo_text(&bans));
    while (text_take_line(&text, &line)) {
        if (line.n > 0 && line.p[0] != '#')
            state_text_print(out, &(struct state_item){.kind = STATE_BAN, .ban = line});
    }
    memo_free(&bans);
}

static void write_points(void *out, const struct limits_points *p)
{
    const struct state_item item = {
        .kind = STATE_POINTS,
        .points = {.net = p->net, .slot_ms = p->slot_ms, .points = p->points}};
    state_text_print(out, &item);
}

static void write_server(const struct snapshot *s, size_t backend, size_t server, FILE *out)
{
    const struct config_backend *c = &s->config->backend[backend];
    struct backends_state state;

    backends_state(s->servers[backend], server, &state);
    const struct state_item item = {.kind = STATE_SERVER,
                                    .server = {.backend = span_str(c->name),
                                               .host = span_str(c->servers.item[server].host),
                                               .port = c->servers.item[server].port,
                                               .up = state.up,
                                               .draining = state.draining,
                                               .changed_ms = state.changed_ms,
                                               .cause = span_str(state.cause)}};
    state_text_print(out, &item);
}

void state_transfer_write(struct gate *gate, FILE *out)
{
    const struct config *c = gate->snapshot->config;

    write_bans(gate, out);
    limits_points_each(gate->shared.limits, bans_now_ms(), write_points, out);
    for (size_t i = 0; i < c->backend_count; i++)
        for (size_t k = 0; k < c->backend[i].servers.count; k++)
            write_server(gate->snapshot, i, k, out);
}

/* ---- restoring ---- */

static bool same(const char *a, struct span b)
{
    return span_eq(span_str(a), b);
}

static void restore_server(const struct snapshot *s, const struct state_item *item,
                           enum state_part part)
{
    struct backends_state state = {.up = item->server.up,
                                   .draining = item->server.draining,
                                   .changed_ms = item->server.changed_ms};
    const struct span cause = span_sub(item->server.cause, 0, sizeof state.cause - 1);

    if (cause.n > 0)
        memcpy(state.cause, cause.p, cause.n);
    for (size_t i = 0; i < s->config->backend_count; i++) {
        const struct config_backend *b = &s->config->backend[i];
        for (size_t k = 0; k < b->servers.count && same(b->name, item->server.backend); k++)
            if (!same(b->servers.item[k].host, item->server.host) ||
                b->servers.item[k].port != item->server.port)
                continue;
            else if (part == STATE_ALL)
                backends_restore(s->servers[i], k, &state);
            else /* the health checks of this process have newer results */
                (void)backends_drain(s->servers[i], k, state.draining, bans_now_ms());
    }
}

static void restore_points(struct gate *gate, const struct state_item *item)
{
    const struct limits_points p = {
        .net = item->points.net, .slot_ms = item->points.slot_ms, .points = item->points.points};
    limits_points_restore(gate->shared.limits, &p, bans_now_ms());
}

static void restore_bans(struct gate *gate, struct memo *bans)
{
    struct memo problems;

    const struct span lines = span_str(memo_text(bans));
    ban_file_read(gate->shared.limits, lines, "the old process", bans_now_ms(), (int64_t)time(NULL),
                  memo_open(&problems));
    log_lines(LOG_LEVEL_WARNING, "upgrade", memo_text(&problems));
    memo_free(&problems);
}

void state_transfer_restore(struct gate *gate, const struct snapshot *snapshot, struct span text,
                            enum state_part part)
{
    struct state_item item;
    struct memo bans;
    unsigned skipped = 0;
    FILE *lines = memo_open(&bans);

    if (state_text_check(&text)) {
        if (part == STATE_LATEST)
            (void)limits_lift(gate->shared.limits, NULL, bans_now_ms());
        while (state_text_next(&text, &item, &skipped)) {
            if (item.kind == STATE_BAN)
                fprintf(lines, "%.*s\n", (int)item.ban.n, (const char *)item.ban.p);
            else if (item.kind == STATE_POINTS)
                restore_points(gate, &item);
            else if (item.kind == STATE_SERVER)
                restore_server(snapshot, &item, part);
        }
    }
    restore_bans(gate, &bans);
    memo_free(&bans);
    if (skipped > 0)
        log_msg(LOG_LEVEL_WARNING, "upgrade",
                "%u unknown lines of the state of the old process were skipped", skipped);
}

uint64_t state_transfer_sockets(struct span text)
{
    struct state_item item;
    uint64_t numbers = 0;
    unsigned skipped = 0;

    if (!state_text_check(&text))
        return 0;
    while (state_text_next(&text, &item, &skipped)) {
        if (item.kind == STATE_SOCKET)
            inherited_describe(&item.socket.want, item.socket.names, item.socket.shared);
        else if (item.kind == STATE_NUMBERS)
            numbers = item.numbers;
    }
    return numbers;
}
