#include "shared/shared_beat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "shared/shared_asks.h"
#include "shared/shared_bans.h"

void shared_beat(struct shared *s)
{
    char info[SHARED_INFO_MAX] = "";

    if (s->beating || !shared_link_ready(&s->link))
        return;
    s->ops->describe(s->arg, info);
    struct shared_op *op = shared_op_new(SHARED_BEAT);
    shared_op_add(op, info);
    if (s->again)
        s->known = -1;
    s->again = false;
    op->epoch = insist_alloc(strdup(s->epoch));
    op->known = s->known;
    s->beat_us = uv_hrtime() / 1000;
    s->beating = shared_give(s, op);
}

void shared_beat_clear(struct shared *s)
{
    for (size_t i = 0; i < s->gate_count; i++) {
        free(s->gate[i].gate);
        free(s->gate[i].info);
    }
    s->gate_count = 0;
}

static void take_gates(struct shared *s, const struct shared_reply *list)
{
    shared_beat_clear(s);
    for (size_t i = 0; i + 1 < shared_reply_count(list) && s->gate_count < SHARED_GATES_MAX;
         i += 2) {
        const struct span gate = shared_reply_text(shared_reply_item(list, i));
        const struct span info = shared_reply_text(shared_reply_item(list, i + 1));
        if (gate.n == 0 || gate.n > SHARED_INFO_MAX || info.n > SHARED_INFO_MAX)
            continue;
        s->gate[s->gate_count].gate = insist_alloc(strdup((const char *)gate.p));
        s->gate[s->gate_count].info = insist_alloc(strdup((const char *)info.p));
        s->ops->on_gate(s->arg, s->gate[s->gate_count].gate, s->gate[s->gate_count].info);
        s->gate_count++;
    }
}

static void take_epoch(struct shared *s, struct span epoch)
{
    if (span_eq(epoch, span_str(s->epoch)) || epoch.n >= sizeof s->epoch)
        return;
    memcpy(s->epoch, epoch.p, epoch.n);
    s->epoch[epoch.n] = '\0';
    s->known = s->ordered = -1;
    s->offer = true;
    shared_changes_lost(&s->bans);
}

static void store_failed(struct shared *s, struct span error)
{
    char why[SHARED_WHY_MAX];

    snprintf(why, sizeof why, "the store cannot be used: %.*s",
             (int)(error.n > 160 ? 160 : error.n), (const char *)error.p);
    shared_link_drop(&s->link, why);
}

/* Sends the store all counts, and the bans that it may not have. If the link refuses a command, the
 * offer is rebuilt after the next beat. */
static void offer_all(struct shared *s)
{
    struct offering o = {.s = s};

    s->offer = false;
    shared_asks_offer(s, &o);
    if (!o.lost)
        shared_bans_offer(s, &o);
    if (o.lost)
        s->offer = true;
}

/* Handles the answer to a BEAT. Only a valid answer shows that the store can be used: a replica,
 * for instance, permits the login, and does not report itself if ROLE is forbidden. */
void shared_beat_answered(struct shared *s, const struct shared_reply *a)
{
    const int64_t fresh = shared_reply_number(shared_reply_item(a, 0), -1);
    const struct span epoch = shared_reply_text(shared_reply_item(a, 1));
    const int64_t now = shared_reply_number(shared_reply_item(a, 4), -1);

    s->beating = false;
    if (a == NULL)
        return;
    if (fresh < 0 || epoch.n == 0 || now < 0) {
        const struct span error = shared_reply_error(a);
        store_failed(s, error.n > 0 ? error : span_str("an answer of an unexpected form"));
        return;
    }
    if (!s->state.up)
        shared_report(s, NULL);
    shared_link_works(&s->link);
    shared_clock_take(&s->clock, s->beat_us, uv_hrtime() / 1000, (uint64_t)now);
    s->offer |= fresh == 1;
    take_epoch(s, epoch);
    take_gates(s, shared_reply_item(a, 2));
    if (shared_bans_take(s, shared_reply_item(a, 3)))
        shared_beat(s);
    else if (s->offer)
        offer_all(s);
}
