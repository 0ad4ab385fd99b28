#include "call/login_label.h"

#include "wire/eap.h"

void login_label_follow(struct login_label *l, const struct keyring *k, enum ppp_from from,
                        struct span frame)
{
    struct eap_packet p;
    struct span octets;

    if (k == NULL || !eap_of_frame(frame, &octets) || !eap_parse(octets, &p) ||
        p.request != (from == PPP_FROM_SERVER))
        return;
    const uint64_t hash = keyring_hash(k, p.whole);
    if (hash == l->latest[from])
        return;
    l->latest[from] = hash;
    keyring_follow(k, &l->eap, p.whole);
    if (l->eap.chain == 0) /* a login that starts over may repeat the previous Identity */
        l->latest[PPP_FROM_CLIENT] = 0;
}

struct keyring_login login_label_of(const struct login_label *l, const struct keyring *k,
                                    const struct ppp_observer *ppp)
{
    struct keyring_login login = {.user = span_of(ppp->user, ppp->user_len)};

    if (k == NULL)
        return login;
    if (ppp->method >= PPP_METHOD_EAP)
        login.marks = l->eap;
    else
        login.marks.proof = keyring_proof(k, ppp_proof(ppp));
    return login;
}

bool login_label_asked(const struct login_label *l, const struct keyring *k,
                       const struct ppp_observer *ppp, struct span frame, struct keyring_login *out)
{
    struct span proof, packet;

    *out = (struct keyring_login){0};
    if (k == NULL || !ppp_login(frame, &out->user, &proof))
        return false;
    if (out->user.n == 0)
        out->user = span_of(ppp->user, ppp->user_len);
    if (eap_of_frame(frame, &packet))
        out->marks = l->eap;
    else
        out->marks.proof = keyring_proof(k, proof);
    return true;
}
