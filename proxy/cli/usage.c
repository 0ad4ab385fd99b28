#include "cli/usage.h"

#include <string.h>

#include "base/json.h"
#include "base/memo.h"
#include "base/span.h"

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

int usage_failed(const struct usage *u, struct memo *problems, bool json, int code)
{
    const char *text = memo_text(problems);
    struct json j = json_to(stdout);

    if (*text == '\0')
        text = u->synopsis;
    fputs(text, stderr);
    if (json) {
        const size_t end = strlen(text);
        json_object_begin(&j);
        json_key(&j, "error");
        json_span(&j, span_of(text, end > 0 && text[end - 1] == '\n' ? end - 1 : end));
        json_key(&j, "exit");
        json_i64(&j, code);
        json_object_end(&j);
        fputc('\n', stdout);
    }
    memo_free(problems);
    return fflush(stdout) == 0 ? code : EXIT_FAILED;
}

int usage_exit(bool ok)
{
    return fflush(stdout) == 0 && ok ? EXIT_DONE : EXIT_FAILED;
}
