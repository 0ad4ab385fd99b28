#include "base/memo.h"

#include <stdlib.h>

#include "base/insist.h"

FILE *memo_open(struct memo *m)
{
    *m = (struct memo){0};
    m->file = insist_alloc(open_memstream(&m->text, &m->n));
    return m->file;
}

char *memo_text(struct memo *m)
{
    if (m->file != NULL) {
        const int failed = fclose(m->file);
        m->file = NULL;
        insist_alloc(failed == 0 ? m->text : NULL); /* a failure means: no memory */
    }
    return m->text;
}

char *memo_take(struct memo *m)
{
    char *text = memo_text(m);
    *m = (struct memo){0};
    return text;
}

void memo_free(struct memo *m)
{
    if (m->file != NULL)
        (void)memo_text(m);
    free(m->text);
    *m = (struct memo){0};
}
