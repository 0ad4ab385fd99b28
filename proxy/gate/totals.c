#include "gate/totals.h"

#include <time.h>

#include "base/insist.h"
#include "call/tally.h"
#include "gate/gate_state.h"

void totals_sum(const struct gate *gate, struct tally *sum)
{
    tally_init(sum);
    for (size_t i = 0; i < gate->workers; i++)
        tally_sum(sum, &gate->worker[i].calls.set.tally);
}

static void on_history_timer(uv_timer_t *timer)
{
    struct gate *gate = timer->data;
    struct tally sum;

    totals_sum(gate, &sum);
    history_add(&gate->history, &sum, time(NULL));
    tally_fini(&sum);
}

void totals_start(struct gate *gate)
{
    INSIST_UV(uv_timer_init(&gate->loop, &gate->history_timer));
    gate->history_timer.data = gate;
    INSIST_UV(uv_timer_start(&gate->history_timer, on_history_timer, 0, HISTORY_STEP * 1000));
}
