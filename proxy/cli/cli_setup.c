#include "cli/cli_setup.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/insist.h"
#include "base/memo.h"
#include "base/value.h"
#include "cli/cli_dial.h"
#include "cli/password.h"
#include "cli/setup_answers.h"
#include "cli/setup_config.h"
#include "cli/setup_files.h"
#include "cli/target.h"
#include "cli/usage.h"
#include "gate/preflight.h"
#include "tls/tls_basics.h"
#include "tls/tls_loaded.h"
#include "tls/tls_selfsigned.h"
#include "users/users_edit.h"

#define SERVICE_USER "sstpgate"
#define RUN_DIRECTORY "/run/sstpgate"

enum { PROBE_MS = 30000, PASSWORD_TRIES = 3, SECRET = 16, PUBLIC = 0644, SHARED = 0640 };

static void print_options(FILE *out)
{
    setup_answers_help(out);
}

static const struct usage usage = {
    .synopsis = "usage: sstpgate setup [--out DIR|FILE.conf] [--yes] [OPTIONS]\n",
    .help =
        "Asks for the settings of a gate, examines the SSTP server as `sstpgate probe` does, and\n"
        "writes a commented configuration, a users file and a certificate for a trial, with the\n"
        "permissions that the service needs. Checks them as `sstpgate -t` does, and removes them\n"
        "if they have errors. It overwrites no file. The answer ? explains a question.\n"
        "\n"
        "  -o, --out DIR|FILE.conf         where the configuration is written; other files are "
        "next\n"
        "                                  to it\n"
        "  -y, --yes                       ask nothing: use the options, and the defaults of "
        "others\n"
        "      --placeholders              continue if the server does not answer\n"
        "      --run-as USER               user of the service (default, for root: sstpgate)\n"
        "  -h, --help                      this text\n"
        "\n"
        "Exit codes: 0 the files were written, 1 failure, 2 usage or a wrong option; the server:\n"
        "3 no connection, 4 TLS, 5 another server, or SSTP is refused. Nothing was written unless\n"
        "the exit code is 0.\n"
        "\n"
        "Answers, each of which may be given as an option:\n",
    .more = print_options};

struct setup {
    struct setup_answers answers;
    const char *out, *run_as;
    bool yes, placeholders;
    char *path, *directory;    /* of the configuration */
    const struct passwd *user; /* that the service runs as; NULL: that of this process */
    struct target target;
    struct probe_settings settings;
    struct probe_result result;
    struct tls_ca *ca;
    char host_field[VALUE_HOST_SIZE + 2];
    bool probed;              /* result is that of an SSTP server */
    struct users_edit *users; /* NULL: the first user is not asked for */
    struct tls_selfsigned certificate;
    struct setup_files files;
};

static const char *answer(const struct setup *s, enum setup_question q)
{
    return setup_answer(&s->answers, q);
}

static bool has(const struct setup *s, enum setup_question q)
{
    const char *text = answer(s, q);
    return text != NULL && *text != '\0';
}

/* ---- options ---- */

enum { OPT_QUESTION = 256, OPT_PLACEHOLDERS = OPT_QUESTION + SETUP_QUESTIONS, OPT_RUN_AS, OWN = 5 };

static void fill_options(struct option options[SETUP_QUESTIONS + OWN + 1])
{
    static const struct option own[OWN + 1] = {
        {"out", required_argument, NULL, 'o'},
        {"yes", no_argument, NULL, 'y'},
        {"placeholders", no_argument, NULL, OPT_PLACEHOLDERS},
        {"run-as", required_argument, NULL, OPT_RUN_AS},
        {"help", no_argument, NULL, 'h'},
        {0}};

    for (int i = 0; i < SETUP_QUESTIONS; i++) {
        const enum setup_question q = (enum setup_question)i;
        options[i] = (struct option){setup_question_option(q), setup_question_argument(q) != NULL,
                                     NULL, OPT_QUESTION + i};
    }
    memcpy(options + SETUP_QUESTIONS, own, sizeof own);
}

static bool take_option(struct setup *s, int option)
{
    if (option >= OPT_QUESTION && option < OPT_QUESTION + SETUP_QUESTIONS) {
        const enum setup_question q = (enum setup_question)(option - OPT_QUESTION);
        s->answers.given[q] =
            setup_question_argument(q) != NULL ? optarg : setup_question_option(q);
        return true;
    }
    switch (option) {
    case 'o': s->out = optarg; return true;
    case 'y': s->yes = true; return true;
    case OPT_PLACEHOLDERS: s->placeholders = true; return true;
    case OPT_RUN_AS: s->run_as = optarg; return true;
    default: return false;
    }
}

/* Answers a question by an option that makes sense with this answer only. */
static void imply(struct setup *s, enum setup_question option, enum setup_question q,
                  const char *word)
{
    const char **given = s->answers.given;

    if (given[option] != NULL && given[q] == NULL)
        given[q] = word;
}

static void imply_answers(struct setup *s)
{
    imply(s, SETUP_USERS_FILE, SETUP_LOGINS, "file");
    imply(s, SETUP_RADIUS, SETUP_LOGINS, "radius");
    imply(s, SETUP_CERTIFICATE, SETUP_CERTIFICATES, "files");
    imply(s, SETUP_ACME, SETUP_CERTIFICATES, "acme");
}

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "sstpgate setup: %s: %s\n", what, why);
    return false;
}

/* ---- places ---- */

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Returns whether --out names the configuration itself, and not its directory. */
static bool is_file(const char *path)
{
    static const char end[] = ".conf";
    const size_t n = strlen(path);

    return n >= sizeof end && strcmp(path + n - (sizeof end - 1), end) == 0 && !is_directory(path);
}

/* Finds the absolute path of the configuration, and its directory. */
static bool find_place(struct setup *s)
{
    char here[PATH_MAX] = "";
    struct memo path;

    if (*s->out == '\0' || !value_is_writable(s->out))
        return complain("--out", "write the path of a directory or a file");
    if (*s->out != '/' && getcwd(here, sizeof here) == NULL)
        return complain("--out", strerror(errno));
    fprintf(memo_open(&path), "%s%s%s%s", here, *here == '\0' ? "" : "/", s->out,
            is_file(s->out) ? "" : "/sstpgate.conf");
    s->path = memo_take(&path);
    s->directory = insist_alloc(strdup(s->path));
    *strrchr(s->directory, '/') = '\0';
    s->answers.directory = s->directory;
    return setup_files_absent(s->path, stderr);
}

/* Finds the user of the service. Only root can start a gate for another user. */
static bool find_user(struct setup *s)
{
    if (s->run_as != NULL && geteuid() != 0)
        return complain("--run-as", "only root can write files for another user");
    s->user = geteuid() != 0 ? NULL : getpwnam(s->run_as != NULL ? s->run_as : SERVICE_USER);
    if (s->run_as != NULL && s->user == NULL)
        return complain("--run-as", "there is no such user");
    if (s->user != NULL && s->user->pw_uid == 0)
        return complain("--run-as", "root would drop no privileges: write another user");
    s->files.group = s->user == NULL ? (gid_t)-1 : s->user->pw_gid;
    if (geteuid() == 0 && s->user == NULL)
        fputs("There is no user " SERVICE_USER ", so the gate would run as root. Create it first: "
              "systemd-sysusers, or\n"
              "adduser --system --group --no-create-home " SERVICE_USER "\n",
              stderr);
    return true;
}

/* ---- the server ---- */

/* Examines the server, and reports it. Returns EXIT_DONE to continue. */
static int probe(struct setup *s)
{
    char error[TLS_ERROR_MAX];
    const char *name = answer(s, SETUP_SERVER_NAME);

    if (!target_host(&s->target, answer(s, SETUP_SERVER), "setup", stderr) ||
        (*name != '\0' && !target_rename(&s->target, name, "setup", stderr)))
        return EXIT_USAGE;
    s->ca = tls_ca_load("system", error);
    target_host_field(s->target.name, s->host_field);
    s->settings = (struct probe_settings){.host = s->target.host,
                                          .port = s->target.port,
                                          .name = s->target.name,
                                          .http_host = s->host_field,
                                          .ca = s->ca,
                                          .ca_error = s->ca == NULL ? error : NULL,
                                          .timeout_ms = PROBE_MS};
    printf("\nExamining %s, for %d seconds at most ...\n", answer(s, SETUP_SERVER),
           PROBE_MS / 1000);
    fflush(stdout);
    probe_run(&s->settings, &s->result);
    s->settings.ca_error = NULL; /* its buffer ends with this function */
    return EXIT_DONE;
}

static struct probe_report report_of(const struct setup *s)
{
    return (struct probe_report){.target = answer(s, SETUP_SERVER),
                                 .settings = &s->settings,
                                 .result = &s->result,
                                 .now = time(NULL)};
}

/* Examines the server, or accepts placeholders. Returns EXIT_DONE to continue. */
static int examine(struct setup *s)
{
    const int code = probe(s);

    if (code != EXIT_DONE)
        return code;
    const struct probe_report r = report_of(s);
    const enum fault fault = probe_fault(&s->result);
    probe_report_facts(&r, stdout);
    fputc('\n', stdout);
    fflush(stdout);
    s->probed = fault == FAULT_NONE;
    if (s->probed ||
        setup_answers_confirm(&s->answers, "Continue with placeholders, which refuse every server?",
                              s->placeholders))
        return EXIT_DONE;
    if (s->answers.exhausted)
        return EXIT_FAILED;
    fputs("Nothing was written. --placeholders continues without an answer of the server.\n",
          stderr);
    return fault_exit(s->result.call.step, fault);
}

/* ---- the first user ---- */

/* Reads the password of the first user, and hashes it. */
static bool add_user(struct setup *s)
{
    struct password password = {.n = 0};
    uint8_t hash_hash[NT_HASH];
    bool ok = false;

    s->users = users_edit_open(NULL, stderr);
    if (s->users == NULL || !has(s, SETUP_USER))
        return s->users != NULL;
    for (int i = 0; !ok && i < (isatty(STDIN_FILENO) ? PASSWORD_TRIES : 1); i++)
        ok = password_get(&password, "setup", true, stderr) &&
             password_hash(&password, "setup", hash_hash);
    if (ok)
        (void)users_edit_put(s->users, span_str(answer(s, SETUP_USER)), hash_hash, NULL);
    explicit_bzero(&password, sizeof password);
    explicit_bzero(hash_hash, sizeof hash_hash);
    return ok;
}

static bool is_new(const char *path)
{
    struct stat st;
    return path != NULL && lstat(path, &st) != 0;
}

/* ---- the files ---- */

static char *in_directory(const struct setup *s, const char *name)
{
    struct memo path;

    fprintf(memo_open(&path), "%s/%s", s->directory, name);
    return memo_take(&path);
}

static void add_users_file(struct setup *s)
{
    static const char head[] =
        "# Users of sstpgate: NAME:HASH-HASH, written by `sstpgate user -f FILE NAME`.\n";
    const struct span lines = users_edit_text(s->users);
    char *text = insist_alloc(malloc(sizeof head + lines.n));

    memcpy(text, head, sizeof head - 1);
    memcpy(text + sizeof head - 1, lines.p, lines.n);
    setup_files_add(&s->files, answer(s, SETUP_USERS_FILE),
                    span_of(text, sizeof head - 1 + lines.n), SHARED);
    explicit_bzero(text, sizeof head + lines.n);
    free(text);
}

static bool add_secret(struct setup *s)
{
    uint8_t octets[SECRET];
    char text[2 * SECRET + 1];

    if (getrandom(octets, sizeof octets, 0) != (ssize_t)sizeof octets)
        return complain("the secret", strerror(errno));
    hex_write(text, octets, sizeof octets);
    text[2 * SECRET] = '\n';
    setup_files_add(&s->files, answer(s, SETUP_RADIUS_SECRET), span_of(text, sizeof text), SHARED);
    explicit_bzero(octets, sizeof octets);
    explicit_bzero(text, sizeof text);
    return true;
}

static bool add_certificate(struct setup *s, const char *certificate, const char *key)
{
    char error[TLS_ERROR_MAX], host[VALUE_HOST_SIZE];
    const char *name = answer(s, SETUP_HOST);
    bool is_address;

    if (value_host(name, host, &is_address) == ERR_OK) /* without brackets */
        name = host;
    if (!tls_selfsigned_make(name, &s->certificate, error))
        return complain("the certificate", error);
    setup_files_add(&s->files, key, span_str(s->certificate.key), SHARED);
    setup_files_add(&s->files, certificate, span_str(s->certificate.certificate), PUBLIC);
    return true;
}

static void add_config(struct setup *s, const char *certificate, const char *key)
{
    const struct probe_report r = report_of(s);
    const bool admin = s->user != NULL && is_directory(RUN_DIRECTORY);
    const struct setup_config c = {.answers = &s->answers,
                                   .probe = s->probed ? &r : NULL,
                                   .path = s->path,
                                   .certificate = certificate,
                                   .key = key,
                                   .user = s->user == NULL ? NULL : s->user->pw_name,
                                   .admin = admin ? RUN_DIRECTORY "/admin.sock" : NULL};
    struct memo text;

    setup_config_write(&c, memo_open(&text));
    const char *config = memo_text(&text);
    setup_files_add(&s->files, s->path, span_of(config, text.n), SHARED);
    memo_free(&text);
}

/* Collects the files. The configuration is the last one: the service starts when it exists. */
static bool collect(struct setup *s)
{
    const bool own = !setup_answer_is(&s->answers, SETUP_CERTIFICATES, "files");
    char *certificate = in_directory(s, "vpn.pem"), *key = in_directory(s, "vpn.key");

    if (s->users != NULL)
        add_users_file(s);
    const bool ok = (!is_new(answer(s, SETUP_RADIUS_SECRET)) || add_secret(s)) &&
                    (!own || add_certificate(s, certificate, key));
    if (ok)
        add_config(s, own ? certificate : answer(s, SETUP_CERTIFICATE),
                   own ? key : answer(s, SETUP_KEY));
    free(certificate);
    free(key);
    return ok;
}

/* Checks the configuration as -t does, in a child, because the check becomes the user of the
 * configuration for good. Returns whether it has no errors. */
static bool check(const struct setup *s)
{
    int status;

    fflush(stdout);
    const pid_t child = fork();
    if (child == 0)
        _exit(preflight_config(s->path, stderr, NULL) == PREFLIGHT_ERRORS ? 1 : 0);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return complain("the check", strerror(errno));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Writes all files, or none. */
static bool write_files(struct setup *s)
{
    sigset_t block, before;
    bool ok = false;

    sigfillset(&block);
    sigprocmask(SIG_BLOCK, &block, &before);
    if (setup_files_write(&s->files, stderr)) {
        ok = check(s);
        if (!ok)
            setup_files_undo(&s->files);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (!ok)
        fputs("sstpgate setup: because of the problems above, nothing was written\n", stderr);
    return ok;
}

/* Shows which files will be written, and asks. */
static bool confirm(struct setup *s)
{
    if (s->answers.in == NULL)
        return true;
    fputs("\nThese files will be written:\n", stderr);
    for (size_t i = 0; i < s->files.count; i++)
        fprintf(stderr, "  %s\n", s->files.file[i].path);
    const bool yes = setup_answers_confirm(&s->answers, "Write them?", true);
    if (!yes && !s->answers.exhausted)
        fputs("Nothing was written.\n", stderr);
    return yes;
}

/* ---- the next steps ---- */

static void print_files(const struct setup *s)
{
    fputs("\nWritten, and valid:\n", stdout);
    for (size_t i = 0; i < s->files.count; i++)
        printf("  %s  mode %04o\n", s->files.file[i].path, (unsigned)s->files.file[i].mode);
}

/* Prints what replaces the self-signed certificate. */
static void print_own_certificate(const struct setup *s)
{
    const char *host = answer(s, SETUP_HOST);
    const char *group = s->user == NULL ? "root" : s->user->pw_name;

    printf("  certificate  self-signed, for %d days: for a trial, each client must trust\n"
           "               %s/vpn.pem\n",
           TLS_SELFSIGNED_DAYS, s->directory);
    if (has(s, SETUP_ACME))
        printf("               then, with %s/deploy from the directory examples/acme:\n"
               "               DEPLOY_CERTIFICATE=%s/vpn.pem DEPLOY_KEY=%s/vpn.key DEPLOY_GROUP=%s "
               "\\\n"
               "               lego --accept-tos --email you@example.com --path "
               "/var/lib/sstpgate-acme \\\n"
               "                   --domains %s --tls --tls.port %s \\\n"
               "                   run --run-hook '/bin/sh %s/deploy'\n"
               "               sstpgate-renew.timer in the same directory renews it\n",
               s->directory, s->directory, s->directory, group, host, answer(s, SETUP_ACME),
               s->directory);
    else
        fputs("               then replace both files by a certificate of a CA and its key\n",
              stdout);
}

static void print_certificate(const struct setup *s)
{
    if (!setup_answer_is(&s->answers, SETUP_CERTIFICATES, "files"))
        print_own_certificate(s);
    else
        fputs(
            "  certificate  the gate notices a renewed file by itself, so renew it in place; its\n"
            "               user must be able to read it, and the key\n",
            stdout);
}

static void print_logins(const struct setup *s)
{
    if (setup_answer_is(&s->answers, SETUP_LOGINS, "file"))
        printf("  users        sstpgate user -f %s NAME\n", answer(s, SETUP_USERS_FILE));
    else if (setup_answer_is(&s->answers, SETUP_LOGINS, "radius"))
        printf("  RADIUS       the secret is in %s; enter it at both servers\n",
               answer(s, SETUP_RADIUS_SECRET));
    else
        fputs("  logins       crypto-binding = auto; the configuration names the step that allows\n"
              "               rewrite\n",
              stdout);
}

static void print_next(const struct setup *s)
{
    const char *listen = answer(s, SETUP_LISTEN), *colon = strrchr(listen, ':');

    fputs("\nNext:\n", stdout);
    if (!s->probed)
        printf("  server       replace the section with PLACEHOLDER by: sstpgate probe --section "
               "%s\n",
               answer(s, SETUP_SERVER));
    printf("  start        systemctl enable --now sstpgate; or: sstpgate -c %s\n"
           "  firewall     admit TCP to port %s of this machine, and only this machine to the "
           "server\n"
           "  DNS          %s must resolve to this machine\n",
           s->path, colon == NULL ? "443" : colon + 1, answer(s, SETUP_HOST));
    print_certificate(s);
    print_logins(s);
    printf("  test         sstpgate dial -c %s --user %s public\n"
           "  if it fails  TROUBLESHOOTING.md; journalctl -u sstpgate\n",
           s->path, has(s, SETUP_USER) ? answer(s, SETUP_USER) : "NAME");
}

/* Offers a login through the gate. Its failure is reported, and is no failure of the setup. */
static void offer_dial(struct setup *s)
{
    char dial[] = "dial", c[] = "-c", user[] = "--user", listener[] = "public";
    char *words[] = {dial, c, s->path, user, s->answers.text[SETUP_USER], listener, NULL};
    enum { WORDS = sizeof words / sizeof *words - 1 };

    fflush(stdout);
    if (has(s, SETUP_USER) && s->answers.in != NULL &&
        setup_answers_confirm(&s->answers, "Test a login now? The gate must be running", false))
        (void)cli_dial(WORDS, words, s->path);
}

/* ---- the command ---- */

static void close_all(struct setup *s)
{
    setup_answers_fini(&s->answers);
    setup_files_fini(&s->files);
    tls_selfsigned_fini(&s->certificate);
    users_edit_free(s->users);
    probe_fini(&s->result);
    target_fini(&s->target);
    tls_ca_free(s->ca);
    free(s->path);
    free(s->directory);
}

/* Returns the exit code for answers that are missing. */
static int no_answer(const struct setup *s)
{
    return s->answers.exhausted ? EXIT_FAILED : EXIT_USAGE;
}

/* Gets the answers and examines the server. Returns EXIT_DONE to continue. */
static int ask(struct setup *s)
{
    int code;

    if (!setup_answers_get(&s->answers, SETUP_LISTEN, SETUP_SERVER_NAME))
        return no_answer(s);
    if ((code = examine(s)) != EXIT_DONE)
        return code;
    if (!setup_answers_get(&s->answers, SETUP_LOGINS, SETUP_USERS_FILE))
        return no_answer(s);
    const bool first = is_new(answer(s, SETUP_USERS_FILE));
    if (!setup_answers_get(&s->answers, SETUP_USER, SETUP_USER))
        return no_answer(s);
    if (first && !add_user(s))
        return EXIT_FAILED;
    return setup_answers_get(&s->answers, SETUP_RADIUS, SETUP_KEY) ? EXIT_DONE : no_answer(s);
}

static int setup(struct setup *s)
{
    if (!find_place(s) || !find_user(s))
        return EXIT_FAILED;
    const int code = ask(s);
    if (code != EXIT_DONE)
        return code;
    if (!collect(s) || !confirm(s) || !write_files(s))
        return EXIT_FAILED;
    print_files(s);
    print_next(s);
    offer_dial(s);
    return usage_exit(true);
}

int cli_setup(int argc, char **argv, const char *config)
{
    struct setup s = {.out = config, .files = {.group = (gid_t)-1}, .answers = {.out = stderr}};
    char error[TLS_BASICS_ERROR_MAX];
    struct option options[SETUP_QUESTIONS + OWN + 1];
    int option;

    fill_options(options);
    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "o:yh", options, NULL)) != -1) {
        if (option == 'h')
            return usage_help(&usage);
        if (!take_option(&s, option))
            return usage_wrong(&usage);
    }
    if (optind != argc)
        return usage_wrong(&usage);
    if (!tls_basics(error)) {
        fprintf(stderr, "sstpgate setup: %s\n", error);
        return EXIT_FAILED;
    }
    imply_answers(&s);
    setvbuf(stdin, NULL, _IONBF, 0); /* the password after an answer is not read ahead */
    s.answers.in = s.yes ? NULL : stdin;
    const int code = setup(&s);
    close_all(&s);
    return code;
}
