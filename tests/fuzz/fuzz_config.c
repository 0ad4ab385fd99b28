/* The input is a configuration file. A file with an error reports it; a file without one,
 * printed and read again, gives the same configuration. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "config/config_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char path[] = "/etc/sstpgate/fuzz.conf";

static char *print(const struct config *c, size_t *len)
{
    char *text = NULL;
    FILE *f = open_memstream(&text, len);
    INSIST(f != NULL);
    config_print(c, f);
    fclose(f);
    return text;
}

/* The result is not sound if text has an error, which was then reported in the promised form. */
static struct config *parse(const char *text, size_t len)
{
    char *said = NULL;
    size_t said_len = 0;
    FILE *problems = open_memstream(&said, &said_len);
    INSIST(problems != NULL);
    struct config *c = config_parse(path, text, len, problems);
    fclose(problems);
    INSIST(c != NULL && c->sound == (said_len == 0));
    for (char *line = said; *line != '\0'; line = strchr(line, '\n') + 1) {
        INSIST(strncmp(line, path, strlen(path)) == 0);
        INSIST(strchr(line, '\n') != NULL);
    }
    free(said);
    return c;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t first_len = 0, second_len = 0;
    struct config *c = parse((const char *)data, size);
    if (!c->sound) { /* must be consistent nevertheless */
        config_free(c);
        return 0;
    }
    char *first = print(c, &first_len);
    config_free(c);
    c = parse(first, first_len);
    INSIST(c->sound);
    char *second = print(c, &second_len);
    config_free(c);
    INSIST(first_len == second_len && memcmp(first, second, first_len) == 0);
    free(first);
    free(second);
    return 0;
}
