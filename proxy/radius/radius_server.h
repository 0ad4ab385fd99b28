/* radius_server: one RADIUS server: its addresses, which are resolved again regularly, the sockets
 * for requests to it with 256 identifiers each, and whether it answers. The RADIUS thread only. */
#ifndef SSTPGATE_RADIUS_RADIUS_SERVER_H
#define SSTPGATE_RADIUS_RADIUS_SERVER_H

#include <stdatomic.h>

#include "radius/radius_table.h"

struct config_host;
struct dial;
struct worker;

enum {
    RADIUS_PORTS_MAX = 16,       /* sockets for one server: 4096 requests at a time */
    RADIUS_ADDRESSES_MAX = 8,    /* of a name */
    RADIUS_SILENT_MS = 30000,    /* how long a server that did not answer is the last choice */
    RADIUS_LOOKUP_MS = 60000,    /* interval of name look-ups, */
    RADIUS_LOOKUP_SOON_MS = 5000 /* and after a failure, or if the server is silent */
};

struct radius_server_calls {
    /* A datagram from the address that r was sent to, with the identifier of r. The owner verifies
     * whether it is the answer. */
    void (*on_answer)(void *owner, struct radius_request *r, struct span octets);
    /* A datagram from another address, or with an identifier that is not in use. */
    void (*on_stray)(void *owner, const struct addr *from);
    /* The server did not answer r in time, or r did not reach it. Called once for each attempt. */
    void (*on_lost)(void *owner, struct radius_request *r);
};

struct radius_server {
    struct worker *worker;
    const struct radius_server_calls *calls;
    void *owner;
    const char *section; /* name, for the log */
    char *host;
    uint16_t port_number;

    struct dial *dial;
    uint64_t looked_ms; /* end of the latest look-up */
    uint64_t lookup_ms; /* when the next one is due; UINT64_MAX: the host is an address */
    struct addr address[RADIUS_ADDRESSES_MAX];
    size_t address_count, current;
    bool unresolved; /* the latest look-up found no address */

    struct radius_port *ports;
    size_t port_count;

    int error;             /* of the latest datagram to it: of ICMP, or of sending; 0: none */
    bool unverified;       /* its latest answer was not signed as it must be */
    uint64_t answered_ms;  /* 0: never */
    uint64_t silent_until; /* 0: no request is known to be unanswered */
    atomic_bool silent;    /* the same, for other threads */
};

/* Creates a server and looks up its name. calls, owner and section must outlive it. */
struct radius_server *radius_server_new(struct worker *w, const struct config_host *at,
                                        const struct radius_server_calls *calls, void *owner,
                                        const char *section);

/* Frees s, when no request has an identifier of it any more. Its sockets are closed
 * asynchronously. */
void radius_server_free(struct radius_server *s);

/* Gives r an identifier of this server, instead of the one that r may have; sets r->to and
 * r->server_id. False: all identifiers are in use, or the server has no address; r is unchanged. */
bool radius_server_take(struct radius_server *s, struct radius_request *r) MUST_CHECK;

/* Releases the identifier of r; a no-op if it has none. */
void radius_server_release(struct radius_request *r);

/* Sends the packet of r to the address that radius_server_take has chosen. */
void radius_server_send(struct radius_request *r);

/* Notes that the server has not answered r in time. The first such request of a silence logs its
 * likely cause. */
void radius_server_missed(struct radius_server *s, struct radius_request *r, uint64_t now_ms);

/* Notes that an answer of the server was dropped because of its signature. */
void radius_server_unverified(struct radius_server *s);

/* Notes an answer of the server. */
void radius_server_answered(struct radius_server *s, uint64_t now_ms);

/* Returns whether requests now go to another address than r was sent to. */
bool radius_server_moved(const struct radius_server *s, const struct radius_request *r);

bool radius_server_is_silent(const struct radius_server *s, uint64_t now_ms);

/* Starts look-ups that are due. Call once a second. */
void radius_server_sweep(struct radius_server *s, uint64_t now_ms);

#endif
