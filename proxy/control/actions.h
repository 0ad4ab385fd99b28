/* actions: what an administrator can do to the running program, through the admin socket or the
 * status listener. Each action logs a line with the field `by`, which is a literal: "admin-socket",
 * "status". Each returns NULL, or the reason of its failure, which may be in why; out receives the
 * outcome in whole lines, also after a failure of `reload`. Main thread. */
#ifndef SSTPGATE_CONTROL_ACTIONS_H
#define SSTPGATE_CONTROL_ACTIONS_H

#include <stdio.h>

#include "control/report_query.h"

struct gate;

struct action {
    struct gate *gate;
    const char *by;
    FILE *out;
    char why[REPORT_WHY_MAX];
};

/* Ends the tunnels that match with an SSTP Call Disconnect after the packets that are queued, and
 * the reason ended-by-admin. f must have a field that is set. An error if nothing matches. */
const char *action_end(struct action *a, const struct call_filter *f);

/* Bans f->address or f->user, exactly one of them, for `time` (a duration; NULL: ban-time), and
 * ends the tunnels that the ban would refuse. */
const char *action_ban(struct action *a, const struct call_filter *f, const char *time);

/* Ends the bans that overlap with f->address, or the ban of f->user. all: every ban; f is not
 * used. */
const char *action_unban(struct action *a, const struct call_filter *f);
const char *action_unban_all(struct action *a);

/* Drains a server (BACKEND/SERVER) or, with NULL, the gate: no new calls. With drain-time the
 * running calls are ended evenly over that time. The gate exits when the last call has ended. */
const char *action_drain(struct action *a, const char *server);

/* Undoes action_drain: the server, or the gate, gets new calls again. */
const char *action_resume(struct action *a, const char *server);

const char *action_reload(struct action *a);
const char *action_stop(struct action *a);

#endif
