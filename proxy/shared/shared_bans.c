#include "shared/shared_bans.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "shared/shared_inquiries.h"

enum {
    LEFT_MAX_MS = 30 * 24 * 3600 * 1000u, /* longest ban that is taken from the store */
    LIFT_MS = 24 * 3600 * 1000,           /* lifetime of a lift in the store */
    FIELDS = 6,                           /* fields of a change: see SHARED_BEAT */
};

/* A stamp, and later ones, are exact in the store, which calculates with doubles. Orders have it.
 */
static const int64_t STAMP_MAX = 9000000000000000;

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

static void ban_add(struct shared_op *op, const struct shared_ban *ban, uint64_t made,
                    uint64_t floor)
{
    shared_op_add_change(op, ban->subject, kinds[ban->kind], ban->left_ms, made, floor);
}

/* Adds a change to a BAN, with the time of the change by the clock of the store. */
static void change_add(struct shared *s, struct shared_op *op, const struct shared_change *change)
{
    const uint64_t now = shared_now(s);
    const uint64_t left = change->until_ms > now ? change->until_ms - now : 1;
    const struct shared_ban ban = {
        .subject = change->subject, .kind = change->kind, .left_ms = left};

    if (change->stamp > 0)
        ban_add(op, &ban, change->stamp, change->stamp);
    else if (change->number > 0)
        ban_add(op, &ban, shared_clock_at(&s->clock, change->made_us), change->floor);
    else
        ban_add(op, &ban, 0, 0);
    op->number = s->bans.number;
}

static void ban_send(struct shared *s, struct shared_op *op)
{
    if (!shared_give(s, op))
        s->offer = true;
}

/* Sends an order to end tunnels once: the gate does not keep it, so it is lost if the store is
 * down. */
static void on_order(void *arg)
{
    struct letter *l = arg;

    (void)!shared_give(l->s, l->op);
    letter_free(l);
}

/* Returns whether an administrator has banned the subject for a longer time. */
static bool is_banned_longer(const struct shared *s, const struct letter *l)
{
    const struct shared_change *known = shared_changes_find(&s->bans, l->subject);

    return known != NULL && known->kind == SHARED_MANUAL &&
           known->until_ms > l->made_us / 1000 + l->left_ms;
}

static void on_ban(void *arg)
{
    struct letter *l = arg;
    struct shared *s = l->s;

    if (l->kind == SHARED_BY_POINTS && is_banned_longer(s, l)) {
        letter_free(l);
        return;
    }
    const struct shared_change *change =
        shared_changes_make(&s->bans, l->subject, l->kind, l->made_us, l->left_ms);

    if (!s->offer && shared_link_ready(&s->link)) {
        struct shared_op *op = shared_op_new(SHARED_BAN);
        change_add(s, op, change);
        ban_send(s, op);
    }
    letter_free(l);
}

void shared_ban(struct shared *s, const struct shared_ban *ban)
{
    if (strlen(ban->subject) > SHARED_SUBJECT_MAX)
        return;
    struct letter *l = letter_new(s);
    if (ban->kind == SHARED_END) {
        l->op = shared_op_new(SHARED_BAN);
        ban_add(l->op, ban, 0, 0);
        worker_post(&s->worker, on_order, l);
        return;
    }
    l->subject = insist_alloc(strdup(ban->subject));
    l->kind = ban->kind;
    l->made_us = uv_hrtime() / 1000;
    l->left_ms = ban->kind == SHARED_LIFT ? LIFT_MS : ban->left_ms;
    worker_post(&s->worker, on_ban, l);
}

/* Returns the command that collects the offered changes, after it has sent a full one. NULL: the
 * link has refused a command, so the offering has failed. */
static struct shared_op *offered_op(struct offering *o)
{
    if (o->op != NULL && o->op->count == SHARED_BAN_FIELDS * SHARED_OP_BANS)
        offering_send(o);
    if (o->op == NULL && !o->lost)
        o->op = shared_op_new(SHARED_BAN);
    return o->op;
}

/* Offers a ban that has no change, such as a ban that was made by a process before this one. */
static void offer_ban(void *to, const struct shared_ban *ban)
{
    struct offering *o = to;

    if (strlen(ban->subject) > SHARED_SUBJECT_MAX ||
        shared_changes_find(&o->s->bans, ban->subject) != NULL)
        return;
    struct shared_op *op = offered_op(o);
    if (op != NULL)
        ban_add(op, ban, 0, 0);
}

static void offer_change(struct offering *o, const struct shared_change *change)
{
    const bool wanted = change->offer && change->until_ms > shared_now(o->s);
    struct shared_op *op = wanted ? offered_op(o) : NULL;

    if (op != NULL)
        change_add(o->s, op, change);
}

void shared_bans_offer(struct shared *s, struct offering *o)
{
    const struct shared_change *at, *next;

    HASH_ITER(hh, s->bans.table, at, next) {
        offer_change(o, at);
    }
    s->ops->bans(s->arg, offer_ban, o);
    offering_send(o);
}

/* Acknowledges the changes of the command. The next BEAT reads all changes again if the store has
 * skipped a change, because this gate has ignored the store's change of the subject while its own
 * was offered; or if the command has a lift of all, which made this gate ignore all changes. */
void shared_bans_answered(struct shared *s, const struct shared_op *op,
                          const struct shared_reply *a)
{
    bool hidden = shared_reply_number(shared_reply_item(a, 0), 0) > 0;

    for (size_t i = 0; i < op->count; i += SHARED_BAN_FIELDS) {
        shared_changes_ack(&s->bans, op->text[i], op->number);
        hidden |= strcmp(op->text[i], "*") == 0;
    }
    s->again |= hidden;
}

/* ---- from the store ---- */

/* Reads a field as a number. Returns false if the field is no number. */
static bool field_number(const struct shared_reply *a, int64_t *out)
{
    const struct span text = shared_reply_text(a);
    char *end;

    if (text.n == 0 || text.n > 20)
        return false;
    *out = strtoll((const char *)text.p, &end, 10);
    return *end == '\0';
}

/* Reads the change whose fields begin at `at`. Returns false if a field is invalid. */
static bool change_read(const struct shared_reply *list, size_t at, struct shared_ban *out,
                        int64_t *made)
{
    const struct span subject = shared_reply_text(shared_reply_item(list, at + 1));
    const struct span by = shared_reply_text(shared_reply_item(list, at + 3));
    int64_t left;

    *out = (struct shared_ban){.subject = (const char *)subject.p, .by = (const char *)by.p};
    if (subject.n == 0 || subject.n > SHARED_SUBJECT_MAX || strlen(out->subject) != subject.n ||
        !kind_of(shared_reply_text(shared_reply_item(list, at + 2)), &out->kind) ||
        !field_number(shared_reply_item(list, at + 4), &left) || left <= 0 ||
        !field_number(shared_reply_item(list, at + 5), made) || *made < 0 || *made > STAMP_MAX)
        return false;
    out->left_ms = left > LEFT_MAX_MS ? LEFT_MAX_MS : (uint64_t)left;
    return true;
}

/* Applies again the bans that are later than a lift of all, because on_ban has ended all bans. */
static void apply_again(struct shared *s)
{
    const struct shared_change *at, *next;
    const uint64_t now = shared_now(s);

    HASH_ITER(hh, s->bans.table, at, next) {
        if (at->kind != SHARED_LIFT && at->until_ms > now)
            s->ops->on_ban(s->arg, &(struct shared_ban){.subject = at->subject,
                                                        .kind = at->kind,
                                                        .left_ms = at->until_ms - now,
                                                        .by = s->c->gate});
    }
}

/* Applies a change of a ban, unless this gate has a later one. Skips an invalid change. */
static void take_change(struct shared *s, const struct shared_reply *list, size_t at)
{
    int64_t number, made;
    struct shared_ban ban;

    if (!field_number(shared_reply_item(list, at), &number) || number <= s->known ||
        number > STAMP_MAX)
        return;
    s->known = number;
    if (!change_read(list, at, &ban, &made))
        return;
    if (ban.kind == SHARED_END || ban.kind == SHARED_ASK) {
        if (number <= s->ordered) /* already taken: see `again` */
            return;
        s->ordered = number;
    } else if (!shared_changes_take(&s->bans, ban.subject, ban.kind, (uint64_t)made,
                                    shared_now(s) + ban.left_ms)) {
        return;
    }
    if (ban.kind == SHARED_ASK)
        shared_inquiries_take(s, &ban);
    else
        s->ops->on_ban(s->arg, &ban);
    if (strcmp(ban.subject, "*") == 0)
        apply_again(s);
}

bool shared_bans_take(struct shared *s, const struct shared_reply *changes)
{
    const int64_t before = s->known;
    const size_t n = shared_reply_count(changes);

    for (size_t i = 0; i + FIELDS <= n; i += FIELDS)
        take_change(s, changes, i);
    return n >= (size_t)SHARED_CHANGES_MAX * FIELDS && s->known > before;
}
