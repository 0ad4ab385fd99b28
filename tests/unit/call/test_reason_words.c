#include "call/reason_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* Reasons without a fault, for which nothing must be done. */
static bool needs_none(enum reason r)
{
    const enum reason_outcome outcome = reason_info(r)->outcome;
    return outcome != OUTCOME_FAILED && outcome != OUTCOME_REFUSED;
}

static void each_reason_has_words_and_a_remedy(void **state)
{
    (void)state;
    for (enum reason r = 0; r < REASON_COUNT; r++) {
        const struct reason_words *w = reason_words(r);
        const char *name = reason_info(r)->name;
        if (strlen(w->words) < 10 || w->words[strlen(w->words) - 1] == '.')
            fail_msg("%s: '%s' is no sentence without its full stop", name, w->words);
        if (w->remedy == NULL || (*w->remedy == '\0' && !needs_none(r)))
            fail_msg("%s: a call that was refused or failed for this reason needs a remedy", name);
    }
}

/* Two reasons with one text could not be told apart; those that share a word may share the text. */
static void each_reason_has_its_own_words(void **state)
{
    (void)state;
    for (enum reason a = 0; a < REASON_COUNT; a++)
        for (enum reason b = 0; b < a; b++)
            if (strcmp(reason_info(a)->name, reason_info(b)->name) != 0)
                assert_string_not_equal(reason_words(a)->words, reason_words(b)->words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_has_words_and_a_remedy),
        cmocka_unit_test(each_reason_has_its_own_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
