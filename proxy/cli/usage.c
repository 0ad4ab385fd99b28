#include "cli/usage.h"

int usage_help(const struct usage *u)
{
    fprintf(stdout, "%s\n%s", u->synopsis, u->help);
    if (u->more != NULL)
        u->more(stdout);
    return usage_exit(true);
}

int usage_wrong(const struct usage *u)
{
    fputs(u->synopsis, stderr);
    return EXIT_USAGE;
}

int usage_exit(bool ok)
{
    return fflush(stdout) == 0 && ok ? EXIT_DONE : EXIT_FAILED;
}
