/* The input is a form in two parts, before and after the first line end. The parameters are decoded
 * texts, and encoding them again gives a form with the same parameters. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/hex.h"
#include "base/insist.h"
#include "status/form.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *encode(const char *text, char *out)
{
    for (; *text != '\0'; text++, out += 3) {
        *out = '%';
        hex_write(out + 1, (const uint8_t *)text, 1);
    }
    return out;
}

static void check_again(const struct form *f)
{
    static char text[FORM_PARAMS_MAX * (FORM_NAME_SIZE + FORM_VALUE_SIZE) * 3];
    static struct form again;
    char *end = text;

    for (size_t i = 0; i < f->count; i++) {
        end = encode(f->param[i].name, end);
        *end++ = '=';
        end = encode(f->param[i].value, end);
        *end++ = '&';
    }
    again.count = 0;
    INSIST(form_parse(&again, span_of(text, (size_t)(end - text))) == NULL);
    INSIST(again.count == f->count);
    for (size_t i = 0; i < f->count; i++)
        INSIST(strcmp(form_value(&again, f->param[i].name), f->param[i].value) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct form f;
    const uint8_t *line_end = size == 0 ? NULL : memchr(data, '\n', size);
    const size_t n = line_end == NULL ? size : (size_t)(line_end - data);

    f.count = 0;
    (void)form_parse(&f, span_of(data, n));
    if (n < size)
        (void)form_parse(&f, span_of(data + n + 1, size - n - 1));
    check_again(&f);
    return 0;
}
