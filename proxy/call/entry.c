#include "call/entry.h"

#include <string.h>

#include "base/insist.h"
#include "call/acme.h"
#include "call/admission.h"
#include "call/call.h"
#include "call/uplink.h"
#include "net/listener.h"
#include "site/site.h"
#include "tls/tls_conn.h"
#include "wire/http_request.h"
#include "wire/http_uri.h"
#include "wire/proxyproto.h"

/* Bytes that a client may send before its answer has arrived; [MS-SSTP] allows none. */
enum { EARLY_MAX = 16384 };

/* ---- accept ---- */

/* Ends a call beyond a limit over all gates: too many tunnels or handshakes of its address. */
static void address_decided(struct call *call, bool granted)
{
    if (!granted)
        call_end(call, REASON_LIMIT);
}

/* Ends a call that rules deny, or enters HELLO. Returns whether the call continues. The store is
 * asked while the client begins its handshake, so the call does not wait. Validators have any
 * address, so a denied client of a listener with `acme` or `acme-http` may show
 * first that it is one. */
static bool admit(struct call *call)
{
    if (acme_may_validate(call) && admission_denies_address(call, call_time())) {
        acme_await(call);
        return true;
    }
    switch (admission_judge_address(call, call_time())) {
    case ADMISSION_OK:
    case ADMISSION_DECOY:
        call_enter(call, CALL_HELLO);
        (void)!admission_ask_address(call, address_decided);
        return true;
    case ADMISSION_DROPPED: stream_vanish(&call->client); break;
    case ADMISSION_REJECTED: break;
    case ADMISSION_LIMITED: call_end(call, REASON_LIMIT); return false;
    }
    call_end(call, REASON_ADDRESS_DENIED);
    return false;
}

void entry_begin(struct call *call, struct listener *l)
{
    const struct config_listener *c = call->listener->config;

    if (stream_accept(&call->client, &l->tcp, &call->record.client) != 0 ||
        stream_local(&call->client, &call->record.local) != 0) {
        call_end(call, REASON_CLIENT_RESET); /* before the gate has accepted it */
        return;
    }
    /* A trusted proxy must send a PROXY header. A PROXY header of any other client fails as a
     * broken TLS handshake. */
    if (c->accept_proxy && cidrs_have(&c->trusted_proxies, &call->record.client)) {
        call->record.proxy = call->record.client;
        call->record.client = (struct addr){0};
        stream_start(&call->client, NULL);
        return;
    }
    if (!admit(call))
        return;
    if (acme_listens(call))
        stream_start(&call->client, NULL);
    else
        stream_expect(&call->client);
}

/* ---- the PROXY header ---- */

static void addr_from_end(struct addr *out, const struct proxyproto_end *end)
{
    *out = (struct addr){.family = end->family == 4 ? AF_INET : AF_INET6, .port = end->port};
    memcpy(out->ip, end->ip, end->family == 4 ? 4 : 16);
}

size_t entry_proxy_read(struct call *call, struct span in)
{
    struct proxyproto p;
    enum err e = proxyproto_parse(in, &p);

    if (e == ERR_MORE)
        return 0;
    if (e != ERR_OK) {
        record_keep(&call->record.detail, span_str(err_text(e)));
        call_end(call, REASON_BAD_PROXY_HEADER);
        return in.n;
    }
    if (p.source.family != 0) {
        addr_from_end(&call->record.client, &p.source);
        addr_from_end(&call->record.local, &p.destination);
    } else {
        call->check = CHECK_PROXY;
    }
    if (!admit(call))
        return in.n;
    if (!acme_listens(call))
        stream_secure(&call->client);
    return p.len;
}

/* ---- health checks ---- */

static void note_check(struct call *call, enum check kind)
{
    if (call->check == CHECK_NONE)
        call->check = kind;
}

void entry_left(struct call *call)
{
    if (!blocks_empty(&call->client.held))
        return;
    if (call->state == CALL_PROXY || call->state == CALL_HELLO)
        note_check(call, CHECK_SILENT);
    else if (call->state == CALL_REQUEST &&
             (call->record.sni == NULL ||
              checks_have_seen(&call->set->seen, &call->record.client, call_now(call))))
        note_check(call, CHECK_TLS);
}

static struct span health_path(const struct call *call)
{
    const char *path = call->listener->config->health_path;

    return span_str(path != NULL ? path : "");
}

/* Returns the kind of health check that the request is; CHECK_NONE: none. */
static enum check check_asked(const struct call *call, const struct http_request *request)
{
    const struct span path = health_path(call);

    if (request->is_head && request->uri_is_sstp)
        return CHECK_HEAD;
    if (path.n > 0 && (request->is_get || request->is_head) && span_eq(request->path, path))
        return CHECK_PATH;
    return CHECK_NONE;
}

/* ---- TLS ---- */

struct tls_conn *entry_hello(struct call *call)
{
    call_enter(call, CALL_HANDSHAKE);
    struct tls_conn *conn = tls_conn_new_server(call->listener->tls, stream_sink, &call->client);
    tls_conn_set_time(conn, call->admission.accepted);
    return conn;
}

void entry_hello_expired(struct call *call)
{
    const bool reads = call->client.in == STREAM_IN_OPEN; /* for acme_first_read */

    call_end(call, call->acme.plain                        ? REASON_REQUEST_TIMEOUT
                   : !reads && stream_waits(&call->client) ? REASON_HANDSHAKE_QUEUE
                                                           : REASON_HANDSHAKE_TIMEOUT);
}

void entry_secure(struct call *call)
{
    const struct tls_conn *tls = call->client.tls;
    call->record.tls_version = tls_conn_version(tls);
    call->record.tls_cipher = tls_conn_cipher(tls);
    record_keep(&call->record.sni, tls_conn_sni(tls));
    tally_handshake(&call->set->tally, call->tally, call->record.tls_version,
                    call_now(call) - call->record.started);
    call->record.client_records = tls_conn_records(tls);
    tally_records(&call->set->tally, TALLY_CLIENT, call->record.client_records);
    call_enter(call, CALL_REQUEST);
}

/* ---- the request ---- */

/* Sends a client the decoy instead of the SSTP server's answer; the decoy is the same for every
 * reason. With a web site the decoy is the site's own answer to all bytes that the client has sent,
 * so the head remains unread here. head: its length. */
static size_t decoy(struct call *call, enum reason reason, size_t head)
{
    const struct config_backend *site = call->listener->config->fallback;

    if (site == NULL) {
        call_end(call, reason);
        return head;
    }
    call_keep_reason(call, reason);
    stream_pause(&call->client); /* a body may follow, of any size */
    uplink_dial(call, site, CALL_WEB);
    return 0;
}

/* Answers a head that cannot be read. The web site, if there is one, gives its own answer;
 * otherwise the gate's answer is the same for every client, because it does not depend on method
 * and URI. */
static size_t unreadable(struct call *call, enum err e, size_t head)
{
    record_keep(&call->record.detail, span_str(err_text(e)));
    if (call->listener->config->fallback != NULL)
        return decoy(call, REASON_NOT_SSTP, head);
    call_end(call, e == ERR_TOO_LARGE ? REASON_REQUEST_TOO_LARGE : REASON_BAD_REQUEST);
    return head;
}

/* Returns whether the unfinished head may be one that the gate answers itself. */
static bool gate_may_answer(const struct call *call, struct span in)
{
    const struct span path = health_path(call);

    return http_request_may_be_sstp(in) || (path.n > 0 && http_request_may_ask_for(in, path));
}

/* Handles an unfinished head. A head that is not SSTP goes to the web site, if any, at once,
 * because the site may already have an answer to it. A client that gets the decoy in any case must
 * not be able to detect that the gate waits for the rest of an SSTP request. */
static size_t unfinished(struct call *call, struct span in)
{
    const bool denied = call->admission.decoy;

    if (call->listener->config->fallback == NULL || (!denied && gate_may_answer(call, in)))
        return 0;
    return decoy(call, denied ? REASON_RULE_DENIED : REASON_NOT_SSTP, 0);
}

void entry_request_ended(struct call *call)
{
    if (call->listener->config->fallback != NULL)
        (void)decoy(call, REASON_NOT_SSTP, 0);
}

void entry_request_expired(struct call *call)
{
    if (call->listener->config->fallback != NULL && !blocks_empty(&call->client.held))
        (void)decoy(call, REASON_REQUEST_TIMEOUT, 0);
    else
        call_end(call, REASON_REQUEST_TIMEOUT);
}

static void note_request(struct call *call, const struct http_request *request)
{
    call->request.is_head = request->is_head;
    record_keep(&call->record.host, request->host);
    record_keep(&call->record.correlation, request->correlation);
    if (request->flaw != ERR_OK)
        record_keep(&call->record.detail, span_str(err_text(request->flaw)));
}

/* Keeps the tenant for the backend as it was sent, and for the rules without escapes, because
 * the backend decodes them. The parser of the request bounds its length. */
static void keep_tenant(struct call *call, struct span value)
{
    uint8_t plain[HTTP_TENANT_MAX];

    INSIST(value.n <= sizeof plain);
    record_keep(&call->request.tenant, value);
    record_keep(&call->record.tenant, span_of(plain, http_unescape(value, plain)));
}

enum request_verdict {
    REQUEST_ADMITTED,
    REQUEST_NOT_SSTP,
    REQUEST_ASKS_SSTP, /* health check: HEAD for the URI of SSTP */
    REQUEST_ASKS_HEALTH,
    REQUEST_WITHOUT_CLIENT,
    REQUEST_HOST_REFUSED,
    REQUEST_DENIED, /* the client gets the decoy */
    REQUEST_REJECTED,
    REQUEST_DROPPED,
};

/* Judges a request that is not SSTP. A health check gets an answer of the gate only where the
 * answer reveals nothing to the client, so that a denied client cannot detect the gate. */
static enum request_verdict judge_other(struct call *call, enum check asked,
                                        const struct http_request *request)
{
    if (asked == CHECK_PATH && !call->admission.decoy)
        return REQUEST_ASKS_HEALTH;
    if (asked != CHECK_HEAD)
        return REQUEST_NOT_SSTP;
    keep_tenant(call, request->tenant);
    return admission_would_admit(call, request->host) ? REQUEST_ASKS_SSTP : REQUEST_NOT_SSTP;
}

/* The same, and counts the health check, unless the web site gets it: any request may follow on
 * that connection, so it has a line `call`. */
static enum request_verdict note_other(struct call *call, const struct http_request *request)
{
    const enum check asked = check_asked(call, request);
    const enum request_verdict v = judge_other(call, asked, request);

    if (v != REQUEST_NOT_SSTP || call->listener->config->fallback == NULL)
        note_check(call, asked);
    return v;
}

static enum request_verdict judge_request(struct call *call, const struct http_request *request)
{
    if (!request->sstp)
        return note_other(call, request);
    if (!record_has_client(&call->record))
        return REQUEST_WITHOUT_CLIENT;
    if (!admission_serves(call, request->host))
        return REQUEST_HOST_REFUSED;
    if (call->admission.decoy)
        return REQUEST_DENIED;
    keep_tenant(call, request->tenant);
    switch (admission_judge_request(call)) {
    case ADMISSION_DECOY: return REQUEST_DENIED;
    case ADMISSION_DROPPED: return REQUEST_DROPPED;
    case ADMISSION_REJECTED: return REQUEST_REJECTED;
    default: return REQUEST_ADMITTED;
    }
}

size_t entry_request_read(struct call *call, struct span in)
{
    struct http_request request;
    enum err e = http_request_parse(in, &request);

    if (e == ERR_MORE)
        return unfinished(call, in);
    if (e != ERR_OK)
        return unreadable(call, e, in.n);
    note_request(call, &request);
    switch (judge_request(call, &request)) {
    case REQUEST_ADMITTED: uplink_dial(call, admission_backend(call), CALL_ANSWER); break;
    case REQUEST_NOT_SSTP: return decoy(call, REASON_NOT_SSTP, request.len);
    case REQUEST_ASKS_SSTP: call_end(call, REASON_SSTP_CHECK); break;
    case REQUEST_ASKS_HEALTH: call_end(call, REASON_HEALTH_PATH); break;
    case REQUEST_WITHOUT_CLIENT:
        call->check = CHECK_NONE;
        return decoy(call, REASON_PROXY_CALL, request.len);
    case REQUEST_HOST_REFUSED: return decoy(call, REASON_HOST_REFUSED, request.len);
    case REQUEST_DENIED: return decoy(call, REASON_RULE_DENIED, request.len);
    case REQUEST_DROPPED: stream_vanish(&call->client); /* fall through */
    case REQUEST_REJECTED: call_end(call, REASON_RULE_REJECTED); return in.n;
    }
    return request.len;
}

size_t entry_early_read(struct call *call, struct span in)
{
    if (call->uplink.next == CALL_WEB || in.n <= EARLY_MAX)
        return 0; /* waits for the backend's 200 (PROTOCOL.md 1.3) */
    call_end(call, REASON_EARLY_DATA);
    return in.n;
}
