#include "tls/records.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/insist.h"
#include "tls/aead.h"
#include "tls/ticket.h"

/* The limits are OpenSSL's. */
enum {
    EMPTY_MAX = 32,   /* empty records in a row */
    WARNINGS_MAX = 4, /* warnings in a row */
    MESSAGE_HEAD = 4,
    TICKET_MAX = 131338,
    HELLO_MAX = 131396,
    HELLO_REQUEST = 0,
    CLIENT_HELLO = 1,
    NEW_SESSION_TICKET = 4,
    KEY_UPDATE = 24,
};

/* A handshake message in progress. */
struct message {
    uint8_t head[MESSAGE_HEAD];
    uint8_t head_n;
    bool begun; /* the head was accepted, and the body is in progress */
    uint32_t size, have;
    uint8_t *body; /* bytes that have arrived; NULL: none, or not kept */
};

struct records {
    struct record_side *in, *out; /* NULL after a failure */
    tls_sink sink;
    void *arg;
    struct span input; /* unread bytes of the owner */
    uint8_t *buffer;   /* the start of a record, or plaintext; NULL: none */
    uint32_t at, end;  /* start of a record: bytes that have arrived, and its size; plaintext: the
                          range of the unread bytes */
    struct message message;
    struct tls_use use;
    uint64_t update_after;     /* 0: never */
    const char *error;         /* NULL: none */
    int alert;                 /* the peer's */
    uint8_t head[RECORD_HEAD]; /* the start of a record without a buffer */
    uint8_t head_n;
    uint8_t empty, warnings; /* in a row */
    bool server, tls13;
    bool opened;       /* the buffer has plaintext */
    bool update_asked; /* a KeyUpdate of the peer was requested */
    bool update_due;   /* the peer's KeyUpdate must be answered */
    bool close_sent, close_came;
};

struct records *records_new(const struct records_settings *settings)
{
    struct records *r = NEW(struct records);

    r->in = settings->in;
    r->out = settings->out;
    r->server = settings->server;
    r->tls13 = settings->tls13;
    r->use.taken = settings->taken;
    r->update_after = settings->tls13 ? settings->update_after : 0;
    r->sink = settings->sink;
    r->arg = settings->arg;
    r->alert = RECORDS_NO_ALERT;
    return r;
}

static void buffer_free(struct records *r)
{
    free(r->buffer);
    r->buffer = NULL;
    r->opened = false;
}

static void message_free(struct records *r)
{
    free(r->message.body);
    r->message = (struct message){0};
}

/* Wipes the keys and frees the buffers of a connection that has failed or ends. */
static void records_drop(struct records *r)
{
    record_side_free(r->in);
    record_side_free(r->out);
    r->in = r->out = NULL;
    buffer_free(r);
    message_free(r);
    r->input = span_of(NULL, 0);
}

void records_free(struct records *r)
{
    if (r == NULL)
        return;
    records_drop(r);
    free(r);
}

void records_feed(struct records *r, struct span octets)
{
    INSIST(r->input.n == 0);
    r->input = octets;
}

const char *records_error(const struct records *r)
{
    return r->error == NULL ? "" : r->error;
}

int records_alert(const struct records *r)
{
    return r->alert;
}

/* ---- sending ---- */

enum { SMALL_MAX = 8 }; /* bytes of an alert or a KeyUpdate */

static bool send_small(struct records *r, enum record_type type, struct span plain)
{
    uint8_t out[SMALL_MAX + RECORD_OVERHEAD];
    const size_t n = record_seal(r->out, type, plain, out);

    if (n == 0)
        return false;
    r->use.unasked++;
    r->sink(r->arg, span_of(out, n));
    return true;
}

/* Sends an alert, unless close_notify was sent, or the limit of answers is exceeded: one record can
 * have thousands of messages that need an answer, and the limit is otherwise checked only when the
 * next record is opened. */
static void send_alert(struct records *r, uint8_t level, uint8_t number)
{
    const uint8_t alert[] = {level, number};

    if (!r->close_sent && r->use.unasked <= TLS_UNASKED_MAX)
        (void)send_small(r, RECORD_ALERT, span_of(alert, sizeof alert));
}

static enum err fail_with(struct records *r, const char *why)
{
    r->error = why;
    records_drop(r);
    return ERR_TLS;
}

/* Returns OpenSSL's text for a reason (SSL_R_...), which is valid for ever. */
static const char *reason_text(int reason)
{
    const char *text = ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, reason));
    return text == NULL ? "unknown error" : text;
}

/* Sends the alert, and fails. */
static enum err fail(struct records *r, uint8_t alert, int reason)
{
    send_alert(r, SSL3_AL_FATAL, alert);
    return fail_with(r, reason_text(reason));
}

static enum err fail_exhausted(struct records *r)
{
    return fail_with(r, "too many records with one key");
}

/* Sends a KeyUpdate; the records after it have the next key (RFC 8446 4.6.3). */
static bool send_key_update(struct records *r, bool ask)
{
    const uint8_t message[] = {KEY_UPDATE, 0, 0, 1, ask};

    if (!send_small(r, RECORD_HANDSHAKE, span_of(message, sizeof message)))
        return false;
    record_update(r->out);
    return true;
}

/* Sends the answer to a KeyUpdate, if one is due, as OpenSSL does: before the next message is
 * processed, or the next data is sent. */
static bool answer_key_update(struct records *r)
{
    const bool due = r->update_due;

    r->update_due = false;
    return !due || send_key_update(r, false);
}

/* Sends a KeyUpdate if one of the keys has protected enough records. */
static bool keys_change(struct records *r)
{
    const bool ask = !r->update_asked && record_seq(r->in) >= r->update_after;

    if (!ask && record_seq(r->out) < r->update_after)
        return true;
    r->update_asked = r->update_asked || ask;
    return send_key_update(r, ask);
}

enum err records_write(struct records *r, struct span octets)
{
    uint8_t out[RECORD_PLAIN_MAX + RECORD_OVERHEAD];

    if (r->error != NULL)
        return ERR_TLS;
    if (r->close_sent)
        return fail_with(r, reason_text(SSL_R_PROTOCOL_IS_SHUTDOWN));
    if (!answer_key_update(r))
        return fail_exhausted(r);
    while (octets.n > 0) {
        const struct span part = span_sub(octets, 0, RECORD_PLAIN_MAX);
        if (r->update_after > 0 && !keys_change(r))
            return fail_exhausted(r);
        const size_t n = record_seal(r->out, RECORD_DATA, part, out);
        if (n == 0)
            return fail_exhausted(r);
        r->sink(r->arg, span_of(out, n));
        octets = span_from(octets, part.n);
    }
    r->use.unasked = 0;
    return ERR_OK;
}

void records_close(struct records *r)
{
    if (r->error != NULL || r->close_sent)
        return;
    send_alert(r, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY);
    r->close_sent = true;
    if (!r->tls13) /* take_record ignores the rest of a message */
        message_free(r);
}

void records_rest(struct records *r)
{
    if (r->error != NULL)
        return;
    record_rest(r->in);
    record_rest(r->out);
}

/* ---- handshake messages. The functions below return ERR_MORE if the caller continues with the
 * bytes behind what was processed, ERR_TLS after a failure. ---- */

/* Returns the largest size of a message that is allowed now; -1: it is not. */
static int32_t size_max(const struct records *r, uint8_t type)
{
    switch (type) {
    case HELLO_REQUEST: return !r->tls13 && !r->server ? 0 : -1;
    case CLIENT_HELLO: return !r->tls13 && r->server ? HELLO_MAX : -1;
    case NEW_SESSION_TICKET: return r->tls13 && !r->server ? TICKET_MAX : -1;
    case KEY_UPDATE: return r->tls13 ? 1 : -1;
    default: return -1;
    }
}

/* Judges a message by its head. If an answer is due, OpenSSL sends it first, and if then the record
 * has no more bytes, it judges the message with the next record. rest: the bytes behind the head.
 */
static enum err message_begin(struct records *r, struct span rest)
{
    struct message *m = &r->message;
    const int32_t max = size_max(r, m->head[0]);
    const bool due = r->update_due;

    if (!answer_key_update(r))
        return fail_exhausted(r);
    if (due && rest.n == 0)
        return ERR_MORE;
    if (max < 0)
        return fail(r, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_UNEXPECTED_MESSAGE);
    m->size = (uint32_t)m->head[1] << 16 | (uint32_t)m->head[2] << 8 | m->head[3];
    m->have = 0;
    m->begun = true;
    return m->size > (uint32_t)max ? fail(r, SSL_AD_ILLEGAL_PARAMETER, SSL_R_EXCESSIVE_MESSAGE_SIZE)
                                   : ERR_MORE;
}

/* Changes the key of the peer's records, and ours, if the peer requests that. last: the message is
 * the last in its record. */
static enum err take_key_update(struct records *r, struct span body, bool last)
{
    if (!last)
        return fail(r, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_NOT_ON_RECORD_BOUNDARY);
    if (body.n != 1)
        return fail(r, SSL_AD_DECODE_ERROR, SSL_R_BAD_KEY_UPDATE);
    if (body.p[0] > 1)
        return fail(r, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_KEY_UPDATE);
    record_update(r->in);
    r->update_asked = false;
    r->update_due = body.p[0] == 1;
    return ERR_MORE;
}

static enum err take_ticket(struct records *r, struct span body)
{
    switch (ticket_check(body)) {
    case ERR_OK: return ERR_MORE;
    case ERR_RANGE: return fail(r, SSL_AD_ILLEGAL_PARAMETER, SSL_R_BAD_EXTENSION);
    default: return fail(r, SSL_AD_DECODE_ERROR, SSL_R_LENGTH_MISMATCH);
    }
}

/* Processes a complete message. */
static enum err take_message(struct records *r, struct span body, bool last)
{
    const uint8_t type = r->message.head[0];
    enum err e = ERR_MORE;

    r->use.messages++;
    if (type == KEY_UPDATE)
        e = take_key_update(r, body, last);
    else if (type == NEW_SESSION_TICKET)
        e = take_ticket(r, body);
    else
        send_alert(r, SSL3_AL_WARNING, SSL_AD_NO_RENEGOTIATION);
    message_free(r);
    return e;
}

/* Appends bytes to the body. That of a ClientHello is not kept, because no part of it is used. */
static void body_keep(struct message *m, struct span part)
{
    if (m->head[0] != CLIENT_HELLO) {
        m->body = insist_alloc(realloc(m->body, m->have + part.n + 1));
        memcpy(m->body + m->have, part.p, part.n);
    }
    m->have += (uint32_t)part.n;
}

/* Returns whether the head is complete. */
static bool head_take(struct message *m, struct span *s)
{
    while (m->head_n < MESSAGE_HEAD && s->n > 0) {
        m->head[m->head_n++] = s->p[0];
        *s = span_from(*s, 1);
    }
    return m->head_n == MESSAGE_HEAD;
}

static enum err take_body(struct records *r, struct span *s)
{
    struct message *m = &r->message;
    const struct span part = span_sub(*s, 0, m->size - m->have);

    *s = span_from(*s, part.n);
    if (part.n == m->size) /* in one piece */
        return take_message(r, part, s->n == 0);
    body_keep(m, part);
    if (m->have < m->size)
        return ERR_MORE;
    return take_message(r, span_of(m->body, m->body == NULL ? 0 : m->size), s->n == 0);
}

static enum err take_handshake(struct records *r, struct span s)
{
    enum err e = ERR_MORE;

    while (s.n > 0 && e == ERR_MORE) {
        if (!head_take(&r->message, &s))
            break;
        if (!r->message.begun)
            e = message_begin(r, s);
        if (r->message.begun && e == ERR_MORE)
            e = take_body(r, &s);
    }
    return e;
}

/* ---- alerts ---- */

static enum err fail_alert(struct records *r, uint8_t number)
{
    r->alert = number;
    return fail_with(r, reason_text(SSL_AD_REASON_OFFSET + number));
}

static enum err closed(struct records *r)
{
    r->close_came = true;
    r->input = span_of(NULL, 0);
    message_free(r);
    return ERR_CLOSED;
}

/* Counts a warning. Returns whether there are too many in a row. */
static bool warnings_exceed(struct records *r)
{
    return ++r->warnings > WARNINGS_MAX;
}

static enum err fail_warnings(struct records *r)
{
    return fail(r, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_TOO_MANY_WARN_ALERTS);
}

/* Handles an alert of TLS 1.3, whose level has no meaning (RFC 8446 6). */
static enum err take_alert_13(struct records *r, uint8_t number)
{
    switch (number) {
    case SSL_AD_USER_CANCELLED: return warnings_exceed(r) ? fail_warnings(r) : ERR_MORE;
    case SSL_AD_CLOSE_NOTIFY: return closed(r);
    default: return fail_alert(r, number);
    }
}

static enum err take_alert_12(struct records *r, uint8_t level, uint8_t number)
{
    const bool warning = level == SSL3_AL_WARNING;

    if (warning && warnings_exceed(r))
        return fail_warnings(r);
    if (warning && number == SSL_AD_CLOSE_NOTIFY)
        return closed(r);
    if (level == SSL3_AL_FATAL)
        return fail_alert(r, number);
    if (number == SSL_AD_NO_RENEGOTIATION)
        return fail(r, SSL_AD_HANDSHAKE_FAILURE, SSL_R_NO_RENEGOTIATION);
    return warning ? ERR_MORE : fail(r, SSL_AD_ILLEGAL_PARAMETER, SSL_R_UNKNOWN_ALERT_TYPE);
}

static enum err take_alert(struct records *r, struct span alert)
{
    if (alert.n != 2)
        return fail(r, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_INVALID_ALERT);
    return r->tls13 ? take_alert_13(r, alert.p[1]) : take_alert_12(r, alert.p[0], alert.p[1]);
}

/* ---- records ---- */

/* Counts empty records in a row; content ends a row of warnings. */
static enum err count(struct records *r, enum record_type type, size_t n)
{
    r->empty = n == 0 ? r->empty + 1 : 0;
    if (r->empty > EMPTY_MAX)
        return fail(r, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_RECORD_TOO_SMALL);
    if (type != RECORD_ALERT && n > 0)
        r->warnings = 0;
    return ERR_MORE;
}

/* Returns whether a record may occur between the parts of a handshake message. In TLS 1.2 data may
 * occur between the bytes of its head, because OpenSSL buffers the head separately. */
static bool may_interrupt(const struct records *r, enum record_type type)
{
    const struct message *m = &r->message;

    if (m->head_n == 0 || type == RECORD_HANDSHAKE)
        return true;
    return type == RECORD_ALERT ? m->begun || !r->tls13 : !m->begun && !r->tls13;
}

/* Processes a record. ERR_OK: it has data for the owner. */
static enum err take_record(struct records *r, enum record_type type, struct span plain)
{
    enum err e = count(r, type, plain.n);

    if (e != ERR_MORE)
        return e;
    if (!may_interrupt(r, type))
        return fail(r, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_MIXED_HANDSHAKE_AND_NON_HANDSHAKE_DATA);
    switch (type) {
    case RECORD_DATA: return plain.n > 0 ? ERR_OK : ERR_MORE;
    case RECORD_ALERT: return take_alert(r, plain);
    case RECORD_HANDSHAKE:
        /* No answer can be sent in TLS 1.2, so OpenSSL ignores the message. */
        return r->close_sent && !r->tls13 ? ERR_MORE : take_handshake(r, plain);
    case RECORD_CCS: break;
    }
    return fail(r, SSL_AD_UNEXPECTED_MESSAGE, SSL_R_CCS_RECEIVED_EARLY);
}

static enum err fail_verdict(struct records *r, enum record_verdict v)
{
    static const struct {
        enum record_verdict verdict;
        int reason;
    } reasons[] = {
        {RECORD_BAD_MAC, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC},
        {RECORD_OVERFLOW, SSL_R_PACKET_LENGTH_TOO_LONG},
        {RECORD_DECODE, SSL_R_WRONG_VERSION_NUMBER},
        {RECORD_VERSION, SSL_R_WRONG_VERSION_NUMBER},
        {RECORD_UNEXPECTED, SSL_R_BAD_RECORD_TYPE},
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].verdict == v)
            return fail(r, (uint8_t)v, reasons[i].reason);
    return fail_exhausted(r);
}

static void buffer_new(struct records *r, size_t n)
{
    INSIST(r->buffer == NULL);
    r->buffer = insist_alloc(malloc(n));
}

/* Removes n bytes from the input. */
static struct span input_take(struct records *r, size_t n)
{
    const struct span s = span_sub(r->input, 0, n);

    r->input = span_from(r->input, s.n);
    r->use.taken += s.n;
    return s;
}

/* Copies the start of a record. size: of the whole record; 0: not known yet. */
static void begin_keep(struct records *r, size_t size)
{
    const struct span s = input_take(r, r->input.n);

    if (size == 0) {
        memcpy(r->head, s.p, s.n);
        r->head_n = (uint8_t)s.n;
        return;
    }
    buffer_new(r, size);
    memcpy(r->buffer, s.p, s.n);
    r->at = (uint32_t)s.n;
    r->end = (uint32_t)size;
}

/* Returns the room that the plaintext of a record needs while it is opened. */
static size_t room(const struct records *r, size_t record)
{
    const size_t around = record_gap(r->in) + AEAD_TAG;
    return record > around ? record - around : 0;
}

/* Returns the length of the record at the start of the input; 0: it is not complete. */
static size_t record_length(struct span in)
{
    if (in.n < RECORD_HEAD)
        return 0;
    const size_t n = RECORD_HEAD + ((size_t)in.p[3] << 8 | in.p[4]);
    return n > in.n ? 0 : n;
}

/* Opens the record at the start of the input, into out or a separate buffer. */
static enum err open_input(struct records *r, uint8_t *out, size_t cap, enum record_type *type,
                           struct span *plain)
{
    const size_t needed = room(r, record_length(r->input));
    size_t n, used;

    if (needed > cap) {
        buffer_new(r, needed);
        out = r->buffer;
    }
    const enum record_verdict v = record_open(r->in, r->input, out, &n, type, &used);
    if (v == RECORD_MORE) {
        begin_keep(r, used);
        return ERR_MORE;
    }
    if (v != RECORD_OK)
        return fail_verdict(r, v);
    (void)input_take(r, used);
    *plain = span_of(out, n);
    r->opened = r->buffer != NULL;
    return ERR_OK;
}

/* Completes the head of a record that began in an earlier input. ERR_OK: the buffer has it. */
static enum err begin_head(struct records *r)
{
    const struct span s = input_take(r, RECORD_HEAD - (size_t)r->head_n);
    enum record_type type;
    size_t n, size;

    memcpy(r->head + r->head_n, s.p, s.n);
    r->head_n += (uint8_t)s.n;
    if (r->head_n < RECORD_HEAD)
        return ERR_MORE;
    const enum record_verdict v =
        record_open(r->in, span_of(r->head, RECORD_HEAD), r->head, &n, &type, &size);
    if (v != RECORD_MORE) /* a record without a body has no tag */
        return fail_verdict(r, v);
    buffer_new(r, size);
    memcpy(r->buffer, r->head, RECORD_HEAD);
    r->at = RECORD_HEAD;
    r->end = (uint32_t)size;
    r->head_n = 0;
    return ERR_OK;
}

/* Completes a record that began in an earlier input, and opens it, into out or in place. */
static enum err open_buffer(struct records *r, uint8_t *out, size_t cap, enum record_type *type,
                            struct span *plain)
{
    const struct span s = input_take(r, r->end - r->at);
    size_t n, used;

    memcpy(r->buffer + r->at, s.p, s.n);
    r->at += (uint32_t)s.n;
    if (r->at < r->end)
        return ERR_MORE;
    r->opened = room(r, r->end) > cap;
    if (r->opened)
        out = r->buffer + record_gap(r->in);
    const enum record_verdict v =
        record_open(r->in, span_of(r->buffer, r->end), out, &n, type, &used);
    if (v != RECORD_OK)
        return fail_verdict(r, v);
    if (!r->opened)
        buffer_free(r);
    *plain = span_of(out, n);
    return ERR_OK;
}

/* Opens the next record. ERR_OK: its plaintext is in out or in the buffer. */
static enum err next_record(struct records *r, uint8_t *out, size_t cap, enum record_type *type,
                            struct span *plain)
{
    const char *exceeded = tls_use_exceeded(&r->use);
    enum err e = ERR_OK;

    if (exceeded != NULL)
        return fail_with(r, exceeded);
    if (r->input.n == 0)
        return ERR_MORE;
    if (r->buffer == NULL && r->head_n == 0)
        return open_input(r, out, cap, type, plain);
    if (r->buffer == NULL)
        e = begin_head(r);
    return e == ERR_OK ? open_buffer(r, out, cap, type, plain) : e;
}

/* Copies plaintext that waits in the buffer. */
static enum err hand_out(struct records *r, uint8_t *out, size_t cap, size_t *n)
{
    const struct span s = span_sub(span_of(r->buffer + r->at, r->end - r->at), 0, cap);

    memcpy(out, s.p, s.n);
    *n = s.n;
    r->at += (uint32_t)s.n;
    if (r->at == r->end)
        buffer_free(r);
    return ERR_OK;
}

static enum err data_came(struct records *r, struct span plain, uint8_t *out, size_t cap, size_t *n)
{
    r->use.unasked = 0;
    if (!r->opened) {
        *n = plain.n;
        return ERR_OK;
    }
    r->at = (uint32_t)(plain.p - r->buffer);
    r->end = r->at + (uint32_t)plain.n;
    return hand_out(r, out, cap, n);
}

enum err records_read(struct records *r, uint8_t *out, size_t cap, size_t *n)
{
    enum record_type type = RECORD_DATA;
    struct span plain = {0};
    enum err e = ERR_MORE;

    *n = 0;
    if (r->error != NULL)
        return ERR_TLS;
    if (r->close_came)
        return ERR_CLOSED;
    if (r->opened)
        return hand_out(r, out, cap, n);
    while (e == ERR_MORE) {
        e = next_record(r, out, cap, &type, &plain);
        if (e != ERR_OK)
            return e;
        e = take_record(r, type, plain);
        if (e == ERR_OK)
            return data_came(r, plain, out, cap, n);
        if (r->opened)
            buffer_free(r);
    }
    return e;
}
