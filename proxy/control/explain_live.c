#include "control/explain_live.h"

#include <stdatomic.h>
#include <time.h>

#include "gate/bans.h"
#include "explain/explain.h"
#include "control/explain_tunnels.h"
#include "gate/gate_state.h"
#include "site/snapshot.h"

const char *explain_live(struct gate *gate, char *const *words, size_t n, FILE *out,
                         char error[EXPLAIN_ERROR_MAX])
{
    const struct explain_state live = {.limits = gate->shared.limits,
                                       .site = gate->site,
                                       .now_ms = bans_now_ms(),
                                       .calls = atomic_load(&gate->shared.count),
                                       .calls_max = atomic_load(&gate->shared.max),
                                       .serving = gate->phase == SERVING,
                                       .outdated = snapshot_is_outdated(gate->snapshot)};
    struct explain_query q;

    if (!explain_query_read(words, n, &q, error))
        return error;
    if (q.new_file != NULL)
        return explain_tunnels(gate, q.new_file, q.json, out);
    const enum explain_verdict v =
        explain_client(gate->snapshot, &live, time(NULL), &q, out, error);
    return v == EXPLAIN_FAILED ? error : NULL;
}
