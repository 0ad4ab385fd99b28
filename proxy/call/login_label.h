/* login_label: the marks by which the keyring recognizes the login of a call, and the notes from
 * which the keyring finds the client of a login (radius/keyring.h). For negotiation.c alone. */
#ifndef SSTPGATE_CALL_LOGIN_LABEL_H
#define SSTPGATE_CALL_LOGIN_LABEL_H

#include "radius/keyring.h"
#include "wire/ppp.h"

struct login_label {
    struct keyring_marks eap; /* marks of the latest login by EAP */
    uint64_t latest[2];       /* hash of the latest EAP packet, by direction: an equal packet is a
                                 retransmission, which RADIUS does not see */
};

/* Updates the label with a PPP frame that is forwarded. k: may be NULL, here and below. */
void login_label_follow(struct login_label *l, const struct keyring *k, enum ppp_from from,
                        struct span frame);

/* Returns the login of the call, as ppp knows it. The user points into ppp. */
struct keyring_login login_label_of(const struct login_label *l, const struct keyring *k,
                                    const struct ppp_observer *ppp);

/* Finds the login that the VPN server will send to RADIUS because of this frame of the client. Call
 * it after login_label_follow. False: the server will send none. The user points into the frame, or
 * into ppp if the frame has no user. */
bool login_label_asked(const struct login_label *l, const struct keyring *k,
                       const struct ppp_observer *ppp, struct span frame,
                       struct keyring_login *out);

#endif
