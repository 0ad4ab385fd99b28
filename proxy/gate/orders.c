#include "gate/orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

/* ---- text ---- */

static bool put_line(char out[ORDERS_TEXT_MAX], const char *key, const char *value)
{
    const size_t at = strlen(out);

    if (value == NULL)
        return true;
    const int n = snprintf(out + at, ORDERS_TEXT_MAX - at, "%s=%s\n", key, value);
    return n > 0 && (size_t)n < ORDERS_TEXT_MAX - at && strchr(value, '\n') == NULL;
}

bool orders_filter_write(const struct call_filter *f, char out[ORDERS_TEXT_MAX])
{
    char net[ADDR_TEXT_MAX];

    out[0] = '\0';
    return put_line(out, "id", f->id) && put_line(out, "user", f->user) &&
           put_line(out, "address", f->has_address ? cidr_format(&f->address, net) : NULL) &&
           put_line(out, "listener", f->listener) && put_line(out, "server", f->server);
}

bool orders_write(const struct call_filter *f, char out[ORDERS_TEXT_MAX])
{
    return filter_is_set(f) && f->id == NULL && orders_filter_write(f, out);
}

static bool read_line(char *line, struct call_filter *out)
{
    char *value = strchr(line, '=');

    if (value == NULL)
        return false;
    *value++ = '\0';
    if (strcmp(line, "id") == 0)
        out->id = value;
    else if (strcmp(line, "user") == 0)
        out->user = value;
    else if (strcmp(line, "listener") == 0)
        out->listener = value;
    else if (strcmp(line, "server") == 0)
        out->server = value;
    else if (strcmp(line, "address") == 0)
        out->has_address = cidr_parse(value, &out->address) == ERR_OK;
    else
        return false;
    return strcmp(line, "address") != 0 || out->has_address;
}

bool orders_filter_read(char *text, struct call_filter *out)
{
    char *rest = text, *line;

    *out = (struct call_filter){0};
    while ((line = strsep(&rest, "\n")) != NULL && (*line != '\0' || rest != NULL))
        if (!read_line(line, out))
            return false;
    return true;
}

bool orders_read(char *text, struct call_filter *out)
{
    return orders_filter_read(text, out) && filter_is_set(out) && out->id == NULL;
}

/* ---- queue ---- */

void orders_init(struct orders *o)
{
    *o = (struct orders){0};
    o->last = &o->first;
    INSIST_UV(uv_mutex_init(&o->lock));
}

void orders_fini(struct orders *o)
{
    struct order *order;

    while ((order = orders_take(o)) != NULL)
        order_free(order);
    uv_mutex_destroy(&o->lock);
}

void order_free(struct order *order)
{
    if (order == NULL)
        return;
    free(order->text);
    free(order->gate);
    free(order);
}

bool orders_put(struct orders *o, const char *text, const char *gate, bool is_ban)
{
    uv_mutex_lock(&o->lock);
    const bool room = o->count < ORDERS_MAX;
    if (room) {
        struct order *order = NEW(struct order);
        order->text = insist_alloc(strdup(text));
        order->gate = insist_alloc(strdup(gate));
        order->is_ban = is_ban;
        *o->last = order;
        o->last = &order->next;
        o->count++;
    }
    uv_mutex_unlock(&o->lock);
    return room;
}

struct order *orders_take(struct orders *o)
{
    uv_mutex_lock(&o->lock);
    struct order *order = o->first;
    if (order != NULL) {
        o->first = order->next;
        o->count--;
    }
    if (o->first == NULL)
        o->last = &o->first;
    uv_mutex_unlock(&o->lock);
    return order;
}
