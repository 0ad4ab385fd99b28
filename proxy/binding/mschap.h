/* mschap: the challenge of MS-CHAPv2, and the check whether a server and the gate (or a client)
 * have the same NtPasswordHashHash of a user. The check uses the server's answer to an MS-CHAPv2
 * response, which the server computes from the hash-hash (RFC 2759 8.7). Pure. */
#ifndef SSTPGATE_BINDING_MSCHAP_H
#define SSTPGATE_BINDING_MSCHAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "binding/hlak.h"

enum { MSCHAP_CHALLENGE = 16, MSCHAP_ANSWER = 20, MSCHAP_CHALLENGE_HASH = 8 };

/* Computes the challenge that a client encrypts (RFC 2759 8.2). user: without a leading DOMAIN\ in
 * the hash. */
void mschap_challenge_hash(const uint8_t peer_challenge[MSCHAP_CHALLENGE],
                           const uint8_t challenge[MSCHAP_CHALLENGE], struct span user,
                           uint8_t out[MSCHAP_CHALLENGE_HASH]);

/* Returns whether answer, the bytes of the server's S=, is computed from hash_hash. user: as sent
 * by the client. The standard hashes the name without a leading DOMAIN\ (RFC 2759 8.2), some
 * servers hash the whole name (PROTOCOL.md 5.3): both answers are accepted. */
bool mschap_answer_fits(const uint8_t answer[MSCHAP_ANSWER],
                        const uint8_t hash_hash[HLAK_HASH_HASH],
                        const uint8_t nt_response[HLAK_NT_RESPONSE],
                        const uint8_t peer_challenge[MSCHAP_CHALLENGE],
                        const uint8_t challenge[MSCHAP_CHALLENGE], struct span user);

#endif
