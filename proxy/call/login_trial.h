/* login_trial: judges whether a login of a call has failed because of its user. A VPN server also
 * refuses a login that RADIUS does not answer, which is not the user's failure. For negotiation.c
 * alone. */
#ifndef SSTPGATE_CALL_LOGIN_TRIAL_H
#define SSTPGATE_CALL_LOGIN_TRIAL_H

#include "radius/keyring.h"
#include "wire/ppp.h"

struct login_trial {
    struct keyring *keyring; /* has the verdicts of RADIUS; NULL: RADIUS does not pass the gate */
    const char *radius;      /* NAME of [radius NAME] */
    uint32_t patience;       /* ms that a verdict may take after the client's answer */

    /* the client's latest answer, which the server judges next */
    struct keyring_marks marks;
    uint16_t user_len;
    uint8_t user[PPP_USER_MAX];
    uint64_t answer; /* its hash; 0: none */
    uint64_t at_ms;  /* its time; later retransmissions do not count */
    bool open;       /* neither refused nor ended */
    bool silent;     /* it has ended, and RADIUS had not answered it */
    bool rejected;   /* RADIUS has rejected the latest failed login */

    unsigned counted; /* number of failures of the ppp_observer that have been judged */
    bool deferred;    /* the next one was refused, and its verdict is asked of the other gates */
};

void login_trial_init(struct login_trial *t);

/* Uses the verdicts of [radius NAME] from now on. timeout_server: ms, of that section. keyring and
 * radius must outlive the trial. */
void login_trial_use_keyring(struct login_trial *t, struct keyring *keyring, const char *radius,
                             uint32_t timeout_server);

/* Records an answer of the client. answer: a hash of its frame, not 0; an equal one is a
 * retransmission. */
void login_trial_answer(struct login_trial *t, const struct keyring_login *login, uint64_t answer,
                        uint64_t now_ms);

/* Judges the failures that ppp has counted since the previous call. Returns the number of those
 * that are the user's. refused: the server has refused the login; false: a peer has ended it. */
unsigned login_trial_judge(struct login_trial *t, const struct ppp_observer *ppp, bool refused,
                           uint64_t now_ms);

/* Returns whether a refused login waits for a verdict of another gate. Then call login_trial_judge
 * with refused false before another answer, and before the end, or the guess costs nothing. */
bool login_trial_is_deferred(const struct login_trial *t);

/* Skips one failure of ppp, which the caller has counted. */
void login_trial_skip(struct login_trial *t);

/* Returns whether the latest login has no verdict because RADIUS is silent: no answer passed the
 * gate, or the server reports it. */
bool login_trial_is_silent(const struct login_trial *t, const struct ppp_observer *ppp,
                           uint64_t now_ms);

#endif
