/* handover: the text that a gate leaves for the gate that replaces it (gate/upgrade.h): sockets,
 * bans, points, states of servers. The first line is "sstpgate-handover VERSION"; each other line
 * is an item, whose fields a tab separates. A reader skips lines that it does not understand, so
 * that a gate can be replaced by an older or newer one. No I/O. */
#ifndef SSTPGATE_GATE_HANDOVER_H
#define SSTPGATE_GATE_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/span.h"
#include "policy/points.h"

enum handover_kind {
    HANDOVER_NUMBERS, /* numbers N: N is the first number of a call */
    HANDOVER_SOCKET,  /* socket ADDR own|shared NAMES: see inherited_describe */
    HANDOVER_BAN,     /* ban LINE: a line of a ban file (policy/ban_file.h) */
    HANDOVER_POINTS,  /* points CIDR SLOT-MS NEWEST and the points of each slot */
    HANDOVER_SERVER,  /* server BACKEND HOST PORT up|down ready|drain CHANGED-MS CAUSE */
};

/* Spans refer to the text. Times are those of the monotonic clock, which all processes share. */
struct handover_item {
    enum handover_kind kind;
    union {
        uint64_t numbers;
        struct {
            struct addr want;
            bool shared;
            struct span names;
        } socket;
        struct span ban;
        struct {
            struct cidr net;
            uint64_t slot_ms;
            struct points points;
        } points;
        struct {
            struct span backend, host, cause;
            uint16_t port;
            bool up, draining;
            uint64_t changed_ms;
        } server;
    };
};

/* Writes the first line. */
void handover_begin(FILE *out);

/* Writes an item. Control characters become blanks. */
void handover_print(FILE *out, const struct handover_item *item);

/* Reads the first line, and removes it from *text. Returns false if the text is none of a gate. */
bool handover_check(struct span *text);

/* Takes the next item. Counts skipped lines in *skipped. Returns false at the end of the text. */
bool handover_next(struct span *text, struct handover_item *out, unsigned *skipped);

#endif
