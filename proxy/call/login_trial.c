#include "call/login_trial.h"

#include <string.h>

/* Time that a server of a backend without `radius` may take for its verdict: it may delay refusals
 * by some seconds, but the answer to a login takes longer only if another server is silent. */
enum { VERDICT_MS = 10000 };

void login_trial_init(struct login_trial *t)
{
    *t = (struct login_trial){.patience = VERDICT_MS};
}

void login_trial_use_keyring(struct login_trial *t, struct keyring *keyring, const char *radius,
                             uint32_t timeout_server)
{
    t->keyring = keyring;
    t->radius = radius;
    t->patience = timeout_server;
}

void login_trial_answer(struct login_trial *t, const struct keyring_login *login, uint64_t answer,
                        uint64_t now_ms)
{
    if (t->open && t->answer == answer)
        return;
    t->marks = login->marks;
    t->user_len = (uint16_t)login->user.n;
    memcpy(t->user, login->user.p, login->user.n);
    t->answer = answer;
    t->at_ms = now_ms;
    t->open = true;
    t->silent = false;
}

static enum keyring_verdict take_verdict(const struct login_trial *t, uint64_t now_ms)
{
    const struct keyring_login login = {.user = span_of(t->user, t->user_len), .marks = t->marks};

    return t->keyring == NULL
               ? KEYRING_UNDECIDED
               : keyring_take_verdict(t->keyring, t->radius, &login, t->at_ms, now_ms);
}

/* Returns whether a verdict on the client's latest answer may still come. */
static bool verdict_may_come(const struct login_trial *t, uint64_t now_ms)
{
    return now_ms < t->at_ms + t->patience;
}

/* Returns whether a login failed because of the user. With `radius` the gate knows the verdict of
 * the RADIUS server, and without one the server's refusal means only that no verdict came. A
 * challenge counts: the refusal may be inside EAP. A peer may end the call before the verdict,
 * which counts while the verdict may still come, or guesses would cost nothing. */
static bool login_has_failed(struct login_trial *t, enum keyring_verdict v, bool refused,
                             uint64_t now_ms)
{
    const bool judged_here = t->keyring != NULL;

    t->open = false;
    t->rejected = v == KEYRING_REJECTED;
    switch (v) {
    case KEYRING_REJECTED:
    case KEYRING_CHALLENGED: return true;
    case KEYRING_ACCEPTED: return false;
    case KEYRING_LOST: break;
    case KEYRING_UNDECIDED:
        if (refused ? !judged_here : verdict_may_come(t, now_ms))
            return true;
    }
    t->silent = judged_here;
    return false;
}

/* Returns whether the verdict on a refused login may have passed through another gate, which is
 * asked for it. */
static bool defer(struct login_trial *t, uint64_t now_ms)
{
    const struct keyring_login login = {.user = span_of(t->user, t->user_len), .marks = t->marks};

    if (t->keyring == NULL || !keyring_is_shared(t->keyring) || !verdict_may_come(t, now_ms))
        return false;
    if (!t->deferred)
        keyring_want_outcome(t->keyring, t->radius, &login, t->patience);
    t->deferred = true;
    return true;
}

bool login_trial_is_deferred(const struct login_trial *t)
{
    return t->deferred;
}

unsigned login_trial_judge(struct login_trial *t, const struct ppp_observer *ppp, bool refused,
                           uint64_t now_ms)
{
    unsigned n = 0;

    for (; t->counted < ppp->failures; t->counted++) {
        const enum keyring_verdict v = take_verdict(t, now_ms);
        if (v == KEYRING_UNDECIDED && refused && defer(t, now_ms))
            break;
        t->deferred = false;
        if (login_has_failed(t, v, refused, now_ms))
            n++;
    }
    return n;
}

void login_trial_skip(struct login_trial *t)
{
    t->counted++;
}

bool login_trial_is_silent(const struct login_trial *t, const struct ppp_observer *ppp,
                           uint64_t now_ms)
{
    if (ppp->refusal == PPP_REFUSED_UNJUDGED)
        return true;
    if (!t->open)
        return t->silent;
    if (t->keyring == NULL || ppp->result == PPP_RESULT_SUCCESS)
        return false;
    const enum keyring_verdict v = take_verdict(t, now_ms);
    return v == KEYRING_LOST || (v == KEYRING_UNDECIDED && !verdict_may_come(t, now_ms));
}
