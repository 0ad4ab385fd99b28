/* radius_section: one [radius NAME]: forwards the requests of its clients to its servers and the
 * answers back, each signed for its receiver. Packets that fail a check are dropped, counted and
 * logged. The RADIUS thread only, except radius_section_print. */
#ifndef SSTPGATE_RADIUS_RADIUS_SECTION_H
#define SSTPGATE_RADIUS_RADIUS_SECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

struct keyring;
struct radius_section;
struct snapshot;
struct udp;
struct udp_path;
struct worker;

/* Creates an empty section; call radius_section_configure before any other function. w and
 * keyring must outlive it. */
struct radius_section *radius_section_new(struct worker *w, struct keyring *keyring,
                                          const char *name);
void radius_section_free(struct radius_section *s);

const char *radius_section_name(const struct radius_section *s);

/* Makes it section number `index` of this snapshot, which must exist until the next call. Pending
 * requests stay pending if servers and secrets are unchanged; otherwise they are removed, and the
 * clients retransmit them. */
void radius_section_configure(struct radius_section *s, const struct snapshot *snapshot,
                              size_t index);

/* Handles a datagram that arrived at u. accounting: u is a socket of accounting-listen. */
void radius_section_take(struct radius_section *s, struct udp *u, bool accounting,
                         struct span octets, const struct udp_path *path);

/* Removes the requests that arrived at u. Call before u is closed. */
void radius_section_forget(struct radius_section *s, const struct udp *u);

/* Removes expired requests and starts due look-ups. Call it once a second. */
void radius_section_sweep(struct radius_section *s, uint64_t now_ms);

/* Writes a line "radius NAME: ..." with the counters. Any thread, while no other thread configures
 * or frees the section. */
void radius_section_print(struct radius_section *s, FILE *out);

/* Calls each() with every verdict on requests, and the number of requests that had it: "accept",
 * "reject", "challenge", "accounting" (the answer of a server), "status" (Status-Server, which the
 * gate answers itself), "unanswered" (given up), and "dropped" (packets of any kind). As
 * radius_section_print. */
void radius_section_verdicts(const struct radius_section *s,
                             void (*each)(void *arg, const char *verdict, uint64_t count),
                             void *arg);

#endif
