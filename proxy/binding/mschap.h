/* mschap: was this hash-hash what a server knows of a user? Its answer to an MS-CHAPv2 response
 * tells (RFC 2759 8.7): it is made of the same NtPasswordHashHash that keys are made of. Pure. */
#ifndef SSTPGATE_BINDING_MSCHAP_H
#define SSTPGATE_BINDING_MSCHAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "binding/hlak.h"

enum { MSCHAP_CHALLENGE = 16, MSCHAP_ANSWER = 20 };

/* user: as the client sent it. The standard hashes it without a leading DOMAIN\ (RFC 2759 8.2),
 * some servers whole (PROTOCOL.md 5.3): either fits. answer: the octets of the server's S=. */
bool mschap_answer_fits(const uint8_t answer[MSCHAP_ANSWER],
                        const uint8_t hash_hash[HLAK_HASH_HASH],
                        const uint8_t nt_response[HLAK_NT_RESPONSE],
                        const uint8_t peer_challenge[MSCHAP_CHALLENGE],
                        const uint8_t challenge[MSCHAP_CHALLENGE], struct span user);

#endif
