#include "cli/cli_explain.h"

#include <string.h>

#include "cli/usage.h"
#include "explain/explain.h"

static const struct usage usage = {
    .synopsis = "usage: sstpgate explain [-c FILE] --listener NAME --address ADDRESS [OPTIONS]\n",
    .help =
        "Says what the rules of a configuration would do with a client, which line decides, and\n"
        "why each rule before it does not match. A fact that is not given is unknown: if the\n"
        "answer depends on it, the verdict is `depends`. A running gate also knows limits, bans\n"
        "and the health of servers: sstpgate ctl explain, with the same options.\n"
        "\n"
        "  -c, --config FILE    configuration\n"
        "  -h, --help           this text\n",
    .more = explain_query_help};

static const char exits[] =
    "\n"
    "Exit codes: 0 admitted, 1 refused, 2 usage, 3 depends on facts that are "
    "not given, 4 the configuration\n"
    "cannot be used, or has no such listener.\n";

/* Takes an option of the command itself from the front of argv. Returns the number of words. */
static size_t take_option(char **argv, const char **config, bool *help)
{
    static const char with_value[] = "--config=";

    *help = strcmp(argv[0], "-h") == 0 || strcmp(argv[0], "--help") == 0;
    if (*help)
        return 1;
    if ((strcmp(argv[0], "-c") == 0 || strcmp(argv[0], "--config") == 0) && argv[1] != NULL) {
        *config = argv[1];
        return 2;
    }
    if (strncmp(argv[0], with_value, sizeof with_value - 1) == 0) {
        *config = argv[0] + sizeof with_value - 1;
        return 1;
    }
    return 0;
}

int cli_explain(int argc, char **argv, const char *config)
{
    char **words = argv + 1;
    bool help = false;
    size_t n;

    while (*words != NULL && (n = take_option(words, &config, &help)) > 0 && !help)
        words += n;
    if (help) {
        const int code = usage_help(&usage);
        fputs(exits, stdout);
        return code;
    }
    const int code = explain_file(config, words, (size_t)(argv + argc - words), stdout, stderr);
    if (code == EXIT_USAGE)
        return usage_wrong(&usage);
    return fflush(stdout) == 0 ? code : EXPLAIN_FAILED;
}
