#include "base/json.h"

#include <inttypes.h>
#include <math.h>

#include "base/insist.h"
#include "base/log_text.h"

struct json json_to(FILE *out)
{
    return (struct json){.out = out};
}

bool json_is_complete(const struct json *j)
{
    return j->depth == 0 && j->begun;
}

static bool in_object(const struct json *j)
{
    return j->depth > 0 && (j->objects >> (j->depth - 1) & 1) != 0;
}

/* Starts a value: writes the comma that separates it from the previous one of an array. */
static void begin_value(struct json *j)
{
    INSIST(j->keyed == in_object(j));
    INSIST(j->depth > 0 || !j->begun);
    if (j->begun && !j->keyed)
        putc(',', j->out);
    j->keyed = false;
    j->begun = true;
}

static void begin(struct json *j, bool object)
{
    begin_value(j);
    INSIST(j->depth < JSON_DEPTH_MAX);
    const uint32_t bit = UINT32_C(1) << j->depth++;
    j->objects = object ? j->objects | bit : j->objects & ~bit;
    j->begun = false;
    putc(object ? '{' : '[', j->out);
}

static void end(struct json *j, bool object)
{
    INSIST(j->depth > 0 && in_object(j) == object && !j->keyed);
    j->depth--;
    j->begun = true;
    putc(object ? '}' : ']', j->out);
}

void json_object_begin(struct json *j)
{
    begin(j, true);
}

void json_object_end(struct json *j)
{
    end(j, true);
}

void json_array_begin(struct json *j)
{
    begin(j, false);
}

void json_array_end(struct json *j)
{
    end(j, false);
}

/* Returns the number of bytes at the start of value that are written unchanged: most values consist
 * of them, and a list has thousands of values. */
static size_t ordinary(struct span value)
{
    size_t n = 0;
    while (n < value.n && value.p[n] >= ' ' && value.p[n] < 0x7f && value.p[n] != '"' &&
           value.p[n] != '\\')
        n++;
    return n;
}

static void put_string(struct json *j, struct span value)
{
    char form[LOG_TEXT_MAX];

    putc('"', j->out);
    while (value.n > 0) {
        const size_t n = ordinary(value);
        fwrite(value.p, 1, n, j->out);
        value = span_from(value, n);
        if (value.n > 0)
            fwrite(form, 1, log_text_take_json(&value, form), j->out);
    }
    putc('"', j->out);
}

void json_key(struct json *j, const char *key)
{
    INSIST(in_object(j) && !j->keyed);
    if (j->begun)
        putc(',', j->out);
    put_string(j, span_str(key));
    putc(':', j->out);
    j->keyed = true;
}

void json_str(struct json *j, const char *value)
{
    if (value == NULL)
        json_null(j);
    else
        json_span(j, span_str(value));
}

void json_span(struct json *j, struct span value)
{
    begin_value(j);
    put_string(j, value);
}

void json_u64(struct json *j, uint64_t value)
{
    begin_value(j);
    fprintf(j->out, "%" PRIu64, value);
}

void json_i64(struct json *j, int64_t value)
{
    begin_value(j);
    fprintf(j->out, "%" PRId64, value);
}

void json_double(struct json *j, double value)
{
    if (!isfinite(value)) {
        json_null(j);
        return;
    }
    begin_value(j);
    fprintf(j->out, "%.15g", value);
}

void json_bool(struct json *j, bool value)
{
    begin_value(j);
    fputs(value ? "true" : "false", j->out);
}

void json_null(struct json *j)
{
    begin_value(j);
    fputs("null", j->out);
}
