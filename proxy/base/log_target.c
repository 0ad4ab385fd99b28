#include "base/log_target.h"

#include <string.h>
#include <syslog.h>

#include "base/ascii.h"
#include "base/span.h"

static const struct {
    const char *name;
    int facility;
} facilities[] = {
    {"auth", LOG_AUTH},     {"authpriv", LOG_AUTHPRIV}, {"cron", LOG_CRON},
    {"daemon", LOG_DAEMON}, {"ftp", LOG_FTP},           {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2},     {"local3", LOG_LOCAL3},
    {"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5},     {"local6", LOG_LOCAL6},
    {"local7", LOG_LOCAL7}, {"lpr", LOG_LPR},           {"mail", LOG_MAIL},
    {"news", LOG_NEWS},     {"syslog", LOG_SYSLOG},     {"user", LOG_USER},
    {"uucp", LOG_UUCP},
};

/* Devices that take lines; /dev/shm holds ordinary files. */
static const char *const devices[] = {"/dev/null", "/dev/console", "/dev/tty",
                                      "/dev/fd/",  "/dev/pts/",    "/dev/shm/"};

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool find_facility(struct span name, int *facility)
{
    for (size_t i = 0; i < sizeof facilities / sizeof *facilities; i++)
        if (span_eq(name, span_str(facilities[i].name))) {
            *facility = facilities[i].facility;
            return true;
        }
    return false;
}

static bool take_tag(const char *text, char tag[LOG_TAG_MAX + 1])
{
    const size_t n = strlen(text);

    if (n == 0 || n > LOG_TAG_MAX)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!ascii_is_letter(text[i]) && !ascii_is_digit(text[i]) && strchr("-_.", text[i]) == NULL)
            return false;
    memcpy(tag, text, n + 1);
    return true;
}

/* Parses the text after the word syslog: nothing, or `:FACILITY[:TAG]`. */
static enum err parse_syslog(const char *rest, struct log_target *out, const char **why)
{
    *out = (struct log_target){.kind = LOG_TO_SYSLOG, .facility = LOG_DAEMON, .tag = "sstpgate"};
    if (*rest == '\0')
        return ERR_OK;
    const char *facility = rest + 1, *colon = strchr(facility, ':');
    const size_t n = colon == NULL ? strlen(facility) : (size_t)(colon - facility);

    if (!find_facility(span_of(facility, n), &out->facility)) {
        *why =
            "has an unknown facility: write syslog:daemon, user, auth, authpriv, local0 to local7, "
            "cron, ftp, lpr, mail, news, syslog or uucp";
        return ERR_SYNTAX;
    }
    if (colon != NULL && !take_tag(colon + 1, out->tag)) {
        *why = "has a wrong tag: write 1 to 32 letters, digits, '-', '_' or '.'";
        return ERR_SYNTAX;
    }
    return ERR_OK;
}

/* Returns why text cannot be the path of a log; NULL: it can. A name without slash and dot, or with
 * a colon in front, looks like a target. */
static const char *path_flaw(const char *text)
{
    const char *slash = strchr(text, '/'), *colon = strchr(text, ':');

    if (strcmp(text, "/dev/log") == 0)
        return "is the socket of the syslog daemon: write syslog";
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (starts_with(text, devices[i]))
            return NULL;
    if (starts_with(text, "/dev/"))
        return "is not a file: write stderr, stdout, syslog or a path outside /dev";
    if ((slash == NULL && strchr(text, '.') == NULL) ||
        (colon != NULL && (slash == NULL || colon < slash)))
        return "is not a target: write stderr (which systemd puts into the journal), stdout, "
               "syslog, syslog:FACILITY, syslog:FACILITY:TAG, or a file as ./NAME or /PATH";
    return NULL;
}

enum err log_target_parse(const char *text, struct log_target *out, const char **why)
{
    static const char word[] = "syslog";
    const char *rest = text + sizeof word - 1;

    if (starts_with(text, word) && (*rest == '\0' || *rest == ':'))
        return parse_syslog(rest, out, why);
    *out = (struct log_target){.kind = LOG_TO_FILE};
    if (strcmp(text, "stderr") == 0 || strcmp(text, "/dev/stderr") == 0)
        out->kind = LOG_TO_STDERR;
    else if (strcmp(text, "stdout") == 0 || strcmp(text, "/dev/stdout") == 0)
        out->kind = LOG_TO_STDOUT;
    *why = out->kind == LOG_TO_FILE ? path_flaw(text) : NULL;
    return *why == NULL ? ERR_OK : ERR_SYNTAX;
}

bool log_target_is_device(const char *path)
{
    return starts_with(path, "/dev/") && !starts_with(path, "/dev/shm/");
}
