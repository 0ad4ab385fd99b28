/* What a file of networks costs, by its size. From the root of the tree:
 *
 *   gcc -std=c11 -O2 -D_GNU_SOURCE -Iproxy -o /tmp/bench-netset tests/bench/netset.c \
 *       proxy/policy/netset.c proxy/base/addr.c proxy/base/insist.c && /tmp/bench-netset
 *
 * Half of the networks are IPv4 (/32 to /24), half IPv6 (/64 to /48), in random order. Half of the
 * addresses asked for are in one of them. Each question depends on the answer before it, so that
 * the figure is that of one question and not of many at a time. */
#include "policy/netset.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { QUESTIONS = 1 << 16, ROUNDS = 16 };

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void) /* xorshift64: the same numbers in each run */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct cidr random_net(sa_family_t family)
{
    struct cidr net = {.family = family};
    const unsigned bits = (unsigned)(next_random() % (family == AF_INET ? 9 : 17));
    net.bits = (uint8_t)((family == AF_INET ? 24 : 48) + bits);
    for (unsigned i = 0; i < net.bits; i++)
        if (next_random() & 1)
            net.ip[i / 8] |= (uint8_t)(0x80 >> i % 8);
    if (family == AF_INET6)
        net.ip[0] = 0x20;
    return net;
}

static struct addr address_in(const struct cidr *net)
{
    struct addr a = {.family = net->family};
    for (unsigned i = 0; i < sizeof a.ip; i++)
        a.ip[i] = net->ip[i];
    return a;
}

static void measure(size_t size)
{
    struct addr *asked = calloc(2 * QUESTIONS, sizeof *asked); /* IPv4, then IPv6 */
    char text[ADDR_TEXT_MAX], *list;
    size_t len;
    FILE *f = open_memstream(&list, &len);
    if (f == NULL || asked == NULL)
        exit(1);
    for (size_t i = 0; i < size; i++) {
        struct cidr net = random_net(i % 2 == 0 ? AF_INET : AF_INET6);
        fprintf(f, "%s\n", cidr_format(&net, text));
        asked[i % 2 * QUESTIONS + i / 2 % QUESTIONS] = address_in(&net);
    }
    for (size_t i = 0; i < 2 * QUESTIONS; i++) {
        struct cidr net = random_net(i < QUESTIONS ? AF_INET : AF_INET6);
        if (i % 2 == 0 || asked[i].family == 0)
            asked[i] = address_in(&net);
    }
    fclose(f);
    double start = now();
    struct netset *s = netset_parse(span_of(list, len), "bench", stderr);
    double load = now() - start, cost[2];
    unsigned hits = 0, last = 0;
    if (s == NULL)
        exit(1);
    for (size_t family = 0; family < 2; family++) {
        start = now();
        for (size_t i = 0; i < (size_t)QUESTIONS * ROUNDS; i++) {
            last = netset_find(s, &asked[family * QUESTIONS + (i + (last & 1)) % QUESTIONS]);
            hits += last != 0;
        }
        cost[family] = (now() - start) / ((double)QUESTIONS * ROUNDS);
    }
    printf("%8zu %9zu %9.1f %9.0f %9.0f %8.0f%%\n", size, netset_count(s), load * 1e3,
           cost[0] * 1e9, cost[1] * 1e9, 100.0 * hits / (2.0 * QUESTIONS * ROUNDS));
    netset_free(s);
    free(list);
    free(asked);
}

int main(void)
{
    puts("   lines  networks   load/ms IPv4/ns   IPv6/ns      hits");
    for (size_t size = 1000; size <= 1000000; size *= 10)
        measure(size);
    return 0;
}
