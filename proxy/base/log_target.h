/* log_target: the target of log lines, as the configuration names it:
 *
 *     stderr  stdout                /dev/stderr and /dev/stdout mean the same
 *     syslog[:FACILITY[:TAG]]       facility daemon and tag sstpgate, unless given
 *     anything else                 the path of a file
 *
 * A name that looks like a target but is none is an error and not a file, because an administrator
 * would find a log with the name `journal`, beside the configuration, too late. */
#ifndef SSTPGATE_BASE_LOG_TARGET_H
#define SSTPGATE_BASE_LOG_TARGET_H

#include <stdbool.h>

#include "base/err.h"

enum log_target_kind { LOG_TO_STDERR, LOG_TO_STDOUT, LOG_TO_SYSLOG, LOG_TO_FILE };

enum { LOG_TAG_MAX = 32 }; /* RFC 3164 4.1.3 */

struct log_target {
    enum log_target_kind kind;
    int facility;              /* LOG_TO_SYSLOG: LOG_DAEMON and so on of syslog.h */
    char tag[LOG_TAG_MAX + 1]; /* LOG_TO_SYSLOG */
};

/* Reads a target. ERR_SYNTAX: *why has the problem, a constant text that follows the value. */
enum err log_target_parse(const char *text, struct log_target *out, const char **why) MUST_CHECK;

/* Returns whether the path of a LOG_TO_FILE is that of a device, which must exist. */
bool log_target_is_device(const char *path);

#endif
