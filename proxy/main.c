/* main: sub-commands, options and exit codes: 0, 1 configuration or start-up, 2 usage. */
#include <fcntl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/core_dumps.h"
#include "base/insist.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/completion.h"
#include "config/config_table.h"
#include "confine/syscalls.h"
#include "control/control.h"
#include "gate/gate.h"
#include "gate/preflight.h"
#include "policy/country.h"
#include "shared/shared_reply.h"
#include "status/status.h"
#include "tls/aead.h"
#include "tls/tls_basics.h"
#include "tls/tls_memory.h"

#define DEFAULT_CONFIG SSTPGATE_SYSCONFDIR "/sstpgate/sstpgate.conf"

/* ---- options ---- */

struct options {
    const char *config, *ready_file;
    const char *completion; /* the shell; NULL: not wanted */
    bool test, print, strict;
    int (*show)(void); /* returns the exit code; NULL: run the gate, or test */
};

static int show_keys(void)
{
    config_print_reference(stdout);
    return 0;
}

static int show_version(void)
{
    printf("sstpgate %s\n", version_text);
    return 0;
}

/* Returns 1 if an algorithm is missing without which the gate cannot start. */
static int show_libraries(void)
{
    char error[AEAD_ERROR_MAX];
    const bool usable = aead_start(error);

    printf("sstpgate %s\n%s\nlibuv %s\n", version_text, OpenSSL_version(OPENSSL_VERSION),
           uv_version_string());
    printf("country rules: %s\nsystem call filter: %s\nstatus listener: %s%s\n",
           country_supported() ? "with libmaxminddb" : "not built in (no libmaxminddb)",
           syscalls_supported() ? "with libseccomp" : "not built in (no libseccomp)",
           status_supported() ? "with libmicrohttpd " : "not built in (no libmicrohttpd)",
           status_supported() ? status_library() : "");
    printf("store of several gates: %s\n",
           shared_supported() ? "with hiredis" : "not built in (no hiredis)");
    printf("ciphers of records: %s\n", usable ? aead_name() : error);
    return usable ? 0 : 1;
}

static int show_help(void);

static int show_completion(void);

enum { OPT_READY = 256, OPT_KEYS, OPT_STRICT, OPT_COMPLETION };

static const struct row {
    int key;          /* of getopt_long; below 256: the short form */
    const char *name; /* of the long form; NULL: none */
    const char *argument;
    int (*show)(void);
    const char *help;
} rows[] = {
    {'c', "config", "FILE", NULL, "configuration (default " DEFAULT_CONFIG ")"},
    {OPT_READY, "ready-file", "FILE", NULL, "write the bound addresses to FILE when all accept"},
    {'t', "test", NULL, NULL, "check the configuration and print every error and warning"},
    {'T', NULL, NULL, NULL, "the same, and print the configuration in force"},
    {OPT_STRICT, "strict", NULL, NULL, "with -t or -T: fail if there is a warning"},
    {OPT_KEYS, "keys", NULL, show_keys, "print every key of the configuration and its meaning"},
    {OPT_COMPLETION, "completion", "bash", show_completion,
     "print the script that completes the command line in bash"},
    {'v', "version", NULL, show_version, "print the version"},
    {'V', NULL, NULL, show_libraries, "print the version and those of the libraries"},
    {'h', "help", NULL, show_help, "print this text"},
};
enum { ROWS = sizeof rows / sizeof *rows, USAGE_COLUMN = 48, OPTION_COLUMN = 22 };

static void print_option(FILE *out, const struct row *r)
{
    const char letter[] = {'-', (char)r->key, '\0'};
    const bool is_short = r->key < 256, is_long = r->name != NULL;
    const int n =
        fprintf(out, "  %s%s%s%s%s%s", is_short ? letter : "", is_short && is_long ? ", " : "",
                is_long ? "--" : "", is_long ? r->name : "", r->argument == NULL ? "" : " ",
                r->argument == NULL ? "" : r->argument);
    fprintf(out, "%*s%s\n", OPTION_COLUMN - n, "", r->help);
}

static void print_usage(FILE *out)
{
    fprintf(out, "%-*s%s\n", USAGE_COLUMN, "usage: sstpgate [-c FILE] [--ready-file FILE]",
            "run the gate in the foreground");
    fprintf(out, "%-*s%s\n", USAGE_COLUMN, "       sstpgate [-c FILE] -t|-T [--strict]",
            "check the configuration");
    cli_print(out, USAGE_COLUMN);
    fputc('\n', out);
    for (size_t i = 0; i < ROWS; i++)
        print_option(out, &rows[i]);
    fputs(
        "\nEach sub-command explains itself with -h.\n"
        "Signals: TERM and INT end all calls and exit; QUIT lets the calls end first; HUP reloads\n"
        "the configuration; USR1 reopens the log; USR2 starts a new process, which takes over.\n"
        "Exit codes: 0 success, 1 configuration or start-up (with --strict also a warning), 2 "
        "usage.\n",
        out);
}

static int show_help(void)
{
    print_usage(stdout);
    return 0;
}

static int show_completion(void)
{
    char words[512];
    size_t n = 0;

    for (size_t i = 0; i < ROWS; i++)
        n += (size_t)snprintf(words + n, sizeof words - n, "%s%s%s", n == 0 ? "" : " ",
                              rows[i].name == NULL ? "-" : "--",
                              rows[i].name == NULL ? (const char[]){(char)rows[i].key, '\0'}
                                                   : rows[i].name);
    INSIST(n < sizeof words);
    completion_bash(words, stdout);
    return 0;
}

static void set_option(struct options *o, const struct row *r)
{
    switch (r->key) {
    case 'c': o->config = optarg; break;
    case OPT_READY: o->ready_file = optarg; break;
    case 'T': o->print = o->test = true; break;
    case 't': o->test = true; break;
    case OPT_COMPLETION:
        o->completion = optarg;
        o->show = r->show;
        break;
    case OPT_STRICT: o->strict = true; break;
    default: o->show = r->show; break;
    }
}

/* Translates the rows for getopt_long. */
static void getopt_tables(struct option longs[ROWS + 1], char shorts[2 * ROWS + 1])
{
    char *s = shorts;

    memset(longs, 0, (ROWS + 1) * sizeof *longs);
    for (size_t i = 0; i < ROWS; i++) {
        if (rows[i].name != NULL)
            *longs++ = (struct option){rows[i].name, rows[i].argument != NULL, NULL, rows[i].key};
        if (rows[i].key >= 256)
            continue;
        *s++ = (char)rows[i].key;
        if (rows[i].argument != NULL)
            *s++ = ':';
    }
    *s = '\0';
}

/* Reads the options. False: wrong usage; the reason has been written to standard error. */
static bool read_options(int argc, char **argv, struct options *o)
{
    struct option longs[ROWS + 1];
    char shorts[2 * ROWS + 1];
    int key;

    getopt_tables(longs, shorts);
    while (o->show == NULL && (key = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
        size_t i = 0;
        while (i < ROWS && rows[i].key != key)
            i++;
        if (i == ROWS)
            return false;
        set_option(o, &rows[i]);
    }
    if (o->completion != NULL && strcmp(o->completion, "bash") != 0) {
        fputs("sstpgate: --completion knows only bash\n", stderr);
        return false;
    }
    if (o->show == NULL && optind < argc) {
        fprintf(stderr, "sstpgate: unexpected argument: %s\n", argv[optind]);
        return false;
    }
    if (o->show == NULL && o->strict && !o->test) {
        fputs("sstpgate: --strict is used only with -t or -T\n", stderr);
        return false;
    }
    return true;
}

/* ---- run ---- */

/* Opens /dev/null for each standard descriptor that is closed. Otherwise the next socket or
 * file would get its number, and messages for standard error would be written to it. */
static bool standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) /* the lowest free number */
            return false;
    return true;
}

/* Prints what to do on a machine without a configuration, after the message that it is missing. */
static int hint_at_example(const struct options *o, int code)
{
    if (code != 0 && strcmp(o->config, DEFAULT_CONFIG) == 0 && access(DEFAULT_CONFIG, F_OK) != 0)
        fputs("sstpgate: specify -c FILE, or run `sstpgate setup`, or copy " DEFAULT_CONFIG
              ".example to " DEFAULT_CONFIG " and edit it\n",
              stderr);
    return code;
}

static int test(const struct options *o)
{
    char error[TLS_BASICS_ERROR_MAX];

    if (!tls_basics(error)) {
        fprintf(stderr, "sstpgate: %s\n", error);
        return 1;
    }
    const enum preflight_result result =
        preflight_config(o->config, stderr, o->print ? stdout : NULL);

    if (result == PREFLIGHT_ERRORS)
        return 1;
    if (result == PREFLIGHT_WARNINGS && o->strict) {
        fprintf(stderr, "%s: the warnings above are errors because of --strict\n", o->config);
        return 1;
    }
    if (!o->print)
        printf("%s: configuration is valid\n", o->config);
    return 0;
}

static int run(int argc, char **argv)
{
    struct options o = {.config = DEFAULT_CONFIG};
    const struct cli_command *command = argc > 1 ? cli_find(argv[1]) : NULL;

    if (command != NULL)
        return command->run(argc - 1, argv + 1, DEFAULT_CONFIG);
    if (!read_options(argc, argv, &o)) {
        print_usage(stderr);
        return 2;
    }
    if (o.show != NULL)
        return o.show();
    return hint_at_example(&o,
                           o.test ? test(&o) : gate_run(o.config, o.ready_file, argv, &control));
}

/* Of LeakSanitizer, whose report would be an exit handler; NULL in other builds. */
/* NOLINTNEXTLINE(bugprone-reserved-identifier): the library has this name */
extern void __lsan_do_leak_check(void) __attribute__((weak));

/* Ends the process without exit handlers, because those of a PKCS#11 module and of OpenSSL's
 * provider for it use each other, in an undefined order: SoftHSM crashes, and `-t` of a valid
 * configuration would fail. Everything of this program has been closed. */
__attribute__((noreturn)) static void leave(int code)
{
    const bool written = fflush(stdout) == 0;

    fflush(NULL);
    if (__lsan_do_leak_check != NULL)
        __lsan_do_leak_check();
    _exit(written || code != 0 ? code : 1);
}

int main(int argc, char **argv)
{
    core_dumps_off(); /* every command may read secrets */
    tls_memory_start();
    leave(standard_descriptors() ? run(argc, argv) : 1);
}
