/* The input is the text of an old process. What is understood is written, and reads as the same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/memo.h"
#include "gate/state_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Writes what is understood of text to *m. Returns how many lines were skipped. */
static unsigned again(struct span text, struct memo *m)
{
    struct state_item item;
    unsigned skipped = 0;

    state_text_begin(memo_open(m));
    if (state_text_check(&text))
        while (state_text_next(&text, &item, &skipped)) {
            state_text_print(m->file, &item);
        }
    (void)memo_text(m);
    return skipped;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memo first, second;

    (void)again(span_of(data, size), &first);
    INSIST(again(span_of(first.text, first.n), &second) == 0);
    INSIST(first.n == second.n && memcmp(first.text, second.text, first.n) == 0);
    memo_free(&first);
    memo_free(&second);
    return 0;
}
