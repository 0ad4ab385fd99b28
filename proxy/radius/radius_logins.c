#include "radius/radius_logins.h"

void radius_logins_init(struct radius_logins *l, const struct keyring *keyring, size_t size)
{
    l->keyring = keyring;
    radius_memory_init(&l->origin, size);
    radius_memory_init(&l->chain, size);
    radius_memory_init(&l->proof, size);
}

void radius_logins_fini(struct radius_logins *l)
{
    radius_memory_fini(&l->origin);
    radius_memory_fini(&l->chain);
    radius_memory_fini(&l->proof);
}

void radius_logins_clear(struct radius_logins *l)
{
    radius_memory_clear(&l->origin);
    radius_memory_clear(&l->chain);
    radius_memory_clear(&l->proof);
}

size_t radius_logins_server(const struct radius_logins *l, const struct radius_packet *request)
{
    struct span state;

    if (request->code != RADIUS_ACCESS_REQUEST || !radius_find(request, RADIUS_STATE, &state))
        return RADIUS_LOGINS_NONE;
    const uint64_t origin = radius_memory_get(&l->origin, state);
    return origin > 0 ? (size_t)(origin - 1) : RADIUS_LOGINS_NONE;
}

bool radius_logins_find(const struct radius_logins *l, const struct radius_packet *request,
                        uint8_t scratch[RADIUS_MAX], struct keyring_login *out)
{
    struct radius_login login;
    struct span state;

    radius_carry_login(request, scratch, &login);
    *out = (struct keyring_login){.user = login.user};
    if (login.eap.n == 0) {
        out->marks.proof = keyring_proof(l->keyring, login.proof);
        return true;
    }
    if (radius_find(request, RADIUS_STATE, &state))
        out->marks = (struct keyring_marks){.chain = radius_memory_get(&l->chain, state),
                                            .proof = radius_memory_get(&l->proof, state)};
    keyring_follow(l->keyring, &out->marks, login.eap);
    return out->marks.chain != 0;
}

static void state_put(struct radius_logins *l, struct span state, uint64_t origin,
                      struct keyring_marks marks)
{
    radius_memory_put(&l->origin, state, origin);
    radius_memory_put(&l->chain, state, marks.chain);
    radius_memory_put(&l->proof, state, marks.proof);
}

void radius_logins_put(struct radius_logins *l, const struct radius_packet *challenge,
                       size_t server, struct keyring_marks marks, uint8_t scratch[RADIUS_MAX])
{
    const struct span eap = radius_eap(challenge, scratch);
    struct span state;

    if (!radius_find(challenge, RADIUS_STATE, &state))
        return;
    if (eap.n > 0)
        keyring_follow(l->keyring, &marks, eap);
    state_put(l, state, (uint64_t)server + 1, marks);
}

void radius_logins_forget(struct radius_logins *l, const struct radius_packet *request)
{
    struct span state;

    if (radius_find(request, RADIUS_STATE, &state))
        state_put(l, state, 0, (struct keyring_marks){0});
}
