/* main: options and exit codes: 0, 1 configuration or start-up, 2 usage. */
#include <fcntl.h>
#include <getopt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/core_dumps.h"
#include "cli/cli_binding.h"
#include "cli/cli_ctl.h"
#include "cli/cli_user.h"
#include "config/config_table.h"
#include "gate/gate.h"
#include "gate/preflight.h"
#include "policy/country.h"

#define DEFAULT_CONFIG SSTPGATE_SYSCONFDIR "/sstpgate/sstpgate.conf"

static void usage(FILE *out)
{
    fputs(
        "usage: sstpgate [-c FILE] [--ready-file FILE]   run in the foreground\n"
        "       sstpgate [-c FILE] -t                    check the configuration, print every "
        "error\n"
        "       sstpgate [-c FILE] -T                    the same, and print what is in force\n"
        "       sstpgate user [-f USERS] NAME            make a line for a users-file; user "
        "--help\n"
        "                                                tells how to take users over from others\n"
        "       sstpgate binding LISTENER|FILE           hashes of a certificate, and commands "
        "that tell\n"
        "                                                a server of it\n"
        "       sstpgate ctl [-c FILE] COMMAND           talk to a running gate; ctl help\n"
        "\n"
        "  -c FILE            configuration (default " DEFAULT_CONFIG ")\n"
        "  --ready-file FILE  write the bound addresses there once all of them accept\n"
        "  --keys             print every key of the configuration with its meaning\n"
        "  -v, -V             version; with the libraries it uses\n"
        "  -h                 this text\n"
        "\n"
        "Signals: TERM, INT close all calls and exit; QUIT lets them end first; HUP reloads; USR1 "
        "opens\n"
        "the log again. Exit codes: 0, 1 configuration or start-up, 2 usage.\n",
        out);
}

/* A descriptor of these that is closed would be given to the next socket or file that is opened,
 * and what is meant for standard error would be written into it. */
static bool standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd) /* the lowest that is free */
            return false;
    return true;
}

enum { OPT_READY = 256, OPT_KEYS };

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"test", no_argument, NULL, 't'},
        {"ready-file", required_argument, NULL, OPT_READY},
        {"keys", no_argument, NULL, OPT_KEYS},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {0},
    };
    const char *path = DEFAULT_CONFIG, *ready = NULL;
    bool test = false, print = false;
    int opt;

    core_dumps_off(); /* every command below may read secrets */
    if (!standard_descriptors())
        return 1;
    if (argc > 1 && strcmp(argv[1], "user") == 0)
        return cli_user(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "binding") == 0)
        return cli_binding(argc - 1, argv + 1, DEFAULT_CONFIG);
    if (argc > 1 && strcmp(argv[1], "ctl") == 0)
        return cli_ctl(argc - 1, argv + 1, DEFAULT_CONFIG);

    while ((opt = getopt_long(argc, argv, "c:tTvVh", longs, NULL)) != -1) {
        switch (opt) {
        case 'c': path = optarg; break;
        case 'T':
            print = true;
            test = true;
            break;
        case 't': test = true; break;
        case OPT_READY: ready = optarg; break;
        case OPT_KEYS: config_print_reference(stdout); return 0;
        case 'v': puts("sstpgate " SSTPGATE_VERSION); return 0;
        case 'V':
            printf("sstpgate " SSTPGATE_VERSION "\n%s\nlibuv %s\ncountry rules: %s\n",
                   OpenSSL_version(OPENSSL_VERSION), uv_version_string(),
                   country_supported() ? "with libmaxminddb" : "not built in (no libmaxminddb)");
            return 0;
        case 'h': usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sstpgate: unexpected argument: %s\n", argv[optind]);
        usage(stderr);
        return 2;
    }

    if (!test)
        return gate_run(path, ready);
    if (!preflight_config(path, stderr, print ? stdout : NULL))
        return 1;
    if (!print)
        printf("%s: configuration is valid\n", path);
    return 0;
}
