/* conf: the Configure exchange of one PPP control protocol (RFC 1661 4), LCP or IPCP, as far as a
 * line without losses needs it. Pure: packets in, packets out; no clock, no allocation. */
#ifndef SSTPGATE_CLIENT_CONF_H
#define SSTPGATE_CLIENT_CONF_H

#include "base/span.h"

enum {
    CONF_OPTIONS_MAX = 4,
    CONF_VALUE_MAX = 4,
    /* Configure packets of the server: real negotiations need at most some ten. */
    CONF_ROUNDS_MAX = 64,
};

enum conf_code {
    CONF_REQUEST = 1,
    CONF_ACK = 2,
    CONF_NAK = 3,
    CONF_REJECT = 4,
    CONF_TERMINATE = 5,
    CONF_TERMINATE_ACK = 6,
    CONF_CODE_REJECT = 7,
};

struct conf_option {
    uint8_t type, n;
    uint8_t value[CONF_VALUE_MAX];
};

/* The packet of a control protocol, without the padding after it. */
struct conf_packet {
    uint8_t code, id;
    struct span data;
};

/* Judges an option of the server's request: CONF_ACK, CONF_REJECT, or CONF_NAK with *better. */
typedef enum conf_code conf_judge(void *arg, uint8_t type, struct span value,
                                  struct conf_option *better);
typedef void conf_send(void *arg, struct conf_packet packet);

struct conf {
    conf_judge *judge;
    conf_send *send;
    void *arg;
    struct conf_option want[CONF_OPTIONS_MAX]; /* requested here */
    size_t wants;
    uint8_t id;        /* of the latest request; 0: none was sent */
    bool agreed_here;  /* the server has acknowledged it */
    bool agreed_there; /* the server's latest request was acknowledged */
    unsigned rounds;
};

enum conf_result {
    CONF_GOING,
    CONF_OPENED,    /* both sides agree, by this packet */
    CONF_RESTARTED, /* the server renegotiates; a new request was sent */
    CONF_ENDED,     /* the server has terminated, or acknowledged a termination */
    CONF_ENDLESS,   /* more than CONF_ROUNDS_MAX packets */
};

/* Reads a packet; false: it is truncated or its length is impossible. */
bool conf_read(struct span info, struct conf_packet *out);

/* Adds an option to the request. n: at most CONF_VALUE_MAX. */
void conf_want(struct conf *c, uint8_t type, const void *value, size_t n);

/* Returns the option as it is requested now; NULL: it is not requested. */
const struct conf_option *conf_wanted(const struct conf *c, uint8_t type);

bool conf_is_open(const struct conf *c);

/* Sends a new request. */
void conf_request(struct conf *c);

/* Sends the latest request again; a no-op if there is none, or the server has acknowledged it. */
void conf_retransmit(struct conf *c);

/* Handles a packet of the server. Calls judge for each option of a request, and send at most
 * twice. Malformed and stale packets are ignored. */
enum conf_result conf_receive(struct conf *c, const struct conf_packet *p);

#endif
