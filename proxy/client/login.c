#include "client/login.h"

#include <openssl/crypto.h>

#include "base/hex.h"
#include "base/insist.h"
#include "binding/proof.h"
#include "wire/ppp_codes.h"

enum { PAP_VALUE_MAX = 255 };

/* ---- a packet that is sent ---- */

struct packet {
    uint8_t octets[LOGIN_PACKET_MAX];
    size_t n;
};

static void put(struct packet *p, const void *octets, size_t n)
{
    INSIST(n <= sizeof p->octets - p->n); /* names and passwords are bounded by login_start */
    if (n > 0)
        memcpy(p->octets + p->n, octets, n);
    p->n += n;
}

static void put_u8(struct packet *p, unsigned value)
{
    const uint8_t octet = (uint8_t)value;
    put(p, &octet, 1);
}

static void put_u16(struct packet *p, size_t value)
{
    put_u8(p, (unsigned)value >> 8);
    put_u8(p, (unsigned)value & 0xff);
}

static void put_span(struct packet *p, struct span s)
{
    put(p, s.p, s.n);
}

static struct packet packet_of(unsigned code, uint8_t id)
{
    struct packet p = {.n = 0};

    put_u8(&p, code);
    put_u8(&p, id);
    put_u16(&p, 0);
    return p;
}

/* Sets the length and sends the packet, which is wiped. */
static void packet_send(const struct login *l, uint16_t protocol, struct packet *p)
{
    p->octets[2] = (uint8_t)(p->n >> 8);
    p->octets[3] = (uint8_t)p->n;
    l->send(l->arg, protocol, span_of(p->octets, p->n));
    OPENSSL_cleanse(p, sizeof *p);
}

/* ---- the server's decision ---- */

static void keep_message(struct login *l, struct span text)
{
    size_t n = 0;

    for (size_t i = 0; i < text.n && n < sizeof l->message - 1; i++)
        l->message[n++] = (char)(text.p[i] >= ' ' && text.p[i] < 0x7f ? text.p[i] : '?');
    l->message[n] = '\0';
}

/* Returns the part of text behind a mark; text.n == 0: there is no mark. */
static struct span behind(struct span text, const char *mark)
{
    const size_t n = strlen(mark);

    for (size_t i = 0; i + n <= text.n; i++)
        if (memcmp(text.p + i, mark, n) == 0)
            return span_from(text, i + n);
    return span_of(NULL, 0);
}

/* Reads the Failure of MS-CHAPv2: E=691 R=0 C=... V=3 M=text. */
static void read_failure(struct login *l, struct span text)
{
    const struct span number = behind(text, "E="), message = behind(text, "M=");

    l->error = 0;
    for (size_t i = 0; i < number.n && i < 4 && ascii_is_digit(number.p[i]); i++)
        l->error = l->error * 10 + (number.p[i] - '0');
    keep_message(l, message.n > 0 ? message : text);
    l->result = l->error == PPP_ERROR_EXPIRED      ? LOGIN_EXPIRED
                : l->error == PPP_REFUSED_UNJUDGED ? LOGIN_UNJUDGED
                                                   : LOGIN_REFUSED;
}

static void refuse(struct login *l, struct span message)
{
    if (l->result != LOGIN_PENDING)
        return;
    keep_message(l, message);
    l->result = LOGIN_REFUSED;
}

/* Checks the server's answer, S= and 40 digits (RFC 2759 5). */
static bool server_has_proof(const struct login *l, struct span text)
{
    const struct span digits = span_sub(behind(text, "S="), 0, 2 * MSCHAP_ANSWER);
    uint8_t answer[MSCHAP_ANSWER];

    return l->answered && digits.n == 2 * MSCHAP_ANSWER &&
           hex_read(digits, answer, sizeof answer) &&
           mschap_answer_fits(answer, l->hash_hash, l->nt_response, l->settings->peer_challenge,
                              l->challenge, l->settings->user);
}

/* ---- PAP ---- */

static void pap_send(struct login *l)
{
    const struct login_settings *s = l->settings;
    struct packet p = packet_of(PAP_REQUEST, l->pap_id);

    put_u8(&p, (unsigned)s->user.n);
    put_span(&p, s->user);
    put_u8(&p, (unsigned)s->password.n);
    put_span(&p, s->password);
    packet_send(l, PPP_PAP, &p);
}

static void pap_start(struct login *l)
{
    if (l->settings->user.n > PAP_VALUE_MAX || l->settings->password.n > PAP_VALUE_MAX) {
        l->result = LOGIN_UNUSABLE;
        return;
    }
    l->pap_id = 1;
    pap_send(l);
}

static void pap_receive(struct login *l, const struct ppp_frame *f)
{
    if (f->id != l->pap_id)
        return;
    if (f->code == PAP_ACK)
        l->result = LOGIN_ACCEPTED;
    else if (f->code == PAP_NAK)
        refuse(l, span_from(f->data, 1));
}

/* ---- CHAP ---- */

/* Computes the response to a challenge of MS-CHAPv2, and puts it into the packet. False: the
 * password cannot be used. */
static bool put_mschapv2(struct login *l, struct span challenge, struct packet *p)
{
    static const uint8_t zeros[PPP_MSCHAP_RESERVED];
    const struct login_settings *s = l->settings;

    memcpy(l->challenge, challenge.p, MSCHAP_CHALLENGE);
    l->answered =
        s->md4 != NULL && proof_mschapv2(s->md4, s->user, s->password, l->challenge,
                                         s->peer_challenge, l->nt_response, l->hash_hash) == ERR_OK;
    if (!l->answered) {
        l->result = LOGIN_UNUSABLE;
        return false;
    }
    put_u8(p, PPP_MSCHAP_VALUE);
    put(p, s->peer_challenge, MSCHAP_CHALLENGE);
    put(p, zeros, sizeof zeros);
    put(p, l->nt_response, sizeof l->nt_response);
    put_u8(p, 0);
    put_span(p, s->user);
    return true;
}

static bool put_md5(struct login *l, uint8_t id, struct span challenge, struct packet *p)
{
    uint8_t response[PROOF_MD5];

    if (proof_md5(id, l->settings->password, challenge, response) != ERR_OK) {
        l->result = LOGIN_UNUSABLE;
        return false;
    }
    put_u8(p, sizeof response);
    put(p, response, sizeof response);
    put_span(p, l->settings->user);
    l->answered = true;
    return true;
}

static void chap_challenged(struct login *l, const struct ppp_frame *f)
{
    struct cursor c = cursor_of(f->data);
    const struct span challenge = cursor_take(&c, cursor_u8(&c));
    struct packet p = packet_of(CHAP_RESPONSE, f->id);
    bool ok = false;

    if (c.short_ || challenge.n == 0)
        return;
    l->challenge_id = f->id;
    if (l->method == PPP_METHOD_CHAP_MD5)
        ok = put_md5(l, f->id, challenge, &p);
    else if (challenge.n == MSCHAP_CHALLENGE)
        ok = put_mschapv2(l, challenge, &p);
    if (ok)
        packet_send(l, PPP_CHAP, &p);
}

static void chap_receive(struct login *l, const struct ppp_frame *f)
{
    if (f->code == CHAP_CHALLENGE) {
        if (l->answers++ < LOGIN_ANSWERS_MAX)
            chap_challenged(l, f);
        return;
    }
    if (!l->answered || f->id != l->challenge_id)
        return;
    if (f->code == CHAP_FAILURE && l->method == PPP_METHOD_MSCHAPV2) {
        read_failure(l, f->data);
    } else if (f->code == CHAP_FAILURE) {
        refuse(l, f->data);
    } else if (f->code == CHAP_SUCCESS) {
        l->proved = l->method == PPP_METHOD_MSCHAPV2 && server_has_proof(l, f->data);
        l->result = l->proved || l->method == PPP_METHOD_CHAP_MD5 ? LOGIN_ACCEPTED : LOGIN_IMPOSTOR;
    }
}

/* ---- EAP ---- */

static struct packet eap_response(const struct ppp_frame *f, unsigned type)
{
    struct packet p = packet_of(EAP_RESPONSE, f->id);

    put_u8(&p, type);
    return p;
}

static void eap_challenged(struct login *l, const struct ppp_frame *f, struct cursor c)
{
    const uint8_t id = cursor_u8(&c);
    cursor_u16(&c); /* MS-Length, which is that of the packet */
    const struct span challenge = cursor_take(&c, cursor_u8(&c));
    struct packet p = eap_response(f, EAP_TYPE_MSCHAPV2);

    if (c.short_ || challenge.n != MSCHAP_CHALLENGE)
        return;
    put_u8(&p, CHAP_RESPONSE);
    put_u8(&p, id);
    put_u16(&p, PPP_PACKET_HEAD + 1 + PPP_MSCHAP_VALUE + l->settings->user.n);
    if (put_mschapv2(l, challenge, &p))
        packet_send(l, PPP_EAP, &p);
}

/* Acknowledges the server's Success or Failure of EAP-MSCHAPv2; EAP's own follows. */
static void eap_acknowledge(struct login *l, const struct ppp_frame *f, uint8_t op)
{
    struct packet p = eap_response(f, EAP_TYPE_MSCHAPV2);

    put_u8(&p, op);
    packet_send(l, PPP_EAP, &p);
}

static void eap_mschapv2(struct login *l, const struct ppp_frame *f)
{
    struct cursor c = cursor_of(span_from(f->data, 1));
    const uint8_t op = cursor_u8(&c);
    const struct span text = span_from(c.rest, 3); /* behind the identifier and MS-Length */

    if (op == CHAP_CHALLENGE) {
        l->proved = false;
        eap_challenged(l, f, c);
    } else if (op == CHAP_SUCCESS && server_has_proof(l, text)) {
        l->proved = true;
        eap_acknowledge(l, f, op);
    } else if (op == CHAP_SUCCESS) {
        l->result = LOGIN_IMPOSTOR;
    } else if (op == CHAP_FAILURE && l->answered) {
        eap_acknowledge(l, f, op);
        read_failure(l, text);
    }
}

static void eap_requested(struct login *l, const struct ppp_frame *f)
{
    const unsigned type = f->data.n > 0 ? f->data.p[0] : 0;
    struct packet p = eap_response(f, type);

    if (type == 0 || l->answers++ >= LOGIN_ANSWERS_MAX)
        return;
    if (type == EAP_TYPE_MSCHAPV2) {
        l->eap_type = EAP_TYPE_MSCHAPV2;
        eap_mschapv2(l, f);
        return;
    }
    if (type == EAP_TYPE_IDENTITY) {
        put_span(&p, l->settings->user);
    } else if (type != EAP_TYPE_NOTIFICATION) {
        l->eap_type = (uint8_t)type;
        p = eap_response(f, EAP_TYPE_NAK);
        put_u8(&p, EAP_TYPE_MSCHAPV2);
    }
    packet_send(l, PPP_EAP, &p);
}

static void eap_receive(struct login *l, const struct ppp_frame *f)
{
    if (f->code == EAP_REQUEST)
        eap_requested(l, f);
    else if (f->code == EAP_SUCCESS)
        l->result = l->proved ? LOGIN_ACCEPTED : LOGIN_IMPOSTOR;
    else if (f->code == EAP_FAILURE && l->eap_type != 0 && l->eap_type != EAP_TYPE_MSCHAPV2)
        l->result = LOGIN_NO_TYPE;
    else if (f->code == EAP_FAILURE)
        refuse(l, span_of(NULL, 0));
}

/* ---- all methods ---- */

void login_start(struct login *l, enum ppp_method method, const struct login_settings *settings,
                 login_send *send, void *arg)
{
    INSIST(settings->user.n < PPP_USER_MAX);
    *l = (struct login){.settings = settings, .send = send, .arg = arg, .method = method};
    if (method == PPP_METHOD_PAP)
        pap_start(l);
}

void login_retransmit(struct login *l)
{
    if (l->method == PPP_METHOD_PAP && l->result == LOGIN_PENDING)
        pap_send(l);
}

void login_receive(struct login *l, const struct ppp_frame *f)
{
    if (l->result != LOGIN_PENDING)
        return;
    if (f->protocol == PPP_PAP && l->method == PPP_METHOD_PAP)
        pap_receive(l, f);
    else if (f->protocol == PPP_CHAP &&
             (l->method == PPP_METHOD_CHAP_MD5 || l->method == PPP_METHOD_MSCHAPV2))
        chap_receive(l, f);
    else if (f->protocol == PPP_EAP && l->method == PPP_METHOD_EAP_MSCHAPV2)
        eap_receive(l, f);
}

void login_key(const struct login *l, struct hlak *out)
{
    if (l->proved)
        hlak_mschapv2(out, l->hash_hash, l->nt_response);
    else
        hlak_zero(out);
}

void login_fini(struct login *l)
{
    OPENSSL_cleanse(l, sizeof *l);
}
