/* trace: the debug line `ppp` about one frame of LCP, an authentication or a network control
 * protocol: its kind, its options, and whether it opens a phase. No value of an authentication is
 * written: no name, challenge, response, password or key. Call it only if log_wanted() says that
 * debug lines are wanted. */
#ifndef SSTPGATE_CALL_TRACE_H
#define SSTPGATE_CALL_TRACE_H

#include "base/span.h"
#include "call/record.h"
#include "wire/ppp_frame.h"

/* Bound of debug lines about calls, for each worker: a flood of calls must not fill the disk. */
enum { TRACE_LINES_PER_SECOND = 1000 };

/* Logs the frame, unless it is network data or an echo. verdict: what became of it, a word. */
void trace_ppp(struct record *s, enum ppp_from from, struct span frame, const char *verdict,
               uint64_t now_ms);

#endif
