#include "status/routes.h"

#include <stddef.h>
#include <string.h>

#define API(kind, name) "/api/v1/" name, kind, name

static const struct route routes[] = {
    {"/", ROUTE_PAGE, "html"},          {"/page.css", ROUTE_PAGE, "css"},
    {"/page.js", ROUTE_PAGE, "js"},     {"/healthz", ROUTE_HEALTH, "healthz"},
    {"/readyz", ROUTE_READY, "readyz"}, {"/metrics", ROUTE_METRICS, "metrics"},
    {API(ROUTE_VIEW, "status")},        {API(ROUTE_VIEW, "tunnels")},
    {API(ROUTE_VIEW, "failures")},      {API(ROUTE_VIEW, "listeners")},
    {API(ROUTE_VIEW, "servers")},       {API(ROUTE_VIEW, "certificates")},
    {API(ROUTE_VIEW, "bans")},          {API(ROUTE_VIEW, "limits")},
    {API(ROUTE_VIEW, "gates")},         {API(ROUTE_ACTION, "end")},
    {API(ROUTE_ACTION, "ban")},         {API(ROUTE_ACTION, "unban")},
    {API(ROUTE_ACTION, "drain")},       {API(ROUTE_ACTION, "resume")},
    {API(ROUTE_ACTION, "reload")},
};

const struct route *route_find(struct span path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (span_eq(path, span_str(routes[i].path)))
            return &routes[i];
    return NULL;
}

const char *route_methods(const struct route *r)
{
    return r->kind == ROUTE_ACTION ? "POST" : "GET, HEAD";
}

bool route_allows(const struct route *r, const char *method)
{
    if (r->kind == ROUTE_ACTION)
        return strcmp(method, "POST") == 0;
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}
