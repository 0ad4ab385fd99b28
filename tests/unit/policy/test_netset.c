#include "policy/netset.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/insist.h"

static struct netset *read_text(const char *text, size_t len, char **problems)
{
    size_t n;
    FILE *out = open_memstream(problems, &n);
    assert_non_null(out);
    struct netset *s = netset_parse(span_of(text, len), "list", out);
    fclose(out);
    return s;
}

static struct netset *read_good(const char *text)
{
    char *problems;
    struct netset *s = read_text(text, strlen(text), &problems);
    assert_string_equal(problems, "");
    free(problems);
    return s;
}

static unsigned find(const struct netset *s, const char *text)
{
    struct addr who;
    assert_int_equal(addr_parse(text, 1, &who), ERR_OK);
    return netset_find(s, &who);
}

static void lines_that_hold_the_address(void **state)
{
    (void)state;
    struct netset *s = read_good("# a comment\xc2\xa0\n"
                                 "\n"
                                 "  192.0.2.0/24 # another\r\n"
                                 "192.0.2.77;x\n"
                                 "198.51.100.7\n"
                                 "2001:db8::/32\n"
                                 "2001:db8:5::/48\n"
                                 "::ffff:203.0.113.0/120\n"
                                 "198.51.100.7\n"
                                 "fe80::1\t");
    assert_int_equal(netset_count(s), 5);
    assert_int_equal(find(s, "192.0.2.0"), 3);
    assert_int_equal(find(s, "192.0.2.77"), 3);
    assert_int_equal(find(s, "192.0.2.255"), 3);
    assert_int_equal(find(s, "192.0.1.255"), 0);
    assert_int_equal(find(s, "192.0.3.0"), 0);
    assert_int_equal(find(s, "198.51.100.7"), 5);
    assert_int_equal(find(s, "[2001:db8:5::1]"), 6);
    assert_int_equal(find(s, "[2001:db9::]"), 0);
    assert_int_equal(find(s, "203.0.113.9"), 8);
    assert_int_equal(find(s, "[::ffff:203.0.113.9]"), 8);
    assert_int_equal(find(s, "[fe80::1]"), 10);
    assert_int_equal(find(s, "[fe80::2]"), 0);
    netset_free(s);
}

static void the_largest_and_the_smallest(void **state)
{
    (void)state;
    struct netset *s = read_good("0.0.0.0\n255.255.255.255\n::\nffff::/16\n");
    assert_int_equal(find(s, "0.0.0.0"), 1);
    assert_int_equal(find(s, "0.0.0.1"), 0);
    assert_int_equal(find(s, "255.255.255.255"), 2);
    assert_int_equal(find(s, "[::]"), 3);
    assert_int_equal(find(s, "[::1]"), 0);
    assert_int_equal(find(s, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"), 4);
    netset_free(s);
    s = read_good("::/0\n::1\n");
    assert_int_equal(find(s, "[ffff::]"), 1);
    assert_int_equal(find(s, "10.0.0.1"), 0);
    netset_free(s);
    s = read_good("10.0.0.0/8\n0.0.0.0/0\n");
    assert_int_equal(netset_count(s), 1);
    assert_int_equal(find(s, "10.0.0.1"), 2);
    netset_free(s);
    s = read_good("");
    assert_int_equal(find(s, "10.0.0.1"), 0);
    assert_int_equal(find(s, "[::]"), 0);
    netset_free(s);
    netset_free(NULL);
}

#define LONG "1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111"

static void every_wrong_line_is_named(void **state)
{
    (void)state;
    static const char text[] = "10.0.0.0/8\nvpn.example.com\n10.0.0.1/8\n\n10.0.0.0/33\n1.2.3\n"
                               "10.0.0.1 10.0.0.2\n\0\n::/129\n10.0.0.1\xc2\xa0\n"
                               "\xef\xbb\xbf::1\n" LONG "\n \xfc"
                               "ber\n10.0.0.1 # \xfc"
                               "ber\n";
    char *problems;
    assert_null(read_text(text, sizeof text - 1, &problems));
#define NEITHER ": not an address or a network such as 198.51.100.0/24\n"
#define UNSEEN " cannot be seen: type this line again\n"
#define RANGE(bits) ": not a network: the prefix has 0 to " bits " bits\n"
    assert_string_equal(
        problems,
        "list:2" NEITHER
        "list:3: not a network: bits after the prefix are set; the network is 10.0.0.0/8\n"
        "list:5" RANGE("32") "list:6" NEITHER "list:7" NEITHER "list:8: this line contains a NUL\n"
                             "list:9" RANGE(
                                 "128") "list:10: U+00A0 NO-BREAK SPACE" UNSEEN
                                        "list:11: U+FEFF ZERO WIDTH NO-BREAK SPACE (a byte order "
                                        "mark)" UNSEEN "list:12" NEITHER
                                        "list:13: byte 2 of this line (0xFC) is not UTF-8: save "
                                        "the file as UTF-8\n");
    free(problems);
}

/* Compares the search with a linear one, at sizes around its stride. */
static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static struct cidr random_net(uint32_t *random)
{
    struct cidr net = {.family = next_random(random) % 2 ? AF_INET : AF_INET6};
    const unsigned max = net.family == AF_INET ? 32 : 128;
    net.bits = (uint8_t)(max - next_random(random) % (max / 2));
    for (unsigned i = 0; i < net.bits; i++) /* few bits, so that networks are near each other */
        if (next_random(random) % 16 == 0)
            net.ip[i / 8] |= (uint8_t)(0x80 >> i % 8);
    return net;
}

static void the_obvious_way_says_the_same(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 2, 63, 64, 65, 127, 128, 129, 1000};
    uint32_t random = 1;
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        struct cidr *nets = insist_alloc(calloc(sizes[n], sizeof *nets));
        char *text, line[ADDR_TEXT_MAX];
        size_t len;
        FILE *f = open_memstream(&text, &len);
        for (size_t i = 0; i < sizes[n]; i++) {
            nets[i] = random_net(&random);
            fprintf(f, "%s\n", cidr_format(&nets[i], line));
        }
        fclose(f);
        struct netset *s = read_good(text);
        for (unsigned q = 0; q < 4000; q++) {
            struct cidr one = q % 2 ? nets[next_random(&random) % sizes[n]] : random_net(&random);
            struct addr who = {.family = one.family};
            memcpy(who.ip, one.ip, sizeof who.ip);
            who.ip[one.family == AF_INET ? 3 : 15] ^= (uint8_t)(next_random(&random) % 4);
            bool has = false;
            for (size_t i = 0; i < sizes[n]; i++)
                has = has || cidr_has(&nets[i], &who);
            const unsigned found = netset_find(s, &who);
            assert_int_equal(found != 0, has);
            assert_true(found <= sizes[n]);
            if (found != 0)
                assert_true(cidr_has(&nets[found - 1], &who));
        }
        netset_free(s);
        free(text);
        free(nets);
    }
}

static char *load_problems(const char *path)
{
    char *problems;
    size_t n;
    FILE *f = open_memstream(&problems, &n);
    assert_non_null(f);
    assert_null(netset_load(path, f));
    fclose(f);
    return problems;
}

/* Writes and loads the file. Returns the problems; *count: the number of its networks. */
static char *load_file(const char *text, size_t len, size_t *count)
{
    char file[] = "/tmp/netset.XXXXXX", *problems;
    size_t n;
    const int fd = mkstemp(file);
    assert_true(fd >= 0 && write(fd, text, len) == (ssize_t)len);
    close(fd);
    FILE *f = open_memstream(&problems, &n);
    assert_non_null(f);
    struct netset *s = netset_load(file, f);
    fclose(f);
    assert_int_equal(unlink(file), 0);
    *count = s == NULL ? 0 : netset_count(s);
    netset_free(s);
    char *out = insist_alloc(strdup(n == 0 ? "" : problems + strlen(file)));
    free(problems);
    return out;
}

static void files_of_other_systems(void **state)
{
    (void)state;
    size_t count;
    char *problems = load_file("\xef\xbb\xbf"
                               "10.0.0.0/8\r\n\r\n::1 # x\r\n",
                               26, &count);
    assert_string_equal(problems, "");
    assert_int_equal(count, 2);
    free(problems);
    problems = load_file("\xff\xfe"
                         "1\0",
                         4, &count);
    assert_string_equal(problems, ": UTF-16, as PowerShell and some editors of Windows write it: "
                                  "save it as UTF-8\n");
    free(problems);
}

static void what_is_no_file_is_not_read(void **state)
{
    (void)state;
    char *problems = load_problems("/nowhere");
    assert_string_equal(problems, "/nowhere: cannot be opened: No such file or directory\n");
    free(problems);
    problems = load_problems("/dev/zero");
    assert_string_equal(problems, "/dev/zero: cannot be opened: not a regular file\n");
    free(problems);
    problems = load_problems("/");
    assert_string_equal(problems, "/: cannot be opened: Is a directory\n");
    free(problems);
    char dir[] = "/tmp/netset.XXXXXX", fifo[64], expected[128];
    assert_non_null(mkdtemp(dir));
    snprintf(fifo, sizeof fifo, "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    problems = load_problems(fifo);
    unlink(fifo);
    rmdir(dir);
    snprintf(expected, sizeof expected, "%s: cannot be opened: not a regular file\n", fifo);
    assert_string_equal(problems, expected);
    free(problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_hold_the_address),
        cmocka_unit_test(the_largest_and_the_smallest),
        cmocka_unit_test(every_wrong_line_is_named),
        cmocka_unit_test(the_obvious_way_says_the_same),
        cmocka_unit_test(files_of_other_systems),
        cmocka_unit_test(what_is_no_file_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
