#include "call/filter.h"

#include <stdio.h>
#include <string.h>

#include "base/span.h"
#include "users/users.h"

bool filter_is_set(const struct call_filter *f)
{
    return f->id != NULL || f->user != NULL || f->listener != NULL || f->server != NULL ||
           f->has_address;
}

static bool has_id(const struct call_facts *call, const char *id)
{
    char text[48];

    (void)snprintf(text, sizeof text, "%u-%llu", call->worker, (unsigned long long)call->number);
    return strcmp(text, id) == 0;
}

static bool is_user(const char *wanted, const char *user)
{
    return user != NULL && users_covers(span_str(wanted), span_str(user));
}

static bool is_same(const char *wanted, const char *text)
{
    return text != NULL && strcmp(wanted, text) == 0;
}

/* Returns whether the call uses the server that `wanted` names: BACKEND or BACKEND/SERVER. */
static bool has_server(const char *wanted, const struct call_facts *call)
{
    const size_t n = strcspn(wanted, "/");

    if (call->backend == NULL || strlen(call->backend) != n ||
        strncmp(call->backend, wanted, n) != 0)
        return false;
    return wanted[n] == '\0' || is_same(wanted + n + 1, call->server) ||
           is_same(wanted + n + 1, call->server_name);
}

bool filter_matches(const struct call_filter *f, const struct call_facts *call)
{
    return (f->id == NULL || has_id(call, f->id)) &&
           (f->listener == NULL || is_same(f->listener, call->listener)) &&
           (!f->has_address || (call->client != NULL && cidr_has(&f->address, call->client))) &&
           (f->server == NULL || has_server(f->server, call)) &&
           (f->user == NULL || is_user(f->user, call->user));
}
