#include "cli/user_view.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "cli/usage.h"

/* ---- --list ---- */

struct listing {
    const char *path;
    int64_t now;
    struct json json;
};

/* A name contains no tab, so the first field is the name as it is in the file. */
static void print_row(void *arg, const struct users_row *row)
{
    const struct listing *l = arg;
    char until[UNTIL_TEXT_MAX];

    if (row->problem != NULL) {
        fprintf(stderr, "%s:%u: %s\n", l->path, row->line, row->problem);
        return;
    }
    printf("%.*s", (int)row->name.n, (const char *)row->name.p);
    if (row->until != UNTIL_NEVER)
        printf("\tuntil %s%s", until_print(row->until, until),
               l->now < row->until ? "" : "\texpired");
    putchar('\n');
}

static void put_text(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_str(j, value);
}

static void print_json_row(void *arg, const struct users_row *row)
{
    struct listing *l = arg;
    char until[UNTIL_TEXT_MAX];

    json_object_begin(&l->json);
    json_key(&l->json, "line");
    json_u64(&l->json, row->line);
    json_key(&l->json, "name");
    json_span(&l->json, row->name);
    put_text(&l->json, "until", row->until == UNTIL_NEVER ? NULL : until_print(row->until, until));
    json_key(&l->json, "expired");
    json_bool(&l->json, l->now >= row->until);
    put_text(&l->json, "problem", row->problem);
    json_object_end(&l->json);
}

static bool list_json(struct listing *l)
{
    l->json = json_to(stdout);
    json_object_begin(&l->json);
    put_text(&l->json, "file", l->path);
    json_key(&l->json, "users");
    json_array_begin(&l->json);
    const bool good = users_list(l->path, print_json_row, l, stderr);
    json_array_end(&l->json);
    json_object_end(&l->json);
    putchar('\n');
    return good;
}

int user_list(const char *path, bool json, int64_t now)
{
    struct listing l = {.path = path, .now = now};

    return usage_exit(json ? list_json(&l) : users_list(path, print_row, &l, stderr));
}

/* ---- --check ---- */

/* Returns whether the line has the NT hash of the password instead of the hash of it. */
static bool has_single_hash(const struct nthash *md4, const struct users_match *line,
                            const uint8_t hash_hash[NT_HASH])
{
    uint8_t again[NT_HASH];
    const bool is = nthash_from_hash(md4, line->hash_hash, again) == ERR_OK &&
                    CRYPTO_memcmp(again, hash_hash, NT_HASH) == 0;

    OPENSSL_cleanse(again, sizeof again);
    return is;
}

/* Returns the line with this hash; NULL: none. A line that has not ended is preferred. */
static const struct users_match *find_hash(const struct users_match *found, size_t n,
                                           const uint8_t hash_hash[NT_HASH], int64_t now)
{
    const struct users_match *best = NULL;

    for (size_t i = 0; i < n; i++)
        if (CRYPTO_memcmp(found[i].hash_hash, hash_hash, NT_HASH) == 0 &&
            (best == NULL || (best->until <= now && now < found[i].until)))
            best = &found[i];
    return best;
}

static void say_fits(const char *path, const char *name, const struct users_match *line,
                     bool expired)
{
    char until[UNTIL_TEXT_MAX];

    fprintf(stderr, "sstpgate user: %s:%u: this is the password of %s\n", path, line->line, name);
    if (line->until != UNTIL_NEVER)
        fprintf(stderr, "sstpgate user: %s:%u: the line %s at %s%s\n", path, line->line,
                expired ? "ended" : "ends", until_print(line->until, until),
                expired ? ": the gate refuses the user" : "");
}

static void say_wrong(const char *path, const char *name, const struct nthash *md4,
                      const struct users_match *found, size_t n, const uint8_t hash_hash[NT_HASH])
{
    fprintf(stderr, "sstpgate user: %s: this is not the password of %s\n", path, name);
    for (size_t i = 0; i < n; i++)
        if (has_single_hash(md4, &found[i], hash_hash)) {
            fprintf(stderr,
                    "sstpgate user: %s:%u: the line has the NT hash of this password instead of "
                    "the hash of it; sstpgate user -f FILE NAME writes a new line\n",
                    path, found[i].line);
            return;
        }
    fprintf(stderr,
            "sstpgate user: %s:%u: if the VPN server accepts this password, the line is stale; "
            "sstpgate user -f FILE NAME writes a new line\n",
            path, found[0].line);
}

int user_compare(const struct users *u, const char *name, const struct nthash *md4,
                 const uint8_t hash_hash[NT_HASH], int64_t now)
{
    struct users_match found[USERS_MATCH_MAX];
    const size_t n = users_find(u, span_str(name), found);
    const struct users_match *line = find_hash(found, n, hash_hash, now);

    if (line == NULL) {
        say_wrong(users_path(u), name, md4, found, n, hash_hash);
        return EXIT_PARTLY;
    }
    const bool expired = line->until <= now;
    say_fits(users_path(u), name, line, expired);
    return expired ? USER_EXPIRED : EXIT_DONE;
}
