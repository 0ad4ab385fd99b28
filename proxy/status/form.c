#include "status/form.h"

#include <stdbool.h>
#include <string.h>

#include "base/hex.h"

/* Decodes s into out[0..size), with a NUL. Returns NULL or a reason. */
static const char *decode(struct span s, char *out, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '+')
            c = ' ';
        if (c == '%') {
            if (!hex_read(span_sub(s, i + 1, 2), &c, 1))
                return "a % without two hexadecimal digits";
            i += 2;
        }
        if (c == '\0')
            return "a NUL in a parameter";
        if (n + 1 == size)
            return "a parameter is too long";
        out[n++] = (char)c;
    }
    out[n] = '\0';
    return NULL;
}

/* Returns the part of *rest before `mark`, which is removed from *rest, too. */
static struct span cut(struct span *rest, char mark)
{
    const uint8_t *at = rest->n == 0 ? NULL : memchr(rest->p, mark, rest->n);
    const size_t n = at == NULL ? rest->n : (size_t)(at - rest->p);
    const struct span part = span_sub(*rest, 0, n);

    *rest = span_from(*rest, at == NULL ? n : n + 1);
    return part;
}

static const char *form_add(struct form *f, struct span part)
{
    struct form_param *p = &f->param[f->count];
    const char *problem;

    if (f->count == FORM_PARAMS_MAX)
        return "too many parameters";
    problem = decode(cut(&part, '='), p->name, sizeof p->name);
    if (problem == NULL)
        problem = decode(part, p->value, sizeof p->value);
    if (problem != NULL)
        return problem;
    if (p->name[0] == '\0')
        return "a value without a name";
    if (form_value(f, p->name) != NULL)
        return "a parameter appears twice";
    f->count++;
    return NULL;
}

const char *form_parse(struct form *f, struct span text)
{
    const char *problem = NULL;

    while (text.n > 0 && problem == NULL) {
        const struct span part = cut(&text, '&');
        if (part.n > 0)
            problem = form_add(f, part);
    }
    return problem;
}

const char *form_value(const struct form *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++)
        if (strcmp(f->param[i].name, name) == 0)
            return f->param[i].value;
    return NULL;
}
