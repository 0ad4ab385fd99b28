/* radius_stations: the client's address of each accounting session (RFC 2866), for
 * calling-station-id = client. An Access-Accept leaves a note with the address. The note moves to
 * the session when the VPN server sends the Accounting Start; if the Access-Request had an
 * Acct-Session-Id, it belongs to the session at once. Bounded. The RADIUS thread only. */
#ifndef SSTPGATE_RADIUS_RADIUS_STATIONS_H
#define SSTPGATE_RADIUS_RADIUS_STATIONS_H

#include "base/addr.h"
#include "base/siphash.h"
#include "wire/radius.h"

enum {
    RADIUS_STATIONS_LOGINS_MAX = 4096,      /* accepted logins without a Start */
    RADIUS_STATIONS_SESSIONS_MAX = 16384,   /* the least recently used one is removed */
    RADIUS_STATIONS_LOGIN_MS = 60000,       /* from the Accept to the Start */
    RADIUS_STATIONS_STOPPED_MS = 300000,    /* after the latest Stop, which may be retransmitted */
    RADIUS_STATIONS_RUNNING_MS = 604800000, /* after the latest Start or Interim: a week */
};

struct radius_station;

struct radius_stations {
    struct siphash_key key;
    struct radius_station *logins; /* list, the oldest first */
    size_t login_count;
    uint64_t lossy_until_ms;         /* a login may be missing in the list until then */
    struct radius_station *sessions; /* table, in the order of the latest use */
};

void radius_stations_init(struct radius_stations *t);
void radius_stations_fini(struct radius_stations *t);

/* Notes that a request of this VPN server was accepted. client: family 0: unknown. Its session has
 * the User-Name of the request or of the Accept (RFC 2865 5.1). */
void radius_stations_accept(struct radius_stations *t, const struct addr *vpn,
                            const struct radius_packet *request, const struct radius_packet *accept,
                            const struct addr *client, uint64_t now_ms);

/* Follows a new Accounting-Request of this VPN server. Returns the address of its client, valid
 * until the next call; NULL: unknown. It is unknown if the login of the session was not seen, or if
 * logins of its user (with its Class, if the Start has one) from different addresses have no Start
 * yet. Accounting-On and Accounting-Off remove all notes of the VPN server, which has restarted and
 * may count its sessions again. */
const struct addr *radius_stations_account(struct radius_stations *t, const struct addr *vpn,
                                           const struct radius_packet *request, uint64_t now_ms);

#endif
