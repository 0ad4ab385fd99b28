/* memo: a text in memory that is written through a FILE, as functions with a `FILE *problems` want
 * it. One thread at a time. Memory that is missing ends the program (see insist_alloc). */
#ifndef SSTPGATE_BASE_MEMO_H
#define SSTPGATE_BASE_MEMO_H

#include <stddef.h>
#include <stdio.h>

struct memo {
    FILE *file; /* NULL: the text is complete */
    char *text;
    size_t n;
};

/* Starts an empty text. Returns the stream to write to, which the memo owns. */
FILE *memo_open(struct memo *m);

/* Completes the text; the stream is closed. Returns the text, never NULL, which the memo owns and
 * the caller may change (log_lines does). m->n is its length. May be called again. */
char *memo_text(struct memo *m);

/* Completes the text and passes its ownership to the caller, who frees it; the memo is empty then
 * and needs no memo_free. */
char *memo_take(struct memo *m);

/* Closes the stream if it is still open, and frees the text. */
void memo_free(struct memo *m);

#endif
