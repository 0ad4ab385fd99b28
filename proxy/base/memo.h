/* memo: a text in memory that is written through a FILE, for functions with a `FILE *problems`. One
 * thread at a time. The program ends if no memory is left (see insist_alloc). */
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

/* Completes the text and returns it; the caller takes ownership and frees it. The memo is empty
 * afterwards and needs no memo_free. */
char *memo_take(struct memo *m);

/* Closes the stream if it is still open, and frees the text. */
void memo_free(struct memo *m);

#endif
