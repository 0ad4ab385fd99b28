#include "control/metrics_text.h"

/* ---- labels ---- */

/* Returns the length of the character of UTF-8 at the start of text; 0: it is none. */
static size_t utf8_len(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    const size_t n = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    /* overlong forms, surrogates, above U+10FFFF */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static void put_value(FILE *out, const char *text)
{
    while (*text != '\0') {
        const size_t n = utf8_len(text);
        if (*text == '\n')
            fputs("\\n", out);
        else if (n == 0)
            fputs("\xef\xbf\xbd", out);
        else
            fprintf(out, "%s%.*s", *text == '\\' || *text == '"' ? "\\" : "", (int)n, text);
        text += n == 0 ? 1 : n;
    }
}

static void put_name(FILE *out, const char *name, const struct metrics_label *labels)
{
    fputs(name, out);
    for (size_t i = 0; labels != NULL && labels[i].key != NULL; i++) {
        fprintf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].key);
        put_value(out, labels[i].value);
        fputs(labels[i + 1].key == NULL ? "\"}" : "\"", out);
    }
    fputc(' ', out);
}

/* ---- samples ---- */

void metrics_count(FILE *out, const char *name, const struct metrics_label *labels, uint64_t value)
{
    put_name(out, name, labels);
    fprintf(out, "%llu\n", (unsigned long long)value);
}

void metrics_seconds(FILE *out, const char *name, const struct metrics_label *labels, uint64_t us)
{
    put_name(out, name, labels);
    fprintf(out, "%llu.%06llu\n", (unsigned long long)(us / 1000000),
            (unsigned long long)(us % 1000000));
}

void metrics_histogram(FILE *out, const char *name, const uint32_t *bounds_ms,
                       const uint64_t *buckets, size_t count, uint64_t sum_ms)
{
    char full[64], bound[32];
    uint64_t below = 0;

    snprintf(full, sizeof full, "%s_bucket", name);
    for (size_t i = 0; i <= count; i++) {
        below += buckets[i];
        if (i < count)
            snprintf(bound, sizeof bound, "%g", bounds_ms[i] / 1000.0);
        metrics_count(out, full, LABELS({"le", i < count ? bound : "+Inf"}), below);
    }
    snprintf(full, sizeof full, "%s_sum", name);
    metrics_seconds(out, full, NULL, sum_ms * 1000);
    snprintf(full, sizeof full, "%s_count", name);
    metrics_count(out, full, NULL, below);
}

void metrics_head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}
