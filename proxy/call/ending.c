#include "call/ending.h"

#include <utlist.h>

#include "call/call.h"
#include "call/tunnels.h"

size_t ending_count(const struct call_set *set, const struct call_filter *filter)
{
    const struct call *call;
    size_t n = 0;

    DL_FOREACH(set->list[CALL_RELAY], call) {
        n += tunnels_match(call, filter);
    }
    return n;
}

void ending_run(struct call_set *set, struct ending *e)
{
    struct call *call, *next;
    size_t n = 0;

    e->more = false;
    DL_FOREACH_SAFE(set->list[CALL_RELAY], call, next) {
        if (e->left == 0 || !tunnels_match(call, e->filter))
            continue;
        if (n++ == ENDING_AT_ONCE) {
            e->more = true;
            return;
        }
        record_keep(&call->record.detail, span_str(e->detail));
        call_end(call, REASON_ENDED_BY_ADMIN);
        e->left--;
        e->ended++;
    }
}
