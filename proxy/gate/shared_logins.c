#include "gate/shared_logins.h"

#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <uv.h>

#include "base/hex.h"
#include "base/insist.h"
#include "binding/vault.h"
#include "radius/keyring_entry.h"

enum {
    NAME_TEXT = 2 + 2 * VAULT_NAME, /* "k:" or "a:", and digits */
    SEALED_MAX = KEYRING_ENTRY_MAX + VAULT_OVERHEAD,
    STRANGERS_PER_SECOND = 8, /* lines about gates with another secret */
};

_Static_assert((int)NAME_TEXT < (int)SHARED_NAME_MAX, "the name of an entry fits");

static uint64_t wall_ms(void)
{
    struct timeval now;

    INSIST(gettimeofday(&now, NULL) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

/* Returns the clock of the keyring. */
static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void add(struct shared_logins *l, enum shared_logins_count what)
{
    atomic_fetch_add(&l->count[what], 1);
}

const char *shared_logins_word(enum shared_logins_count c)
{
    static const char *const words[SHARED_LOGINS_COUNTS] = {[SHARED_LOGINS_GIVEN] = "given",
                                                            [SHARED_LOGINS_FOUND] = "found",
                                                            [SHARED_LOGINS_CLIENTS] =
                                                                "clients-given",
                                                            [SHARED_LOGINS_SEEN] = "clients-found",
                                                            [SHARED_LOGINS_FOREIGN] = "foreign",
                                                            [SHARED_LOGINS_OLD] = "old",
                                                            [SHARED_LOGINS_AGAIN] = "again"};

    return words[c];
}

/* ---- names ---- */

/* The names of the entries about a login. */
struct names {
    size_t n;
    uint8_t name[KEYRING_KEYS_MAX][VAULT_NAME];
    char text[KEYRING_KEYS_MAX][SHARED_NAME_MAX];
};

static void names_of(const struct shared_logins *l, enum vault_purpose purpose,
                     const struct keyring_label *label, struct names *out)
{
    uint8_t key[KEYRING_KEYS_MAX][KEYRING_KEY];

    out->n = keyring_keys(l->keyring, label, key);
    for (size_t i = 0; i < out->n; i++) {
        vault_name(l->vault, purpose, span_of(key[i], KEYRING_KEY), out->name[i]);
        memcpy(out->text[i], purpose == VAULT_LOGIN ? "k:" : "a:", 2);
        hex_write(out->text[i] + 2, out->name[i], VAULT_NAME);
        out->text[i][NAME_TEXT] = '\0';
    }
}

/* ---- to other gates: any thread ---- */

/* Puts an entry into the store, sealed for each name. */
static void put(const struct shared_logins *l, enum vault_purpose purpose,
                const struct keyring_label *label, struct span entry)
{
    char text[KEYRING_KEYS_MAX][2 * SEALED_MAX + 1];
    struct shared_entry out[KEYRING_KEYS_MAX];
    uint8_t sealed[SEALED_MAX];
    struct names names;

    names_of(l, purpose, label, &names);
    for (size_t i = 0; i < names.n; i++) {
        vault_seal(l->vault, purpose, names.name[i], entry, sealed);
        hex_write(text[i], sealed, entry.n + VAULT_OVERHEAD);
        text[i][2 * (entry.n + VAULT_OVERHEAD)] = '\0';
        out[i] = (struct shared_entry){.name = names.text[i], .text = text[i]};
    }
    shared_put(l->shared, out, names.n, KEYRING_MS);
}

static void give_outcome(void *arg, const struct keyring_outcome *o)
{
    struct shared_logins *l = arg;
    uint8_t entry[KEYRING_ENTRY_MAX];

    const size_t n = keyring_entry_of_outcome(o, wall_ms(), entry);
    put(l, VAULT_LOGIN, &o->label, span_of(entry, n));
    explicit_bzero(entry, sizeof entry);
    add(l, SHARED_LOGINS_GIVEN);
}

static void give_client(void *arg, const struct keyring_label *label, const struct addr *client)
{
    struct shared_logins *l = arg;
    uint8_t entry[KEYRING_ENTRY_MAX];

    const size_t n = keyring_entry_of_client(label, client, wall_ms(), entry);
    put(l, VAULT_CLIENT, label, span_of(entry, n));
    add(l, SHARED_LOGINS_CLIENTS);
}

static struct shared_search search_of(const struct shared_logins *l, enum vault_purpose purpose,
                                      const struct keyring_label *label)
{
    struct shared_search what = {.count = 0};
    struct names names;

    names_of(l, purpose, label, &names);
    for (; what.count < names.n; what.count++)
        memcpy(what.name[what.count], names.text[what.count], NAME_TEXT + 1);
    return what;
}

static void want_outcome(void *arg, const struct keyring_label *label, uint32_t ms)
{
    const struct shared_logins *l = arg;
    struct shared_search what = search_of(l, VAULT_LOGIN, label);

    what.ms = ms;
    (void)shared_seek(l->shared, &what, NULL, NULL, NULL);
}

static void *await_outcome(void *arg, const struct keyring_label *label, struct worker *from,
                           void (*on_answer)(void *to), void *to)
{
    const struct shared_logins *l = arg;
    struct shared_search what = search_of(l, VAULT_LOGIN, label);

    what.ms = l->timeout_ms;
    return shared_seek(l->shared, &what, from, on_answer, to);
}

static void *want_client(void *arg, const struct keyring_label *label, bool all,
                         struct worker *from, void (*on_answer)(void *to), void *to)
{
    const struct shared_logins *l = arg;
    struct shared_search what = search_of(l, VAULT_CLIENT, label);

    what.ms = l->timeout_ms;
    what.all = all;
    return shared_seek(l->shared, &what, from, on_answer, to);
}

static void forget_client(void *search)
{
    shared_seek_forget(search);
}

static const struct keyring_others others = {.give_outcome = give_outcome,
                                             .give_client = give_client,
                                             .want_outcome = want_outcome,
                                             .want_client = want_client,
                                             .await_outcome = await_outcome,
                                             .forget_client = forget_client};

/* ---- from other gates: the thread of `shared` ---- */

/* Logs the first refused entry after a good one, at most one a second. Returns false. */
static bool refuse(struct shared_logins *l, enum shared_logins_count why)
{
    static const char *const texts[SHARED_LOGINS_COUNTS] = {
        [SHARED_LOGINS_FOREIGN] =
            "an entry about a login cannot be read: it was altered, or its gate "
            "has another shared-secret-file",
        [SHARED_LOGINS_OLD] = "an entry about a login is too old: the store keeps entries for too "
                              "long, or the clocks of the gates are more than a minute apart",
        [SHARED_LOGINS_AGAIN] = "the store has returned an entry about a login twice",
    };
    struct log_line line;

    add(l, why);
    if (l->refused_logged ||
        !log_begin_limited(&line, LOG_LEVEL_WARNING, "shared", &l->limit_refused, now_ms(), 1))
        return false;
    l->refused_logged = true;
    log_str(&line, "error", texts[why]);
    log_end(&line);
    return false;
}

static bool is_old(uint64_t time_ms)
{
    const uint64_t now = wall_ms();
    return (now > time_ms ? now - time_ms : time_ms - now) > SHARED_LOGINS_AGE_MS;
}

/* Returns whether one of the names of a login is this one. */
static bool is_named(const struct shared_logins *l, enum vault_purpose purpose,
                     const struct keyring_label *label, const char *name)
{
    struct names names;

    names_of(l, purpose, label, &names);
    for (size_t i = 0; i < names.n; i++)
        if (strcmp(names.text[i], name) == 0)
            return true;
    return false;
}

static bool take_outcome(struct shared_logins *l, const char *name, struct span entry)
{
    struct keyring_outcome o;
    uint64_t time_ms;
    bool taken = false;

    if (keyring_entry_outcome(entry, &o, &time_ms) != ERR_OK ||
        !is_named(l, VAULT_LOGIN, &o.label, name)) {
        refuse(l, SHARED_LOGINS_FOREIGN);
    } else if (is_old(time_ms)) {
        refuse(l, SHARED_LOGINS_OLD);
    } else if (radius_memory_get(&l->taken, span_str(name)) != 0) {
        refuse(l, SHARED_LOGINS_AGAIN);
    } else {
        radius_memory_put(&l->taken, span_str(name), 1);
        keyring_take_outcome(l->keyring, &o, now_ms());
        add(l, SHARED_LOGINS_FOUND);
        taken = true;
    }
    explicit_bzero(&o, sizeof o);
    return taken;
}

static bool take_client(struct shared_logins *l, const char *name, struct span entry)
{
    struct keyring_label label;
    struct addr client;
    uint64_t time_ms;

    if (keyring_entry_client(entry, &label, &client, &time_ms) != ERR_OK ||
        !is_named(l, VAULT_CLIENT, &label, name))
        return refuse(l, SHARED_LOGINS_FOREIGN);
    if (is_old(time_ms))
        return refuse(l, SHARED_LOGINS_OLD);
    keyring_take_client(l->keyring, &label, &client, now_ms());
    add(l, SHARED_LOGINS_SEEN);
    return true;
}

bool shared_logins_entry(struct shared_logins *l, const char *name, struct span text)
{
    const enum vault_purpose purpose = *name == 'k' ? VAULT_LOGIN : VAULT_CLIENT;
    uint8_t id[VAULT_NAME], sealed[SEALED_MAX], entry[SEALED_MAX];
    const size_t n = text.n / 2;

    if (l->vault == NULL)
        return false;
    INSIST(hex_read(span_of(name + 2, 2 * sizeof id), id, sizeof id)); /* as sought */
    if (n > sizeof sealed || n < VAULT_OVERHEAD || !hex_read(text, sealed, n) ||
        !vault_open(l->vault, purpose, id, span_of(sealed, n), entry))
        return refuse(l, SHARED_LOGINS_FOREIGN);
    const struct span open = span_of(entry, n - VAULT_OVERHEAD);
    const bool taken =
        purpose == VAULT_LOGIN ? take_outcome(l, name, open) : take_client(l, name, open);
    l->refused_logged &= !taken;
    explicit_bzero(entry, sizeof entry);
    return taken;
}

/* Returns whether a line about a gate with another secret was logged. */
static bool was_logged(const struct shared_logins *l, const char *gate)
{
    for (size_t i = 0; i < l->strangers; i++)
        if (strcmp(l->stranger[i].gate, gate) == 0)
            return true;
    return false;
}

static void note_logged(struct shared_logins *l, const char *gate)
{
    if (l->strangers == SHARED_GATES_MAX)
        l->strangers = 0;
    (void)snprintf(l->stranger[l->strangers].gate, sizeof l->stranger->gate, "%s", gate);
    l->strangers++;
}

void shared_logins_gate(struct shared_logins *l, const char *gate, const char *info)
{
    const char *theirs = strstr(info, " secret=");
    struct log_line line;

    if (l->vault == NULL || theirs == NULL)
        return;
    theirs += strlen(" secret=");
    if (span_eq(span_of(theirs, strcspn(theirs, " ")), span_str(l->print)) || was_logged(l, gate) ||
        !log_begin_limited(&line, LOG_LEVEL_WARNING, "shared", &l->limit_strangers, now_ms(),
                           STRANGERS_PER_SECOND)) /* a hostile store may name new gates each time */
        return;
    note_logged(l, gate);
    log_str(&line, "gate", gate);
    log_str(&line, "error",
            "has another shared-secret-file: its entries about logins cannot be read");
    log_end(&line);
}

/* ---- begin and end ---- */

void shared_logins_init(struct shared_logins *l, struct span secret)
{
    uint8_t print[VAULT_PRINT];

    *l = (struct shared_logins){.vault = vault_new(secret)};
    radius_memory_init(&l->taken, SHARED_LOGINS_TAKEN_MAX);
    vault_print(l->vault, print);
    hex_write(l->print, print, sizeof print);
}

void shared_logins_fini(struct shared_logins *l)
{
    if (l->vault == NULL)
        return;
    vault_free(l->vault);
    l->vault = NULL;
    radius_memory_fini(&l->taken);
}

void shared_logins_start(struct shared_logins *l, struct keyring *keyring, struct shared *shared,
                         uint32_t timeout_ms)
{
    uint8_t marks[VAULT_MARKS];

    if (l->vault == NULL)
        return;
    l->keyring = keyring;
    l->shared = shared;
    l->timeout_ms = timeout_ms;
    vault_marks(l->vault, marks);
    keyring_share(keyring, marks, &others, l);
    explicit_bzero(marks, sizeof marks);
}
