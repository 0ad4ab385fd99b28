/* The first octet selects the kind of file, the rest is its content. Imported users must fit
 * into a users file, and each line may cause at most one message. */
#include <stdint.h>
#include <stdlib.h>

#include "base/insist.h"
#include "users/import.h"
#include "users/users.h"
#include "users/users_edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    enum import_kind kind;
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
    INSIST(s->kind == IMPORT_SMBPASSWD ? u->secret.n == IMPORT_NT_HASH
                                       : u->secret.n > 0 && u->secret.n <= IMPORT_WORD_MAX);
    s->added += users_edit_put(s->edit, u->name, hash) == USERS_ADDED;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct seen s = {.kind = data[0] & 1 ? IMPORT_SMBPASSWD : IMPORT_CHAP_SECRETS,
                     .edit = users_edit_open(NULL, NULL)};
    const struct import_events to = {
        .arg = &s, .on_user = on_user, .on_skipped = on_skipped, .on_problem = on_problem};

    import_read(s.kind, (data[0] & 2) != 0, span_of(data + 1, size - 1), &to);

    const struct span text = users_edit_text(s.edit);
    struct users *u = users_parse("fuzz", (const char *)text.p, text.n, stderr);
    INSIST(u != NULL && users_count(u) == s.added);
    users_free(u);
    users_edit_free(s.edit);
    return 0;
}
