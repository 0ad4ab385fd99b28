#include "server_models.h"

#include "base/insist.h"

enum {
    LCP = 0xc021,
    PAP = 0xc023,
    CHAP = 0xc223,
    EAP = 0xc227,
    REQ = 1,
    ACK = 2,
    NAK = 3,
    REJ = 4,
    TERM_REQ = 5,
    TERM_ACK = 6,
    CODE_REJ = 7,
    PROT_REJ = 8,
    OPTION_MRU = 1,
    OPTION_AUTH = 3,
    TYPE_IDENTITY = 1,
    TYPE_NOTIFICATION = 2,
    TYPE_NAK = 3,
    TYPE_MD5 = 4,
    TYPE_TLS = 13,
    TYPE_PEAP = 25,
    TYPE_MSCHAPV2 = 26,
};

struct method {
    uint16_t protocol;
    uint8_t algorithm, eap_type;
    enum ppp_method name;
};

static const struct method mschapv2 = {CHAP, 0x81, 0, PPP_METHOD_MSCHAPV2};
static const struct method mschapv1 = {CHAP, 0x80, 0, PPP_METHOD_MSCHAPV1};
static const struct method md5 = {CHAP, 0x05, 0, PPP_METHOD_CHAP_MD5};
static const struct method pap = {PAP, 0, 0, PPP_METHOD_PAP};
static const struct method eap_mschapv2 = {EAP, 0, TYPE_MSCHAPV2, PPP_METHOD_EAP_MSCHAPV2};
static const struct method eap_tls = {EAP, 0, TYPE_TLS, PPP_METHOD_EAP_TLS};
static const struct method eap_md5 = {EAP, 0, TYPE_MD5, PPP_METHOD_EAP_MD5};

/* The methods of each server, in the order of its fallback. */
static const struct method *const methods[SERVER_KINDS][8] = {
    [SERVER_ACCEL] = {&mschapv2, &mschapv1, &md5, &pap},
    [SERVER_PPPD] = {&eap_mschapv2, &mschapv2, &mschapv1, &md5, &pap, &eap_md5, &eap_tls},
    [SERVER_RRAS] = {&eap_mschapv2, &mschapv2, &md5, &pap, &eap_tls},
};

/* ---- octets ---- */

struct packet {
    uint16_t protocol;
    uint8_t code, id;
    struct span data;
};

static void append(struct server_frame *f, const void *p, size_t n)
{
    INSIST(f->n + n <= sizeof f->p);
    if (n > 0)
        memcpy(f->p + f->n, p, n);
    f->n += n;
}

static void emit(struct server_model *m, uint16_t protocol, uint8_t code, uint8_t id,
                 struct span data)
{
    if (m->outs == SERVER_OUT_MAX)
        return;
    const size_t n = data.n + 4;
    const uint8_t head[] = {0xff, 0x03, (uint8_t)(protocol >> 8), (uint8_t)protocol,
                            code, id,   (uint8_t)(n >> 8),        (uint8_t)n};
    struct server_frame *f = &m->out[m->outs++];
    f->n = 0;
    append(f, head, sizeof head);
    append(f, data.p, data.n);
}

static void emit_text(struct server_model *m, uint16_t protocol, uint8_t code, uint8_t id,
                      const char *text)
{
    emit(m, protocol, code, id, span_str(text));
}

/* Reads a frame by RFC 1661: address and control may be missing, the protocol may have one
 * octet, the inner length truncates. pppd, accel-ppp (auth_*.c:*_recv) and, as far as known,
 * RRAS do so. */
static bool read_strict(struct span s, struct packet *out)
{
    if (s.n >= 2 && s.p[0] == 0xff && s.p[1] == 0x03)
        s = span_from(s, 2);
    if (s.n >= 1 && (s.p[0] & 1) != 0) {
        out->protocol = s.p[0];
        s = span_from(s, 1);
    } else if (s.n >= 2) {
        out->protocol = (uint16_t)(s.p[0] << 8 | s.p[1]);
        s = span_from(s, 2);
    } else {
        return false;
    }
    if (s.n < 4)
        return false;
    const size_t n = (size_t)s.p[2] << 8 | s.p[3];
    if (n < 4 || n > s.n)
        return false;
    out->code = s.p[0];
    out->id = s.p[1];
    out->data = span_sub(s, 4, n - 4);
    return true;
}

/* Finds option 3; false: there is none before the end or the first malformed option. */
static bool find_auth(struct span options, struct span *value)
{
    while (options.n >= 2 && options.p[1] >= 2 && options.p[1] <= options.n) {
        if (options.p[0] == OPTION_AUTH) {
            *value = span_sub(options, 2, options.p[1] - 2u);
            return true;
        }
        options = span_from(options, options.p[1]);
    }
    return false;
}

/* ---- names ---- */

static struct server_name name_counted(struct span s)
{
    struct server_name out = {.n = s.n < SERVER_NAME_MAX ? s.n : SERVER_NAME_MAX};
    if (out.n > 0)
        memcpy(out.p, s.p, out.n);
    return out;
}

/* C strings: accel-ppp _strndup, pppd BCOPY and strlen, SoftEther ReadBuf into zeros. */
static struct server_name name_c(struct span s)
{
    const uint8_t *nul = s.n == 0 ? NULL : memchr(s.p, 0, s.n);
    return name_counted(span_sub(s, 0, nul == NULL ? s.n : (size_t)(nul - s.p)));
}

static bool is_hub(struct span s)
{
    return span_eq_nocase(s, span_str("VPN"));
}

/* PPPParseUsername: trims blanks and tabs, then removes an existing hub at either end. */
static struct server_name name_softether(struct span s)
{
    struct server_name c = name_c(s);
    s = span_of(c.p, c.n);
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = span_from(s, 1);
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s = span_sub(s, 0, s.n - 1);
    const uint8_t *slash = s.n == 0 ? NULL : memchr(s.p, '\\', s.n);
    const size_t first = slash == NULL ? 0 : (size_t)(slash - s.p);
    if (first >= 1 && first < s.n - 1)
        return name_counted(is_hub(span_sub(s, 0, first)) ? span_from(s, first + 1) : s);
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == '@')
            return name_counted(is_hub(span_from(s, i + 1)) ? span_sub(s, 0, i) : s);
    return name_counted(s);
}

/* ---- common parts ---- */

static const struct method *method_of(const struct server_model *m)
{
    return methods[m->kind][m->method];
}

static void new_challenge(struct server_model *m)
{
    m->challenges++;
    for (size_t i = 0; i < sizeof m->challenge; i++)
        m->challenge[i] = (uint8_t)(m->challenges * 31 + i * 7 + 1);
}

static void emit_challenge(struct server_model *m, uint8_t size)
{
    uint8_t data[18] = {size};
    memcpy(data + 1, m->challenge, size);
    data[1 + size] = 's';
    emit(m, CHAP, 1, m->id, span_of(data, size + 2u));
}

/* A login with an MS-CHAP answer: 49 octets. */
static struct server_login mschap_login(const struct server_model *m, enum ppp_method method,
                                        const uint8_t *value)
{
    struct server_login l = {.method = method, .has_nt = true};
    l.v1 = method == PPP_METHOD_MSCHAPV1;
    memcpy(l.challenge, m->challenge, l.v1 ? 8 : 16);
    if (!l.v1)
        memcpy(l.peer, value, 16);
    memcpy(l.nt, value + 24, 24);
    memcpy(l.proof, l.nt, l.proof_len = 24);
    return l;
}

static struct server_login chap_login(const struct server_model *m, const struct method *how,
                                      const uint8_t *value)
{
    struct server_login l = {.method = how->name, .proof_len = 16};
    if (how != &md5)
        return mschap_login(m, how->name, value);
    memcpy(l.proof, value, l.proof_len);
    return l;
}

/* The first login of a link gives the session its name; later logins do not change it. */
static void let_in(struct server_model *m, const struct server_login *l)
{
    struct server_name user = m->in ? m->login.user : l->user;
    m->login = *l;
    m->login.user = user;
    m->in = m->news = true;
}

static void refuse(struct server_model *m)
{
    m->refusals++;
    m->ended = true;
}

/* ---- LCP of accel-ppp, pppd and RRAS ---- */

static void auth_start(struct server_model *m);

static void lcp_request(struct server_model *m)
{
    const struct method *how = method_of(m);
    const uint8_t chap = how->protocol == CHAP;
    uint8_t *p = m->lcp_request;
    size_t n = 0;

    p[n++] = OPTION_AUTH;
    p[n++] = (uint8_t)(4 + chap);
    p[n++] = (uint8_t)(how->protocol >> 8);
    p[n++] = (uint8_t)how->protocol;
    if (chap)
        p[n++] = how->algorithm;
    memcpy(p + n, "\5\6magi", 6);
    m->lcp_request_len = n + 6;
    m->lcp_here = false;
    emit(m, LCP, REQ, ++m->lcp_id, span_of(p, m->lcp_request_len));
}

static void lcp_restart(struct server_model *m)
{
    m->lcp_there = false;
    m->asked = m->done = m->refused = m->waiting = m->retry = m->in = false;
    m->eap = EAP_IDLE;
    m->login = m->pending = (struct server_login){0};
    lcp_request(m);
}

/* accel-ppp never accepts an authentication option (ppp_auth.c:auth_recv_conf_req); pppd and
 * RRAS do so only for outgoing calls. */
static void lcp_requested(struct server_model *m, const struct packet *p)
{
    struct span value;
    const bool open = m->lcp_here && m->lcp_there;

    if (find_auth(p->data, &value)) {
        if (open && m->kind == SERVER_ACCEL) {
            m->ended = true; /* ppp_lcp.c:lcp_recv, CONFREQ with lcp->started */
            return;
        }
        if (open)
            lcp_restart(m);
        emit(m, LCP, REJ, p->id, p->data);
        return;
    }
    if (open && m->kind != SERVER_ACCEL) /* fsm.c:fsm_rconfreq, OPENED; RFC 1661 4.3 */
        lcp_restart(m);
    emit(m, LCP, ACK, p->id, p->data);
    m->lcp_there = true;
}

static void lcp_acked(struct server_model *m, const struct packet *p)
{
    /* ppp_auth.c:auth_recv_conf_ack checks nothing; lcp.c:lcp_ackci checks every octet */
    if (m->kind == SERVER_ACCEL || span_eq(p->data, span_of(m->lcp_request, m->lcp_request_len)))
        m->lcp_here = true;
}

static bool offers(const struct server_model *m, struct span value, unsigned *which)
{
    for (unsigned i = 0; methods[m->kind][i] != NULL; i++) {
        const struct method *how = methods[m->kind][i];
        if (value.n >= 2 && (value.p[0] << 8 | value.p[1]) == how->protocol &&
            (how->protocol != CHAP || (value.n >= 3 && value.p[2] == how->algorithm))) {
            *which = i;
            return true;
        }
    }
    return false;
}

/* accel-ppp tries its list in order; pppd and RRAS use the client's method if they have it. */
static void lcp_refused(struct server_model *m, const struct packet *p)
{
    struct span value;

    if (find_auth(p->data, &value)) {
        m->tried |= 1u << m->method;
        if (m->kind == SERVER_ACCEL || p->code == REJ || !offers(m, value, &m->method))
            while (methods[m->kind][m->method] != NULL && (m->tried >> m->method & 1) != 0)
                m->method++;
        if (methods[m->kind][m->method] == NULL) {
            m->ended = true;
            return;
        }
    }
    lcp_request(m);
}

static void lcp_take(struct server_model *m, const struct packet *p)
{
    const bool open = m->lcp_here && m->lcp_there;

    if (p->code == REQ)
        lcp_requested(m, p);
    else if (p->code == TERM_REQ)
        m->ended = true;
    else if (p->id == m->lcp_id && !m->lcp_here && p->code == ACK)
        lcp_acked(m, p);
    else if (p->id == m->lcp_id && !m->lcp_here && (p->code == NAK || p->code == REJ))
        lcp_refused(m, p);
    if (!open && !m->ended && m->lcp_here && m->lcp_there)
        auth_start(m);
}

/* ---- PAP ---- */

static bool pap_parse(struct span data, struct span *user)
{
    if (data.n < 1 || data.p[0] + 2u > data.n || data.p[data.p[0] + 1] + data.p[0] + 2u > data.n)
        return false;
    *user = span_sub(data, 1, data.p[0]);
    return true;
}

static void pap_judged(struct server_model *m, uint8_t id)
{
    emit(m, PAP, m->accepts ? ACK : NAK, id, span_of("", 1));
    m->waiting = false;
    m->done = true;
    if (m->accepts)
        let_in(m, &m->pending);
    else
        refuse(m);
}

/* auth_pap.c:pap_recv_req, upap.c:upap_rauthreq: the first request decides, with any
 * identifier, and after its Ack every other request is acknowledged, too. */
static void pap_take(struct server_model *m, const struct packet *p)
{
    struct span user;

    if (p->code != REQ)
        return;
    if (m->done) {
        emit(m, PAP, ACK, p->id, span_of("", 1));
        return;
    }
    if (m->waiting || !pap_parse(p->data, &user))
        return;
    m->pending = (struct server_login){.method = PPP_METHOD_PAP};
    m->pending.user = m->pending.proved =
        m->kind == SERVER_RRAS ? name_counted(user) : name_c(user);
    m->id = p->id;
    if (m->kind == SERVER_ACCEL && (m->settings & SERVER_WAITS) != 0)
        m->waiting = true;
    else
        pap_judged(m, p->id);
}

/* ---- CHAP ---- */

static uint8_t challenge_size(const struct method *how)
{
    return how == &mschapv1 ? 8 : 16;
}

static void chap_ask(struct server_model *m)
{
    new_challenge(m);
    if (m->kind != SERVER_ACCEL) /* chap-new.c:chap_generate_challenge */
        m->id++;
    m->asked = true;
    m->retry = false;
    emit_challenge(m, challenge_size(method_of(m)));
}

static void hex_of(char *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        *out++ = "0123456789ABCDEF"[p[i] >> 4];
        *out++ = "0123456789ABCDEF"[p[i] & 15];
    }
    *out = '\0';
}

static void chap_failure(struct server_model *m, const char *words)
{
    char text[80], *end = text;
    for (const char *c = words; *c != '\0'; c++)
        *end++ = *c;
    hex_of(end, m->challenge, challenge_size(method_of(m)));
    emit_text(m, CHAP, 4, m->id, text);
}

/* RFC 2759 6: RRAS allows another try, with the challenge of the Failure. */
static void chap_retry(struct server_model *m, const char *words)
{
    m->refusals++;
    new_challenge(m);
    chap_failure(m, words);
    m->retry = m->asked = true;
}

static void chap_refused(struct server_model *m)
{
    const bool ms = method_of(m) != &md5;

    if (m->kind == SERVER_RRAS && ms && m->retries++ < 2) {
        chap_retry(m, "E=691 R=1 C=");
        return;
    }
    if (m->kind == SERVER_PPPD && ms) /* chap_ms.c sends R=1, and the link goes down */
        chap_failure(m, "E=691 R=1 C=");
    else
        emit_text(m, CHAP, 4, m->id, ms ? "E=691 R=0 V=3 M=no" : "no");
    m->refused = true;
    refuse(m);
}

static void chap_judged(struct server_model *m)
{
    m->asked = m->waiting = false;
    if (!m->accepts) {
        chap_refused(m);
        return;
    }
    if (m->expired) {
        m->expired = false;
        chap_retry(m, "E=648 R=0 C=");
        return;
    }
    emit_text(m, CHAP, 3, m->id, "S=0000000000000000000000000000000000000000 M=in");
    m->done = true;
    let_in(m, &m->pending);
    if (m->kind == SERVER_ACCEL)
        m->id++;
}

/* RFC 2759 7: code 7 has no name, the user is that of the previous answer. */
static void chap_change(struct server_model *m, const struct packet *p)
{
    if (m->kind != SERVER_RRAS || !m->retry || m->pending.method != PPP_METHOD_MSCHAPV2 ||
        p->data.n != 582)
        return;
    struct server_login l = mschap_login(m, PPP_METHOD_MSCHAPV2, p->data.p + 532);
    l.user = l.proved = m->pending.proved;
    m->pending = l;
    m->id = p->id;
    chap_judged(m);
}

static void chap_response(struct server_model *m, const struct packet *p)
{
    const struct method *how = method_of(m);
    const size_t size = how == &md5 ? 16 : 49;

    if (p->data.n < 1)
        return;
    if (p->data.p[0] != size || p->data.n < size + 1) {
        m->asked = false;
        m->retries = 9;
        chap_refused(m);
        return;
    }
    m->pending = chap_login(m, how, p->data.p + 1);
    struct span name = span_from(p->data, size + 1);
    m->pending.user = m->pending.proved =
        m->kind == SERVER_RRAS ? name_counted(name) : name_c(name);
    m->id = p->id;
    if (m->kind == SERVER_ACCEL && (m->settings & SERVER_WAITS) != 0)
        m->waiting = true;
    else
        chap_judged(m);
}

/* auth_mschap_v2.c:chap_recv_response, chap-new.c:chap_handle_response: the first answer with
 * the right identifier decides; each later answer with it gets the same result. */
static void chap_take(struct server_model *m, const struct packet *p)
{
    const uint8_t answered = (uint8_t)(m->kind == SERVER_ACCEL ? m->id - 1 : m->id);

    if (p->code == 7) {
        chap_change(m, p);
        return;
    }
    if (p->code != 2 || m->waiting)
        return;
    if (m->done && p->id == answered && !m->asked) {
        emit_text(m, CHAP, 3, p->id, "S=0000000000000000000000000000000000000000 M=in");
        return;
    }
    if (m->asked && (p->id == m->id || m->retry))
        chap_response(m, p);
}

/* ---- EAP of pppd and RRAS ---- */

static void eap_request(struct server_model *m, struct span data)
{
    emit(m, EAP, REQ, m->id, data);
}

static void eap_ask_mschapv2(struct server_model *m)
{
    uint8_t data[23] = {TYPE_MSCHAPV2, 1, m->id, 0, 22, 16};
    memcpy(data + 6, m->challenge, 16);
    data[22] = 's';
    eap_request(m, span_of(data, sizeof data));
}

static void eap_ask_md5(struct server_model *m)
{
    uint8_t data[18] = {TYPE_MD5, 16};
    memcpy(data + 2, m->challenge, 16);
    eap_request(m, span_of(data, sizeof data));
}

static void eap_ask_result(struct server_model *m)
{
    char text[96] = {TYPE_MSCHAPV2, m->refused ? 4 : 3, (char)m->chap_id, 0, 46};
    memcpy(text + 5, "S=0000000000000000000000000000000000000000", 42);
    if (m->refused)
        memcpy(text + 5, "E=691 R=0 C=00000000000000000000000000000000", 42);
    eap_request(m, span_of(text, 47));
}

/* eap.c:eap_send_request: the state selects the request; a repeated request has a new
 * challenge. */
static void eap_ask(struct server_model *m)
{
    static const uint8_t start[] = {TYPE_TLS, 0x20}, identify[] = {TYPE_IDENTITY, '?'};

    m->id++;
    if (m->eap == EAP_IDENTIFY) {
        eap_request(m, span_of(identify, sizeof identify));
    } else if (m->eap == EAP_RESULT) {
        eap_ask_result(m);
    } else if (m->eap == EAP_METHOD && m->eap_type == TYPE_TLS) {
        eap_request(m, span_of(start, sizeof start));
    } else if (m->eap == EAP_METHOD) {
        new_challenge(m);
        m->chap_id = m->id;
        (m->eap_type == TYPE_MD5 ? eap_ask_md5 : eap_ask_mschapv2)(m);
    }
}

static void eap_end(struct server_model *m, bool good)
{
    const bool judged = m->eap == EAP_METHOD;

    emit(m, EAP, good ? 3 : 4, m->id, span_of("", 0));
    m->eap = good ? EAP_OPEN : EAP_BAD;
    if (good) {
        let_in(m, &m->pending);
        return;
    }
    m->ended = true;
    /* The Failure of EAP-MSCHAPv2 was counted, and a client that does not accept its Success
     * has not been refused. */
    m->refusals += judged;
}

/* auth_peer_success uses the name of the Identity, get_secret that of the answer. */
static void eap_names(struct server_model *m, const struct server_name *identity, struct span name)
{
    m->pending.proved = m->kind == SERVER_RRAS ? name_counted(name) : name_c(name);
    if (m->pending.proved.n == 0) /* pppd has a secret for any name: only the Identity is known */
        m->pending.proved = *identity;
    m->pending.user = m->kind == SERVER_RRAS ? m->pending.proved : *identity;
}

/* pppd skips identifier and MS-Length (eap.c:eap_response); RRAS is assumed to check both. */
static void eap_mschapv2_response(struct server_model *m, struct span data)
{
    const struct server_name identity = m->pending.user;
    const size_t length = data.n < 4 ? 0 : (size_t)data.p[2] << 8 | data.p[3];

    if (data.n < 54 || data.p[4] != 49)
        return;
    if (m->kind == SERVER_RRAS) {
        if (length < 54 || length > data.n || data.p[1] != m->chap_id)
            return;
        data = span_sub(data, 0, length);
    }
    m->pending = mschap_login(m, PPP_METHOD_EAP_MSCHAPV2, data.p + 5);
    m->pending.proof_len = 0; /* RADIUS would get the EAP packets */
    eap_names(m, &identity, span_from(data, 54));
    m->refused = !m->accepts;
    m->refusals += m->refused;
    m->eap = EAP_RESULT;
}

static void eap_mschapv2_take(struct server_model *m, struct span data)
{
    if (data.n < 1)
        return;
    if (data.p[0] == 2 && m->eap == EAP_METHOD)
        eap_mschapv2_response(m, data);
    else if (data.p[0] == 3 && m->eap == EAP_RESULT && !m->refused)
        eap_end(m, true);
    else if (data.p[0] == 4 || data.p[0] == 2)
        eap_end(m, false);
}

static void eap_md5_take(struct server_model *m, struct span data)
{
    const struct server_name identity = m->pending.user;

    if (m->eap != EAP_METHOD || data.n < 17 || data.p[0] != 16) {
        eap_end(m, false);
        return;
    }
    m->pending = (struct server_login){.method = PPP_METHOD_EAP_MD5};
    eap_names(m, &identity, span_from(data, 17));
    eap_end(m, m->accepts);
}

/* Meaningless octets; the third answer ends the login. */
static void eap_tls_take(struct server_model *m)
{
    m->pending.method = PPP_METHOD_EAP_TLS;
    m->pending.proved = m->pending.user;
    if (++m->rounds % 3 == 0)
        eap_end(m, m->accepts);
}

static void eap_nak(struct server_model *m, struct span data)
{
    if (m->eap != EAP_METHOD || data.n < 1 ||
        (data.p[0] != TYPE_MD5 && data.p[0] != TYPE_TLS && data.p[0] != TYPE_MSCHAPV2) ||
        (data.p[0] == TYPE_MD5 && m->kind == SERVER_RRAS))
        eap_end(m, false);
    else
        m->eap_type = data.p[0];
}

static void eap_identity(struct server_model *m, struct span data)
{
    if (m->eap != EAP_IDENTIFY)
        return; /* pppd repeats its request nevertheless */
    m->pending = (struct server_login){0};
    m->pending.user = m->kind == SERVER_RRAS ? name_counted(data) : name_c(data);
    m->eap = EAP_METHOD;
    m->eap_type = method_of(m)->eap_type;
}

/* RFC 3748 4.1: the identifier of the last request, and its type or a Nak. */
static void eap_take(struct server_model *m, const struct packet *p)
{
    if (p->code != 2 || p->id != m->id || p->data.n < 1 || m->eap == EAP_IDLE || m->eap >= EAP_OPEN)
        return;
    const uint8_t type = p->data.p[0];
    const struct span data = span_from(p->data, 1);
    const uint8_t asked = m->eap == EAP_IDENTIFY ? TYPE_IDENTITY : m->eap_type;
    if ((type > TYPE_NAK || m->kind == SERVER_RRAS) && type != asked && type != TYPE_NAK)
        return;
    if (type == TYPE_NAK && m->eap_type_acked)
        return;
    m->eap_type_acked = m->eap_type_acked || type > TYPE_NAK;
    switch (type) {
    case TYPE_IDENTITY: eap_identity(m, data); break;
    case TYPE_NAK: eap_nak(m, data); break;
    case TYPE_MD5: eap_md5_take(m, data); break;
    case TYPE_TLS: eap_tls_take(m); break;
    case TYPE_MSCHAPV2: eap_mschapv2_take(m, data); break;
    }
    if (m->eap < EAP_OPEN)
        eap_ask(m);
}

static void eap_start(struct server_model *m)
{
    m->eap = EAP_IDENTIFY;
    m->eap_type_acked = false;
    eap_ask(m);
}

/* ---- accel-ppp, pppd, RRAS together ---- */

static void auth_start(struct server_model *m)
{
    const struct method *how = method_of(m);

    m->expired = (m->settings & SERVER_EXPIRED) != 0 && m->kind == SERVER_RRAS && how == &mschapv2;
    if (m->kind == SERVER_ACCEL)
        m->id = 1;
    if (how->protocol == CHAP)
        chap_ask(m);
    else if (how->protocol == EAP)
        eap_start(m);
}

static void strict_take(struct server_model *m, struct span frame)
{
    struct packet p;

    if (!read_strict(frame, &p))
        return;
    if (p.protocol == LCP)
        lcp_take(m, &p);
    else if (!m->lcp_here || !m->lcp_there || p.protocol != method_of(m)->protocol)
        return; /* RFC 1661 3.5 */
    else if (p.protocol == PAP)
        pap_take(m, &p);
    else if (p.protocol == CHAP)
        chap_take(m, &p);
    else
        eap_take(m, &p);
}

static void strict_happens(struct server_model *m, enum server_event event)
{
    const bool open = m->lcp_here && m->lcp_there;
    const bool chap = open && method_of(m)->protocol == CHAP;

    if (event == SERVER_RETRANSMIT && !m->lcp_here)
        emit(m, LCP, REQ, m->lcp_id, span_of(m->lcp_request, m->lcp_request_len));
    else if (event == SERVER_RETRANSMIT && chap && m->asked && !m->retry && !m->waiting)
        emit_challenge(m, challenge_size(method_of(m)));
    else if (event == SERVER_ASK_AGAIN && chap && m->done && !m->waiting && m->kind != SERVER_RRAS)
        chap_ask(m);
    else if (event == SERVER_JUDGE && m->waiting && chap)
        chap_judged(m);
    else if (event == SERVER_JUDGE && m->waiting)
        pap_judged(m, m->id);
}

/* ---- SoftEther: src/Cedar/Proto_PPP.c ---- */

enum { SE_CONNECTED, SE_BEFORE_AUTH, SE_AUTHENTICATING, SE_SUCCESS, SE_AUTH_FAIL };

/* ParsePPPPacket, PPPParseLCP: requires FF 03 and two octets of protocol; the inner length must
 * be 4 or more and must fit (its octets may be swapped), and truncates only lists of options. */
static bool se_read(struct span s, struct packet *out)
{
    if (s.n < 8 || s.p[0] != 0xff || s.p[1] != 0x03)
        return false;
    out->protocol = (uint16_t)(s.p[2] << 8 | s.p[3]);
    s = span_from(s, 4);
    out->code = s.p[0];
    out->id = s.p[1];
    const size_t size = s.n - 2, swapped = (size_t)s.p[3] << 8 | s.p[2];
    size_t n = (size_t)s.p[2] << 8 | s.p[3];
    if (n > size && swapped <= size)
        n = swapped;
    if (n < 4 || n - 4 > s.n - 4)
        return false;
    const bool list = out->protocol == LCP && out->code >= REQ && out->code <= REJ;
    out->data = list ? span_sub(s, 4, n - 4) : span_from(s, 4);
    return true;
}

/* PPPSendAndRetransmitRequest: identifier 0 means the next one. */
static void se_request(struct server_model *m, uint16_t protocol, uint8_t id, struct span data)
{
    if (id == 0)
        id = m->next_id++;
    for (size_t i = 0; i < 8; i++) {
        struct server_request *r = &m->requests[i];
        if (r->used)
            continue;
        *r = (struct server_request){.used = true, .id = id, .protocol = protocol, .n = data.n};
        memcpy(r->packet, data.p, data.n);
        break;
    }
    emit(m, protocol, 1, id, data);
}

static void se_ask_lcp(struct server_model *m, const char *value, size_t n)
{
    uint8_t data[5] = {OPTION_AUTH, (uint8_t)(n + 2)};
    memcpy(data + 2, value, n);
    se_request(m, LCP, 0, span_of(data, n + 2));
}

static void se_send_eap_result(struct server_model *m, bool good)
{
    emit(m, EAP, good ? 3 : 4, m->eap_id, span_of("", 0));
    m->status = good ? SE_SUCCESS : SE_AUTH_FAIL;
    if (good) {
        let_in(m, &m->pending);
    } else {
        m->refusals += !m->refused;
        m->ended = true;
    }
}

static void se_challenge(struct server_model *m, bool eap)
{
    uint8_t data[23] = {TYPE_MSCHAPV2, 1, 0, 0, 22, 16};

    new_challenge(m);
    m->eap_id = m->next_id;
    data[2] = m->chap_id = m->next_id++;
    memcpy(data + 6, m->challenge, 16);
    data[22] = 's';
    if (eap)
        se_request(m, EAP, m->eap_id, span_of(data, sizeof data));
    else
        se_request(m, CHAP, m->chap_id, span_of(data + 5, sizeof data - 5));
    m->status = SE_AUTHENTICATING;
}

/* Answers a Nak or Reject of MRU, for a request of any protocol, with a Configure-Request whose
 * option 3 has that MRU as its protocol, in the byte order of a little endian machine. */
static void se_lcp_mru(struct server_model *m, struct span options)
{
    for (; options.n >= 2 && options.p[1] >= 2; options = span_from(options, options.p[1])) {
        if (options.p[0] != OPTION_MRU || options.p[1] != 4 || options.n < 4)
            continue;
        const unsigned mru = (unsigned)options.p[2] << 8 | options.p[3];
        if (mru < 100 || mru > 1500) {
            m->ended = true;
            return;
        }
        se_ask_lcp(m, (const char[]){(char)options.p[3], (char)options.p[2]}, 2);
    }
}

/* PPPProcessLCPResponsePacket: if the response has an option of that type with any value, the
 * option of the request counts. */
static void se_lcp_response(struct server_model *m, const struct packet *p,
                            const struct server_request *r)
{
    struct span value, asked;
    const bool accepted = p->code == ACK;

    if (p->code == CODE_REJ || p->code == PROT_REJ)
        m->ended = true;
    else if (!accepted)
        se_lcp_mru(m, p->data);
    if (m->ended || !find_auth(p->data, &value))
        return;
    if (r->protocol != LCP || !find_auth(span_of(r->packet, r->n), &asked)) {
        m->ended = true;
        return;
    }
    const uint16_t protocol = (uint16_t)(asked.p[0] << 8 | asked.p[1]);
    if (protocol == EAP && !accepted) {
        se_ask_lcp(m, "\xc2\x23\x81", 3);
    } else if (protocol == EAP) {
        m->auth_protocol = EAP;
        m->status = SE_BEFORE_AUTH;
    } else if (protocol == CHAP && !accepted) {
        se_ask_lcp(m, "\xc0\x23", 2);
    } else if (!accepted) {
        m->ended = true;
    } else if (m->auth_protocol == 0) {
        m->auth_protocol = protocol;
        m->status = SE_BEFORE_AUTH;
    }
}

/* PPPProcessLCPRequestPacket: accepts MRU and, in place of its own, the client's option 3. The
 * constants for EAP and PAP are compared without a change of byte order, so a little endian
 * machine recognises only MS-CHAPv2; both cases are modelled. */
static void se_lcp_request(struct server_model *m, const struct packet *p)
{
    uint16_t wanted = 0;
    bool rejects = false, naks = false;

    for (struct span s = p->data; s.n >= 2; s = span_from(s, s.p[1])) {
        if (s.p[1] < 2 || s.p[1] > s.n)
            return; /* a malformed packet */
        if (s.p[0] == OPTION_AUTH && m->auth_protocol == 0 && s.p[1] >= 4)
            wanted = (uint16_t)(s.p[2] << 8 | s.p[3]);
        else if (s.p[0] == OPTION_AUTH)
            naks = true;
        rejects = rejects || s.p[0] > OPTION_AUTH;
    }
    if (wanted != 0 && wanted != PAP && wanted != CHAP && wanted != EAP)
        naks = true;
    emit(m, LCP, rejects ? REJ : naks ? NAK : ACK, p->id, p->data);
    if (rejects || naks || wanted == 0)
        return;
    m->auth_protocol = wanted;
    m->status = SE_BEFORE_AUTH;
}

/* PPPParseMSCHAP2ResponsePacketEx: any identifier, at least 51 octets; with an IPC nothing is
 * checked. */
static bool se_check(struct server_model *m, uint8_t id, struct span data, bool eap)
{
    if (data.n < 51)
        return false;
    m->chap_id = id;
    if (data.p[0] != 49)
        return false;
    if (m->ipc)
        return m->auth_ok;
    const struct server_name first = m->pending.user;
    m->pending = mschap_login(m, eap ? PPP_METHOD_EAP_MSCHAPV2 : PPP_METHOD_MSCHAPV2, data.p + 1);
    m->pending.user = m->pending.proved = name_softether(span_from(data, 50));
    if ((m->settings & SERVER_DOUBLE) != 0 && !eap && !m->eap_client) {
        m->eap_client = true;
        return true;
    }
    if (m->eap_client) /* the RADIUS server gets the name of the first round */
        m->pending.proved = first;
    m->ipc = m->auth_ok = m->accepts;
    m->pending.proof_len = 0;
    return m->accepts;
}

static void se_eap_result(struct server_model *m, bool good)
{
    m->eap_id = m->next_id++;
    m->refused = !good;
    char text[48] = {TYPE_MSCHAPV2, good ? 3 : 4, (char)m->chap_id, 0, 46};
    memcpy(text + 5,
           good ? "S=0000000000000000000000000000000000000000"
                : "E=691 R=0 C=00000000000000000000000000000000",
           42);
    se_request(m, EAP, m->eap_id, span_of(text, 47));
}

/* PPPProcessCHAPResponsePacketEx */
static void se_chap(struct server_model *m, const struct packet *p, bool eap)
{
    if (p->code != 2)
        return;
    if (m->status != SE_AUTHENTICATING && !m->auth_ok) {
        m->ended = true;
        return;
    }
    if (m->auth_protocol != CHAP && !eap)
        return;
    const bool good = se_check(m, p->id, p->data, eap);
    if (good && m->eap_client && !m->ipc) {
        se_challenge(m, false);
        return;
    }
    m->refusals += !good;
    if (eap) {
        se_eap_result(m, good);
    } else if (good) {
        emit_text(m, CHAP, 3, m->chap_id, "S=0000000000000000000000000000000000000000");
        m->status = SE_SUCCESS;
        let_in(m, &m->pending);
    } else {
        emit_text(m, CHAP, 4, m->chap_id, "E=691 R=0 C=00000000000000000000000000000000 V=3");
        m->status = SE_AUTH_FAIL;
        m->ended = true;
    }
}

static void se_eap_identity(struct server_model *m, struct span data)
{
    m->pending = (struct server_login){.method = PPP_METHOD_EAP_TLS};
    m->pending.user = m->pending.proved = name_softether(data);
    if (m->pending.user.n == 0) {
        m->refused = false;
        se_send_eap_result(m, false);
        return;
    }
    m->eap_type = (m->settings & 1) != 0 ? TYPE_TLS : TYPE_MSCHAPV2;
    m->status = SE_BEFORE_AUTH;
}

static void se_eap_mschapv2(struct server_model *m, struct span data)
{
    struct packet inner = {.protocol = CHAP};

    if (m->status != SE_AUTHENTICATING)
        return;
    if (data.n == 1) {
        se_send_eap_result(m, m->auth_ok);
        return;
    }
    /* PPPParseLCP again, and what it ignores */
    uint8_t whole[SERVER_FRAME_MAX] = {0xff, 0x03, CHAP >> 8, CHAP & 0xff};
    if (data.n + 4 > sizeof whole)
        return;
    if (data.n > 0)
        memcpy(whole + 4, data.p, data.n);
    if (!se_read(span_of(whole, data.n + 4), &inner))
        m->ended = true;
    else
        se_chap(m, &inner, true);
}

static void se_eap_tls(struct server_model *m, struct span data)
{
    static const uint8_t more[] = {TYPE_TLS, 0};

    if (data.n == 1 && m->rounds > 0) {
        se_send_eap_result(m, m->accepts);
        return;
    }
    m->rounds++;
    m->eap_id = m->next_id++;
    se_request(m, EAP, m->eap_id, span_of(more, sizeof more));
}

/* PPPProcessEAPResponsePacket: the type of the response decides, not that of the request. */
static void se_eap(struct server_model *m, const struct packet *p)
{
    if (p->data.n < 1)
        return;
    const struct span data = span_from(p->data, 1);
    switch (p->data.p[0]) {
    case TYPE_IDENTITY: se_eap_identity(m, data); break;
    case TYPE_TLS: se_eap_tls(m, data); break;
    case TYPE_MSCHAPV2: se_eap_mschapv2(m, data); break;
    case TYPE_NAK:
        if (m->eap_type == TYPE_TLS) {
            m->eap_type = TYPE_MSCHAPV2;
            m->status = SE_BEFORE_AUTH;
        } else {
            m->status = SE_CONNECTED;
            se_ask_lcp(m, "\xc2\x23\x81", 3);
        }
        break;
    }
}

/* PPPProcessPAPRequestPacket: after a wrong password the call ends without a Nak. */
static void se_pap(struct server_model *m, const struct packet *p)
{
    struct span user;

    if (m->status != SE_BEFORE_AUTH && !m->auth_ok) {
        emit(m, PAP, NAK, p->id, span_of("", 0));
        return;
    }
    if (m->auth_protocol != PAP)
        return;
    if (!m->auth_ok && pap_parse(p->data, &user) && name_softether(user).n > 0) {
        m->pending = (struct server_login){.method = PPP_METHOD_PAP};
        m->pending.user = m->pending.proved = name_softether(user);
        m->auth_ok = m->ipc = m->accepts;
        m->status = SE_SUCCESS;
        if (m->accepts)
            let_in(m, &m->pending);
        else
            refuse(m);
    }
    if (m->ended)
        return;
    emit(m, PAP, m->auth_ok ? ACK : NAK, p->id, span_of("", 0));
    if (!m->auth_ok)
        refuse(m);
}

static bool se_is_response(const struct packet *p)
{
    switch (p->protocol) {
    case LCP: return p->code >= ACK && p->code <= REJ;
    case CHAP:
    case EAP: return p->code >= 2 && p->code <= 4;
    default: return false;
    }
}

static void se_response(struct server_model *m, const struct packet *p)
{
    for (size_t i = 0; i < 8; i++) {
        struct server_request r = m->requests[i];
        if (!r.used || r.id != p->id)
            continue;
        m->requests[i].used = false;
        if (p->protocol == LCP)
            se_lcp_response(m, p, &r);
        else if (p->protocol == CHAP)
            se_chap(m, p, false);
        else
            se_eap(m, p);
        return;
    }
}

static void se_take(struct server_model *m, struct span frame)
{
    struct packet p;

    if (!se_read(frame, &p))
        return;
    if (p.protocol == LCP && (p.code == TERM_REQ || p.code == TERM_ACK))
        m->ended = true;
    else if (se_is_response(&p))
        se_response(m, &p);
    else if (p.protocol == LCP && p.code == REQ)
        se_lcp_request(m, &p);
    else if (p.protocol == PAP && p.code == REQ)
        se_pap(m, &p);
    else if (p.protocol == CHAP && p.code == REQ)
        m->ended = true;
}

static void se_begin_auth(struct server_model *m)
{
    static const uint8_t identify[] = {TYPE_IDENTITY, '?'}, start[] = {TYPE_TLS, 0x20};

    if (m->auth_protocol == CHAP) {
        se_challenge(m, false);
    } else if (m->auth_protocol == EAP && m->eap_type == TYPE_MSCHAPV2) {
        se_challenge(m, true);
    } else if (m->auth_protocol == EAP) {
        m->status = SE_AUTHENTICATING;
        m->eap_id = m->next_id++;
        se_request(m, EAP, m->eap_id,
                   m->eap_type == TYPE_TLS ? span_of(start, 2) : span_of(identify, 2));
    }
}

/* The actions of PPPThread when no packet waits. */
static void se_happens(struct server_model *m, enum server_event event)
{
    if (event == SERVER_TICK && m->status == SE_BEFORE_AUTH)
        se_begin_auth(m);
    if (event == SERVER_TICK && m->status == SE_CONNECTED && !m->lcp_sent) {
        se_ask_lcp(m, "\xc2\x27", 2);
        m->lcp_sent = true;
    }
    for (size_t i = 0; event == SERVER_RETRANSMIT && i < 8; i++) {
        const struct server_request *r = &m->requests[i];
        if (r->used)
            emit(m, r->protocol, 1, r->id, span_of(r->packet, r->n));
    }
}

/* ---- */

void server_begin(struct server_model *m, enum server_kind kind, uint8_t settings)
{
    memset(m, 0, sizeof *m);
    m->kind = kind;
    m->settings = settings;
    if (kind == SERVER_SOFTETHER)
        return;
    while (m->method < (settings & SERVER_FIRST_METHOD) && methods[kind][m->method + 1] != NULL)
        m->method++;
    lcp_request(m);
}

void server_take(struct server_model *m, struct span frame)
{
    if (m->ended)
        return;
    if (m->kind != SERVER_SOFTETHER)
        strict_take(m, frame);
    else
        se_take(m, frame);
}

void server_happens(struct server_model *m, enum server_event event)
{
    if (m->ended)
        return;
    if (m->kind != SERVER_SOFTETHER)
        strict_happens(m, event);
    else
        se_happens(m, event);
}
