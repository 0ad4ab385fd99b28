/* http_line: the rules that the heads of requests and of responses share (RFC 9112 2), for the
 * parsers of this room. Pure and inline. */
#ifndef SSTPGATE_WIRE_HTTP_LINE_H
#define SSTPGATE_WIRE_HTTP_LINE_H

#include "base/ascii.h"
#include "base/err.h"
#include "base/span.h"

/* Bytes of a head, its blank line included; heads of real clients have less than 512. */
enum { HTTP_HEAD_MAX = 8192 };

struct http_version {
    uint8_t major, minor;
};

/* Takes a version such as "HTTP/1.1" off the front of *text (RFC 9112 2.3: one digit each,
 * case-sensitive). ERR_MORE: text is a beginning of it. ERR_SYNTAX: any other text. */
static inline enum err http_take_version(struct span *text, struct http_version *out)
{
    static const char pattern[] = "HTTP/#.#";
    const size_t len = sizeof pattern - 1;

    for (size_t i = 0; i < len; i++) {
        if (i == text->n)
            return ERR_MORE;
        if (pattern[i] == '#' ? !ascii_is_digit(text->p[i]) : text->p[i] != pattern[i])
            return ERR_SYNTAX;
    }
    out->major = (uint8_t)(text->p[5] - '0');
    out->minor = (uint8_t)(text->p[7] - '0');
    *text = span_from(*text, len);
    return ERR_OK;
}

/* Returns the result for a line, made of two results. taken: the result of taking the line off the
 * input; ERR_MORE: its end has not arrived. text: the result of parsing the part of the line that
 * has arrived.
 *
 * This makes the result for a head independent of where the input was cut. Lines are judged in
 * order, and inside a line an byte that is not allowed there (always ERR_SYNTAX) comes before any
 * error of the whole line. So the parser of a line also gets unfinished lines, reads from left to
 * right, and returns ERR_SYNTAX at the first byte that is not allowed and ERR_MORE if the text
 * ends too early. Every other error waits for the end of the line or of the head. */
static inline enum err http_judge_line(enum err taken, enum err text)
{
    if (taken == ERR_OK)
        return text == ERR_MORE ? ERR_SYNTAX : text;
    if (taken == ERR_MORE && text == ERR_SYNTAX)
        return ERR_SYNTAX;
    return taken;
}

#endif
