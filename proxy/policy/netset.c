#include "policy/netset.h"

#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/ascii.h"
#include "base/hidden.h"
#include "base/insist.h"
#include "base/text.h"

enum { NETSET_REASON_MAX = HIDDEN_NAME_SIZE + CIDR_PROBLEM_MAX };

/* An address as a number; the four bytes of IPv4 are at the top of `high`. */
struct netset_key {
    uint64_t high, low;
};

struct netset_net {
    struct netset_key start;
    uint32_t line;
    uint8_t bits;
};

/* Two networks are disjoint, or one contains the other. So without nested networks, the last
 * network that starts at or before an address is the only one that can contain it.
 *
 * In a large array, each step of a search touches another cache line and another page. Therefore
 * the starts of every 64th network are in an array of their own, which stays in the cache, and
 * leads to 64 networks in 1.5 kB. */
enum { STRIDE = 64 };

struct netset_list {
    struct netset_net *net; /* sorted, and not nested, after netset_list_settle() */
    size_t count, room;
    struct netset_key *mark; /* mark[i] is net[STRIDE * i].start */
    size_t mark_count;
};

struct netset {
    struct netset_list ip4, ip6;
};

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t n = 0;
    for (int i = 0; i < 8; i++)
        n = n << 8 | p[i];
    return n;
}

static struct netset_key key_of(sa_family_t family, const uint8_t ip[16])
{
    if (family == AF_INET)
        return (struct netset_key){.high = read_u64(ip) & 0xffffffff00000000};
    return (struct netset_key){.high = read_u64(ip), .low = read_u64(ip + 8)};
}

/* Returns whether a <= b. Without && and ||, because the result cannot be predicted, and a jump
 * would cost more. */
static bool not_after(struct netset_key a, struct netset_key b)
{
    return (a.high < b.high) | ((a.high == b.high) & (a.low <= b.low));
}

/* Orders networks by start; of the same start larger ones first, then by line. */
static int compare_nets(const void *pa, const void *pb)
{
    const struct netset_net *a = pa, *b = pb;
    const bool a_first = not_after(a->start, b->start), b_first = not_after(b->start, a->start);
    if (a_first != b_first)
        return a_first ? -1 : 1;
    if (a->bits != b->bits)
        return (int)a->bits - (int)b->bits;
    return (a->line > b->line) - (a->line < b->line);
}

static bool net_has(const struct netset_net *n, struct netset_key k)
{
    const uint64_t high = n->start.high ^ k.high, low = n->start.low ^ k.low;
    if (n->bits == 0)
        return true;
    if (n->bits <= 64)
        return high >> (64 - n->bits) == 0;
    return high == 0 && low >> (128 - n->bits) == 0;
}

static void netset_list_add(struct netset_list *l, const struct netset_net *n)
{
    if (l->count == l->room) {
        l->room = l->room == 0 ? 64 : 2 * l->room;
        l->net = insist_alloc(reallocarray(l->net, l->room, sizeof *l->net));
    }
    l->net[l->count++] = *n;
}

static void netset_list_settle(struct netset_list *l)
{
    size_t kept = 0;
    if (l->count == 0)
        return;
    qsort(l->net, l->count, sizeof *l->net, compare_nets);
    for (size_t i = 0; i < l->count; i++)
        if (kept == 0 || !net_has(&l->net[kept - 1], l->net[i].start))
            l->net[kept++] = l->net[i];
    l->count = l->room = kept;
    l->net = insist_alloc(reallocarray(l->net, kept, sizeof *l->net));
    l->mark_count = (kept + STRIDE - 1) / STRIDE;
    l->mark = insist_alloc(reallocarray(NULL, l->mark_count, sizeof *l->mark));
    for (size_t i = 0; i < l->mark_count; i++)
        l->mark[i] = l->net[STRIDE * i].start;
}

/* Returns the index of the last of n > 0 sorted items whose key is not after k; 0 also if there
 * is none. first: the key of the first item; the other keys follow at intervals of size
 * bytes. */
static size_t find_last_start(const void *first, size_t size, size_t n, struct netset_key k)
{
    const unsigned char *at = first;
    while (n > 1) {
        const size_t half = n / 2;
        struct netset_key middle;
        memcpy(&middle, at + half * size, sizeof middle);
        at += not_after(middle, k) ? half * size : 0;
        n -= half;
    }
    return (size_t)(at - (const unsigned char *)first) / size;
}

static unsigned netset_list_find(const struct netset_list *l, struct netset_key k)
{
    if (l->count == 0)
        return 0;
    const size_t from = STRIDE * find_last_start(l->mark, sizeof *l->mark, l->mark_count, k);
    const size_t n = l->count - from < STRIDE ? l->count - from : STRIDE;
    const struct netset_net *near = &l->net[from];
    const struct netset_net *found = near + find_last_start(&near->start, sizeof *near, n, k);
    return not_after(found->start, k) && net_has(found, k) ? found->line : 0;
}

/* Returns a line without blanks around it and without a comment. */
static struct span strip_line(struct span line)
{
    size_t n = 0;
    while (n < line.n && line.p[n] != '#' && line.p[n] != ';')
        n++;
    while (n > 0 && ascii_is_blank(line.p[n - 1]))
        n--;
    size_t from = 0;
    while (from < n && ascii_is_blank(line.p[from]))
        from++;
    return span_sub(line, from, n - from);
}

/* Reads the network of a line, its word. Returns NULL, or a reason, which may be in text. */
static const char *net_parse(struct span line, struct span word, struct cidr *net,
                             char text[NETSET_REASON_MAX])
{
    char copy[ADDR_TEXT_MAX] = "";
    struct hidden h;

    if (word.n > 0 && memchr(word.p, '\0', word.n) != NULL)
        return "this line contains a NUL";
    if (hidden_find(word, &h)) {
        snprintf(text, NETSET_REASON_MAX, "%s cannot be seen: type this line again", h.name);
        return text;
    }
    if (text_not_utf8(span_sub(line, 0, (size_t)(word.p - line.p) + word.n), text))
        return text;
    if (word.n < sizeof copy)
        memcpy(copy, word.p, word.n);
    if (cidr_parse(copy, net) != ERR_OK) {
        cidr_problem(copy, text);
        return text;
    }
    return NULL;
}

/* Adds the network of a line. Returns NULL, or a reason. */
static const char *netset_read_line(struct netset *s, struct span line, unsigned number,
                                    char text[NETSET_REASON_MAX])
{
    struct cidr net;
    const struct span word = strip_line(line);

    if (word.n == 0)
        return NULL;
    const char *reason = net_parse(line, word, &net, text);
    if (reason != NULL)
        return reason;
    const struct netset_net n = {
        .start = key_of(net.family, net.ip), .line = number, .bits = net.bits};
    netset_list_add(net.family == AF_INET ? &s->ip4 : &s->ip6, &n);
    return NULL;
}

struct netset *netset_parse(struct span text, const char *path, FILE *problems)
{
    struct netset *s = NEW(struct netset);
    char why[NETSET_REASON_MAX];
    struct span line;
    bool good = true;

    for (unsigned number = 1; text_take_line(&text, &line); number++) {
        const char *reason = netset_read_line(s, line, number, why);
        if (reason != NULL)
            fprintf(problems, "%s:%u: %s\n", path, number, reason);
        good = good && reason == NULL;
    }
    if (!good) {
        netset_free(s);
        return NULL;
    }
    netset_list_settle(&s->ip4);
    netset_list_settle(&s->ip6);
    return s;
}

struct netset *netset_load(const char *path, FILE *problems)
{
    struct text text; /* a copy, since half of a list could deny too few clients */

    if (!text_load(path, &text, problems))
        return NULL;
    struct netset *s = netset_parse(text.bytes, path, problems);
    text_free(&text);
    return s;
}

void netset_free(struct netset *s)
{
    if (s == NULL)
        return;
    free(s->ip4.net);
    free(s->ip4.mark);
    free(s->ip6.net);
    free(s->ip6.mark);
    free(s);
}

unsigned netset_find(const struct netset *s, const struct addr *addr)
{
    return netset_list_find(addr->family == AF_INET ? &s->ip4 : &s->ip6,
                            key_of(addr->family, addr->ip));
}

size_t netset_count(const struct netset *s)
{
    return s->ip4.count + s->ip6.count;
}
