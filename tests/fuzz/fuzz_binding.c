/* The first octet selects the expected binding, the rest is the client's message. To reach the
 * checks after nonce and hash, the expected nonce and hash may be those of the message. */
#include <stdint.h>
#include <string.h>

#include "base/insist.h"
#include "binding/binding.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MASK_BITS = 0x03, TAKE_NONCE = 0x04, TAKE_LEAF = 0x08, BACKEND_SHIFT = 5 };

static void expect_from_message(struct span msg, uint8_t choice, struct binding_expect *expect,
                                struct binding_leaf *leaf)
{
    if (msg.n < SSTP_CONNECTED_LEN)
        return;
    if (choice & TAKE_NONCE)
        memcpy(expect->nonce, msg.p + SSTP_CONNECTED_NONCE, SSTP_NONCE);
    if (choice & TAKE_LEAF) {
        memcpy(leaf->sha1, msg.p + SSTP_CONNECTED_CERT, BINDING_SHA1);
        memcpy(leaf->sha256, msg.p + SSTP_CONNECTED_CERT, BINDING_SHA256);
    }
}

static void make_and_verify(struct span msg, uint8_t hash, uint8_t mask,
                            const struct binding_expect *client, const struct hlak *key)
{
    struct binding_leaf backend;
    struct binding_expect expect = {.mask = mask, .leaf = &backend};
    uint8_t out[SSTP_CONNECTED_LEN], seen;

    binding_leaf_from_der(&backend, span_str("backend"));
    memcpy(expect.nonce, client->nonce, SSTP_NONCE);
    hash = binding_choose_hash(hash, mask, &backend);
    INSIST(hash != 0);
    binding_make(msg, hash, &backend, key, out);
    INSIST(binding_check(span_of(out, sizeof out), &expect, &seen) == BINDING_OK && seen == hash);
    INSIST(binding_find_key(span_of(out, sizeof out), key, 1) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint8_t choice = data[0];
    const struct span msg = span_of(data + 1, size - 1);
    struct binding_leaf leaf = {.known = SSTP_HASH_SHA1 | SSTP_HASH_SHA256};
    struct binding_expect expect = {.mask = choice & MASK_BITS, .leaf = &leaf};
    struct hlak keys[2];
    uint8_t hash;

    hlak_zero(&keys[0]);
    memset(&keys[1], 0x5a, sizeof keys[1]);
    keys[1].kind = HLAK_MSCHAPV2;
    expect_from_message(msg, choice, &expect, &leaf);
    const enum binding_result r = binding_check(msg, &expect, &hash);
    INSIST(binding_result_name(r)[0] != 0);
    INSIST((hash != 0) == (r == BINDING_OK || r == BINDING_LEAF));
    if (r != BINDING_OK)
        return 0;
    INSIST(msg.n == SSTP_CONNECTED_LEN);
    INSIST(hash == msg.p[SSTP_CONNECTED_HASH]);
    const size_t found = binding_find_key(msg, keys, 2);
    INSIST(found <= 2);
    make_and_verify(msg, hash, choice >> BACKEND_SHIFT & MASK_BITS, &expect, &keys[choice >> 7]);
    return 0;
}
