#include "control/status_answers.h"

#include <stdatomic.h>
#include <uv.h>

#include "base/insist.h"
#include "base/log.h"
#include "call/reason.h"
#include "gate/bans.h"
#include "gate/gate_state.h"
#include "control/health.h"
#include "control/metrics.h"
#include "control/status_api.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"

enum { HTTP_OK = 200, HTTP_UNAVAILABLE = 503 };

/* ---- health ---- */

static bool print_health(void *arg, FILE *out)
{
    struct gate *gate = arg;
    bool ok = true;

    for (size_t i = 0; i < gate->workers; i++) {
        if (worker_is_turning(&gate->worker[i].worker))
            continue;
        fprintf(out, "worker %zu does not answer\n", i);
        ok = false;
    }
    if (!pulse_is_turning(&gate->status.pulse, uv_hrtime() / 1000)) {
        fputs("the main thread does not answer\n", out);
        ok = false;
    }
    if (ok)
        fputs("ok\n", out);
    return ok;
}

static unsigned print_ready(const struct gate *gate, FILE *out)
{
    char why[REPORT_WHY_MAX];
    const char *problem = health_problem(gate, why);

    fprintf(out, "%s\n", problem == NULL ? "ready" : problem);
    return problem == NULL ? HTTP_OK : HTTP_UNAVAILABLE;
}

/* ---- tokens ---- */

static bool is_banned(void *arg, const struct addr *client)
{
    struct gate *gate = arg;
    return limits_look(gate->shared.limits, client, span_of(NULL, 0), bans_now_ms()).verdict ==
           LIMITS_BANNED;
}

/* A wrong token costs as much as a failed login. */
static void on_wrong_token(void *arg, const struct addr *client)
{
    struct gate *gate = arg;
    struct log_line l;
    char text[ADDR_TEXT_MAX];

    if (!limits_points(gate->shared.limits, client, POINTS_LOGIN, bans_now_ms()))
        return;
    log_begin(&l, LOG_LEVEL_WARNING, "ban");
    log_str(&l, "client", addr_format(client, text));
    log_num(&l, "seconds", atomic_load(&gate->status.ban_time) / 1000);
    log_str(&l, "msg", "ban-points reached by wrong tokens: this address is banned for ban-time");
    log_end(&l);
}

/* ---- main thread ---- */

static void wake(void *arg)
{
    struct gate *gate = arg;
    status_service_wake(&gate->status);
}

static unsigned answer(void *arg, const struct status_question *q, FILE *out)
{
    struct gate *gate = arg;

    switch (q->route->kind) {
    case ROUTE_READY: return print_ready(gate, out);
    case ROUTE_METRICS: metrics_print(gate, out); return HTTP_OK;
    case ROUTE_VIEW: return status_api_view(gate, q, out);
    case ROUTE_ACTION: return status_api_act(gate, q, out);
    case ROUTE_PAGE:
    case ROUTE_HEALTH: break;
    }
    insist_failed("a question for the main thread", __FILE__, __LINE__);
}

const struct status_ops status_answers = {.wake = wake,
                                          .health = print_health,
                                          .is_banned = is_banned,
                                          .on_wrong_token = on_wrong_token,
                                          .answer = answer};
