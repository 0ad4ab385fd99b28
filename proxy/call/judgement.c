#include "call/judgement.h"

#include <string.h>

#include "base/hostname.h"
#include "base/insist.h"
#include "config/config.h"

enum judgement judgement_of(const struct config_listener *c, const struct rules_answer *answer)
{
    if (answer->verdict != RULES_DENY)
        return JUDGEMENT_PASS;
    if (c->dry_run)
        return JUDGEMENT_OVERRULED;
    switch (answer->action) {
    case RULES_RESET: return JUDGEMENT_RESET;
    case RULES_DROP: return JUDGEMENT_DROP;
    case RULES_DECOY: return JUDGEMENT_DECOY;
    }
    insist_failed("an action of a rule", __FILE__, __LINE__);
}

static bool has_name(const struct config_strings *names, struct span name)
{
    for (size_t i = 0; i < names->count; i++)
        if (hostname_equal(span_str(names->item[i]), name))
            return true;
    return names->count == 0;
}

bool judgement_serves_host(const struct config_listener *c, struct span host)
{
    return has_name(&c->host, host);
}

bool judgement_serves_sni(const struct config_listener *c, struct span sni)
{
    return sni.n == 0 || has_name(&c->host, sni);
}

const struct config_backend *judgement_backend(const struct config_listener *c,
                                               const struct rules_answer *answer)
{
    return answer->rule == 0 ? c->backend : c->route[answer->rule - 1].backend;
}

static const struct config_listener *listener_named(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->listener_count; i++)
        if (strcmp(c->listener[i].name, name) == 0)
            return &c->listener[i];
    return NULL;
}

static bool rechecks(const struct config_listener *l)
{
    return l->recheck_tunnels && !l->dry_run;
}

const struct config_listener *judgement_rechecking(const struct config *c, const char *listener)
{
    const struct config_listener *l = listener_named(c, listener);
    return l != NULL && rechecks(l) ? l : NULL;
}

enum judgement_recheck judgement_recheck(const struct config *c, const char *listener,
                                         const struct rules_facts *facts,
                                         struct rules_answer *answer)
{
    const struct config_listener *l = listener_named(c, listener);

    if (l == NULL)
        return RECHECK_NO_LISTENER;
    *answer = rules_decide(&l->rules, facts);
    if (answer->verdict != RULES_DENY)
        return RECHECK_STAYS;
    return rechecks(l) ? RECHECK_ENDS : RECHECK_TOLERATED;
}
