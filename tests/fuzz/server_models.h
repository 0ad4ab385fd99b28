/* server_models: models of LCP and authentication in known VPN servers, made from their sources
 * (PROTOCOL.md 5). Each model is a server: it takes the frames of a client, keeps its own state
 * and writes its own frames. It shares no code with wire/ppp*.c, because the fuzz target
 * compares the two. A model does not check passwords: the caller sets the result of the next
 * check. */
#ifndef SSTPGATE_TESTS_SERVER_MODELS_H
#define SSTPGATE_TESTS_SERVER_MODELS_H

#include "base/span.h"
#include "wire/ppp_method.h"

enum server_kind { SERVER_SOFTETHER, SERVER_ACCEL, SERVER_PPPD, SERVER_RRAS, SERVER_KINDS };

enum server_event {
    SERVER_TICK,       /* no packet waits: SoftEther then begins an authentication */
    SERVER_RETRANSMIT, /* a timer: repeats the unanswered request */
    SERVER_ASK_AGAIN,  /* accel-ppp's interval, pppd's chap-interval */
    SERVER_JUDGE,      /* the RADIUS server has answered */
};

enum {
    SERVER_NAME_MAX = 256,
    SERVER_FRAME_MAX = 1600,
    SERVER_OUT_MAX = 8, /* frames of one step */
    /* settings: the first method of a server, and how it decides */
    SERVER_FIRST_METHOD = 0x07,
    SERVER_WAITS = 0x08,   /* accel-ppp: RADIUS, the verdict comes with SERVER_JUDGE */
    SERVER_DOUBLE = 0x10,  /* SoftEther: UseDoubleMsChapV2 */
    SERVER_EXPIRED = 0x20, /* RRAS: the first right answer gets E=648 */
};

struct server_name {
    uint8_t p[SERVER_NAME_MAX];
    size_t n;
};

/* A login that a server has accepted. */
struct server_login {
    enum ppp_method method;
    struct server_name user;   /* the name of the session */
    struct server_name proved; /* the name whose secret verified the answer */
    bool has_nt, v1;
    uint8_t challenge[16], peer[16], nt[24];
    size_t proof_len; /* octets that the server forwards to RADIUS; 0: none */
    uint8_t proof[SERVER_FRAME_MAX];
};

struct server_frame {
    size_t n;
    uint8_t p[SERVER_FRAME_MAX];
};

enum server_eap { EAP_IDLE, EAP_IDENTIFY, EAP_METHOD, EAP_RESULT, EAP_OPEN, EAP_BAD };

struct server_request { /* SoftEther: a request, repeated until a response with this id arrives */
    bool used;
    uint8_t id;
    size_t n;
    uint16_t protocol;
    uint8_t packet[128];
};

struct server_model {
    enum server_kind kind;
    uint8_t settings;
    bool accepts;      /* set by the caller: the result of the next check */
    bool in;           /* the client is accepted */
    bool ended;        /* the server has ended the call */
    bool news;         /* a Success has been written since the caller last checked */
    unsigned refusals; /* logins refused explicitly */
    struct server_login login;
    struct server_frame out[SERVER_OUT_MAX];
    size_t outs;

    /* LCP of accel-ppp, pppd, RRAS */
    uint8_t lcp_id, lcp_request[16];
    size_t lcp_request_len;
    bool lcp_here, lcp_there;
    unsigned method, tried; /* index into the server's methods; a bit for each refused one */

    /* authentication */
    uint8_t id;
    uint8_t challenges; /* number of challenges, so that each is different */
    uint8_t challenge[16];
    bool asked, done, refused, waiting, retry, expired;
    struct server_login pending; /* being judged */
    enum server_eap eap;
    uint8_t eap_type;
    bool eap_type_acked;
    unsigned rounds, retries;

    /* SoftEther */
    unsigned status;
    uint16_t auth_protocol;
    uint8_t next_id, eap_id, chap_id;
    bool auth_ok, ipc, lcp_sent, eap_client;
    struct server_request requests[8];
};

void server_begin(struct server_model *m, enum server_kind kind, uint8_t settings);

/* frame: one PPP frame of the client, as SSTP carries it. */
void server_take(struct server_model *m, struct span frame);
void server_happens(struct server_model *m, enum server_event event);

#endif
