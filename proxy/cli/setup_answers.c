#include "cli/setup_answers.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/memo.h"
#include "base/value.h"
#include "config/config_load.h"
#include "config/config_table.h"
#include "tls/tls_facts.h"
#include "tls/tls_loaded.h"
#include "users/secret.h"
#include "users/users.h"

enum { LINE_MAX_BYTES = 2 * VALUE_TEXT_MAX };

/* Returns whether text can be the answer; otherwise writes the reason to problems. */
typedef bool check(const struct setup_answers *a, const char *text, FILE *problems);

struct question {
    const char *option, *argument;
    const char *ask; /* NULL: an option only */
    const char *help;
    const char *initial; /* the default; "": none; NULL: an answer is needed */
    bool path;           /* made absolute; initial: in the directory of the new files */
    enum config_section in;
    const char *key;            /* of the configuration, that accepts the answer; NULL: none */
    const char *words;          /* the only answers, with a blank after each; NULL: any */
    check *check;               /* NULL: none */
    enum setup_question parent; /* asked only if the answer to parent is `of` */
    const char *of;             /* NULL: always asked */
};

/* ---- checks ---- */

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static bool check_server(const struct setup_answers *a, const char *text, FILE *problems)
{
    char host[VALUE_HOST_SIZE];
    uint16_t port;

    (void)a;
    if (value_host_port(text, host, &port) == ERR_OK)
        return true;
    fputs("write HOST or HOST:PORT, without options\n", problems);
    return false;
}

static bool check_users(const struct setup_answers *a, const char *text, FILE *problems)
{
    struct users *u = exists(text) ? users_load(text, problems) : NULL;
    const bool ok = u != NULL || !exists(text);

    (void)a;
    users_free(u);
    return ok;
}

static bool check_user(const struct setup_answers *a, const char *text, FILE *problems)
{
    char why[USERS_REASON_MAX];
    const char *problem = users_name_problem(span_str(text), why);

    (void)a;
    if (problem != NULL)
        fprintf(problems, "%s\n", problem);
    return problem == NULL;
}

static bool check_secret(const struct setup_answers *a, const char *text, FILE *problems)
{
    struct secret *s = exists(text) ? secret_load(text, problems) : NULL;
    const bool ok = s != NULL || !exists(text);

    (void)a;
    secret_free(s);
    return ok;
}

static bool is_pkcs12(const char *path)
{
    const size_t n = strlen(path);
    return n > 4 &&
           (strcasecmp(path + n - 4, ".pfx") == 0 || strcasecmp(path + n - 4, ".p12") == 0);
}

/* The content of PKCS#12 is checked with its passphrase. */
static bool check_certificate(const struct setup_answers *a, const char *text, FILE *problems)
{
    const struct tls_certificate files = {.file = text};
    char error[TLS_ERROR_MAX];
    struct tls_facts facts;

    (void)a;
    if (is_pkcs12(text) && access(text, R_OK) == 0)
        return true;
    if (!tls_facts_read(&files, &facts, error)) {
        fprintf(problems, "%s\n", error);
        return false;
    }
    tls_facts_fini(&facts);
    return true;
}

/* "": none. */
static const char *file_or_null(const char *path)
{
    return path == NULL || *path == '\0' ? NULL : path;
}

static bool check_key(const struct setup_answers *a, const char *text, FILE *problems)
{
    const struct tls_certificate files = {.file = setup_answer(a, SETUP_CERTIFICATE),
                                          .key = file_or_null(text),
                                          .passphrase_file =
                                              file_or_null(setup_answer(a, SETUP_PASSPHRASE))};
    char error[TLS_ERROR_MAX];
    struct tls_pair *pair = tls_pair_load(&files, error);

    if (pair == NULL)
        fprintf(problems, "%s\n", error);
    tls_pair_free(pair);
    return pair != NULL;
}

/* ---- the questions ---- */

static const struct question questions[SETUP_QUESTIONS] = {
    [SETUP_LISTEN] = {.option = "listen",
                      .argument = "ADDRESS:PORT",
                      .ask = "Address and port that clients connect to",
                      .help = "address of this machine, *:443 (default): every one",
                      .initial = "*:443",
                      .in = LISTENER,
                      .key = "listen"},
    [SETUP_HOST] = {.option = "host",
                    .argument = "NAME",
                    .ask = "Public name, which clients dial and the certificate has",
                    .help = "the public name, which clients dial: vpn.example.com",
                    .in = LISTENER,
                    .key = "host"},
    [SETUP_SERVER] = {.option = "server",
                      .argument = "HOST[:PORT]",
                      .ask = "SSTP server behind the gate",
                      .help = "the SSTP server behind the gate; port 443 by default",
                      .in = BACKEND,
                      .key = "server",
                      .check = check_server},
    [SETUP_SERVER_NAME] = {.option = "server-name",
                           .argument = "NAME",
                           .help = "name of the server for SNI and its certificate, if --server is "
                                   "an address",
                           .initial = "",
                           .in = BACKEND,
                           .key = "sni"},
    [SETUP_LOGINS] = {.option = "logins",
                      .argument = "file|radius|none",
                      .ask = "Keys of the logins: from a users file, from RADIUS, or none (file, "
                             "radius, none)",
                      .help = "keys of MS-CHAPv2: of a users file (default), of RADIUS, or none: "
                              "then the server alone verifies the binding",
                      .initial = "file",
                      .words = "file radius none "},
    [SETUP_USERS_FILE] = {.option = "users-file",
                          .argument = "FILE",
                          .ask = "Users file; created if it does not exist",
                          .help = "the users file, created if it does not exist (default: users)",
                          .initial = "users",
                          .path = true,
                          .in = BACKEND,
                          .key = "users-file",
                          .check = check_users,
                          .parent = SETUP_LOGINS,
                          .of = "file"},
    [SETUP_USER] = {.option = "user",
                    .argument = "NAME",
                    .ask = "First user in the new users file; more with `sstpgate user` (empty: "
                           "none)",
                    .help = "first user in a new users file; the password is read as by `sstpgate "
                            "user`",
                    .initial = "",
                    .check = check_user,
                    .parent = SETUP_LOGINS,
                    .of = "file"},
    [SETUP_RADIUS] = {.option = "radius",
                      .argument = "HOST[:PORT]",
                      .ask = "RADIUS server that authenticates the users",
                      .help = "RADIUS server; the gate becomes a proxy in front of it",
                      .in = RADIUS,
                      .key = "server",
                      .parent = SETUP_LOGINS,
                      .of = "radius"},
    [SETUP_RADIUS_LISTEN] = {.option = "radius-listen",
                             .argument = "ADDRESS[:PORT]",
                             .ask = "Address of the gate that the SSTP server will use as its "
                                    "RADIUS server",
                             .help = "address of this machine for RADIUS requests of the SSTP "
                                     "server",
                             .in = RADIUS,
                             .key = "listen",
                             .parent = SETUP_LOGINS,
                             .of = "radius"},
    [SETUP_RADIUS_CLIENT] = {.option = "radius-client",
                             .argument = "ADDRESS",
                             .ask = "Address that the RADIUS requests of the SSTP server come from",
                             .help = "address that these requests come from",
                             .in = RADIUS,
                             .key = "clients",
                             .parent = SETUP_LOGINS,
                             .of = "radius"},
    [SETUP_RADIUS_SECRET] = {.option = "radius-secret-file",
                             .argument = "FILE",
                             .ask = "File with the RADIUS secret; created with a random one if it "
                                    "does not exist",
                             .help = "the shared secret, created if it does not exist (default: "
                                     "radius.secret)",
                             .initial = "radius.secret",
                             .path = true,
                             .in = RADIUS,
                             .key = "secret-file",
                             .check = check_secret,
                             .parent = SETUP_LOGINS,
                             .of = "radius"},
    [SETUP_CERTIFICATES] = {.option = "self-signed",
                            .ask = "Certificate: existing files, a self-signed one for a trial, or "
                                   "one that an ACME client renews (files, self-signed, acme)",
                            .help = "a new self-signed certificate, for a trial (default)",
                            .initial = "self-signed",
                            .words = "files self-signed acme "},
    [SETUP_ACME] = {.option = "acme",
                    .argument = "ADDRESS:PORT",
                    .ask = "Address where the ACME client, such as lego, will answer validations",
                    .help = "address where an ACME client answers tls-alpn-01; until it has a "
                            "certificate, a self-signed one",
                    .initial = "127.0.0.1:8443",
                    .in = LISTENER,
                    .key = "acme",
                    .parent = SETUP_CERTIFICATES,
                    .of = "acme"},
    [SETUP_CERTIFICATE] = {.option = "certificate",
                           .argument = "FILE",
                           .ask = "File of the certificate with its intermediates (PEM, or .pfx)",
                           .help = "certificate with its intermediates: PEM, or .pfx of Windows",
                           .path = true,
                           .in = LISTENER,
                           .key = "certificate",
                           .check = check_certificate,
                           .parent = SETUP_CERTIFICATES,
                           .of = "files"},
    [SETUP_PASSPHRASE] = {.option = "passphrase-file",
                          .argument = "FILE",
                          .help = "file whose first line decrypts the key",
                          .initial = "",
                          .path = true,
                          .in = LISTENER,
                          .key = "passphrase-file",
                          .parent = SETUP_CERTIFICATES,
                          .of = "files"},
    [SETUP_KEY] = {.option = "key",
                   .argument = "FILE",
                   .ask = "File of the private key (empty: the same file)",
                   .help = "private key, if it is in another file",
                   .initial = "",
                   .path = true,
                   .in = LISTENER,
                   .key = "key",
                   .check = check_key,
                   .parent = SETUP_CERTIFICATES,
                   .of = "files"},
};

const char *setup_question_option(enum setup_question q)
{
    return questions[q].option;
}

const char *setup_question_argument(enum setup_question q)
{
    return questions[q].argument;
}

void setup_answers_help(FILE *out)
{
    enum { COLUMN = 34 };

    for (size_t i = 0; i < SETUP_QUESTIONS; i++) {
        const struct question *q = &questions[i];
        const int n =
            fprintf(out, "      --%s %s", q->option, q->argument == NULL ? "" : q->argument);
        fprintf(out, "%*s%s\n", n < COLUMN ? COLUMN - n : 1, "", q->help);
    }
}

const char *setup_answer(const struct setup_answers *a, enum setup_question q)
{
    return a->text[q];
}

bool setup_answer_is(const struct setup_answers *a, enum setup_question q, const char *word)
{
    return a->text[q] != NULL && strcmp(a->text[q], word) == 0;
}

/* ---- one answer ---- */

/* Returns whether the configuration accepts text as the value of the key: reads a file whose third
 * line sets the key. Problems of other lines are ignored. */
static bool key_accepts(const struct question *q, const char *text, FILE *problems)
{
    static const char begin[] = "answer:3: ";
    struct memo file, found;
    bool ok = true;

    fprintf(memo_open(&file), "[%s setup]\n%s\n%s = %s\n", config_sections[q->in].word,
            q->in == LISTENER ? "certificate = above.key" : "", q->key, text);
    char *conf = memo_text(&file);
    config_free(config_parse("answer", conf, file.n, memo_open(&found)));
    char *rest = memo_text(&found), *line;
    while ((line = strsep(&rest, "\n")) != NULL)
        if (strncmp(line, begin, sizeof begin - 1) == 0) {
            fprintf(problems, "%s\n", line + sizeof begin - 1);
            ok = false;
        }
    memo_free(&found);
    memo_free(&file);
    return ok;
}

static bool is_word(const char *words, const char *text)
{
    const char *at = strstr(words, text);
    return at != NULL && strchr(text, ' ') == NULL && (at == words || at[-1] == ' ') &&
           at[strlen(text)] == ' ';
}

static bool text_is_good(const struct setup_answers *a, const struct question *q, const char *text,
                         FILE *problems)
{
    if (!value_is_writable(text)) {
        fputs("a configuration cannot contain this text\n", problems);
        return false;
    }
    if (strstr(text, "${") != NULL) {
        fputs("write the value itself, not ${NAME}\n", problems);
        return false;
    }
    if (q->words != NULL && !is_word(q->words, text)) {
        fprintf(problems, "'%s' is not one of: %s\n", text, q->words);
        return false;
    }
    return (q->key == NULL || key_accepts(q, text, problems)) &&
           (q->check == NULL || q->check(a, text, problems));
}

/* Returns text as an absolute path, to be freed. base: its start. */
static char *absolute(const char *base, const char *text)
{
    struct memo path;

    memo_open(&path);
    if (*text != '/' && *text != '\0')
        fprintf(path.file, "%s/", base);
    fputs(text, path.file);
    return memo_take(&path);
}

/* Accepts an answer: text of the user or of an option. False: the reason is in a->out. */
static bool take(struct setup_answers *a, enum setup_question id, const char *text,
                 const char *base)
{
    const struct question *q = &questions[id];
    char *answer = q->path ? absolute(base, text) : insist_alloc(strdup(text));
    struct memo why;
    FILE *problems = memo_open(&why);
    const bool none = *answer == '\0' && q->initial != NULL && *q->initial == '\0';
    const bool ok = none ? id != SETUP_KEY || check_key(a, answer, problems)
                         : text_is_good(a, q, answer, problems);

    if (!ok)
        fprintf(a->out, "  %s", memo_text(&why));
    memo_free(&why);
    if (ok) {
        free(a->text[id]);
        a->text[id] = answer;
    } else {
        free(answer);
    }
    return ok;
}

/* ---- all answers ---- */

/* Reads a line without its end and without blanks around it. A longer one is cut, and is still
 * longer than any answer. NULL: the input has ended. */
static char *read_line(struct setup_answers *a, char line[LINE_MAX_BYTES])
{
    int c = '\0';

    if (fgets(line, LINE_MAX_BYTES, a->in) == NULL) {
        a->exhausted = true;
        fputs("\nThe input has ended. Nothing was written.\n", a->out);
        return NULL;
    }
    while (strchr(line, '\n') == NULL && c != '\n' && c != EOF)
        c = fgetc(a->in);
    line += strspn(line, " \t");
    for (size_t n = strlen(line); n > 0 && strchr(" \t\r\n", line[n - 1]) != NULL; n--)
        line[n - 1] = '\0';
    return line;
}

/* Returns the start of relative paths of the user. */
static const char *here(char out[PATH_MAX])
{
    return getcwd(out, PATH_MAX) == NULL ? "" : out;
}

static void prompt(const struct setup_answers *a, const struct question *q)
{
    fprintf(a->out, "%s", q->ask);
    if (q->initial != NULL && *q->initial != '\0')
        fprintf(a->out, " [%s%s%s]", q->path ? a->directory : "", q->path ? "/" : "", q->initial);
    fputs(": ", a->out);
    fflush(a->out);
}

/* Asks until an answer is accepted. False: the input has ended. */
static bool ask(struct setup_answers *a, enum setup_question id)
{
    const struct question *q = &questions[id];
    char line[LINE_MAX_BYTES], base[PATH_MAX];
    const char *text;

    for (;;) {
        prompt(a, q);
        if ((text = read_line(a, line)) == NULL)
            return false;
        const bool use_initial = *text == '\0' && q->initial != NULL;
        if (*text == '\0' && q->initial == NULL)
            fputs("  an answer is needed; ? explains\n", a->out);
        else if (strcmp(text, "?") == 0)
            fprintf(a->out, "  %s\n", q->help);
        else if (use_initial ? take(a, id, q->initial, a->directory)
                             : take(a, id, text, here(base)))
            return true;
    }
}

static bool is_needed(const struct setup_answers *a, enum setup_question id)
{
    const struct question *q = &questions[id];

    if (id == SETUP_USER && a->text[SETUP_USERS_FILE] != NULL && exists(a->text[SETUP_USERS_FILE]))
        return false;
    return q->of == NULL || setup_answer_is(a, q->parent, q->of);
}

/* Returns whether the user is asked. A PKCS#12 file contains the key, and needs a passphrase. */
static bool is_asked(const struct setup_answers *a, enum setup_question id)
{
    const char *certificate = a->text[SETUP_CERTIFICATE];

    if (a->in == NULL || questions[id].ask == NULL)
        return false;
    return id == SETUP_KEY          ? !is_pkcs12(certificate)
           : id == SETUP_PASSPHRASE ? is_pkcs12(certificate)
                                    : true;
}

/* Takes the answer of an option. */
static bool take_given(struct setup_answers *a, enum setup_question id)
{
    const struct question *q = &questions[id];
    char base[PATH_MAX];

    if (!is_needed(a, id)) {
        fprintf(a->out, "sstpgate setup: --%s is not possible: %s\n", q->option,
                id == SETUP_USER && setup_answer_is(a, SETUP_LOGINS, "file")
                    ? "the users file exists; use `sstpgate user -f FILE NAME`"
                    : "it contradicts the other options");
        return false;
    }
    if (take(a, id, a->given[id], here(base)))
        return true;
    fprintf(a->out, "sstpgate setup: --%s '%s' is not possible: see above\n", q->option,
            a->given[id]);
    return false;
}

static bool take_initial(struct setup_answers *a, enum setup_question id)
{
    const struct question *q = &questions[id];

    if (q->initial != NULL)
        return take(a, id, q->initial, a->directory);
    fprintf(a->out, "sstpgate setup: --%s is needed\n", q->option);
    return false;
}

bool setup_answers_get(struct setup_answers *a, enum setup_question first, enum setup_question last)
{
    for (enum setup_question id = first; id <= last; id++) {
        bool ok = true;
        if (a->given[id] != NULL)
            ok = take_given(a, id);
        else if (is_needed(a, id))
            ok = is_asked(a, id) ? ask(a, id) : take_initial(a, id);
        if (!ok)
            return false;
    }
    return true;
}

bool setup_answers_confirm(struct setup_answers *a, const char *question, bool otherwise)
{
    char line[LINE_MAX_BYTES];
    const char *text;

    if (a->in == NULL)
        return otherwise;
    for (;;) {
        fprintf(a->out, "%s (yes, no) [%s]: ", question, otherwise ? "yes" : "no");
        fflush(a->out);
        if ((text = read_line(a, line)) == NULL)
            return false;
        if (*text == '\0')
            return otherwise;
        if (strcmp(text, "yes") == 0 || strcmp(text, "y") == 0)
            return true;
        if (strcmp(text, "no") == 0 || strcmp(text, "n") == 0)
            return false;
        fputs("  write yes or no\n", a->out);
    }
}

void setup_answers_fini(struct setup_answers *a)
{
    for (size_t i = 0; i < SETUP_QUESTIONS; i++) {
        free(a->text[i]);
        a->text[i] = NULL;
    }
}
