/* reason_words: each reason in a sentence, and its remedy, for the views of an administrator.
 * conf/TROUBLESHOOTING.md has the details. */
#ifndef SSTPGATE_CALL_REASON_WORDS_H
#define SSTPGATE_CALL_REASON_WORDS_H

#include "call/reason.h"

struct reason_words {
    const char *words;  /* what has happened, a sentence without its full stop */
    const char *remedy; /* what an administrator looks at; "" for reasons that need no remedy */
};

const struct reason_words *reason_words(enum reason r);

#endif
