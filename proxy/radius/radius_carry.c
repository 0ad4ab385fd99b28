#include "radius/radius_carry.h"

#include <arpa/inet.h>
#include <string.h>

static const uint8_t to_be_signed[RADIUS_AUTHENTICATOR];

static struct span caller_text(const struct addr *a, char text[INET6_ADDRSTRLEN])
{
    return inet_ntop(a->family, a->ip, text, INET6_ADDRSTRLEN) == NULL ? span_of(NULL, 0)
                                                                       : span_str(text);
}

static void set_authenticator(struct radius_out *o, const uint8_t *octets)
{
    memcpy(o->octets + RADIUS_AUTHENTICATOR_AT, octets, RADIUS_AUTHENTICATOR);
}

/* Adds a copy of an attribute, unless it is a Calling-Station-Id to be replaced. The text of
 * Tunnel-Client-Endpoint becomes the caller's address; its tag (RFC 2868 3.3) stays. caller: text
 * of the address; empty: the attribute is unchanged. */
static void add_copy(struct radius_out *out, const struct radius_attribute *a, struct span caller)
{
    enum { TAG_MAX = 0x1f };
    uint8_t endpoint[1 + INET6_ADDRSTRLEN];

    if (caller.n == 0 ||
        (a->type != RADIUS_CALLING_STATION_ID && a->type != RADIUS_TUNNEL_CLIENT_ENDPOINT)) {
        radius_add(out, a->type, a->value);
    } else if (a->type == RADIUS_TUNNEL_CLIENT_ENDPOINT) {
        const size_t tag = a->value.n > 0 && a->value.p[0] <= TAG_MAX ? 1 : 0;
        memcpy(endpoint, a->value.p, tag);
        memcpy(endpoint + tag, caller.p, caller.n);
        radius_add(out, a->type, span_of(endpoint, tag + caller.n));
    }
}

/* Adds the attributes of an Access-Request. Message-Authenticator is the first, because
 * CVE-2024-3596 needs a prefix that the attacker can choose. */
static void add_access_request(const struct radius_packet *p, const struct radius_trip *trip,
                               struct span caller, struct radius_out *out)
{
    struct cursor c = cursor_of(p->attributes);
    bool chap = false, challenge = false;
    struct radius_attribute a;

    radius_add(out, RADIUS_MESSAGE_AUTHENTICATOR, span_of(to_be_signed, sizeof to_be_signed));
    while (radius_next(&c, &a)) {
        chap |= a.type == RADIUS_CHAP_PASSWORD;
        challenge |= a.type == RADIUS_CHAP_CHALLENGE;
        if (a.type != RADIUS_MESSAGE_AUTHENTICATOR)
            add_copy(out, &a, caller);
    }
    if (chap && !challenge) /* RFC 2865 2.2: the authenticator is the challenge */
        radius_add(out, RADIUS_CHAP_CHALLENGE, p->authenticator);
    if (caller.n > 0)
        radius_add(out, RADIUS_CALLING_STATION_ID, caller);
    /* RFC 2865 5.33: after those of other proxies */
    radius_add(out, RADIUS_PROXY_STATE, span_of(trip->proxy_state, sizeof trip->proxy_state));
}

/* Adds the attributes of an Accounting-Request, which hides nothing. */
static void add_accounting_request(const struct radius_packet *p, struct span caller,
                                   struct radius_out *out)
{
    struct cursor c = cursor_of(p->attributes);
    struct radius_attribute a;

    while (radius_next(&c, &a))
        add_copy(out, &a, caller);
    if (caller.n > 0)
        radius_add(out, RADIUS_CALLING_STATION_ID, caller);
}

bool radius_carry_request(const struct radius_packet *p, struct radius_trip *trip,
                          const struct addr *caller, struct radius_out *out)
{
    char text[INET6_ADDRSTRLEN];
    const struct span address = caller == NULL ? span_of(NULL, 0) : caller_text(caller, text);

    trip->client_id = p->id;
    memcpy(trip->client_authenticator, p->authenticator.p, RADIUS_AUTHENTICATOR);
    radius_random(trip->proxy_state, sizeof trip->proxy_state);
    radius_begin(out, p->code, p->id);
    if (p->code != RADIUS_ACCESS_REQUEST) {
        add_accounting_request(p, address, out);
        return radius_end(out);
    }
    add_access_request(p, trip, address, out);
    if (!radius_end(out))
        return false;
    radius_random(trip->server_authenticator, RADIUS_AUTHENTICATOR);
    set_authenticator(out, trip->server_authenticator);
    radius_hide_again(out,
                      &(struct radius_side){.secret = trip->client_secret,
                                            .authenticator = trip->client_authenticator},
                      &(struct radius_side){.secret = trip->server_secret,
                                            .authenticator = trip->server_authenticator});
    return true;
}

void radius_carry_sign(struct radius_out *request, struct radius_trip *trip, uint8_t id)
{
    request->octets[1] = id;
    radius_sign(request, NULL, trip->server_secret);
    /* The authenticator of an Accounting-Request depends on the identifier. */
    memcpy(trip->server_authenticator, request->octets + RADIUS_AUTHENTICATOR_AT,
           RADIUS_AUTHENTICATOR);
}

/* Returns whether a is the gate's own Proxy-State. It should be the last one (RFC 2865 5.33),
 * but it is random, so it is recognized anywhere. */
static bool is_own_proxy_state(const struct radius_attribute *a, const struct radius_trip *trip)
{
    return a->type == RADIUS_PROXY_STATE &&
           span_eq(a->value, span_of(trip->proxy_state, sizeof trip->proxy_state));
}

bool radius_carry_answer(const struct radius_packet *p, const struct radius_trip *trip,
                         struct radius_out *out)
{
    const bool access = p->code != RADIUS_ACCOUNTING_RESPONSE;
    struct cursor c = cursor_of(p->attributes);
    struct radius_attribute a;

    radius_begin(out, p->code, trip->client_id);
    if (access)
        radius_add(out, RADIUS_MESSAGE_AUTHENTICATOR, span_of(to_be_signed, sizeof to_be_signed));
    while (radius_next(&c, &a))
        if (!access || (a.type != RADIUS_MESSAGE_AUTHENTICATOR && !is_own_proxy_state(&a, trip)))
            radius_add(out, a.type, a.value);
    if (!radius_end(out))
        return false;
    if (access)
        radius_hide_again(out,
                          &(struct radius_side){.secret = trip->server_secret,
                                                .authenticator = trip->server_authenticator},
                          &(struct radius_side){.secret = trip->client_secret,
                                                .authenticator = trip->client_authenticator});
    radius_sign(out, trip->client_authenticator, trip->client_secret);
    return true;
}

/* ---- logins ---- */

/* Offset of the NT-Response in each attribute (RFC 2548 2.1.3, 2.3.2, 2.3.3). */
static const struct {
    uint8_t type;
    size_t len, at;
} nt_responses[] = {
    {RADIUS_MS_CHAP2_RESPONSE, 50, 26},
    {RADIUS_MS_CHAP_RESPONSE, 50, 26},
    {RADIUS_MS_CHAP2_CPW, 68, 42},
};

static struct span find_proof(const struct radius_packet *p)
{
    enum { CHAP_ID = 1, CHAP_RESPONSE = 16 };
    struct span value;

    for (size_t i = 0; i < sizeof nt_responses / sizeof *nt_responses; i++)
        if (radius_ms_find(p, nt_responses[i].type, &value) && value.n == nt_responses[i].len)
            return span_sub(value, nt_responses[i].at, HLAK_NT_RESPONSE);
    if (radius_find(p, RADIUS_CHAP_PASSWORD, &value) && value.n == CHAP_ID + CHAP_RESPONSE)
        return span_from(value, CHAP_ID);
    return span_of(NULL, 0);
}

void radius_carry_login(const struct radius_packet *request, uint8_t scratch[RADIUS_MAX],
                        struct radius_login *out)
{
    *out = (struct radius_login){.eap = radius_eap(request, scratch)};
    (void)radius_find(request, RADIUS_USER_NAME, &out->user);
    if (out->eap.n == 0)
        out->proof = find_proof(request);
}
