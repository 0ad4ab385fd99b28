/* The input is a configuration file, and after each NUL a file that its `include` on the next of
 * the first lines includes: the first one on line 1, the second one on line 2, and so on. Files
 * with an error report it; files without one, printed as one file and read again, give the same
 * configuration. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "config/config_load.h"
#include "config/config_sources.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char path[] = "/etc/sstpgate/fuzz.conf", included[] = "/etc/sstpgate/conf.d/fuzz.conf";

/* Removes the comments about the files of sections, because the printed text is one file. */
static void drop_origins(char *text)
{
    for (char *at; (at = strstr(text, "\n; from ")) != NULL;) {
        const char *end = strchr(at + 1, '\n');
        memmove(at, end, strlen(end) + 1);
    }
    if (strncmp(text, "; from ", 7) == 0)
        memmove(text, strchr(text, '\n') + 1, strlen(strchr(text, '\n')));
}

static char *print(const struct config *c, size_t *len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);
    INSIST(f != NULL);
    config_print(c, f);
    fclose(f);
    drop_origins(text);
    *len = strlen(text);
    return text;
}

/* Returns the length of the first file in an input. */
static size_t first_len(const char *text, size_t len)
{
    const char *end = memchr(text, '\0', len);
    return end == NULL ? len : (size_t)(end - text);
}

static struct config_sources *sources_of(const char *text, size_t len)
{
    size_t at = first_len(text, len);
    struct config_sources *s = config_sources_of(path, text, at);

    for (unsigned line = 1; at < len; line++) {
        const size_t n = first_len(text + at + 1, len - at - 1);
        config_sources_add(s, included, line, text + at + 1, n);
        at += 1 + n;
    }
    return s;
}

/* The result is not sound if text has an error, which was then reported in the promised form. */
static struct config *parse(const char *text, size_t len)
{
    struct config_sources *sources = sources_of(text, len);
    char *said = NULL;
    size_t said_len = 0;
    FILE *problems = open_memstream(&said, &said_len);
    INSIST(problems != NULL);
    struct config *c = config_parse_sources(sources, problems);
    config_sources_unref(sources);
    fclose(problems);
    INSIST(c != NULL && c->sound == (said_len == 0));
    for (char *line = said; *line != '\0'; line = strchr(line, '\n') + 1) {
        INSIST(strncmp(line, path, strlen(path)) == 0 ||
               strncmp(line, included, strlen(included)) == 0);
        INSIST(strchr(line, '\n') != NULL);
    }
    free(said);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t first_n = 0, second_n = 0;
    struct config *c = parse((const char *)data, size);
    if (!c->sound) { /* must be consistent nevertheless */
        config_free(c);
        return 0;
    }
    char *first = print(c, &first_n);
    config_free(c);
    c = parse(first, first_n);
    INSIST(c->sound);
    char *second = print(c, &second_n);
    config_free(c);
    INSIST(first_n == second_n && memcmp(first, second, first_n) == 0);
    free(first);
    free(second);
    return 0;
}
