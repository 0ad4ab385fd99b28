/* form: the parameters of a request, `name=value&name=value` (application/x-www-form-urlencoded),
 * from the query or from the body. Strict, because an action with half of its parameters would hit
 * others than intended. Pure: no state, no allocation. */
#ifndef SSTPGATE_STATUS_FORM_H
#define SSTPGATE_STATUS_FORM_H

#include <stddef.h>

#include "base/span.h"

enum {
    FORM_PARAMS_MAX = 8,
    FORM_NAME_SIZE = 32,
    FORM_VALUE_SIZE = 1024, /* with the NUL; names of users are the longest values */
};

struct form {
    struct form_param {
        char name[FORM_NAME_SIZE];
        char value[FORM_VALUE_SIZE];
    } param[FORM_PARAMS_MAX];
    size_t count;
};

/* Appends the parameters of text, decoded: `+` is a blank, %41 is A. Returns NULL, or the reason
 * why text is not a form (a literal); the parameters before the mistake may have been appended
 * then. A parameter that f has already is a mistake, too. */
const char *form_parse(struct form *f, struct span text);

/* Returns the value of a parameter; NULL: f has none of this name. */
const char *form_value(const struct form *f, const char *name);

#endif
