/* proof: a client's answers to the challenges of a server, which prove that it knows the password
 * (RFC 1994, 2759). For programs that log in; the gate itself never has a password. Pure. */
#ifndef SSTPGATE_BINDING_PROOF_H
#define SSTPGATE_BINDING_PROOF_H

#include "base/err.h"
#include "base/span.h"
#include "binding/mschap.h"
#include "binding/nthash.h"

enum { PROOF_MD5 = 16 };

/* Computes the response of CHAP-MD5 and EAP-MD5 (RFC 1994 4.1, RFC 3748 5.4). ERR_TLS: this OpenSSL
 * refuses MD5. */
enum err proof_md5(uint8_t id, struct span password, struct span challenge,
                   uint8_t out[PROOF_MD5]) MUST_CHECK;

/* Computes the NT-Response of MS-CHAPv2 and EAP-MSCHAPv2, and the hash-hash, with which
 * mschap_answer_fits checks the server's answer and hlak_mschapv2 derives the key. user: as sent.
 * password: UTF-8; the errors are those of nthash_respond. */
enum err proof_mschapv2(const struct nthash *h, struct span user, struct span password,
                        const uint8_t challenge[MSCHAP_CHALLENGE],
                        const uint8_t peer_challenge[MSCHAP_CHALLENGE],
                        uint8_t nt_response[NT_RESPONSE], uint8_t hash_hash[NT_HASH]) MUST_CHECK;

#endif
