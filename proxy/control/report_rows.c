#include "control/report_rows.h"

#include <inttypes.h>
#include <string.h>

#include "base/insist.h"
#include "base/log_text.h"
#include "base/span.h"

/* ---- fields ---- */

void report_field_json(struct json *j, const struct report_field *f)
{
    switch (f->type) {
    case REPORT_NULL: json_null(j); break;
    case REPORT_STR: json_str(j, f->text); break;
    case REPORT_INT: json_i64(j, f->number); break;
    case REPORT_REAL: json_double(j, f->real); break;
    case REPORT_BOOL: json_bool(j, f->yes); break;
    case REPORT_STRS:
        json_array_begin(j);
        for (size_t i = 0; i < f->list.count; i++)
            json_str(j, f->list.item[i]);
        json_array_end(j);
        break;
    }
}

/* Returns whether a field can be written as it is: nothing hidden, nothing that looks like a quoted
 * or an unknown value, no blank at an end. */
static bool is_clear(struct span value)
{
    char form[LOG_TEXT_MAX];

    if (value.n == 0 || span_eq(value, span_str("-")) || value.p[0] == '"' || value.p[0] == ' ' ||
        value.p[value.n - 1] == ' ')
        return false;
    while (value.n > 0) {
        const struct span rest = value;
        const size_t n = log_text_take(&value, form);
        const bool same = span_eq(span_of(form, n), span_sub(rest, 0, rest.n - value.n));
        if (!same && rest.p[0] != '"' && rest.p[0] != '\\')
            return false;
    }
    return true;
}

void report_print(FILE *out, const char *text)
{
    struct span value = span_str(text);
    char form[LOG_TEXT_MAX];

    if (is_clear(value)) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    while (value.n > 0)
        (void)fwrite(form, 1, log_text_take(&value, form), out);
    fputc('"', out);
}

static void field_print(FILE *out, const struct report_field *f)
{
    switch (f->type) {
    case REPORT_NULL: fputc('-', out); break;
    case REPORT_STR: report_print(out, f->text); break;
    case REPORT_INT: fprintf(out, "%" PRId64, f->number); break;
    case REPORT_REAL: fprintf(out, "%.3f", f->real); break;
    case REPORT_BOOL: fputs(f->yes ? "yes" : "no", out); break;
    case REPORT_STRS:
        if (f->list.count == 0)
            fputc('-', out);
        for (size_t i = 0; i < f->list.count; i++) {
            if (i > 0)
                fputc(' ', out);
            report_print(out, f->list.item[i]);
        }
        break;
    }
}

/* ---- rows ---- */

void report_rows_begin(struct report_rows *r, const char *const *column,
                       const struct report_query *q, enum report_form form, FILE *out)
{
    *r = (struct report_rows){
        .column = column, .query = q, .form = form, .out = out, .json = json_to(out)};
    while (column[r->columns] != NULL)
        r->columns++;
    if (form == REPORT_JSON) {
        json_object_begin(&r->json);
        json_key(&r->json, "items");
        json_array_begin(&r->json);
        return;
    }
    for (size_t i = 0; i < r->columns; i++)
        fprintf(out, "%s%s", column[i], i + 1 < r->columns ? "\t" : "\n");
}

bool report_rows_wanted(const struct report_rows *r)
{
    return r->total >= r->query->offset && r->total - r->query->offset < r->query->limit;
}

void report_rows_skip(struct report_rows *r)
{
    r->total++;
}

static void row_json(struct report_rows *r, const struct report_field *field)
{
    json_object_begin(&r->json);
    for (size_t i = 0; i < r->columns; i++) {
        json_key(&r->json, r->column[i]);
        report_field_json(&r->json, &field[i]);
    }
    json_object_end(&r->json);
}

static void row_text(const struct report_rows *r, const struct report_field *field)
{
    for (size_t i = 0; i < r->columns; i++) {
        field_print(r->out, &field[i]);
        fputc(i + 1 < r->columns ? '\t' : '\n', r->out);
    }
}

void report_rows_add(struct report_rows *r, const struct report_field *field)
{
    const bool wanted = report_rows_wanted(r);

    r->total++;
    if (wanted && r->form == REPORT_JSON)
        row_json(r, field);
    else if (wanted)
        row_text(r, field);
}

void report_rows_end(struct report_rows *r)
{
    if (r->form != REPORT_JSON)
        return;
    json_array_end(&r->json);
    json_key(&r->json, "total");
    json_u64(&r->json, r->total);
    json_key(&r->json, "offset");
    json_u64(&r->json, r->query->offset);
    json_key(&r->json, "limit");
    json_u64(&r->json, r->query->limit);
    if (r->more != NULL)
        r->more(r->more_arg, &r->json);
    json_object_end(&r->json);
    INSIST(json_is_complete(&r->json));
}

/* ---- times ---- */

const char *report_time(int64_t ms, char out[REPORT_TIME_SIZE])
{
    const time_t when = (time_t)(ms / 1000);
    char text[REPORT_TIME_SIZE];
    struct tm tm;

    if (gmtime_r(&when, &tm) == NULL || strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm) == 0)
        text[0] = '\0';
    (void)snprintf(out, REPORT_TIME_SIZE, "%.20s.%03dZ", text, (int)(ms % 1000));
    return out;
}

int64_t report_now(void)
{
    struct timespec now;

    INSIST(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
