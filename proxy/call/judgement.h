/* judgement: what the configuration of a listener says about a client, from facts alone. Pure: no
 * counts, no log. admission.c applies it to a call, explain/explain.c to a question. */
#ifndef SSTPGATE_CALL_JUDGEMENT_H
#define SSTPGATE_CALL_JUDGEMENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "policy/rules.h"

struct config;
struct config_backend;
struct config_listener;

enum judgement {
    JUDGEMENT_PASS,      /* allowed, or not decided yet */
    JUDGEMENT_OVERRULED, /* denied, but the listener is in a dry run: the rules are not asked again
                          */
    JUDGEMENT_RESET,
    JUDGEMENT_DROP,
    JUDGEMENT_DECOY,
};

/* Returns what an answer of the listener's rules means. */
enum judgement judgement_of(const struct config_listener *c, const struct rules_answer *answer);

/* Returns whether the listener serves clients that ask for this Host, or for this SNI. A missing
 * SNI is accepted, because old clients send none; a wrong one is not. */
bool judgement_serves_host(const struct config_listener *c, struct span host);
bool judgement_serves_sni(const struct config_listener *c, struct span sni);

/* Returns the backend that an answer of the listener's `use-backend` lines means, or the listener's
 * own. answer: decided. */
const struct config_backend *judgement_backend(const struct config_listener *c,
                                               const struct rules_answer *answer);

/* What new rules mean for a call that is up, or is about to be. */
enum judgement_recheck {
    RECHECK_STAYS,
    RECHECK_NO_LISTENER, /* stays: its listener does not exist any more */
    RECHECK_TOLERATED, /* stays: denied, but the listener rechecks no tunnels, or is in a dry run */
    RECHECK_ENDS,      /* denied */
};

/* Returns the listener with this name if new rules may end its calls; NULL: they may not. */
const struct config_listener *judgement_rechecking(const struct config *c, const char *listener);

/* Judges a call of the listener with this name by the rules of c. *answer: of the rules; set for
 * RECHECK_TOLERATED and RECHECK_ENDS. */
enum judgement_recheck judgement_recheck(const struct config *c, const char *listener,
                                         const struct rules_facts *facts,
                                         struct rules_answer *answer);

#endif
