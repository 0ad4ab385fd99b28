/* floor: what any relay must do at the least, as a measure for all of them. */
#ifndef SSTPGATE_BENCH_FLOOR_H
#define SSTPGATE_BENCH_FLOOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_ctx;

/* Moves `packets` packets of `size` octets from one connection to another, in one thread, and
 * prints the CPU time of that: read from a socket, decrypt, encrypt, write to a socket. join: what
 * was decrypted together is encrypted in records as long as can be; else each packet is a record.
 */
int floor_run(struct tls_ctx *client, struct tls_ctx *server, size_t size, bool join,
              uint64_t packets);

#endif
