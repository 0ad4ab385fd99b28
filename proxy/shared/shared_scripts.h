/* shared_scripts: the scripts (Lua) that run inside the store: one for each decision, because
 * the store runs a script atomically. They use the clock of the store, so the clocks of the gates
 * do not matter. All keys begin with the prefix P:
 *
 *   P gates       sorted set  the living gates, by the end of their lease
 *   P g:GATE      hash        '' the gate's description; SUBJECT its count. Expires with the lease
 *   P r:NET       string      when the address's token bucket is full (policy/rate.h), microseconds
 *   P p:NET       hash        the address's points by slot (policy/points.h)
 *   P b:m         hash        e: the epoch of the store's content; n: the number of the last change
 *   P b:l         sorted set  the bans, by the number of their last change
 *   P b:u         sorted set  the bans, by their end
 *   P b:a         sorted set  the bans, by the stamp of their last change; 0: unknown
 *   P b:v         hash        the bans: KIND GATE
 *   P v:ID        list        the answers to a question: GATE, PAGE, ...; for some seconds
 *   P k:NAME      string      the sealed outcome of a login at RADIUS
 *   P a:NAME      list        the sealed addresses of the clients of a login
 *
 * A subject of a count is `u:USER` or `a:NET`, that of a ban `u:USER`, `n:NET` or `*` (all). The
 * kind `lift` is the end of a ban, which is kept for a day so that every gate takes it. Orders
 * (`e:...`, kind `end`) and questions (`q:ID`, a line end, the text; kind `ask`) are kept like
 * bans, for a few seconds. */
#ifndef SSTPGATE_SHARED_SHARED_SCRIPTS_H
#define SSTPGATE_SHARED_SHARED_SCRIPTS_H

enum shared_script {
    /* P GATE INFO LEASE EPOCH SINCE -> [fresh, epoch, [GATE, INFO, ...], [NUMBER, SUBJECT, KIND,
     * GATE, LEFT, STAMP, ...], TIME]: renews the lease. fresh 1: the store has none of this gate's
     * counts. The changes of bans after number SINCE of EPOCH, at most SHARED_CHANGES_MAX. */
    SHARED_BEAT,
    /* P GATE SUBJECT MINE MAX LEASE NET COUNT STEP -> [0 counted, 1 too many, 2 too fast]: MINE is
     * the gate's count with the new one, MAX 0: no limit; COUNT 0: no rate, STEP in microseconds */
    SHARED_ENTER,
    /* P GATE LEASE SUBJECT MINE ...: sets the gate's counts */
    SHARED_COUNT,
    /* P GATE NET POINTS SLOT BAN_POINTS BAN_TIME -> [1 banned or 0] */
    SHARED_POINTS,
    /* P GATE SUBJECT KIND LEFT MADE FLOOR ... -> [skipped]: changes of bans. MADE: upper bound of
     * the time of the change, in microseconds; 0: unknown, so any change with a stamp is later. The
     * stamp is MADE, at most the present time, but at least FLOOR. The script skips a change if the
     * store has the same change, or a later one of the subject or of all that has not ended, and a
     * ban by points if an administrator's ban of the subject is longer. */
    SHARED_BAN,
    /* P GATE ID FLAG PAGE MAX TIME -> [1, or 0: the list is full]: appends a page to the answers;
     * FLAG `.`: the last one of the gate, `+`: not */
    SHARED_PUSH,
    /* P GATE ID FROM TO -> [GATE, PAGE, ...] */
    SHARED_PULL,
    /* P GATE LIFE NAME TEXT ...: puts entries, NAME with its k: or a:, for LIFE milliseconds */
    SHARED_PUT,
    /* P GATE NAME ... -> [[TEXT, ...], ...]: the entries of each name; takes those of k: out. "":
     * the key has a value of another type, and is removed. */
    SHARED_FETCH,
    SHARED_SCRIPTS,
};

enum { SHARED_CHANGES_MAX = 256, SHARED_BAN_FIELDS = 5 };

extern const char *const shared_script_text[SHARED_SCRIPTS];

#endif
