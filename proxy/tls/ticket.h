/* ticket: the syntax of a NewSessionTicket of TLS 1.3 (RFC 8446 4.6.1). The gate uses no ticket of
 * a call's connection, but a malformed one ends the connection, as with OpenSSL. */
#ifndef SSTPGATE_TLS_TICKET_H
#define SSTPGATE_TLS_TICKET_H

#include "base/err.h"
#include "base/span.h"

/* Checks the body of a message. ERR_LENGTH: decode_error. ERR_RANGE: illegal_parameter, for an
 * extension that does not belong there, or belongs there once. */
enum err ticket_check(struct span body) MUST_CHECK;

#endif
