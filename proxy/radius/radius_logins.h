/* radius_logins: EAP logins in progress. Maps the State of an Access-Challenge to the server
 * that sent it and to the marks of the login (radius/keyring.h), because the next
 * Access-Request of the login carries the same State. Bounded and lossy. The RADIUS thread
 * only. */
#ifndef SSTPGATE_RADIUS_RADIUS_LOGINS_H
#define SSTPGATE_RADIUS_RADIUS_LOGINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "radius/keyring.h"
#include "radius/radius_carry.h"
#include "radius/radius_memory.h"

#define RADIUS_LOGINS_NONE SIZE_MAX

struct radius_logins {
    const struct keyring *keyring; /* its hashes are the marks */
    struct radius_memory origin;   /* State to the index of a server, plus 1 */
    struct radius_memory chain, proof;
};

/* Makes room for size logins between a challenge and its response. keyring must outlive *l. */
void radius_logins_init(struct radius_logins *l, const struct keyring *keyring, size_t size);
void radius_logins_fini(struct radius_logins *l);
void radius_logins_clear(struct radius_logins *l);

/* Returns the index of the server that must get this request, because no other server knows the
 * State in it; RADIUS_LOGINS_NONE: any server may get it. */
size_t radius_logins_server(const struct radius_logins *l, const struct radius_packet *request);

/* Finds the login that an Access-Request belongs to. False: the request continues a login by EAP
 * whose earlier packets are unknown: another gate had them, the server gave no State, or the entry
 * was replaced; then the login has no marks. scratch as in radius_carry_login; out->user refers to
 * the request. */
bool radius_logins_find(const struct radius_logins *l, const struct radius_packet *request,
                        uint8_t scratch[RADIUS_MAX], struct keyring_login *out);

/* Keeps what is known of a login under the State of the challenge; a no-op if it has no State.
 * marks: of the login up to the request that the challenge answers. */
void radius_logins_put(struct radius_logins *l, const struct radius_packet *challenge,
                       size_t server, struct keyring_marks marks, uint8_t scratch[RADIUS_MAX]);

/* Removes the State of a request that has been answered, which makes room for other logins. */
void radius_logins_forget(struct radius_logins *l, const struct radius_packet *request);

#endif
