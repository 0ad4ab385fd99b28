/* session: the client's side of SSTP ([MS-SSTP] 3.2), from the HTTP request to a tunnel that is up,
 * with a PPP link inside. Pure: the decrypted bytes of a connection in, SSTP packets out; no clock,
 * no random numbers, no allocation. */
#ifndef SSTPGATE_CLIENT_SESSION_H
#define SSTPGATE_CLIENT_SESSION_H

#include "binding/binding.h"
#include "client/fault.h"
#include "client/link.h"
#include "wire/http_build.h"
#include "wire/http_response.h"

enum { SESSION_DETAIL_MAX = 192, SESSION_SERVER_MAX = 96, SESSION_HEAD_MAX = 1024 };

struct session_settings {
    struct span host;         /* value of the Host field; must be valid for http_build_request */
    struct span tenant;       /* empty: none */
    struct span correlation;  /* a GUID */
    struct binding_leaf leaf; /* the server's certificate; known 0: none, as without TLS */
    struct link_settings link;
    bool ping; /* the last step */
};

/* Sends one packet, or the request: the caller writes it as one TLS record. */
typedef void session_send(void *arg, struct span packet);

struct session {
    struct session_settings settings;
    session_send *send;
    void *arg;
    enum step step;   /* the step in progress */
    enum fault fault; /* the fault that ended it */
    bool over;        /* the server has acknowledged the end */
    unsigned status;  /* of HTTP; 0: no answer yet */
    uint8_t mask;     /* hash protocols that the Ack offers */
    uint8_t hash;     /* the chosen one; 0: none yet */
    uint8_t nonce[SSTP_NONCE];
    bool connected; /* Call Connected was sent */
    bool ending;    /* Disconnect was sent */
    struct link link;
    size_t in_n;
    char server[SESSION_SERVER_MAX]; /* the field Server, printable ASCII; "": none */
    size_t head_n;
    uint8_t head[SESSION_HEAD_MAX];  /* the beginning of the server's answer, as sent */
    char detail[SESSION_DETAIL_MAX]; /* about the fault, printable ASCII; "": none */
    uint8_t in[HTTP_HEADS_MAX];      /* bytes of an incomplete head or packet */
};

/* Sends the request. The spans and pointers in settings must outlive s. False: settings.host is not
 * valid. */
bool session_start(struct session *s, const struct session_settings *settings, session_send *send,
                   void *arg);

/* Handles bytes of the server. May call send for each packet in them. s->step and s->fault may
 * change; bytes after a fault are ignored. */
void session_receive(struct session *s, struct span bytes);

/* Sends the latest packet of PPP that has no answer again. Call it after some seconds of silence.
 */
void session_retransmit(struct session *s);

/* Records that the server has closed the connection. */
void session_closed(struct session *s);

/* Begins the end of a call: sends a Disconnect, if the server has acknowledged the call. False:
 * there is nothing to wait for. */
bool session_end(struct session *s);

/* Returns the method of authentication; PPP_METHOD_NONE: none was agreed. */
enum ppp_method session_method(const struct session *s);

/* Wipes the secrets. */
void session_fini(struct session *s);

#endif
