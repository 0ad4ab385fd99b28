#include "radius/radius_section_state.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "config/config.h"
#include "net/udp.h"
#include "net/worker.h"
#include "radius/radius_server.h"

static const char *const drop_names[RADIUS_DROPS] = {
    [RADIUS_DROP_STRANGER] = "stranger",   [RADIUS_DROP_MALFORMED] = "malformed",
    [RADIUS_DROP_FORGED] = "forged",       [RADIUS_DROP_UNSIGNED] = "unsigned",
    [RADIUS_DROP_REPLAYED] = "replayed",   [RADIUS_DROP_UNEXPECTED] = "unexpected",
    [RADIUS_DROP_NO_ROOM] = "no-room",     [RADIUS_DROP_FULL] = "full",
    [RADIUS_DROP_NO_SERVER] = "no-server",
};

const char *radius_drop_name(enum radius_drop why)
{
    return drop_names[why];
}

void radius_section_drop(struct radius_section *s, enum radius_drop why, const struct addr *from)
{
    char text[ADDR_TEXT_MAX];
    struct log_line l;

    atomic_fetch_add(&s->count.dropped[why], 1);
    if (!log_begin_limited(&l, LOG_LEVEL_WARNING, "radius", &s->limit[why], worker_now(s->worker),
                           1))
        return;
    log_str(&l, "radius", s->name);
    log_str(&l, "dropped", drop_names[why]);
    log_str(&l, "from", addr_format(from, text));
    log_end(&l);
}

/* Returns whether a packet needs a Message-Authenticator: with EAP-Message (RFC 3579 3.2), for
 * Status-Server (RFC 5997 3), or because of the configuration. */
static bool must_be_signed(const struct radius_section *s, const struct radius_packet *p)
{
    struct span eap;

    switch (p->code) {
    case RADIUS_STATUS_SERVER: return true;
    case RADIUS_ACCOUNTING_REQUEST:
    case RADIUS_ACCOUNTING_RESPONSE: return false; /* its authenticator is a signature */
    default:
        return s->config->require_message_authenticator || radius_find(p, RADIUS_EAP_MESSAGE, &eap);
    }
}

bool radius_section_verify(struct radius_section *s, const struct radius_packet *p,
                           const uint8_t *request_authenticator, struct span secret,
                           const struct addr *from)
{
    const enum radius_proof proof = radius_verify(p, request_authenticator, secret);

    if (proof == RADIUS_FORGED) {
        radius_section_drop(s, RADIUS_DROP_FORGED, from);
        return false;
    }
    if (proof == RADIUS_UNSIGNED && must_be_signed(s, p)) {
        radius_section_drop(s, RADIUS_DROP_UNSIGNED, from);
        return false;
    }
    return true;
}

void radius_section_judge(struct radius_section *s, const struct radius_packet *request,
                          struct keyring_marks marks, enum keyring_verdict verdict)
{
    struct keyring_login login = {.marks = marks};

    if (request->code != RADIUS_ACCESS_REQUEST)
        return;
    (void)radius_find(request, RADIUS_USER_NAME, &login.user);
    keyring_judge(s->keyring, s->name, &login, verdict, uv_hrtime() / 1000000);
}

void radius_section_drop_request(struct radius_section *s, struct radius_request *r)
{
    if (r->state == RADIUS_PENDING) {
        atomic_fetch_add(&s->count.verdicts[RADIUS_UNANSWERED], 1);
        radius_memory_put(&s->seen, span_of(r->trip.client_authenticator, RADIUS_AUTHENTICATOR), 0);
    }
    radius_server_release(r);
    radius_table_drop(&s->table, r);
}

void radius_section_unpark(struct radius_section *s, struct radius_parked *p)
{
    DL_DELETE(s->parked, p);
    s->parked_count--;
    keyring_forget_client(s->keyring, p->search);
    explicit_bzero(p->octets, p->len);
    free(p);
}

void radius_section_send_answer(const struct radius_request *r)
{
    (void)udp_send(r->udp, span_of(r->octets, r->len), &r->path);
}

/* Overwrites the stack below its caller, where AddressSanitizer has found a copy of a key. The code
 * that makes the copy is not known, so the whole depth of a callback of this thread is wiped:
 * 16 KiB. */
static __attribute__((noinline)) void burn_stack(void)
{
    uint8_t room[16384];
    OPENSSL_cleanse(room, sizeof room);
}

void radius_section_settle(struct radius_section *s)
{
    burn_stack();
    explicit_bzero(&s->out, sizeof s->out);
    explicit_bzero(s->eap, sizeof s->eap);
    atomic_store(&s->count.waiting, s->table.waiting);
}
