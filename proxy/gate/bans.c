#include "gate/bans.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/insist.h"
#include "base/log.h"
#include "base/memo.h"
#include "gate/gate_state.h"
#include "policy/ban_file.h"
#include "policy/limits_bans.h"
#include "site/snapshot.h"

enum { BANS_MS = 5000 };

uint64_t bans_now_ms(void)
{
    return uv_hrtime() / 1000000;
}

void bans_load(struct gate *gate, const char *path)
{
    struct memo problems;

    if (path == NULL)
        return;
    /* A damaged file is no reason not to start. */
    (void)!ban_file_load(gate->shared.limits, path, bans_now_ms(), (int64_t)time(NULL),
                         memo_open(&problems));
    log_lines(LOG_LEVEL_WARNING, "bans", memo_text(&problems));
    memo_free(&problems);
}

void bans_warn(const char *path)
{
    if (path != NULL && !file_may_replace(path))
        log_msg(LOG_LEVEL_WARNING, "bans",
                "cannot write %s, so bans are lost when this process ends: %s", path,
                strerror(errno));
}

void bans_save(struct gate *gate)
{
    const char *path = gate->snapshot->config->gate.limits.ban_file;
    const uint64_t changes = limits_changes(gate->shared.limits);

    if (path == NULL || gate->handed_over || changes == gate->bans_saved)
        return;
    if (ban_file_save(gate->shared.limits, path, bans_now_ms(), (int64_t)time(NULL)) == ERR_OK)
        gate->bans_saved = changes;
    else
        log_msg(LOG_LEVEL_ERROR, "bans", "cannot write %s: %s", path, strerror(errno));
}

static void on_bans_timer(uv_timer_t *timer)
{
    struct gate *gate = timer->data;
    limits_sweep(gate->shared.limits, bans_now_ms());
    bans_save(gate);
}

void bans_start(struct gate *gate)
{
    INSIST_UV(uv_timer_init(&gate->loop, &gate->bans_timer));
    gate->bans_timer.data = gate;
    INSIST_UV(uv_timer_start(&gate->bans_timer, on_bans_timer, BANS_MS, BANS_MS));
}
