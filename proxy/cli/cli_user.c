#include "cli/cli_user.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/insist.h"
#include "base/span.h"
#include "binding/nthash.h"
#include "cli/password.h"
#include "cli/usage.h"
#include "cli/user_view.h"
#include "users/import.h"
#include "users/users.h"
#include "users/users_edit.h"

static const struct usage usage = {
    .synopsis = "usage: sstpgate user [-f USERS] [--until TIME] NAME\n"
                "       sstpgate user -f USERS --delete|--check NAME\n"
                "       sstpgate user -f USERS --list [--json]\n"
                "       sstpgate user [-f USERS] --import KIND [--encrypted 0|1] [--machines]\n"
                "                     [--until TIME] FILE\n",
    .help =
        "Asks for the password of NAME and writes the line for the users file of a backend to\n"
        "USERS, replacing an existing line of NAME; without -f, to standard output.\n"
        "\n"
        "NAME is the user name as the VPN client sends it: name, DOMAIN\\name or name@realm. A\n"
        "line for the bare name covers all three; case is ignored. On a terminal the password\n"
        "must be typed twice and is not echoed; otherwise it is the first line of standard\n"
        "input (UTF-8).\n"
        "\n"
        "  -f, --file USERS  the users file, created with mode 0600 if it does not exist. It is\n"
        "                    replaced atomically and keeps its owner, mode, comments and order. A\n"
        "                    running gate reloads it automatically\n"
        "  -D, --delete      remove the line of NAME\n"
        "  --until TIME      the end of the line: a date such as 2027-01-31, whose whole day "
        "still\n"
        "                    counts, or a time such as 2027-01-31T18:00Z, both in UTC; never:\n"
        "                    no end. Without this option an existing line keeps its end. From\n"
        "                    then on the gate refuses new logins of the user; a tunnel stays\n"
        "  --check           ask for a password and report whether it is that of NAME, and\n"
        "                    whether the line has ended\n"
        "  --list            print the names in USERS, one on each line; behind a tab the end of\n"
        "                    a line that has one, and behind another tab `expired`\n"
        "  -j, --json        the list as one JSON object\n"
        "  --import KIND     import the users of FILE, or of standard input for `-`:\n"
        "        accel-ppp     its chap-secrets\n"
        "        pppd          its chap-secrets: client, server, secret, addresses\n"
        "        chap-secrets  either of them, as far as both read a line in the same way\n"
        "        smbpasswd     NT hashes, as `pdbedit -Lw` prints them\n"
        "                    A line that cannot be read, or is doubtful, is reported and the\n"
        "                    others are imported. Accounts without a password, disabled accounts\n"
        "                    and wildcards are skipped\n"
        "  --encrypted 0|1   with accel-ppp: `encrypted` of accel-ppp.conf; 1: NT hashes\n"
        "  --machines        with smbpasswd: import the accounts of machines, too\n"
        "  -h, --help        this text\n"
        "\n"
        "Exit codes: 0 success, 1 failure, 2 usage, 3 --check: wrong password or unknown user;\n"
        "--import: some lines could not be imported; 4 --check: the right password, but the line\n"
        "has ended.\n"
        "\n"
        "A line contains NtPasswordHashHash (RFC 2759), not the password. It cannot be used to\n"
        "log in by MS-CHAPv2, but an attacker who has it can impersonate the server to that user,\n"
        "derive the keys of recorded logins and test guesses of the password. Protect the file:\n"
        "mode 0640 at most, owner root. Renew the line when the password changes.\n"};

/* ---- output ---- */

/* Prints without stdio, whose buffer would keep a copy. */
static bool print(struct span text)
{
    if (file_write(STDOUT_FILENO, text.p, text.n))
        return true;
    fprintf(stderr, "sstpgate user: standard output: %s\n", strerror(errno));
    return false;
}

/* Saves the edited file, or prints its text. users: path of the file; NULL: print. */
static bool edit_finish(struct users_edit *e, const char *users)
{
    return users == NULL ? print(users_edit_text(e)) : users_edit_save(e, stderr);
}

/* ---- one user ---- */

/* Adds or replaces the line of a user. Locks the file, but not while the password is typed. */
static bool put_user(const char *name, const char *users, const uint8_t hash_hash[NT_HASH],
                     const char *until)
{
    static const char *const done[] = {
        [USERS_ADDED] = "added", [USERS_REPLACED] = "replaced", [USERS_SAME] = "unchanged"};
    struct users_edit *e = users_edit_open(users, stderr);

    if (e == NULL)
        return false;
    const enum users_edited edited = users_edit_put(e, span_str(name), hash_hash, until);
    const bool good = edit_finish(e, users);
    if (good && users != NULL)
        fprintf(stderr, "sstpgate user: %s: %s %s\n", users, name, done[edited]);
    users_edit_free(e);
    return good;
}

static bool ask_and_put(const char *name, const char *users, const char *until)
{
    struct password password;
    uint8_t hash_hash[NT_HASH];
    /* Opened once before the question, so that an unusable file is reported at once. */
    struct users_edit *e = users_edit_open(users, stderr);

    if (e == NULL)
        return false;
    users_edit_free(e);
    const bool good = password_get(&password, "user", true, stderr) &&
                      password_hash(&password, "user", hash_hash) &&
                      put_user(name, users, hash_hash, until);

    explicit_bzero(&password, sizeof password);
    explicit_bzero(hash_hash, sizeof hash_hash);
    return good;
}

static bool delete_user(const char *name, const char *users)
{
    struct users_edit *e = users_edit_open(users, stderr);
    bool good = false;

    if (e == NULL)
        return false;
    if (!users_edit_delete(e, span_str(name)))
        fprintf(stderr, "sstpgate user: %s: no user %s\n", users, name);
    else if ((good = edit_finish(e, users)))
        fprintf(stderr, "sstpgate user: %s: %s deleted\n", users, name);
    users_edit_free(e);
    return good;
}

/* ---- --check ---- */

/* Asks for a password once, and reports whether it is that of name. Returns the exit code. */
static int ask_and_compare(const struct users *u, const char *name)
{
    struct nthash *md4 = password_md4("user");
    struct password password;
    uint8_t hash_hash[NT_HASH];
    int code = EXIT_FAILED;

    if (md4 == NULL)
        return EXIT_FAILED;
    if (password_get(&password, "user", false, stderr) &&
        password_hash(&password, "user", hash_hash))
        code = user_compare(u, name, md4, hash_hash, time(NULL));
    nthash_free(md4);
    explicit_bzero(&password, sizeof password);
    explicit_bzero(hash_hash, sizeof hash_hash);
    return code;
}

static int check_user(const char *name, const char *path)
{
    struct users_match found[USERS_MATCH_MAX];
    struct users *u = users_load(path, stderr);
    int code = EXIT_PARTLY;

    if (u == NULL)
        return EXIT_FAILED;
    if (users_find(u, span_str(name), found) == 0)
        fprintf(stderr, "sstpgate user: %s: no user %s\n", path, name);
    else
        code = ask_and_compare(u, name);
    users_free(u);
    return code;
}

/* ---- import ---- */

struct import {
    const char *path; /* for messages */
    const struct nthash *md4;
    struct users_edit *edit;
    const char *until; /* as for users_edit_put */
    size_t edited[USERS_TWICE + 1], skipped, problems;
};

static void on_skipped(void *arg, unsigned line, struct span name, const char *reason)
{
    struct import *i = arg;
    fprintf(stderr, "%s:%u: %.*s%sskipped: %s\n", i->path, line, (int)name.n,
            name.n == 0 ? "" : (const char *)name.p, name.n == 0 ? "" : ": ", reason);
    i->skipped++;
}

static void on_problem(void *arg, unsigned line, const char *reason)
{
    struct import *i = arg;
    fprintf(stderr, "%s:%u: %s\n", i->path, line, reason);
    i->problems++;
}

static void on_user(void *arg, const struct import_user *user)
{
    struct import *i = arg;
    uint8_t hash_hash[NT_HASH];
    const enum err e = user->hash ? nthash_from_hash(i->md4, user->secret.p, hash_hash)
                                  : nthash_from_octets(i->md4, user->secret, hash_hash);

    if (e == ERR_TOO_LARGE)
        on_skipped(i, user->line, user->name, "its secret is longer than 256 bytes");
    else if (e != ERR_OK)
        on_problem(i, user->line, "could not be hashed");
    else {
        const enum users_edited edited = users_edit_put(i->edit, user->name, hash_hash, i->until);
        i->edited[edited]++;
        if (edited == USERS_TWICE)
            on_skipped(i, user->line, user->name,
                       "an earlier line for this name has a different secret");
    }
    explicit_bzero(hash_hash, sizeof hash_hash);
}

/* Moves a text to a block of twice the size, without realloc(), which leaves a copy. */
static char *grow(char *text, size_t *room)
{
    char *more = insist_alloc(malloc(2 * *room));

    memcpy(more, text, *room);
    explicit_bzero(text, *room);
    free(text);
    *room *= 2;
    return more;
}

/* Reads any file to its end, even the pipe of a shell's <(command). The caller wipes and frees
 * the text. NULL: the reason was written to standard error. */
static char *read_all(int fd, const char *path, size_t *len)
{
    enum { FIRST = 64 << 10, MAX = 256 << 20 };
    size_t room = FIRST;
    char *text = insist_alloc(malloc(room));
    ssize_t got;

    *len = 0;
    while ((got = file_read(fd, text + *len, room - *len)) >= 0) {
        *len += (size_t)got;
        if (*len > MAX)
            break;
        if (*len < room)
            return text;
        text = grow(text, &room);
    }
    fprintf(stderr, "sstpgate user: %s: %s\n", path, got < 0 ? strerror(errno) : "too large");
    explicit_bzero(text, room);
    free(text);
    return NULL;
}

static void print_result(const struct import *i, const char *users)
{
    if (users == NULL)
        fprintf(stderr, "sstpgate user: %zu users, %zu skipped\n", i->edited[USERS_ADDED],
                i->skipped);
    else
        fprintf(stderr, "sstpgate user: %s: %zu added, %zu replaced, %zu unchanged, %zu skipped\n",
                users, i->edited[USERS_ADDED], i->edited[USERS_REPLACED], i->edited[USERS_SAME],
                i->skipped);
}

/* Saves the users that were imported, even if other lines had problems. Returns the exit code. */
static int import_finish(const struct import *i, const char *users)
{
    const size_t taken = i->edited[USERS_ADDED] + i->edited[USERS_REPLACED] + i->edited[USERS_SAME];

    if (i->problems > 0 && taken == 0) {
        fputs("sstpgate user: nothing was imported\n", stderr);
        return EXIT_FAILED;
    }
    if (!edit_finish(i->edit, users))
        return EXIT_FAILED;
    print_result(i, users);
    if (i->problems == 0)
        return EXIT_DONE;
    fprintf(stderr, "sstpgate user: %zu line%s not imported, see above\n", i->problems,
            i->problems == 1 ? " was" : "s were");
    return EXIT_PARTLY;
}

static int import_text(struct import *i, const struct import_options *o, struct span text,
                       const char *users)
{
    const struct import_events to = {
        .arg = i, .on_user = on_user, .on_skipped = on_skipped, .on_problem = on_problem};
    struct nthash *md4 = password_md4("user");
    int code = EXIT_FAILED;

    if (md4 == NULL)
        return EXIT_FAILED;
    i->md4 = md4;
    i->edit = users_edit_open(users, stderr);
    if (i->edit != NULL) {
        import_read(o, text, &to);
        code = import_finish(i, users);
    }
    users_edit_free(i->edit);
    nthash_free(md4);
    return code;
}

static int import_file(const struct import_options *o, const char *path, const char *users,
                       const char *until)
{
    const bool standard = strcmp(path, "-") == 0;
    struct import i = {.path = standard ? "standard input" : path, .until = until};
    const int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t len = 0;

    if (fd < 0) {
        fprintf(stderr, "sstpgate user: %s: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    char *text = read_all(fd, i.path, &len);
    int code = EXIT_FAILED;
    if (text != NULL) {
        code = import_text(&i, o, span_of(text, len), users);
        explicit_bzero(text, len);
        free(text);
    }
    if (!standard)
        close(fd);
    return code;
}

/* ---- the command ---- */

enum action { ACTION_PUT, ACTION_DELETE, ACTION_CHECK, ACTION_LIST, ACTION_IMPORT };

struct options {
    const char *users;
    enum action action;
    unsigned actions; /* options that name one */
    bool help, json;
    const char *until; /* as for users_edit_put */
    struct import_options import;
    const char *what; /* NAME or FILE; NULL: ACTION_LIST */
};

enum { OPT_IMPORT = 256, OPT_ENCRYPTED, OPT_MACHINES, OPT_CHECK, OPT_LIST, OPT_UNTIL };

static bool read_import(const char *word, struct options *o)
{
    if (import_kind_from(word, &o->import.kind))
        return true;
    fprintf(stderr,
            "sstpgate user: --import: unknown kind '%s': write accel-ppp, pppd, chap-secrets or "
            "smbpasswd\n",
            word);
    return false;
}

static bool read_encrypted(const char *word, struct options *o)
{
    o->import.encrypted = *word == '1' ? IMPORT_ENCRYPTED : IMPORT_PLAIN;
    return strcmp(word, "0") == 0 || strcmp(word, "1") == 0;
}

static bool read_until(const char *text, struct options *o)
{
    const bool never = strcmp(text, "never") == 0;
    int64_t until;

    o->until = never ? "" : text;
    if (never || until_read(span_str(text), &until))
        return true;
    fprintf(
        stderr,
        "sstpgate user: --until: '%s' is not a time: write a date such as 2027-01-31, a time in "
        "UTC such as 2027-01-31T18:00Z, or never\n",
        text);
    return false;
}

static bool choose_action(struct options *o, enum action action)
{
    o->action = action;
    o->actions++;
    return true;
}

/* Returns whether the options may be combined. */
static bool options_fit(const struct options *o)
{
    const bool import = o->action == ACTION_IMPORT;

    return o->actions <= 1 && (o->users != NULL || o->action == ACTION_PUT || import) &&
           (o->until == NULL || o->action == ACTION_PUT || import) &&
           (!o->json || o->action == ACTION_LIST) &&
           !(o->import.machines && !(import && o->import.kind == IMPORT_SMBPASSWD)) &&
           !(o->import.encrypted != IMPORT_ENCRYPTED_UNKNOWN &&
             !(import && o->import.kind == IMPORT_ACCEL_PPP));
}

/* Reads an option. False: wrong usage. */
static bool read_option(int option, struct options *o)
{
    switch (option) {
    case 'f': o->users = optarg; return true;
    case 'D': return choose_action(o, ACTION_DELETE);
    case OPT_CHECK: return choose_action(o, ACTION_CHECK);
    case OPT_LIST: return choose_action(o, ACTION_LIST);
    case OPT_IMPORT: return choose_action(o, ACTION_IMPORT) && read_import(optarg, o);
    case OPT_UNTIL: return read_until(optarg, o);
    case 'j': o->json = true; return true;
    case OPT_ENCRYPTED: return read_encrypted(optarg, o);
    case OPT_MACHINES: o->import.machines = true; return true;
    case 'h': o->help = true; return true;
    default: return false;
    }
}

/* Reads the options. False: wrong usage. */
static bool read_options(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'},
        {"delete", no_argument, NULL, 'D'},
        {"check", no_argument, NULL, OPT_CHECK},
        {"list", no_argument, NULL, OPT_LIST},
        {"until", required_argument, NULL, OPT_UNTIL},
        {"json", no_argument, NULL, 'j'},
        {"import", required_argument, NULL, OPT_IMPORT},
        {"encrypted", required_argument, NULL, OPT_ENCRYPTED},
        {"machines", no_argument, NULL, OPT_MACHINES},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "f:Djh", options, NULL)) != -1)
        if (!read_option(option, o))
            return false;
        else if (o->help)
            return true;
    if (optind != argc - (o->action == ACTION_LIST ? 0 : 1))
        return false;
    o->what = argv[optind];
    return options_fit(o);
}

static int act(const struct options *o)
{
    switch (o->action) {
    case ACTION_PUT: return usage_exit(ask_and_put(o->what, o->users, o->until));
    case ACTION_DELETE: return usage_exit(delete_user(o->what, o->users));
    case ACTION_CHECK: return check_user(o->what, o->users);
    case ACTION_LIST: return user_list(o->users, o->json, time(NULL));
    case ACTION_IMPORT: return import_file(&o->import, o->what, o->users, o->until);
    }
    return EXIT_USAGE;
}

int cli_user(int argc, char **argv, const char *config)
{
    struct options o = {.users = NULL};
    char text[USERS_REASON_MAX];

    (void)config;
    if (!read_options(argc, argv, &o))
        return usage_wrong(&usage);
    if (o.help)
        return usage_help(&usage);
    const bool name = o.action != ACTION_LIST && o.action != ACTION_IMPORT;
    const char *problem = name ? users_name_problem(span_str(o.what), text) : NULL;
    if (problem != NULL) {
        fprintf(stderr, "sstpgate user: NAME: %s\n", problem);
        return EXIT_USAGE;
    }
    return act(&o);
}
