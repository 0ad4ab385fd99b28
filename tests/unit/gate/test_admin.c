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

#include "base/addr.h"

/* Each operation prints its argument and its name; the one named by `failing` fails. */
static const char *failing;

static const char *said(const char *name, FILE *out)
{
    fprintf(out, "%s!\n", name);
    return failing != NULL && strcmp(failing, name) == 0 ? "not today" : NULL;
}

static const char *on_status(void *arg, FILE *out)
{
    assert_string_equal(arg, "arg");
    return said("status", out);
}

static const char *on_bans(void *arg, FILE *out)
{
    (void)arg;
    return said("bans", out);
}

static const char *on_unban(void *arg, const struct cidr *net, FILE *out)
{
    char text[ADDR_TEXT_MAX];
    (void)arg;
    fprintf(out, "%s\n", net == NULL ? "all" : cidr_format(net, text));
    return said("unban", out);
}

static const char *on_reload(void *arg, FILE *out)
{
    (void)arg;
    return said("reload", out);
}

static const char *on_servers(void *arg, FILE *out)
{
    (void)arg;
    return said("servers", out);
}

static const char *on_metrics(void *arg, FILE *out)
{
    (void)arg;
    return said("metrics", out);
}

static const char *on_drain(void *arg, const char *server, FILE *out)
{
    (void)arg;
    fprintf(out, "%s\n", server == NULL ? "all" : server);
    return said("drain", out);
}

static const char *on_ready(void *arg, const char *server, FILE *out)
{
    (void)arg;
    fprintf(out, "%s\n", server);
    return said("ready", out);
}

static const char *on_log_level(void *arg, const char *level, FILE *out)
{
    (void)arg;
    fprintf(out, "%s\n", level == NULL ? "none" : level);
    return said("log-level", out);
}

static const char *on_stop(void *arg, FILE *out)
{
    (void)arg;
    return said("stop", out);
}

static const struct admin_ops ops = {.status = on_status,
                                     .bans = on_bans,
                                     .unban = on_unban,
                                     .reload = on_reload,
                                     .servers = on_servers,
                                     .metrics = on_metrics,
                                     .drain = on_drain,
                                     .ready = on_ready,
                                     .log_level = on_log_level,
                                     .stop = on_stop};

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
        {"drain", NULL, "all\ndrain!\nok\n"},
        {"drain b/[::1]:443", NULL, "b/[::1]:443\ndrain!\nok\n"},
        {"drain a b", NULL, "error: usage: drain [BACKEND/SERVER]\n"},
        {"ready b/s", "ready", "b/s\nready!\nerror: not today\n"},
        {"ready", NULL, "error: usage: ready BACKEND/SERVER\n"},
        {"servers", NULL, "servers!\nok\n"},
        {"servers b", NULL, "error: usage: servers\n"},
        {"log-level", NULL, "none\nlog-level!\nok\n"},
        {"log-level debug", NULL, "debug\nlog-level!\nok\n"},
        {"log-level debug info", NULL, "error: usage: log-level [LEVEL]\n"},
        {"log-levle", NULL, "error: unknown command 'log-levle'; did you mean 'log-level'?\n"},
        {"stop", NULL, "stop!\nok\n"},
        {"metrics", NULL, "metrics!\nok\n"},
        {"metrics now", NULL, "error: usage: metrics\n"},
        {"unban all", NULL, "all\nunban!\nok\n"},
        {"unban  192.0.2.1", NULL, "192.0.2.1\nunban!\nok\n"},
        {"unban 2001:db8::/32", "unban", "2001:db8::/32\nunban!\nerror: not today\n"},
        {"unban", NULL, "error: usage: unban PREFIX|ADDRESS|all\n"},
        {"unban all all", NULL, "error: usage: unban PREFIX|ADDRESS|all\n"},
        {"unban All", NULL, "error: not an address or a network such as 198.51.100.0/24\n"},
        {"unban 192.0.2.1/24", NULL,
         "error: not a network: bits after the prefix are set; the network is 192.0.2.0/24\n"},
        {"unban 192.0.2.0/33", NULL, "error: not a network: the prefix has 0 to 32 bits\n"},
        {"unban 192.0.2.0/255.255.255.0", NULL,
         "error: not a network: write the length of the prefix: 192.0.2.0/24\n"},
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
    assert_string_equal(text, "error: a command may have at most 256 bytes\n");
    free(text);
}

static void help_names_every_command(void **state)
{
    (void)state;
    static const char *const names[] = {"status", "servers",   "bans", "unban",   "reload", "drain",
                                        "ready",  "log-level", "stop", "metrics", "help"};
    char *text = answer("help", 4);
    const char *at = text;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        assert_int_equal(strncmp(at, names[i], strlen(names[i])), 0);
        at = strchr(at, '\n') + 1;
    }
    assert_string_equal(at, "ok\n");
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
    return cmocka_run_group_tests(tests, NULL, NULL);
}
