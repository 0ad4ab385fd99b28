#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "cli/cli_binding.h"
#include "cli/cli_ctl.h"
#include "cli/cli_dial.h"
#include "cli/cli_explain.h"
#include "cli/cli_probe.h"
#include "cli/cli_setup.h"
#include "cli/cli_user.h"

static void each_word_has_its_function(void **state)
{
    static const struct {
        const char *word;
        int (*run)(int argc, char **argv, const char *config);
    } words[] = {{"user", cli_user},  {"binding", cli_binding}, {"probe", cli_probe},
                 {"dial", cli_dial},  {"explain", cli_explain}, {"ctl", cli_ctl},
                 {"setup", cli_setup}};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const struct cli_command *c = cli_find(words[i].word);
        assert_non_null(c);
        assert_string_equal(c->word, words[i].word);
        assert_ptr_equal(c->run, words[i].run);
    }
}

/* For such a word main() reads options, or reports the word. */
static void other_words_are_no_commands(void **state)
{
    static const char *const words[] = {"", "-c", "--help", "use", "users", "USER", "ctl "};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        assert_null(cli_find(words[i]));
}

static void the_usage_has_a_line_for_each(void **state)
{
    char *text = NULL;
    size_t n, lines = 0;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    assert_non_null(out);
    cli_print(out, 48); /* as main() does */
    fclose(out);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0'; lines++) {
        char word[32];
        assert_int_equal(sscanf(line, "       sstpgate %31s ", word), 1);
        const struct cli_command *c = cli_find(word);
        assert_non_null(c);
        assert_string_equal(line + 48, c->help);
        assert_int_equal(line[47], ' ');
    }
    assert_int_equal(lines, 8);
    free(text);
}

/* An argument that is too long for the column still has a space after it. */
static void a_narrow_column_keeps_words_apart(void **state)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);

    (void)state;
    assert_non_null(out);
    cli_print(out, 0);
    fclose(out);
    assert_non_null(strstr(text, "LISTENER|FILE "));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_word_has_its_function),
        cmocka_unit_test(other_words_are_no_commands),
        cmocka_unit_test(the_usage_has_a_line_for_each),
        cmocka_unit_test(a_narrow_column_keeps_words_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
