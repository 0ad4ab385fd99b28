#include "radius/keyring_entry.h"

#include <string.h>

#include "base/insist.h"

/* The first byte; a gate of another version ignores a kind that it does not know. */
enum { OUTCOME = 1, CLIENT = 2 };

static uint8_t *put_u64(uint8_t *at, uint64_t n)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(n >> shift);
    return at;
}

/* Writes the head that all kinds have, and returns its end. */
static uint8_t *put_head(uint8_t *at, uint8_t kind, uint8_t a, uint8_t b, uint64_t time_ms,
                         const struct keyring_label *l)
{
    const uint64_t parts[] = {time_ms, l->radius, l->user, l->bare, l->marks.proof, l->marks.chain};

    *at++ = kind;
    *at++ = a;
    *at++ = b;
    *at++ = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        at = put_u64(at, parts[i]);
    return at;
}

static uint64_t take_u64(struct cursor *c)
{
    const uint64_t high = cursor_u32(c);
    return high << 32 | cursor_u32(c);
}

/* Reads the head. False: the entry is of another kind, or too short. */
static bool take_head(struct cursor *c, uint8_t kind, uint8_t out[2], uint64_t *time_ms,
                      struct keyring_label *l)
{
    const bool fits = cursor_u8(c) == kind;

    out[0] = cursor_u8(c);
    out[1] = cursor_u8(c);
    const bool zero = cursor_u8(c) == 0;
    *time_ms = take_u64(c);
    l->radius = take_u64(c);
    l->user = take_u64(c);
    l->bare = take_u64(c);
    l->marks.proof = take_u64(c);
    l->marks.chain = take_u64(c);
    return fits && zero && !c->short_;
}

size_t keyring_entry_of_outcome(const struct keyring_outcome *o, uint64_t time_ms,
                                uint8_t out[KEYRING_ENTRY_MAX])
{
    INSIST(o->n <= KEYRING_PER_LOGIN);
    uint8_t *at = put_head(out, OUTCOME, o->verdict == KEYRING_ACCEPTED ? 'A' : 'R', (uint8_t)o->n,
                           time_ms, &o->label);
    for (size_t i = 0; i < o->n; i++, at += HLAK_LEN)
        memcpy(at, o->key[i].key, HLAK_LEN);
    return (size_t)(at - out);
}

size_t keyring_entry_of_client(const struct keyring_label *label, const struct addr *client,
                               uint64_t time_ms, uint8_t out[KEYRING_ENTRY_MAX])
{
    const bool v4 = client->family == AF_INET;
    uint8_t *at = put_head(out, CLIENT, v4 ? 4 : 6, 0, time_ms, label);

    *at++ = (uint8_t)(client->port >> 8);
    *at++ = (uint8_t)client->port;
    memset(at, 0, sizeof client->ip);
    memcpy(at, client->ip, v4 ? 4 : sizeof client->ip);
    return (size_t)(at + sizeof client->ip - out);
}

enum err keyring_entry_outcome(struct span entry, struct keyring_outcome *o, uint64_t *time_ms)
{
    struct cursor c = cursor_of(entry);
    uint8_t facts[2];

    *o = (struct keyring_outcome){0};
    const bool valid = take_head(&c, OUTCOME, facts, time_ms, &o->label);
    if (!valid || (facts[0] != 'A' && facts[0] != 'R') || facts[1] > KEYRING_PER_LOGIN ||
        c.rest.n != (size_t)facts[1] * HLAK_LEN || (facts[0] == 'R' && facts[1] > 0))
        return ERR_SYNTAX;
    o->verdict = facts[0] == 'A' ? KEYRING_ACCEPTED : KEYRING_REJECTED;
    for (; o->n < facts[1]; o->n++) {
        o->key[o->n].kind = HLAK_SHARED;
        memcpy(o->key[o->n].key, cursor_take(&c, HLAK_LEN).p, HLAK_LEN);
    }
    return ERR_OK;
}

enum err keyring_entry_client(struct span entry, struct keyring_label *label, struct addr *client,
                              uint64_t *time_ms)
{
    static const uint8_t zeros[12];
    struct cursor c = cursor_of(entry);
    uint8_t facts[2];

    *label = (struct keyring_label){0};
    *client = (struct addr){0};
    const bool valid = take_head(&c, CLIENT, facts, time_ms, label);
    const uint16_t port = cursor_u16(&c);
    const struct span ip = cursor_take(&c, sizeof client->ip);
    if (!valid || c.short_ || c.rest.n > 0 || (facts[0] != 4 && facts[0] != 6) || facts[1] != 0 ||
        (facts[0] == 4 && memcmp(ip.p + 4, zeros, sizeof zeros) != 0))
        return ERR_SYNTAX;
    client->family = facts[0] == 4 ? AF_INET : AF_INET6;
    client->port = port;
    memcpy(client->ip, ip.p, ip.n);
    return ERR_OK;
}
