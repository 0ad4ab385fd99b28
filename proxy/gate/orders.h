/* orders: a queue of orders of other gates to end tunnels (`sstpgate ctl end`, bans by an
 * administrator), from the thread of the store to the main thread. */
#ifndef SSTPGATE_GATE_ORDERS_H
#define SSTPGATE_GATE_ORDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/err.h"
#include "base/span.h"
#include "call/filter.h"

enum {
    ORDERS_MAX = 1024,      /* in a queue; more are refused: a hostile store could fill memory */
    ORDERS_TEXT_MAX = 1000, /* bytes of an order as text, with its NUL */
};

struct order {
    struct order *next;
    char *text; /* see orders_write */
    char *gate; /* the one that has given it */
    bool is_ban;
};

struct orders {
    uv_mutex_t lock;
    struct order *first, **last;
    size_t count;
};

void orders_init(struct orders *o);
void orders_fini(struct orders *o);

/* Writes a filter as text, for another gate: lines `key=value`. Returns false if it does not fit,
 * or has a line end. */
bool orders_filter_write(const struct call_filter *f, char out[ORDERS_TEXT_MAX]);

/* Reads the text of another gate; the texts of the filter are parts of it. Returns false if it has
 * a key that this version does not know. */
bool orders_filter_read(char *text, struct call_filter *out);

/* Writes a filter as text: lines `key=value`. Returns false if it has an ID, which means something
 * at one gate only, restricts nothing, does not fit, or has a line end. */
bool orders_write(const struct call_filter *f, char out[ORDERS_TEXT_MAX]);

/* Reads the text of another gate; the texts of the filter are parts of it. Returns false if it
 * restricts nothing, or has a key that this version does not know: it would end too much. */
bool orders_read(char *text, struct call_filter *out);

/* Appends an order. Returns false if the queue is full. Any thread. */
bool orders_put(struct orders *o, const char *text, const char *gate, bool is_ban);

/* Takes the first order; NULL: none. Any thread. */
struct order *orders_take(struct orders *o);
void order_free(struct order *order); /* NULL: no-op */

#endif
