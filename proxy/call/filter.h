/* filter: selects calls by their facts, for the views and the actions of an administrator. Pure. */
#ifndef SSTPGATE_CALL_FILTER_H
#define SSTPGATE_CALL_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

/* A NULL field, or !has_address, restricts nothing. The texts are the caller's. */
struct call_filter {
    const char *id;       /* of a call, as in the log: "0-12" */
    const char *user;     /* see users_covers() */
    const char *listener; /* its name */
    const char *server;   /* BACKEND/SERVER, as `servers` lists it, or BACKEND */
    struct cidr address;  /* of the client */
    bool has_address;
};

/* The facts of a call; NULL: unknown, matched by no filter of this field. */
struct call_facts {
    unsigned worker; /* with number: its id */
    uint64_t number;
    const struct addr *client;
    const char *user, *listener, *backend;
    const char *server, *server_name; /* its address, and its name in the configuration */
};

/* Returns whether f restricts anything. */
bool filter_is_set(const struct call_filter *f);

/* Returns whether the call has every fact that f names. */
bool filter_matches(const struct call_filter *f, const struct call_facts *call);

#endif
