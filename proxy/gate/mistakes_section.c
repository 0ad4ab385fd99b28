#include "gate/mistakes_section.h"

#include <stdarg.h>

#include "config/config.h"

struct mistakes_section mistakes_section_of(const struct config *c, enum config_section in,
                                            size_t index, FILE *to)
{
    return (struct mistakes_section){.c = c,
                                     .in = in,
                                     .at = config_section_at(c, in, index),
                                     .name = config_section_name(c, in, index),
                                     .file = config_section_file(c, in, index),
                                     .to = to};
}

void mistakes_warn(const struct mistakes_section *s, unsigned line, const char *format, ...)
{
    va_list args;

    fprintf(s->to, "%s:%u: warning: ", s->file, line);
    if (s->name != NULL)
        fprintf(s->to, "%s %s: ", config_sections[s->in].word, s->name);
    va_start(args, format);
    vfprintf(s->to, format, args);
    va_end(args);
    fputc('\n', s->to);
}

unsigned mistakes_line(const struct mistakes_section *s, const char *key)
{
    return config_line(s->c, s->at, key);
}
