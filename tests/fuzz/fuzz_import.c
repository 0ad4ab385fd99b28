/* The first octet selects the kind of file, the rest is its content. Imported users must fit
 * into a users file, and each line may cause at most one message. */
#include <stdint.h>
#include <stdlib.h>

#include "base/insist.h"
#include "users/import.h"
#include "users/import_accel.h"
#include "users/users.h"
#include "users/users_edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    struct users_edit *edit;
    unsigned line;
    size_t added;
};

static void check_line(struct seen *s, unsigned line)
{
    INSIST(line > s->line);
    s->line = line;
}

static void on_user(void *arg, const struct import_user *u)
{
    static const uint8_t hash[USERS_HASH];
    struct seen *s = arg;
    check_line(s, u->line);
    INSIST(users_name_valid(u->name));
    INSIST(u->hash ? u->secret.n == IMPORT_NT_HASH
                   : u->secret.n > 0 && u->secret.n <= IMPORT_ACCEL_MAX);
    s->added += users_edit_put(s->edit, u->name, hash, NULL) == USERS_ADDED;
}

static void on_skipped(void *arg, unsigned line, struct span name, const char *reason)
{
    check_line(arg, line);
    INSIST((name.n == 0 || users_name_valid(name)) && reason != NULL);
}

static void on_problem(void *arg, unsigned line, const char *reason)
{
    check_line(arg, line);
    INSIST(reason != NULL);
}

/* By bits of the first octet: 1: smbpasswd; else 4 and 8. */
static const enum import_kind kinds[] = {IMPORT_CHAP_SECRETS, IMPORT_PPPD, IMPORT_ACCEL_PPP,
                                         IMPORT_SMBPASSWD};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct import_options o = {.kind = kinds[data[0] & 1 ? 3 : data[0] >> 2 & 3],
                                     .encrypted = (enum import_encrypted)((data[0] >> 4) % 3),
                                     .machines = (data[0] & 2) != 0};
    struct seen s = {.edit = users_edit_open(NULL, NULL)};
    const struct import_events to = {
        .arg = &s, .on_user = on_user, .on_skipped = on_skipped, .on_problem = on_problem};

    import_read(&o, span_of(data + 1, size - 1), &to);

    const struct span text = users_edit_text(s.edit);
    struct users *u = users_parse("fuzz", (const char *)text.p, text.n, stderr);
    INSIST(u != NULL && users_count(u) == s.added);
    users_free(u);
    users_edit_free(s.edit);
    return 0;
}
