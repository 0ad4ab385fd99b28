#include "control/health.h"

#include "gate/gate_state.h"
#include "policy/backends.h"
#include "site/snapshot.h"

static bool backend_serves(const struct gate *gate, const struct config_backend *b)
{
    const struct config *c = gate->snapshot->config;
    const size_t index = (size_t)(b - c->backend);
    struct backends_state state;

    for (size_t i = 0; i < b->servers.count; i++) {
        backends_state(gate->snapshot->servers[index], i, &state);
        if (state.up && !state.draining)
            return true;
    }
    return false;
}

const char *health_problem(const struct gate *gate, char why[REPORT_WHY_MAX])
{
    const struct config *c = gate->snapshot->config;

    if (gate->phase != SERVING)
        return gate->phase == DRAINING ? "the gate is draining" : "the gate is stopping";
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_backend *b = c->listener[i].backend;
        if (b == NULL || backend_serves(gate, b))
            continue;
        (void)snprintf(why, REPORT_WHY_MAX,
                       "listener %s: every server of backend %s is down or drained",
                       c->listener[i].name, b->name);
        return why;
    }
    return NULL;
}
