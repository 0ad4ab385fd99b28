/* Answers to command lines, without sockets; integration/test_admin.py tests the sockets. */
#include "gate/admin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* The operation of every command prints its words and its name; that of the command named by
 * `failing` fails. */
static const char *failing;

static const char *op(void *arg, const struct admin_request *r, FILE *out)
{
    assert_string_equal(arg, "arg");
    assert_null(r->word[r->words]);
    for (size_t i = 0; i < r->words; i++)
        fprintf(out, "%s\n", r->word[i]);
    fprintf(out, "%s%s!\n", r->name, r->json ? " json" : "");
    return failing != NULL && strcmp(failing, r->name) == 0 ? "not today" : NULL;
}

static struct admin_ops ops;

static int give_ops(void **state)
{
    (void)state;
    for (size_t i = 0; i < ADMIN_COMMANDS; i++)
        ops.run[i] = op;
    return 0;
}

static char *answer(const char *line, size_t len)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    /* a copy of exactly this size, so that a sanitizer detects a read past the end */
    char *copy = malloc(len == 0 ? 1 : len);
    assert_non_null(copy);
    memcpy(copy, line, len);
    char arg[] = "arg";
    admin_answer(&ops, arg, copy, len, out);
    free(copy);
    fclose(out);
    return text;
}

static void lines_and_answers(void **state)
{
    (void)state;
    static const struct {
        const char *line, *failing, *answer;
    } table[] = {
        {"status", NULL, "status!\nok\n"},
        {" \tstatus\t ", NULL, "status!\nok\n"},
        {"bans", NULL, "bans!\nok\n"},
        {"reload", NULL, "reload!\nok\n"},
        {"reload", "reload", "reload!\nerror: not today\n"},
        {"drain", NULL, "drain!\nok\n"},
        {"drain b/[::1]:443", NULL, "b/[::1]:443\ndrain!\nok\n"},
        {"drain a b", NULL, "error: usage: drain [BACKEND/SERVER]\n"},
        {"ready b/s", "ready", "b/s\nready!\nerror: not today\n"},
        {"ready", NULL, "error: usage: ready BACKEND/SERVER\n"},
        {"servers", NULL, "servers!\nok\n"},
        {"explain --user bob%20smith  --sni= 100%25%C3%A4", NULL,
         "--user\nbob smith\n--sni=\n100%\xc3\xa4\nexplain!\nok\n"},
        {"explain", NULL, "error: usage: explain OPTION...\n"},
        {"log-level", NULL, "log-level!\nok\n"},
        {"log-level debug", NULL, "debug\nlog-level!\nok\n"},
        {"log-level debug info", NULL, "error: usage: log-level [LEVEL]\n"},
        {"log-levle", NULL, "error: unknown command 'log-levle'; did you mean 'log-level'?\n"},
        {"stop", NULL, "stop!\nok\n"},
        {"metrics", NULL, "metrics!\nok\n"},
        {"metrics now", NULL, "error: usage: metrics\n"},
        {"unban all", NULL, "all\nunban!\nok\n"},
        {"servers server b", NULL, "server\nb\nservers!\nok\n"},
        {"servers json", NULL, "servers json!\nok\n"},
        {"tunnels user bob json", NULL, "user\nbob\ntunnels json!\nok\n"},
        {"tunnels user bob%20smith", NULL, "user\nbob smith\ntunnels!\nok\n"},
        {"end user %c3%A4", NULL, "user\n\xc3\xa4\nend!\nok\n"},
        {"end user 100%25", NULL, "user\n100%\nend!\nok\n"},
        {"end user 100%", NULL, "error: % is written %25\n"},
        {"end user %zz", NULL, "error: % is written %25\n"},
        {"end user a%00b", NULL, "error: % is written %25\n"},
        {"end", NULL, "error: usage: end ID|GATE/ID|FILTER...\n"},
        {"end 0-1 json", NULL, "0-1\njson\nend!\nok\n"},
        {"tunnels 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17", NULL, "error: too many words\n"},
        {"ban 192.0.2.1 5m", NULL, "192.0.2.1\n5m\nban!\nok\n"},
        {"ban user bob 5m now", NULL, "error: usage: ban PREFIX|ADDRESS|user NAME [TIME]\n"},
        {"reload json", NULL, "error: usage: reload\n"},
        {"ned 0-1", NULL, "error: unknown command 'ned'; `help` lists the commands\n"},
        {"bna 192.0.2.1", NULL, "error: unknown command 'bna'; `help` lists the commands\n"},
        {"unban  192.0.2.1", NULL, "192.0.2.1\nunban!\nok\n"},
        {"unban 2001:db8::/32", "unban", "2001:db8::/32\nunban!\nerror: not today\n"},
        {"unban", NULL, "error: usage: unban PREFIX|ADDRESS|all|user NAME\n"},
        {"unban user bob all", NULL, "error: usage: unban PREFIX|ADDRESS|all|user NAME\n"},
        {"status now", NULL, "error: usage: status\n"},
        {"relaod", NULL, "error: unknown command 'relaod'; did you mean 'reload'?\n"},
        {"RELOAD", NULL, "error: unknown command 'RELOAD'; did you mean 'reload'?\n"},
        {"show", NULL, "error: unknown command 'show'; `help` lists the commands\n"},
        {"stpo", NULL, "error: unknown command 'stpo'; `help` lists the commands\n"},
        {"drian", NULL, "error: unknown command 'drian'; `help` lists the commands\n"},
        {"unbans", NULL, "error: unknown command 'unbans'; did you mean 'bans'?\n"},
        {"unbann", NULL, "error: unknown command 'unbann'; `help` lists the commands\n"},
        {"%s%n", NULL, "error: unknown command '%s%n'; `help` lists the commands\n"},
        {"", NULL, "error: no command; `help` lists the commands\n"},
        {"status\xc2\xa0", NULL,
         "error: the command contains U+00A0 NO-BREAK SPACE, which cannot be seen: type it "
         "again\n"},
        {"\xff\xfes", NULL,
         "error: UTF-16, as PowerShell and some editors of Windows write it: save it as UTF-8\n"},
        {"\x1b[2J", NULL, "error: a command may contain only printable ASCII\n"},
        {"st\xff", NULL, "error: a command may contain only printable ASCII\n"},
        {"a\x7f", NULL, "error: a command may contain only printable ASCII\n"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        failing = table[i].failing;
        char *text = answer(table[i].line, strlen(table[i].line));
        assert_string_equal(text, table[i].answer);
        free(text);
    }
}

static void a_nul_ends_nothing(void **state)
{
    (void)state;
    char *text = answer("status\0x", 8);
    assert_string_equal(text, "error: a command may contain only printable ASCII\n");
    free(text);
}

static void a_line_has_its_length(void **state)
{
    (void)state;
    char line[ADMIN_LINE_MAX + 1];
    memset(line, ' ', sizeof line);
    memcpy(line + ADMIN_LINE_MAX - 6, "status", 6);
    failing = NULL;
    char *text = answer(line, ADMIN_LINE_MAX);
    assert_string_equal(text, "status!\nok\n");
    free(text);
    text = answer(line, ADMIN_LINE_MAX + 1);
    assert_string_equal(text, "error: a command may have at most 1024 bytes\n");
    free(text);
}

static void help_names_every_command(void **state)
{
    (void)state;
    char *text = answer("help", 4);
    const char *at = text;
    for (enum admin_command c = 0; c < ADMIN_COMMANDS; c++) {
        const size_t n = strlen(admin_command_name(c));
        assert_int_equal(strncmp(at, admin_command_name(c), n), 0);
        assert_int_equal(at[n], ' ');
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(strrchr(at, 'o'), "ok\n");
    assert_non_null(strstr(at, "FILTER: user NAME"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_and_answers),
        cmocka_unit_test(a_nul_ends_nothing),
        cmocka_unit_test(a_line_has_its_length),
        cmocka_unit_test(help_names_every_command),
    };
    return cmocka_run_group_tests(tests, give_ops, NULL);
}
