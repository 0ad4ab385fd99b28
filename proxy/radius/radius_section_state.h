/* radius_section_state: the struct of one [radius NAME], for the files that implement it:
 * radius_section.c has its start, settings and end, radius_section_requests.c the packets of
 * clients, radius_section_answers.c those of servers. These files share the functions here. The
 * RADIUS thread only, except for the atomic counters. */
#ifndef SSTPGATE_RADIUS_RADIUS_SECTION_STATE_H
#define SSTPGATE_RADIUS_RADIUS_SECTION_STATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "radius/radius_logins.h"
#include "radius/radius_memory.h"
#include "radius/radius_stations.h"
#include "radius/radius_table.h"

struct config_radius;
struct radius_server;
struct worker;

/* The reason why a packet was dropped. */
enum radius_drop {
    RADIUS_DROP_STRANGER,  /* its sender is not among `clients`, or is not the server that was asked
                            */
    RADIUS_DROP_MALFORMED, /* not a RADIUS packet, or of a code that is not accepted there */
    RADIUS_DROP_FORGED,    /* signed with another secret, or not an answer to the request */
    RADIUS_DROP_UNSIGNED,  /* without the Message-Authenticator that it must have */
    RADIUS_DROP_REPLAYED,  /* has the Request Authenticator of another request (RFC 2865 3) */
    RADIUS_DROP_UNEXPECTED, /* an answer that no request waits for */
    RADIUS_DROP_NO_ROOM,    /* well formed, but too long with what the gate adds */
    RADIUS_DROP_FULL,       /* too many requests are pending */
    RADIUS_DROP_NO_SERVER,  /* no server has an address and a free identifier */
    RADIUS_DROPS
};

/* What became of a request. */
enum radius_verdict {
    RADIUS_ACCEPTED,
    RADIUS_REJECTED,
    RADIUS_CHALLENGED,
    RADIUS_ACCOUNTED,
    RADIUS_STATUS,     /* Status-Server, which the gate answers itself */
    RADIUS_UNANSWERED, /* given up without an answer */
    RADIUS_VERDICTS
};

/* A new Access-Request whose client may have its call at another gate. */
struct radius_parked {
    struct radius_parked *prev, *next;
    struct radius_section *section;
    struct radius_key key;
    struct udp *udp;
    struct udp_path path;
    void *search; /* of keyring_want_client */
    size_t len;
    uint8_t octets[]; /* wiped when freed */
};

struct radius_servers {
    struct radius_server **item; /* in the order of the configuration */
    size_t count;
};

struct radius_section {
    struct worker *worker;
    struct keyring *keyring;
    char *name;
    const struct config_radius *config;       /* of the snapshot */
    struct span client_secret, server_secret; /* of the snapshot */
    struct radius_servers access, accounting;
    struct radius_table table;
    struct radius_memory seen; /* Request Authenticator to its time of arrival */
    struct radius_logins logins;
    struct radius_stations stations;
    struct radius_parked *parked; /* Access-Requests that wait for their client's address */
    size_t parked_count;
    struct {
        atomic_ullong requests, repeated, answers, keys, unfollowed, dropped[RADIUS_DROPS],
            verdicts[RADIUS_VERDICTS];
        atomic_size_t waiting;
    } count;
    struct log_limit limit[RADIUS_DROPS];

    /* Wiped by radius_section_settle: a packet that is being built, and an EAP packet put together
     * from its attributes. Both hold material for guessing passwords, and keys until these are
     * hidden. */
    struct radius_out out;
    uint8_t eap[RADIUS_MAX];
};

/* Returns the word for the log and for `sstpgate ctl status`. */
const char *radius_drop_name(enum radius_drop why);

/* Counts a dropped packet and logs it, at most one line a second for each reason. */
void radius_section_drop(struct radius_section *s, enum radius_drop why, const struct addr *from);

/* Returns whether the packet is signed with this secret and has the Message-Authenticator that it
 * needs; otherwise drops it. request_authenticator: NULL for a request. */
bool radius_section_verify(struct radius_section *s, const struct radius_packet *p,
                           const uint8_t *request_authenticator, struct span secret,
                           const struct addr *from);

/* Reports to the keyring the verdict on the login of an Access-Request, which has these marks. */
void radius_section_judge(struct radius_section *s, const struct radius_packet *request,
                          struct keyring_marks marks, enum keyring_verdict verdict);

/* Removes a request. Its client may send it again if it had no answer, so its authenticator does
 * not count as a replay. */
void radius_section_drop_request(struct radius_section *s, struct radius_request *r);

/* Wipes and frees a parked request, whose search has ended or is cancelled. */
void radius_section_unpark(struct radius_section *s, struct radius_parked *p);

/* Sends the answer that r has to its client. */
void radius_section_send_answer(const struct radius_request *r);

/* Wipes the buffers and the stack that a callback has used. Call it at the end of each
 * callback. */
void radius_section_settle(struct radius_section *s);

#endif
