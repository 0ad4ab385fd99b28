/* metrics_text: the text format of Prometheus (version 0.0.4). */
#ifndef SSTPGATE_CONTROL_METRICS_TEXT_H
#define SSTPGATE_CONTROL_METRICS_TEXT_H

#include <stdint.h>
#include <stdio.h>

struct metrics_label {
    const char *key, *value; /* key NULL: the end of the list */
};

/* A list of labels: LABELS({"listener", name}, {"reason", word}). */
#define LABELS(...)                                                                                \
    (const struct metrics_label[])                                                                 \
    {                                                                                              \
        __VA_ARGS__,                                                                               \
        {                                                                                          \
            NULL, NULL                                                                             \
        }                                                                                          \
    }

/* Write a sample. name: of the metric; labels: NULL: none. Bytes of values that are not UTF-8 are
 * replaced, because the format allows only UTF-8. */
void metrics_count(FILE *out, const char *name, const struct metrics_label *labels, uint64_t value);
void metrics_seconds(FILE *out, const char *name, const struct metrics_label *labels, uint64_t us);

/* Writes the samples of a histogram without labels. buckets: the counts, each without those below
 * it; the last of the count + 1 buckets has no bound. */
void metrics_histogram(FILE *out, const char *name, const uint32_t *bounds_ms,
                       const uint64_t *buckets, size_t count, uint64_t sum_ms);

/* Writes the two lines before the samples of a metric. type: "counter", "gauge", "histogram". */
void metrics_head(FILE *out, const char *name, const char *type, const char *help);

#endif
