/* The input is a call for the negotiation: an octet with the configuration of the backend, then
 * packets and events. Two octets precede each of them. The highest bit: from the backend; the
 * next one: an event, with its number in the lower octet; otherwise the lower twelve bits are the
 * length of the packet, which may be shorter at the end. */
#include <stdlib.h>

#include "base/insist.h"
#include "binding/binding.h"
#include "call/negotiation.h"
#include "radius/keyring.h"
#include "users/users.h"
#include "wire/ppp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WITH_RADIUS = 4, WITH_USERS = 8 };
enum event { KEYS_CAME, TIME_IS_OVER, GIVE_KEY, BIND_ZEROS, BIND_RADIUS, BIND_USERS };

static const uint8_t hash_hash[] = {0x41, 0xc0, 0x0c, 0x58, 0x4b, 0xd2, 0xd9, 0x1c,
                                    0x40, 0x17, 0xa2, 0xa1, 0x2f, 0xa5, 0x9f, 0x3f};
static const char users_text[] = "User:41c00c584bd2d91c4017a2a12fa59f3f\n";

static struct {
    struct config_backend config;
    struct config_radius radius;
    struct site_backend backend;
    struct record record;
    struct negotiation *front; /* NULL: the call has ended, or the tunnel is up */
    struct log_limit lines;
    struct binding_leaf leaf[2]; /* of client and backend */
    uint8_t nonce[SSTP_NONCE];
    uint8_t nt_response[HLAK_NT_RESPONSE]; /* of the latest frame that may be an NT-Response */
    bool waits;
} call;

/* Shared by all inputs, because it is large, and its keys have expired before the next call. */
static struct keyring *keyring;
static uint64_t now_ms;

static bool is(const char *a, const char *b)
{
    return a != NULL && strcmp(a, b) == 0;
}

/* Checks what must be true of a tunnel, whatever client and backend sent. */
static void check_tunnel(void)
{
    const struct record *s = &call.record;

    if (call.config.binding == CONFIG_BINDING_REWRITE)
        INSIST(s->binding == RECORD_BINDING_VERIFIED);
    INSIST(s->binding != RECORD_BINDING_NONE && s->binding != RECORD_BINDING_FAILED);
    INSIST((s->binding == RECORD_BINDING_VERIFIED) == (s->key != NULL));
    INSIST(!is(s->key, "radius") || call.config.radius != NULL);
    INSIST(!is(s->key, "zero") || (!is(s->method, "ms-chapv2") && !is(s->method, "ms-chapv1")));
}

static void obey(const struct negotiation_answer *a, bool client)
{
    switch (a->verdict) {
    case NEGOTIATION_PASS:
    case NEGOTIATION_DROP: return;
    case NEGOTIATION_HOLD: INSIST(client && call.waits); return;
    case NEGOTIATION_WAIT:
        INSIST(client && call.config.radius != NULL);
        call.waits = true;
        return;
    case NEGOTIATION_REPLACE: INSIST(a->octets.n > 0 && a->octets.n <= SSTP_PACKET_MAX); return;
    case NEGOTIATION_CONNECTED:
        INSIST(a->octets.n > 0);
        check_tunnel();
        break;
    case NEGOTIATION_REFUSE: INSIST(a->reason != REASON_NONE); break;
    }
    negotiation_free(call.front);
    call.front = NULL;
}

static void note_response(struct span frame)
{
    enum { IN_EAP = 34 }; /* offset of the response in the EAP packet ([MS-CHAP] 2.2) */
    struct span user, proof;

    if (!ppp_login(frame, &user, &proof))
        return;
    if (proof.n > HLAK_NT_RESPONSE)
        proof = span_sub(proof, IN_EAP, HLAK_NT_RESPONSE);
    if (proof.n == HLAK_NT_RESPONSE)
        memcpy(call.nt_response, proof.p, proof.n);
}

static void packet(struct span octets, bool client)
{
    struct sstp_packet p;
    struct sstp_ack ack;

    if (sstp_parse(octets, &p) != ERR_OK)
        return;
    octets = span_sub(octets, 0, p.len);
    if (!client && p.type == SSTP_CONNECT_ACK && sstp_parse_ack(&p, &ack) == ERR_OK)
        memcpy(call.nonce, ack.nonce.p, SSTP_NONCE);
    if (client && !p.control)
        note_response(p.body);
    struct negotiation_answer a = client ? negotiation_from_client(call.front, &p, octets, now_ms)
                                         : negotiation_from_backend(call.front, &p, octets, now_ms);
    obey(&a, client);
}

static void try_key(bool late)
{
    if (!call.waits)
        return;
    struct negotiation_answer a = negotiation_try_key(call.front, now_ms, late);
    call.waits = a.verdict == NEGOTIATION_WAIT;
    INSIST(!late || !call.waits);
    INSIST(a.verdict != NEGOTIATION_PASS && a.verdict != NEGOTIATION_DROP &&
           a.verdict != NEGOTIATION_HOLD);
    obey(&a, true);
}

static struct hlak radius_key(void)
{
    return (struct hlak){.kind = HLAK_RADIUS, .key = "what only RADIUS knows"};
}

static void give_key(void)
{
    const struct span nt_response = span_of(call.nt_response, HLAK_NT_RESPONSE);
    const struct keyring_login login = {.user = span_str("user"),
                                        .marks.proof = keyring_proof(keyring, nt_response)};
    const struct hlak key = radius_key();
    keyring_put(keyring, "home", &login, &key, 1, now_ms);
}

/* Makes a Call Connected that is right except, possibly, for its key. */
static void bind_with(const struct hlak *key)
{
    uint8_t octets[SSTP_CONNECTED_LEN] = {0x10, 1, 0, 112, 0, 4, 0, 1,
                                          0,    3, 0, 104, 0, 0, 0, SSTP_HASH_SHA256};

    memcpy(octets + SSTP_CONNECTED_NONCE, call.nonce, SSTP_NONCE);
    binding_make(span_of(octets, sizeof octets), SSTP_HASH_SHA256, &call.leaf[0], key, octets);
    packet(span_of(octets, sizeof octets), true);
}

static void event(enum event e)
{
    struct hlak key;

    switch (e) {
    case KEYS_CAME: try_key(false); return;
    case TIME_IS_OVER: try_key(true); return;
    case GIVE_KEY: give_key(); return;
    case BIND_ZEROS: hlak_zero(&key); break;
    case BIND_RADIUS: key = radius_key(); break;
    case BIND_USERS: hlak_mschapv2(&key, hash_hash, call.nt_response); break;
    default: return;
    }
    bind_with(&key);
}

static void begin(uint8_t how, struct users *users)
{
    memset(&call, 0, sizeof call);
    call.config.name = (char *)"b";
    call.config.binding = (enum config_binding)(how & 3);
    call.radius.name = (char *)"home";
    call.backend.config = &call.config;
    call.backend.users = how & WITH_USERS ? users : NULL;
    if (how & WITH_RADIUS)
        call.config.radius = &call.radius;
    call.record.listener = "l";
    call.record.binding_lines = &call.lines;
    call.record.client.family = AF_INET;
    binding_leaf_from_der(&call.leaf[0], span_str("front"));
    binding_leaf_from_der(&call.leaf[1], span_str("back"));
    now_ms += KEYRING_MS + 1;
    call.front = negotiation_new(&call.backend, &call.leaf[0], &call.leaf[1], &call.record);
    negotiation_use_keyring(call.front, keyring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct users *users;
    struct cursor c = cursor_of(span_of(data, size));

    if (users == NULL) {
        users = users_parse("users", users_text, sizeof users_text - 1, stderr);
        keyring = keyring_new();
        INSIST(users != NULL && log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK);
    }
    begin(cursor_u8(&c), users);
    while (c.rest.n > 1 && call.front != NULL) {
        uint16_t head = cursor_u16(&c);
        size_t n = head & 0x0fff;
        if (head & 0x4000)
            event((enum event)(head & 0xff));
        else
            packet(cursor_take(&c, n < c.rest.n ? n : c.rest.n), !(head & 0x8000));
    }
    negotiation_free(call.front);
    record_fini(&call.record);
    return 0;
}
