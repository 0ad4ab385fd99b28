#include "base/suggest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

enum { LENGTH_MAX = 64 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool same_letter(char a, char b)
{
    return ascii_lower((uint8_t)a) == ascii_lower((uint8_t)b);
}

/* Calculates the optimal string alignment distance: Wagner and Fischer's table, row by row, with
 * swaps of neighbours, which need the row before the last. */
size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][LENGTH_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > LENGTH_MAX || b_len > LENGTH_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t cost = same_letter(a[i - 1], b[j - 1]) ? 0 : 1;
            row[j] = least(least(last[j], row[j - 1]) + 1, last[j - 1] + cost);
            if (i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) &&
                same_letter(a[i - 2], b[j - 1]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_len];
}

struct suggest suggest_init(const char *typed)
{
    return (struct suggest){.typed = typed, .distance = SIZE_MAX};
}

void suggest_offer(struct suggest *s, const char *name)
{
    size_t distance = suggest_distance(s->typed, name);
    /* The limit is one mistake, and one more for every four letters, so "ke" suggests "key", and
     * "foo" suggests no name. */
    size_t limit = 1 + strlen(s->typed) / 4;
    if (distance > limit || distance >= strlen(name) || distance >= s->distance)
        return;
    s->best = name;
    s->distance = distance;
}

void suggest_text(const struct suggest *s, char out[SUGGEST_TEXT])
{
    if (s->best == NULL)
        out[0] = '\0';
    else
        snprintf(out, SUGGEST_TEXT, "; did you mean '%s'?", s->best);
}
