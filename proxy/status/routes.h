/* routes: the paths of the status listener. Pure. */
#ifndef SSTPGATE_STATUS_ROUTES_H
#define SSTPGATE_STATUS_ROUTES_H

#include <stdbool.h>

#include "base/span.h"

enum route_kind {
    ROUTE_PAGE,   /* a file of the page (page.h) */
    ROUTE_HEALTH, /* answered by the thread of the listener itself */
    ROUTE_READY,  /* this one and the next three: answered by the main thread */
    ROUTE_METRICS,
    ROUTE_VIEW,   /* JSON */
    ROUTE_ACTION, /* JSON; POST only, all others are GET and HEAD */
};

struct route {
    const char *path;
    enum route_kind kind;
    const char *name; /* of the view or action: the path without "/api/v1/" */
};

/* Returns the row of a path without its query, compared byte by byte; NULL: none. */
const struct route *route_find(struct span path);

/* Returns the methods of a route, for the field Allow. */
const char *route_methods(const struct route *r);

bool route_allows(const struct route *r, const char *method);

#endif
