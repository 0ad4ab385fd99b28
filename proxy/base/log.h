/* log: one line for each event, `time level event key=value ...` or an object of JSON, written with
 * one call, so that lines of several threads never mix. No value from an attacker can forge a line
 * or a field (log_text.h), and `-` alone means unknown. Any thread may log, and no thread ever
 * blocks: a line for which a pipe, a terminal, the syslog daemon or a full disk has no room is
 * dropped, and `warning log dropped=N` precedes the next line that is written. After a line that a
 * full disk has cut, the next line starts with a line end. */
#ifndef SSTPGATE_BASE_LOG_H
#define SSTPGATE_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* TEXT: a value that is not known is `-`, a line that is cut ends in `...` or `..."`.
 * JSON: {"time":"2026-01-01T00:00:00.000Z","level":"info","event":"call","id":"0-1",...}: the same
 * fields in the same order; numbers are numbers, a value that is not known is null, and a line that
 * is cut ends with a value that ends in `...`, or without the last fields, and has "cut":true. */
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

/* Sets the target of all lines, in the form of log_target.h. A file is appended to, and created
 * with mode 0640. Lines for the journal of systemd (JOURNAL_STREAM) begin with `<PRIORITY>`,
 * which it removes; there and in syslog, lines of text have no time. Call it before other threads
 * exist. ERR_SYSTEM: the target cannot be opened; errno has the cause (see log_syslog.h for
 * EPROTOTYPE). ERR_SYNTAX: text is not a target. After an error the old target remains.
 */
enum err log_open(const char *text, enum log_level level, enum log_format format) MUST_CHECK;

/* Opens the path of log_open again, for log rotation. On failure the old file remains in use. From
 * one thread only; others may log meanwhile. */
enum err log_reopen(void) MUST_CHECK;

bool log_wanted(enum log_level level);

/* Returns the level in force. */
enum log_level log_level(void);

/* Changes the level; a line `log` with the old level and `by` reports a change. From one thread
 * only; others may log meanwhile. */
void log_set_level(enum log_level level, const char *by);

const char *log_level_name(enum log_level level);

/* Finds a level by its name. Returns false if there is none. */
bool log_level_parse(const char *name, enum log_level *level);

/* A line that is being built, on the stack of the caller. */
struct log_line {
    enum log_level level;
    unsigned left_out; /* number of suppressed earlier lines; log_end adds it; 0: none */
    size_t len;
    bool cut;
    char text[4000]; /* a longer line is cut; shorter than PIPE_BUF */
};

void log_begin(struct log_line *l, enum log_level level, const char *event);
void log_str(struct log_line *l, const char *key, const char *value); /* NULL or "": not known */
void log_span(struct log_line *l, const char *key, struct span value);
void log_num(struct log_line *l, const char *key, uint64_t value);
void log_seconds(struct log_line *l, const char *key, uint64_t ms); /* 12.345 */
void log_fmt(struct log_line *l, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void log_end(struct log_line *l);

/* Returns the number of lines that were dropped since the start. */
uint64_t log_dropped(void);

/* Writes a line with the one key `msg`. */
void log_msg(enum log_level level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes such a line for each line of text; text is modified. */
void log_lines(enum log_level level, const char *event, char *text);

/* Limits the rate of lines that an attacker can trigger. Initially all zeros; one for each kind of
 * line and each thread. */
struct log_limit {
    uint64_t second;
    unsigned count;
    unsigned missed; /* lines suppressed since the last one that passed */
};

/* Returns true at most per_second times in one second of now_ms; then *missed is the number of
 * lines that were suppressed since the last one that passed. */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned per_second,
                    unsigned *missed);

/* Begins a line as log_begin does, if log_limit_pass returns true; log_end then adds
 * `lines-left-out=N` for the suppressed lines before it. Returns false if the line must not be
 * written. */
bool log_begin_limited(struct log_line *l, enum log_level level, const char *event,
                       struct log_limit *limit, uint64_t now_ms, unsigned per_second) MUST_CHECK;

#endif
