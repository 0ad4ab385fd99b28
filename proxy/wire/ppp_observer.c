#include "wire/ppp_observer.h"

void ppp_observer_init(struct ppp_observer *o)
{
    memset(o, 0, sizeof *o);
}

static size_t find_last(struct span s, uint8_t octet)
{
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == octet)
            return i;
    return s.n;
}

/* Returns whether an '@' precedes the '\': FreeRADIUS reads a@b\c as a (realm `suffix`), Windows as
 * c. */
static bool realm_holds_domain(struct span name)
{
    const size_t slash = find_last(name, '\\');
    const struct span domain = span_sub(name, 0, slash);
    return slash < name.n && find_last(domain, '@') < domain.n;
}

static bool name_is_clear(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < ' ' || name.p[i] == 0x7f)
            return false;
    return name.n > 0 && name.n <= PPP_USER_MAX && name.p[0] != ' ' && name.p[name.n - 1] != ' ' &&
           !realm_holds_domain(name);
}

/* Returns the name without its domain and realm, as rules about users compare it. */
static struct span bare_name(struct span name)
{
    const size_t slash = find_last(name, '\\');
    if (slash < name.n)
        name = span_from(name, slash + 1);
    return span_sub(name, 0, find_last(name, '@'));
}

enum ppp_verdict ppp_observer_judge_name(const struct ppp_observer *o, struct span name)
{
    const struct span known = span_of(o->user, o->user_len);

    if (!name_is_clear(name))
        return PPP_BAD_NAME;
    if (o->user_named && !span_eq(name, known))
        return PPP_DROP;
    return o->login_named && !span_eq_nocase(bare_name(name), bare_name(known)) ? PPP_DROP
                                                                                : PPP_FORWARD;
}

void ppp_observer_take_name(struct ppp_observer *o, struct span name)
{
    memcpy(o->user, name.p, name.n);
    o->user_len = (uint16_t)name.n;
    o->user_named = o->login_named = true;
}

void ppp_observer_forget_login(struct ppp_observer *o)
{
    o->user_named = o->login_named = o->proof_given = false;
}

void ppp_observer_begin_login(struct ppp_observer *o)
{
    o->undecided = o->proof_given = true;
    o->refusal = 0;
}

void ppp_observer_forget_answer(struct ppp_observer *o)
{
    o->answer_given = false;
    o->answer_len = o->proof_from = o->proof_len = 0;
}

bool ppp_observer_is_repeated(const struct ppp_observer *o, const struct ppp_frame *f)
{
    return o->answer_given && f->info.n > 0 && span_eq(f->info, span_of(o->answer, o->answer_len));
}

void ppp_observer_take_answer(struct ppp_observer *o, const struct ppp_frame *f, struct span proof)
{
    ppp_observer_forget_answer(o);
    o->answer_given = true;
    if (f->info.n > sizeof o->answer)
        return;
    memcpy(o->answer, f->info.p, f->info.n);
    o->answer_len = (uint16_t)f->info.n;
    o->proof_from = (uint16_t)(proof.p - f->info.p);
    o->proof_len = (uint16_t)proof.n;
}

static void count_failure(struct ppp_observer *o)
{
    if (o->undecided)
        o->failures++;
    o->undecided = false;
}

void ppp_observer_take_refusal(struct ppp_observer *o, unsigned number)
{
    if (number != 0 || o->refusal == 0)
        o->refusal = number != 0 ? number : PPP_REFUSED;
    if (number == PPP_REFUSED_UNJUDGED)
        o->undecided = false;
    count_failure(o);
}

void ppp_observer_let_in(struct ppp_observer *o)
{
    o->refusal = 0;
    o->result = PPP_RESULT_SUCCESS;
    o->undecided = o->proof_given = false;
}
