/* The input is a ban file. Whatever it contains, the file that the limits write afterwards is
 * read without a problem, with the same bans. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/value.h"
#include "config/config.h"
#include "policy/ban_file.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW_MS = 1000, WALL_S = 1800000000 };

static const struct limits_settings limits = {
    .prefix_ipv4 = 32, .prefix_ipv6 = 64, .ban_points = 10, .ban_time = 600000, .ban_reset = 1000};

struct text {
    char *octets;
    size_t n;
};

/* Loads a file. A file that is not UTF-8 is refused as a whole, with a reason. */
static void load(struct limits *l, const char *path, struct text *problems)
{
    FILE *out = open_memstream(&problems->octets, &problems->n);
    INSIST(out != NULL);
    const enum err e = ban_file_load(l, path, NOW_MS, WALL_S, out);
    INSIST(fclose(out) == 0);
    INSIST(e == ERR_OK || (e == ERR_SYSTEM && problems->n > 0));
}

static void note(void *user, const struct limits_ban *ban)
{
    struct text *all = user;
    char one[LIMITS_USER_MAX + ADDR_TEXT_MAX + 32], net[ADDR_TEXT_MAX];
    const int n = snprintf(one, sizeof one, "%s %llu %d\n",
                           ban->user != NULL ? ban->user : cidr_format(&ban->net, net),
                           (unsigned long long)ban->left_ms, (int)ban->manual);
    const uint64_t most = ban->manual ? VALUE_DURATION_MAX : limits.ban_time;

    INSIST(ban->left_ms > 0 && ban->left_ms <= most);
    all->octets = insist_alloc(realloc(all->octets, all->n + (size_t)n + 1));
    memcpy(all->octets + all->n, one, (size_t)n + 1);
    all->n += (size_t)n;
}

static void check_again(struct limits *l)
{
    char folder[] = "/tmp/fuzz-ban-file-XXXXXX", path[sizeof folder + 8];
    struct text before = {0}, after = {0}, problems = {0};

    INSIST(mkdtemp(folder) != NULL);
    snprintf(path, sizeof path, "%s/bans", folder);
    INSIST(ban_file_save(l, path, NOW_MS, WALL_S) == ERR_OK);
    struct limits *other = limits_new(&limits);
    load(other, path, &problems);
    INSIST(problems.n == 0);
    const size_t count = limits_bans(l, NOW_MS, note, &before);
    INSIST(limits_bans(other, NOW_MS, note, &after) == count);
    INSIST(before.n == after.n &&
           (count == 0 || memcmp(before.octets, after.octets, after.n) == 0));
    limits_free(other);
    free(before.octets);
    free(after.octets);
    free(problems.octets);
    INSIST(unlink(path) == 0 && rmdir(folder) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct text problems = {0};
    const int fd = memfd_create("ban-file", MFD_CLOEXEC);
    struct limits *l = limits_new(&limits);

    INSIST(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    load(l, path, &problems);
    INSIST(strlen(problems.octets) == problems.n);
    check_again(l);
    limits_free(l);
    free(problems.octets);
    close(fd);
    return 0;
}
