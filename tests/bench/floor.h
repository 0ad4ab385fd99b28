/* floor: the minimum work of any relay, for comparison. */
#ifndef SSTPGATE_BENCH_FLOOR_H
#define SSTPGATE_BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_ctx;

/* Moves `packets` packets of `size` bytes from one connection to another, in one thread, and prints
 * the CPU time to read from a socket, decrypt, encrypt and write to a socket. join: plaintext that
 * was decrypted together is encrypted in the longest possible records; otherwise each packet is a
 * record. */
int floor_run(struct tls_ctx *client, struct tls_ctx *server, size_t size, bool join,
              uint64_t packets);

#endif
