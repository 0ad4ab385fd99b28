#include "cli/cli_ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/memo.h"
#include "cli/admin_client.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "cli/watch.h"
#include "config/config.h"
#include "config/config_load.h"
#include "gate/admin.h"
#include "explain/explain.h"

/* The pause of --watch, unless it has a time. */
enum { WATCH_MS = 2000 };

static const struct usage usage = {
    .synopsis = "usage: sstpgate ctl [-c FILE | -s SOCKET] COMMAND [WORD...]\n",
    .help =
        "Sends a command to a running gate and prints its answer.\n"
        "\n"
        "  -c, --config FILE    configuration whose key `admin` names the socket\n"
        "  -s, --socket SOCKET  path of the socket\n"
        "  -j, --json           the answer as JSON, of commands that have lists\n"
        "  -w, --watch[=SECONDS]  repeat the command (every 2 seconds) until q or ^C\n"
        "  -h, --help           this text\n"
        "\n"
        "The options --json and --watch [SECONDS] may also follow the command. --all with "
        "tunnels:\n"
        "of all gates that share a store; exit code 1 if the tunnels of a gate are missing.\n"
        "Exit codes: 0 success (health: the gate accepts calls and can serve them), 1 failure,\n"
        "not healthy, or no running gate, 2 usage. explain: 0 admitted, 1 refused, 2 usage,\n"
        "3 depends on facts that are not given, 4 failure or no running gate.\n"
        "\n"
        "Commands:\n"
        "\n",
    .more = admin_help};

/* One command. */
struct ctl {
    const char *path; /* of the socket */
    char **words;     /* the command and its words */
    bool json;
    unsigned watch_ms; /* 0: once */
    char *line;
    int verdict; /* see verdict_of() */
};

/* The commands whose answers are tables, with the columns that are printed first on a terminal. */
static const struct {
    const char *command, *first;
} tables[] = {
    {"tunnels",
     "gate id user client assigned server duration up_bytes down_bytes up_rate down_rate "
     "method"},
    {"failures", "time client user reason words remedy detail stage"},
    {"listeners", "name addresses tunnels calls certificate_days mode backend"},
    {"certificates", "listener days file names not_after issuer key staple"},
    {"servers", "backend server state tunnels since cause"},
    {"limits", "name limit used hits"},
    {"gates", "name version started tunnels state"},
};

/* Returns the columns of a table; NULL: the answer is none. servers has its old form without a
 * filter. */
static const char *table_of(const struct ctl *c)
{
    if (c->json || (strcmp(c->words[0], "servers") == 0 && c->words[1] == NULL))
        return NULL;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        if (strcmp(c->words[0], tables[i].command) == 0)
            return tables[i].first;
    return NULL;
}

/* Writes a word so that it is one word of printable ASCII: see admin.h. */
static void put_word(FILE *f, const char *word)
{
    for (; *word != '\0'; word++) {
        const unsigned char byte = (unsigned char)*word;
        fprintf(f, byte > 0x20 && byte < 0x7f && byte != '%' ? "%c" : "%%%02x", byte);
    }
}

/* Returns the words as one line with its end; NULL: a word is empty, or has a line end. */
static char *line_of(char **argv, bool json)
{
    struct memo line;
    FILE *f = memo_open(&line);
    bool good = true;

    for (char **word = argv; *word != NULL; word++) {
        const bool value = word > argv + 1 && strncmp(word[-1], "--", 2) == 0;
        /* An empty word would be lost: `drain ""`, of a script whose variable is not set, would
         * drain the whole gate. Only the value of an option may be empty. */
        good = good && (**word != '\0' || value) && strpbrk(*word, "\r\n") == NULL;
        if (word == argv) {
            fputs(*word, f);
        } else {
            fputc(**word == '\0' ? '=' : ' ', f);
            put_word(f, *word);
        }
    }
    fputs(json ? " json\n" : "\n", f);
    if (good)
        return memo_take(&line);
    memo_free(&line);
    return NULL;
}

/* Prints the payload in its form. */
static void print_payload(const struct ctl *c, char *text, size_t n, size_t columns, size_t lines)
{
    const char *first = table_of(c);

    if (c->json) {
        (void)fwrite(text, 1, n, stdout); /* json.h escapes */
    } else if (first != NULL && n > 0) {
        text[n] = '\0';
        table_print(text, first, columns, lines, stdout);
    } else {
        table_print_plain(text, n, stdout);
    }
}

/* Prints the payload. Returns the verdict, which is the last line; with --watch, also true if there
 * are rows and an error, which says what is missing in them. */
static bool ctl_report(const struct ctl *c, char *text, size_t columns, size_t lines)
{
    static const char error[] = "error: ";
    size_t n = strlen(text);

    if (n == 0 || text[n - 1] != '\n') {
        fputs(text, stdout);
        fputs("sstpgate ctl: the answer is incomplete\n", stderr);
        return false;
    }
    text[n - 1] = '\0';
    char *last = strrchr(text, '\n');
    last = last == NULL ? text : last + 1;
    const bool good = strcmp(last, "ok") == 0;
    char *verdict = insist_alloc(strdup(last));
    const bool goes_on = c->watch_ms != 0 && last > text;
    print_payload(c, text, (size_t)(last - text), columns, lines);
    fflush(stdout); /* before a message to standard error */
    if (good) {
        free(verdict);
        return true;
    }
    const bool is_error = strncmp(verdict, error, strlen(error)) == 0;
    fputs(is_error ? "sstpgate ctl: "
                   : "sstpgate ctl: the program at this socket is not sstpgate; its answer: ",
          stderr);
    const char *why = verdict + (is_error ? strlen(error) : 0);
    table_print_plain(why, strlen(why), stderr);
    fputc('\n', stderr);
    free(verdict);
    return is_error && goes_on;
}

/* Returns the verdict of an answer to `explain`, or of another answer EXPLAIN_ADMITTED. */
static int verdict_of(const char *text)
{
    static const struct {
        const char *text, *json;
        enum explain_verdict verdict;
    } forms[] = {
        {"verdict: refused\n", "{\"verdict\":\"refused\"", EXPLAIN_REFUSED},
        {"verdict: depends\n", "{\"verdict\":\"depends\"", EXPLAIN_DEPENDS},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strncmp(text, forms[i].text, strlen(forms[i].text)) == 0 ||
            strncmp(text, forms[i].json, strlen(forms[i].json)) == 0)
            return (int)forms[i].verdict;
    return EXPLAIN_ADMITTED;
}

/* Asks the gate and prints its answer, for watch_run(). arg: the struct ctl. */
static bool ctl_talk(void *arg, size_t columns, size_t lines)
{
    struct ctl *c = arg;
    const char *path = c->path;

    int fd = admin_client_dial(path);
    if (fd < 0) {
        const char *what = errno == ENOENT || errno == ECONNREFUSED ? "no gate at"
                           : errno == EACCES || errno == EPERM      ? "no permission to connect to"
                                                                    : "cannot connect to";
        fprintf(stderr, "sstpgate ctl: %s %s: %s\n", what, path, strerror(errno));
        return false;
    }
    char *text = admin_client_ask(fd, c->line);
    if (text != NULL)
        c->verdict = verdict_of(text);
    bool ok = text != NULL && ctl_report(c, text, columns, lines);
    if (text == NULL)
        fprintf(stderr, "sstpgate ctl: no answer from %s: %s\n", path, strerror(errno));
    free(text);
    return ok;
}

/* Returns the path of the socket of the gate with this configuration; NULL: the reason was
 * written. */
static char *find_socket(const char *config, bool is_default)
{
    char *path = config_find_admin(config, stderr);

    if (path == NULL && is_default && access(config, F_OK) != 0)
        fputs("sstpgate ctl: specify -c FILE or -s SOCKET\n", stderr);
    return path;
}

/* Reads SECONDS of --watch. False: it is none. */
static bool read_seconds(const char *text, unsigned *ms)
{
    char *end;
    const double seconds = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || !(seconds >= 0.1 && seconds <= 86400))
        return false;
    *ms = (unsigned)(seconds * 1000);
    return true;
}

static bool is_explain(const struct ctl *c)
{
    return c->words[0] != NULL && strcmp(c->words[0], "explain") == 0;
}

/* Takes --json and --watch out of the words. Returns whether the latter's time is valid. */
static bool take_options(struct ctl *c)
{
    static const char watch[] = "--watch";
    const size_t n = strlen(watch);
    char **to = c->words;

    if (is_explain(c))
        return true; /* its options are words for the gate */
    for (char **from = c->words; *from != NULL; from++) {
        if (strcmp(*from, "--json") == 0) {
            c->json = true;
        } else if (strcmp(*from, watch) == 0) {
            c->watch_ms = WATCH_MS;
            if (from[1] != NULL && read_seconds(from[1], &c->watch_ms))
                from++;
        } else if (strncmp(*from, watch, n) == 0 && (*from)[n] == '=') {
            if (!read_seconds(*from + n + 1, &c->watch_ms))
                return false;
        } else {
            *to++ = *from;
        }
    }
    *to = NULL;
    return true;
}

static bool ctl_run(struct ctl *c)
{
    struct memo title;
    size_t columns = watch_columns(NULL);

    if (c->watch_ms == 0)
        return ctl_talk(c, columns, 0);
    FILE *f = memo_open(&title);
    fprintf(f, "Every %gs: sstpgate ctl", c->watch_ms / 1000.0);
    for (char **word = c->words; *word != NULL; word++) {
        fputc(' ', f);
        table_print_plain(*word, strlen(*word), f);
    }
    const bool good = watch_run(memo_text(&title), c->watch_ms, ctl_talk, c);
    memo_free(&title);
    return good;
}

/* Carries out the command of c->words with the gate at this socket, or of this configuration. */
static int ctl_command(struct ctl *c, const char *socket, const char *config, bool is_default)
{
    if (c->json && !admin_command_has_json(c->words[0])) {
        fprintf(stderr, "sstpgate ctl: %s has no answer as JSON\n", c->words[0]);
        return EXIT_USAGE;
    }
    c->line = line_of(c->words, c->json);
    if (c->line == NULL) {
        fputs("sstpgate ctl: a command must be one line, without empty words\n", stderr);
        return EXIT_USAGE;
    }
    char *path = socket != NULL ? insist_alloc(strdup(socket)) : find_socket(config, is_default);
    c->path = path;
    const bool ok = path != NULL && ctl_run(c);
    free(path);
    free(c->line);
    if (is_explain(c))
        return ok && fflush(stdout) == 0 ? c->verdict : EXPLAIN_FAILED;
    return usage_exit(ok);
}

int cli_ctl(int argc, char **argv, const char *config)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},         {"watch", optional_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},         {0}};
    const char *file = NULL, *socket = NULL;
    struct ctl c = {.verdict = EXPLAIN_ADMITTED};
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+c:s:jw::h", options, NULL)) != -1) {
        switch (option) {
        case 'c': file = optarg; break;
        case 's': socket = strncmp(optarg, "unix:", 5) == 0 ? optarg + 5 : optarg; break;
        case 'j': c.json = true; break;
        case 'w':
            c.watch_ms = WATCH_MS;
            if (optarg != NULL && !read_seconds(optarg, &c.watch_ms))
                return usage_wrong(&usage);
            break;
        case 'h': return usage_help(&usage);
        default: return usage_wrong(&usage);
        }
    }
    c.words = argv + optind;
    if (optind == argc || (file != NULL && socket != NULL) || !take_options(&c) ||
        c.words[0] == NULL)
        return usage_wrong(&usage);
    if (c.words[1] == NULL && strcmp(c.words[0], "help") == 0) { /* needs no gate */
        admin_help(stdout);
        return usage_exit(true);
    }
    return ctl_command(&c, socket, file == NULL ? config : file, file == NULL);
}
