/* radius_server: one RADIUS server that requests are sent to: its address, which is looked up again
 * now and then, its sockets with 256 identifiers each, and whether it answers. The RADIUS thread
 * only. */
#ifndef SSTPGATE_RADIUS_RADIUS_SERVER_H
#define SSTPGATE_RADIUS_RADIUS_SERVER_H

#include <stdatomic.h>

#include "radius/radius_table.h"

struct config_host;
struct dial;
struct worker;

enum {
    RADIUS_PORTS_MAX = 16,       /* sockets towards one server: 4096 requests at a time */
    RADIUS_ADDRESSES_MAX = 8,    /* of one name */
    RADIUS_SILENT_MS = 30000,    /* who did not answer is asked last for so long */
    RADIUS_LOOKUP_MS = 60000,    /* then a name is looked up again */
    RADIUS_LOOKUP_SOON_MS = 5000 /* where that has failed, or the server is silent */
};

struct radius_server_calls {
    /* What came from the address that r was sent to, with its identifier; whether it is an answer
     * is for the owner to find out. */
    void (*on_answer)(void *owner, struct radius_request *r, struct span octets);
    /* What came from elsewhere, or answers nothing. */
    void (*on_stray)(void *owner, const struct addr *from);
};

struct radius_server {
    struct worker *worker;
    const struct radius_server_calls *calls;
    void *owner;
    const char *section; /* for the log; set anew when a reload changes where it stands */
    char *host;
    uint16_t port_number;

    struct dial *dial;
    uint64_t looked_ms; /* when the last one ended */
    uint64_t lookup_ms; /* when the next one is due; UINT64_MAX: it is no name */
    struct addr address[RADIUS_ADDRESSES_MAX];
    size_t address_count, current;

    struct radius_port *ports;
    size_t port_count;

    uint64_t answered_ms;  /* 0: never */
    uint64_t silent_until; /* 0: it answers, as far as we know */
    atomic_bool silent;    /* the same, for other threads */
};

struct radius_server *radius_server_new(struct worker *w, const struct config_host *at,
                                        const struct radius_server_calls *calls, void *owner,
                                        const char *section);

/* No request holds an identifier of it any more. Its sockets close by themselves. */
void radius_server_free(struct radius_server *s);

/* An identifier for r, instead of the one that it may have; then r->to and r->server_id say which.
 * False: all are in use, or there is no address, and r is as it was. */
bool radius_server_take(struct radius_server *s, struct radius_request *r) MUST_CHECK;

/* Gives it back. Fine without. */
void radius_server_release(struct radius_request *r);

/* Sends r's octets to where radius_server_take decided. */
void radius_server_send(struct radius_request *r);

/* It did not answer r in time, or it answered. */
void radius_server_missed(struct radius_server *s, const struct radius_request *r, uint64_t now_ms);
void radius_server_answered(struct radius_server *s, uint64_t now_ms);

/* It is asked at another address than r was sent to. */
bool radius_server_moved(const struct radius_server *s, const struct radius_request *r);

bool radius_server_is_silent(const struct radius_server *s, uint64_t now_ms);

/* Once a second. */
void radius_server_sweep(struct radius_server *s, uint64_t now_ms);

#endif
