/* acme: validations of ACME (RFC 8555), and the plain connections of listen-http. With `acme`, a
 * connection whose ClientHello offers only acme-tls/1 (RFC 8737) is passed to the ACME client
 * unchanged, in state ACME; all other connections continue with TLS, which gets the same bytes.
 * With `acme-http`, a request for a challenge (RFC 8555 8.3) makes the gate send the ACME client a
 * request of its own, and no other bytes; every other request at listen-http is redirected to
 * https.
 *
 * A validation may come from any address, so the rules do not apply to it. Its cost is bounded
 * instead: by timeout-handshake, by ACME_OCTETS_MAX bytes in each direction, and by ACME_AT_ONCE
 * connections. One more connection closes the oldest of the network (limits.h) that has the most:
 * silent connections cannot block all validations, and the connections of one network cannot end a
 * validation of another. Connections from ACME_AT_ONCE networks together can. */
#ifndef SSTPGATE_CALL_ACME_H
#define SSTPGATE_CALL_ACME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

struct call;

enum {
    ACME_AT_ONCE = 64, /* of a listener and worker, with denied clients that have sent nothing */
    ACME_OCTETS_MAX = 65536,
};

/* Returns whether the client's first bytes must be read before TLS gets them, if it gets any. */
bool acme_listens(const struct call *call);

/* Returns whether the connection may become a validation. */
bool acme_may_validate(const struct call *call);

/* Enters ACME with a client whose address the rules deny: it is refused unless its first bytes are
 * those of a validation. */
void acme_await(struct call *call);

/* HELLO: handles bytes of the client, which become a validation, TLS or an answer. Returns the
 * number of bytes consumed. */
size_t acme_first_read(struct call *call, struct span in);

/* ACME: handle bytes of the client and of the ACME client (return the number of bytes consumed),
 * the result of the connection to the ACME client, the end or failure of each side, and the
 * deadline. acme_client_ends and acme_server_ends keep the reason, or end the call. */
size_t acme_read(struct call *call, struct span in);
size_t acme_answer_read(struct call *call, struct span in);
void acme_connected(struct call *call, int status);
void acme_client_ends(struct call *call);
void acme_server_ends(struct call *call);
void acme_expired(struct call *call);

#endif
