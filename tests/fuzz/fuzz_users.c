/* The input is a users file. Every user must be found by name, and each problem must name its
 * line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "users/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_problems(const char *text)
{
    while (*text != 0) {
        INSIST(strncmp(text, "fuzz:", 5) == 0);
        const char *end = strchr(text, '\n');
        INSIST(end != NULL);
        text = end + 1;
    }
}

/* Every line of a name is valid until its end and not from then on. */
static void check_ends(const struct users *u, struct span name, const struct users_match *found,
                       size_t n)
{
    struct users_match current[USERS_MATCH_MAX], last;

    INSIST(users_find_current(u, name, -1, current) == n);
    INSIST(!users_expired(u, name, -1, &last));
    for (size_t i = 0; i < n; i++) {
        char text[UNTIL_TEXT_MAX];
        int64_t again;
        if (found[i].until == UNTIL_NEVER)
            continue;
        INSIST(users_find_current(u, name, found[i].until, current) < n);
        /* a date at the end of the year 9999 ends in the next one, which has five digits */
        until_print(found[i].until, text);
        INSIST(text[4] != '-' || (until_read(span_str(text), &again) && again == found[i].until));
        INSIST(users_ending(u, found[i].until - 1, found[i].until).count > 0);
    }
}

/* Looks up the name of every line, and every other text in the file as if it were a name. */
static void look_up(const struct users *u, struct span rest)
{
    size_t lines = 0;
    while (rest.n > 0) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        const struct span line = span_sub(rest, 0, end == NULL ? rest.n : (size_t)(end - rest.p));
        const uint8_t *colon = line.n == 0 ? NULL : memchr(line.p, ':', line.n);
        struct users_match found[USERS_MATCH_MAX];
        INSIST(users_find(u, line, found) <= USERS_MATCH_MAX);
        if (colon != NULL) {
            const struct span name = span_sub(line, 0, (size_t)(colon - line.p));
            const size_t n = users_find(u, name, found);
            INSIST(n <= USERS_MATCH_MAX);
            lines += users_name_valid(name) && n > 0;
            check_ends(u, name, found, n);
        }
        rest = span_from(rest, line.n + 1);
    }
    /* a byte order mark hides the first name, a comment may look like a line */
    INSIST(lines + 1 >= users_count(u));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *problems = NULL;
    size_t len = 0;
    FILE *stream = open_memstream(&problems, &len);
    INSIST(stream != NULL);

    struct users *u = users_parse("fuzz", (const char *)data, size, stream);
    INSIST(fclose(stream) == 0);
    INSIST((u == NULL) == (len > 0));
    INSIST(strlen(problems) == len);
    check_problems(problems);
    if (u != NULL)
        look_up(u, span_of(data, size));
    users_free(u);
    free(problems);
    return 0;
}
