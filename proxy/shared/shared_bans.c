#include "shared/shared_bans.h"

#include <stdlib.h>
#include <string.h>

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

static struct shared_op *ban_op(const struct shared *s, int64_t known)
{
    struct shared_op *op = shared_op_new(SHARED_BAN);

    op->epoch = insist_alloc(strdup(s->epoch));
    op->known = known;
    return op;
}

static void ban_add(struct shared_op *op, const struct shared_ban *ban)
{
    shared_op_add(op, ban->subject);
    shared_op_add(op, kinds[ban->kind]);
    shared_op_add_number(op, ban->kind == SHARED_LIFT ? LIFT_MS : ban->left_ms);
}

/* Keeps a pending lift. If there are too many, the oldest is dropped, and its ban ends with its
 * time. */
static void lift_keep(struct shared *s, const char *subject)
{
    if (s->lifts == SHARED_LIFTS_MAX) {
        free(s->lift[0]);
        memmove(s->lift, s->lift + 1, (SHARED_LIFTS_MAX - 1) * sizeof *s->lift);
        s->lifts--;
    }
    s->lift[s->lifts++] = insist_alloc(strdup(subject));
}

static bool lift_send(struct shared *s, const char *subject)
{
    const struct shared_ban lift = {.subject = subject, .kind = SHARED_LIFT};
    struct shared_op *op = ban_op(s, -1);

    ban_add(op, &lift);
    return shared_give(s, op);
}

static void on_ban(void *arg)
{
    struct letter *l = arg;
    struct shared *s = l->s;
    const bool lifted = strcmp(l->op->text[1], kinds[SHARED_LIFT]) == 0;

    /* An older change of another gate that is not applied yet could undo this one. */
    if (s->offer || !shared_link_ready(&s->link)) {
        if (lifted)
            lift_keep(s, l->op->text[0]);
        shared_op_free(l->op); /* a ban is offered with all others */
    } else if (!shared_give(s, l->op)) {
        s->offer = true;
    }
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
    ban_add(l->op, ban);
    worker_post(&s->worker, on_ban, l);
}

static void offer_ban(void *to, const struct shared_ban *ban)
{
    struct offering *o = to;

    if (o->lost || strlen(ban->subject) > SHARED_SUBJECT_MAX)
        return;
    if (o->op == NULL)
        o->op = ban_op(o->s, o->s->known);
    ban_add(o->op, ban);
    if (o->op->count == 3 * SHARED_OP_BANS)
        offering_send(o);
}

static bool lifts_send(struct shared *s)
{
    size_t sent = 0;

    while (sent < s->lifts && lift_send(s, s->lift[sent]))
        free(s->lift[sent++]);
    s->lifts -= sent;
    memmove(s->lift, s->lift + sent, s->lifts * sizeof *s->lift);
    return s->lifts == 0;
}

void shared_bans_offer(struct shared *s, struct offering *o)
{
    if (!lifts_send(s)) {
        o->lost = true;
        return;
    }
    s->ops->bans(s->arg, offer_ban, o);
    offering_send(o);
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

static bool kind_of(struct span word, enum shared_ban_kind *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (span_eq(word, span_str(kinds[i]))) {
            *out = (enum shared_ban_kind)i;
            return true;
        }
    return false;
}

/* Returns whether a lift of the subject waits for the store. */
static bool lift_pending(const struct shared *s, const char *subject)
{
    for (size_t i = 0; i < s->lifts; i++)
        if (strcmp(s->lift[i], subject) == 0 || strcmp(s->lift[i], "*") == 0)
            return true;
    return false;
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
    /* Another gate may offer its copy of a ban before this gate can send the lift. */
    if ((ban.kind == SHARED_BY_POINTS || ban.kind == SHARED_MANUAL) && lift_pending(s, ban.subject))
        return;
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
    for (size_t i = 0; i < s->lifts; i++)
        free(s->lift[i]);
}
