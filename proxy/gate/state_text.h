/* state_text: the state of a gate as text, for the process that replaces it (gate/upgrade.h):
 * sockets, bans, points, states of servers. The first line is "sstpgate-handover VERSION"; each
 * other line is an item with fields separated by tabs. A reader skips unknown lines, because the
 * other process may be older or newer. No I/O. */
#ifndef SSTPGATE_GATE_STATE_TEXT_H
#define SSTPGATE_GATE_STATE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/span.h"
#include "policy/points.h"

enum state_kind {
    STATE_NUMBERS, /* numbers N: N is the first number of a call */
    STATE_SOCKET,  /* socket ADDR own|shared NAMES: see inherited_describe */
    STATE_BAN,     /* ban LINE: a line of a ban file (policy/ban_file.h) */
    STATE_POINTS,  /* points CIDR SLOT-MS NEWEST and the points of each slot */
    STATE_SERVER,  /* server BACKEND HOST PORT up|down ready|drain CHANGED-MS CAUSE */
};

/* Spans refer to the text. Times are those of the monotonic clock, which all processes share. */
struct state_item {
    enum state_kind kind;
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
void state_text_begin(FILE *out);

/* Writes an item. Control characters become blanks. */
void state_text_print(FILE *out, const struct state_item *item);

/* Reads the first line, and removes it from *text. Returns false if that is not the first line of a
 * state. */
bool state_text_check(struct span *text);

/* Takes the next item. Counts skipped lines in *skipped. Returns false at the end of the text. */
bool state_text_next(struct span *text, struct state_item *out, unsigned *skipped);

#endif
