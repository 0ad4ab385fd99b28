#include "shared/shared_bans.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "shared/shared_inquiries.h"

enum {
    LEFT_MAX_MS = 30 * 24 * 3600 * 1000u, /* of a ban */
    LIFT_MS = 24 * 3600 * 1000,           /* how long the store keeps a lift */
    FIELDS = 5,                           /* of a change: see SHARED_BEAT */
};

/* ---- to the store ---- */

static const char *const kinds[] = {[SHARED_BY_POINTS] = "points",
                                    [SHARED_MANUAL] = "manual",
                                    [SHARED_LIFT] = "lift",
                                    [SHARED_END] = "end",
                                    [SHARED_ASK] = SHARED_ASK_WORD};

static bool kind_of(struct span word, enum shared_ban_kind *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (span_eq(word, span_str(kinds[i]))) {
            *out = (enum shared_ban_kind)i;
            return true;
        }
    return false;
}

static struct shared_op *ban_op(const struct shared *s, int64_t known)
{
    struct shared_op *op = shared_op_new(SHARED_BAN);

    op->epoch = insist_alloc(strdup(s->epoch));
    op->known = known;
    return op;
}

/* Adds a ban or a lift. age: how long ago it was made; NULL: a copy of a ban. */
static void ban_add(struct shared_op *op, const struct shared_ban *ban, const uint64_t *age)
{
    shared_op_add(op, ban->subject);
    shared_op_add(op, kinds[ban->kind]);
    shared_op_add_number(op, ban->kind == SHARED_LIFT ? LIFT_MS : ban->left_ms);
    if (age == NULL)
        shared_op_add(op, "-");
    else
        shared_op_add_number(op, *age);
}

/* An order to end tunnels is not repeated. */
static void on_ban(void *arg)
{
    struct letter *l = arg;
    struct shared *s = l->s;
    struct shared_op *op = l->op;
    enum shared_ban_kind kind = SHARED_END;

    (void)!kind_of(span_str(op->text[1]), &kind);
    if (kind != SHARED_END)
        op->own = shared_changes_add(&s->own, op->text[0], kind, shared_now(s), l->left_ms);
    /* An older change of another gate that is not taken yet could undo this one. */
    if (s->offer || !shared_link_ready(&s->link))
        shared_op_free(op);
    else if (!shared_give(s, op))
        s->offer = true;
    letter_free(l);
}

void shared_ban(struct shared *s, const struct shared_ban *ban)
{
    struct letter *l = letter_new(s);

    if (strlen(ban->subject) > SHARED_SUBJECT_MAX) {
        letter_free(l);
        return;
    }
    l->op = shared_op_new(SHARED_BAN);
    l->op->known = -1;
    l->op->epoch = insist_alloc(strdup(""));
    ban_add(l->op, ban, &(uint64_t){0});
    l->left_ms = ban->kind == SHARED_LIFT ? LIFT_MS : ban->left_ms;
    worker_post(&s->worker, on_ban, l);
}

static void offer_ban(void *to, const struct shared_ban *ban)
{
    struct offering *o = to;

    if (o->lost || strlen(ban->subject) > SHARED_SUBJECT_MAX)
        return;
    if (o->op == NULL)
        o->op = ban_op(o->s, o->s->known);
    ban_add(o->op, ban, NULL);
    if (o->op->count == 4 * SHARED_OP_BANS)
        offering_send(o);
}

/* Sends the changes of this gate that the store may not have, with their ages. */
static void offer_own(struct shared *s, struct offering *o)
{
    const uint64_t now = shared_now(s);
    const struct shared_change *at;

    DL_FOREACH(s->own.first, at) {
        if (o->lost)
            return;
        if (at->acked || at->until_ms <= now)
            continue;
        if (o->op == NULL)
            o->op = ban_op(s, -1);
        const uint64_t age = now - at->made_ms;
        ban_add(o->op,
                &(struct shared_ban){
                    .subject = at->subject, .kind = at->kind, .left_ms = at->until_ms - now},
                &age);
        o->op->own = at->number;
        if (o->op->count == 4 * SHARED_OP_BANS)
            offering_send(o);
    }
    offering_send(o);
}

void shared_bans_offer(struct shared *s, struct offering *o)
{
    offer_own(s, o);
    if (o->lost)
        return;
    s->ops->bans(s->arg, offer_ban, o);
    offering_send(o);
}

void shared_bans_answered(struct shared *s, const struct shared_op *op,
                          const struct shared_reply *a)
{
    if (op->own > 0)
        shared_changes_ack(&s->own, op->own);
    /* A later change may be one that was not taken while that of this gate was pending. */
    if (shared_reply_number(shared_reply_item(a, 0), 0) > 0)
        s->known = -1;
}

/* ---- from the store ---- */

/* Reads the number of a field. Returns false if it is none. */
static bool field_number(const struct shared_reply *a, int64_t *out)
{
    const struct span text = shared_reply_text(a);
    char *end;

    if (text.n == 0 || text.n > 20)
        return false;
    *out = strtoll((const char *)text.p, &end, 10);
    return *end == '\0';
}

/* Applies a change of a ban: five fields from `at` on. Invalid changes are skipped. */
static void take_change(struct shared *s, const struct shared_reply *list, size_t at)
{
    int64_t number, left;
    const struct span subject = shared_reply_text(shared_reply_item(list, at + 1));
    const struct span by = shared_reply_text(shared_reply_item(list, at + 3));
    struct shared_ban ban = {.subject = (const char *)subject.p, .by = (const char *)by.p};

    if (!field_number(shared_reply_item(list, at), &number) || number <= s->known)
        return;
    s->known = number;
    if (subject.n == 0 || subject.n > SHARED_SUBJECT_MAX || strlen(ban.subject) != subject.n ||
        !kind_of(shared_reply_text(shared_reply_item(list, at + 2)), &ban.kind) ||
        !field_number(shared_reply_item(list, at + 4), &left) || left <= 0)
        return;
    if (ban.kind == SHARED_END || ban.kind == SHARED_ASK) {
        if (number <= s->ordered) /* taken already: the gate reads all changes again */
            return;
        s->ordered = number;
    } else if (shared_changes_pending(&s->own, ban.subject)) {
        return; /* another gate may offer its copy of a ban before the store has the lift */
    }
    if (strcmp(ban.by, s->c->gate) != 0)
        shared_changes_replaced(&s->own, ban.subject);
    ban.left_ms = left > LEFT_MAX_MS ? LEFT_MAX_MS : (uint64_t)left;
    if (ban.kind == SHARED_ASK)
        shared_inquiries_take(s, &ban);
    else
        s->ops->on_ban(s->arg, &ban);
}

bool shared_bans_take(struct shared *s, const struct shared_reply *changes)
{
    const int64_t before = s->known;
    const size_t n = shared_reply_count(changes);

    for (size_t i = 0; i + FIELDS <= n; i += FIELDS)
        take_change(s, changes, i);
    return n >= (size_t)SHARED_CHANGES_MAX * FIELDS && s->known > before;
}

void shared_bans_fini(struct shared *s)
{
    shared_changes_fini(&s->own);
}
