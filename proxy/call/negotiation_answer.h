/* negotiation_answer: the decision of the negotiation about a packet. */
#ifndef SSTPGATE_CALL_NEGOTIATION_ANSWER_H
#define SSTPGATE_CALL_NEGOTIATION_ANSWER_H

#include <stdbool.h>

#include "base/span.h"
#include "call/reason.h"

enum negotiation_verdict {
    NEGOTIATION_PASS,      /* forward the packet unchanged */
    NEGOTIATION_REPLACE,   /* forward answer.octets instead */
    NEGOTIATION_DROP,      /* forward no packet; the call continues */
    NEGOTIATION_REFUSE,    /* end the call for answer.reason; the packet is not forwarded */
    NEGOTIATION_CONNECTED, /* forward answer.octets, and the tunnel is up: the negotiation is done
                            */
    NEGOTIATION_WAIT,      /* keep Call Connected until its key arrives: negotiation_try_key */
    NEGOTIATION_ASK,  /* keep the packet until the other gates have answered: negotiation_ask */
    NEGOTIATION_HOLD, /* the client's packet must not overtake the waiting Call Connected; pass it
                         in again afterwards */
};

struct negotiation_answer {
    enum negotiation_verdict verdict;
    enum reason reason;
    struct span octets; /* valid until the next call of the negotiation */
};

static inline struct negotiation_answer negotiation_refuse(enum reason reason)
{
    return (struct negotiation_answer){.verdict = NEGOTIATION_REFUSE, .reason = reason};
}

/* Returns whether the call may continue with this user. Called each time PPP shows another user,
 * before the frame that shows it is forwarded. When an authentication has ended or Call Connected
 * has arrived, called with an empty user (n == 0) if the user is unknown or the authentication did
 * not prove the name. */
typedef bool (*negotiation_user_allowed)(void *arg, struct span user);

#endif
