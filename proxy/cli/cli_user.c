#include "cli/cli_user.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"
#include "base/insist.h"
#include "base/span.h"
#include "binding/nthash.h"
#include "cli/password.h"
#include "cli/usage.h"
#include "users/import.h"
#include "users/users.h"
#include "users/users_edit.h"

static const struct usage usage = {
    .synopsis =
        "usage: sstpgate user [-f USERS] NAME\n"
        "       sstpgate user -f USERS --delete NAME\n"
        "       sstpgate user [-f USERS] --import chap-secrets|smbpasswd [--machines] FILE\n",
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
        "  --import KIND     import the users of FILE, or of standard input for `-`:\n"
        "        chap-secrets  as pppd reads it: client, server, secret, addresses\n"
        "        smbpasswd     NT hashes, as `pdbedit -Lw` prints them\n"
        "                    If a line cannot be read, nothing is imported. Accounts without a\n"
        "                    password, disabled accounts and wildcards are skipped\n"
        "  --machines        also import the accounts of machines from smbpasswd\n"
        "  -h, --help        this text\n"
        "\n"
        "A line contains NtPasswordHashHash (RFC 2759), not the password. It cannot be used to\n"
        "log in by MS-CHAPv2, but an attacker who has it can impersonate the server to that user,\n"
        "derive the keys of recorded logins and test guesses of the password. Protect the file:\n"
        "mode 0640 at most, owner root. Renew the line when the password changes.\n"};

static struct nthash *open_md4(void)
{
    struct nthash *md4 = nthash_new();
    if (md4 == NULL)
        fputs("sstpgate user: this OpenSSL has no MD4: its legacy provider (legacy.so) is not "
              "installed\n",
              stderr);
    return md4;
}

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

static bool hash_password(const struct password *p, uint8_t hash_hash[NT_HASH])
{
    struct nthash *md4 = open_md4();

    if (md4 == NULL)
        return false;
    const enum err e = nthash_from_password(md4, span_of(p->octets, p->n), hash_hash);
    nthash_free(md4);
    if (e != ERR_OK)
        fprintf(stderr, "sstpgate user: the password %s\n",
                e == ERR_SYNTAX      ? "is not UTF-8"
                : e == ERR_TOO_LARGE ? "is longer than 256 UTF-16 units"
                                     : "could not be hashed");
    return e == ERR_OK;
}

/* Adds or replaces the line of a user. Locks the file, but not while the password is typed. */
static bool put_user(const char *name, const char *users, const uint8_t hash_hash[NT_HASH])
{
    static const char *const done[] = {
        [USERS_ADDED] = "added", [USERS_REPLACED] = "replaced", [USERS_SAME] = "unchanged"};
    struct users_edit *e = users_edit_open(users, stderr);

    if (e == NULL)
        return false;
    const enum users_edited edited = users_edit_put(e, span_str(name), hash_hash);
    const bool good = edit_finish(e, users);
    if (good && users != NULL)
        fprintf(stderr, "sstpgate user: %s: %s %s\n", users, name, done[edited]);
    users_edit_free(e);
    return good;
}

static bool ask_and_put(const char *name, const char *users)
{
    struct password password;
    uint8_t hash_hash[NT_HASH];
    /* Opened once before the question, so that an unusable file is reported at once. */
    struct users_edit *e = users_edit_open(users, stderr);

    if (e == NULL)
        return false;
    users_edit_free(e);
    const bool good = password_get(&password, true) && hash_password(&password, hash_hash) &&
                      put_user(name, users, hash_hash);

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

/* ---- import ---- */

struct import {
    const char *path; /* for messages */
    enum import_kind kind;
    const struct nthash *md4;
    struct users_edit *edit;
    size_t edited[USERS_TWICE + 1], skipped;
    bool failed;
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
    i->failed = true;
}

static void on_user(void *arg, const struct import_user *user)
{
    struct import *i = arg;
    uint8_t hash_hash[NT_HASH];
    const enum err e = i->kind == IMPORT_SMBPASSWD
                           ? nthash_from_hash(i->md4, user->secret.p, hash_hash)
                           : nthash_from_octets(i->md4, user->secret, hash_hash);

    if (e == ERR_TOO_LARGE)
        on_skipped(i, user->line, user->name, "its secret is longer than 256 bytes");
    else if (e != ERR_OK)
        on_problem(i, user->line, "could not be hashed");
    else {
        const enum users_edited edited = users_edit_put(i->edit, user->name, hash_hash);
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

static bool import_text(struct import *i, bool machines, struct span text, const char *users)
{
    const struct import_events to = {
        .arg = i, .on_user = on_user, .on_skipped = on_skipped, .on_problem = on_problem};
    struct nthash *md4 = open_md4();

    if (md4 == NULL)
        return false;
    i->md4 = md4;
    i->edit = users_edit_open(users, stderr);
    i->failed = i->edit == NULL;
    if (!i->failed)
        import_read(i->kind, machines, text, &to);
    if (!i->failed) {
        i->failed = !edit_finish(i->edit, users);
        if (!i->failed)
            print_result(i, users);
    } else if (i->edit != NULL) {
        fputs("sstpgate user: nothing was imported\n", stderr);
    }
    users_edit_free(i->edit);
    nthash_free(md4);
    return !i->failed;
}

static bool import_file(enum import_kind kind, bool machines, const char *path, const char *users)
{
    const bool standard = strcmp(path, "-") == 0;
    struct import i = {.path = standard ? "standard input" : path, .kind = kind};
    const int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t len = 0;

    if (fd < 0) {
        fprintf(stderr, "sstpgate user: %s: %s\n", path, strerror(errno));
        return false;
    }
    char *text = read_all(fd, i.path, &len);
    bool good = false;
    if (text != NULL) {
        good = import_text(&i, machines, span_of(text, len), users);
        explicit_bzero(text, len);
        free(text);
    }
    if (!standard)
        close(fd);
    return good;
}

/* ---- the command ---- */

struct wishes {
    const char *users;
    bool delete, import, machines, help;
    enum import_kind kind;
    const char *what; /* NAME or FILE */
};

enum { OPT_IMPORT = 256, OPT_MACHINES };

/* Reads the options. False: wrong usage. */
static bool read_options(int argc, char **argv, struct wishes *w)
{
    static const struct option options[] = {
        {"file", required_argument, NULL, 'f'},
        {"delete", no_argument, NULL, 'D'},
        {"import", required_argument, NULL, OPT_IMPORT},
        {"machines", no_argument, NULL, OPT_MACHINES},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "f:Dh", options, NULL)) != -1) {
        switch (option) {
        case 'f': w->users = optarg; break;
        case 'D': w->delete = true; break;
        case OPT_IMPORT:
            w->import = true;
            if (!import_kind_from(optarg, &w->kind)) {
                fprintf(stderr, "sstpgate user: --import: unknown kind '%s'\n", optarg);
                return false;
            }
            break;
        case OPT_MACHINES: w->machines = true; break;
        case 'h': w->help = true; return true;
        default: return false;
        }
    }
    if (optind != argc - 1)
        return false;
    w->what = argv[optind];
    return !((w->import || w->users == NULL) && w->delete) &&
           !(w->machines && !(w->import && w->kind == IMPORT_SMBPASSWD));
}

int cli_user(int argc, char **argv, const char *config)
{
    struct wishes w = {.users = NULL};
    char text[USERS_REASON_MAX];

    (void)config;
    if (!read_options(argc, argv, &w))
        return usage_wrong(&usage);
    if (w.help)
        return usage_help(&usage);
    if (w.import)
        return usage_exit(import_file(w.kind, w.machines, w.what, w.users));
    const char *problem = users_name_problem(span_str(w.what), text);
    if (problem != NULL) {
        fprintf(stderr, "sstpgate user: NAME: %s\n", problem);
        return EXIT_USAGE;
    }
    return usage_exit(w.delete ? delete_user(w.what, w.users) : ask_and_put(w.what, w.users));
}
