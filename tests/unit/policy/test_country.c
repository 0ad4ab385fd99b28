#include "policy/country.h"

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

#include "policy/rules.h"
#include "policy/rules_read.h"
#include "policy/sources.h"

/* A small database according to the specification of MaxMind DB 2.0: an IPv6 tree with records
 * of 24 bits (IPv4 is below ::/96), data, and the map with the metadata. */
enum { NODES = 512, EMPTY = 0xffffff, DATA = 0x800000 };

struct db {
    uint32_t node[NODES][2]; /* another node, EMPTY, or DATA with an offset */
    uint32_t count;
    uint8_t data[512];
    size_t data_len;
};

static void put_text(struct db *d, const char *text)
{
    d->data[d->data_len++] = (uint8_t)(2 << 5 | strlen(text));
    memcpy(d->data + d->data_len, text, strlen(text));
    d->data_len += strlen(text);
}

static void put_map(struct db *d, uint8_t pairs)
{
    d->data[d->data_len++] = (uint8_t)(7 << 5 | pairs);
}

static uint32_t add_node(struct db *d)
{
    assert_true(d->count < NODES);
    d->node[d->count][0] = d->node[d->count][1] = EMPTY;
    return d->count++;
}

/* Adds {place: {"iso_code": code}} for a network. */
static void add(struct db *d, const char *text, const char *place, const char *code)
{
    struct cidr net;
    uint8_t ip[16] = {0};
    assert_int_equal(cidr_parse(text, &net), ERR_OK);
    memcpy(net.family == AF_INET ? ip + 12 : ip, net.ip, net.family == AF_INET ? 4 : 16);
    const unsigned bits = net.bits + (net.family == AF_INET ? 96u : 0);
    uint32_t at = 0, side = 0;
    for (unsigned i = 0; i < bits; i++) {
        if (i > 0 && d->node[at][side] == EMPTY)
            d->node[at][side] = add_node(d);
        at = i > 0 ? d->node[at][side] : 0;
        side = ip[i / 8] >> (7 - i % 8) & 1;
    }
    d->node[at][side] = DATA | (uint32_t)d->data_len;
    put_map(d, 1);
    put_text(d, place);
    put_map(d, 1);
    put_text(d, "iso_code");
    put_text(d, code);
}

enum { UINT16 = 5, UINT32 = 6, UINT64 = 9 };

static void put_number(FILE *f, const char *key, int type, uint32_t n)
{
    const int bytes = type == UINT16 ? 2 : 4;
    fprintf(f, "%c%s", 2 << 5 | (int)strlen(key), key);
    fputc((type < 8 ? type << 5 : 0) | bytes, f);
    if (type >= 8)
        fputc(type - 7, f);
    for (int i = bytes - 1; i >= 0; i--)
        fputc((int)(n >> 8 * i & 0xff), f);
}

static void write_db(const struct db *d, const char *path)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (uint32_t i = 0; i < d->count; i++) {
        for (int side = 0; side < 2; side++) {
            uint32_t v = d->node[i][side];
            if (v == EMPTY)
                v = d->count;
            else if (v & DATA)
                v = d->count + 16 + (v & ~(uint32_t)DATA);
            fprintf(f, "%c%c%c", (int)(v >> 16 & 0xff), (int)(v >> 8 & 0xff), (int)(v & 0xff));
        }
    }
    for (int i = 0; i < 16; i++)
        fputc(0, f);
    fwrite(d->data, 1, d->data_len, f);
    fputs("\xab\xcd\xefMaxMind.com", f);
    fputc(7 << 5 | 9, f);
    put_number(f, "node_count", UINT32, d->count);
    put_number(f, "ip_version", UINT16, 6);
    put_number(f, "record_size", UINT16, 24);
    put_number(f, "binary_format_major_version", UINT16, 2);
    put_number(f, "binary_format_minor_version", UINT16, 0);
    put_number(f, "build_epoch", UINT64, 1700000000);
    fprintf(f, "%cdatabase_type%cTest", 2 << 5 | 13, 2 << 5 | 4);
    fprintf(f, "%clanguages%c%c", 2 << 5 | 9, 0, 11 - 7); /* an empty array, an empty map */
    fprintf(f, "%cdescription%c", 2 << 5 | 11, 7 << 5);
    assert_int_equal(fclose(f), 0);
}

/* Returns the path of a new database, to be unlinked and freed. */
static char *make_db(void)
{
    static char path[64];
    struct db d = {.count = 0};
    int fd;
    strcpy(path, "/tmp/country.XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    add_node(&d);
    add(&d, "192.0.2.0/24", "country", "DE");
    add(&d, "198.51.100.0/25", "country", "FR");
    add(&d, "198.51.100.128/25", "registered_country", "US");
    add(&d, "203.0.113.0/24", "continent", "EU");
    add(&d, "2001:db8::/32", "country", "AT");
    write_db(&d, path);
    return path;
}

static struct addr addr(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(text, 1, &a), ERR_OK);
    return a;
}

static char *open_problems(const char *path)
{
    char *problems;
    size_t n;
    FILE *f = open_memstream(&problems, &n);
    assert_non_null(f);
    assert_null(country_open(path, f));
    fclose(f);
    return problems;
}

static void countries_of_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *who, *code;
    } table[] = {
        {"192.0.2.1", "DE"},     {"198.51.100.1", "FR"}, {"198.51.100.200", "US"},
        {"203.0.113.1", NULL},   {"127.0.0.1", NULL},    {"[2001:db8::1]", "AT"},
        {"[2001:db9::1]", NULL},
    };
    char *path = make_db();
    struct country *c = country_open(path, stderr);
    assert_non_null(c);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char code[3];
        const struct addr who = addr(table[i].who);
        assert_int_equal(country_find(c, &who, code), table[i].code != NULL);
        if (table[i].code != NULL)
            assert_string_equal(code, table[i].code);
    }
    country_close(c);
    unlink(path);
}

static void rules_with_countries(void **state)
{
    (void)state;
    static const struct {
        const char *who;
        size_t rule;
    } table[] = {{"198.51.100.1", 1}, {"192.0.2.1", 2}, {"127.0.0.1", 3}, {"203.0.113.1", 3}};
    char *path = make_db(), problem[RULES_PROBLEM_MAX];
    struct rules r;
    struct sources s = {.files = files_new(NULL)};
    rules_init(&r);
    assert_true(sources_open_country(&s, path, stderr));
    assert_true(rules_add(&r, false, "country fr", "/", 1, problem));
    assert_true(rules_add(&r, true, "country DE", "/", 2, problem));
    assert_true(rules_add(&r, false, "any", "/", 3, problem));
    assert_int_equal(rules_country_line(&r), 1);
    assert_true(rules_open(&r, &s, "f.conf", stderr));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct addr who = addr(table[i].who);
        const struct rules_facts f = {.client = &who};
        assert_int_equal(rules_decide(&r, &f).rule, table[i].rule);
    }
    rules_fini(&r);
    files_free(s.files);
    unlink(path);
}

static void expect_country(const struct country *c, const char *who, const char *want)
{
    char code[3];
    const struct addr a = addr(who);
    assert_true(country_find(c, &a, code));
    assert_string_equal(code, want);
}

/* Writes like cp and curl -o: the file is empty before it is filled. A mapped file would cause a
 * SIGBUS here. */
static void a_file_may_be_written_in_place(void **state)
{
    char *path = make_db();
    struct country *c = country_open(path, stderr);

    (void)state;
    assert_non_null(c);
    assert_int_equal(truncate(path, 0), 0);
    expect_country(c, "192.0.2.1", "DE");
    char *problems = open_problems(path);
    assert_non_null(strstr(problems, path));
    free(problems);
    expect_country(c, "192.0.2.1", "DE");
    country_close(c);
    unlink(path);
}

static void half_a_file_is_refused(void **state)
{
    char *path = make_db();
    struct stat st;

    (void)state;
    assert_int_equal(stat(path, &st), 0);
    for (off_t size = st.st_size - 1; size >= 0; size--) {
        assert_int_equal(truncate(path, size), 0);
        free(open_problems(path));
    }
    unlink(path);
}

static void what_is_no_database_is_named(void **state)
{
    (void)state;
    char *problems = open_problems("/nowhere");
    assert_string_equal(problems, "/nowhere: No such file or directory\n");
    free(problems);
    problems = open_problems("Makefile");
    assert_non_null(strstr(problems, "Makefile: "));
    free(problems);
}

static void a_build_without_the_library_is_an_error(void **state)
{
    (void)state;
    char *problems = open_problems("/nowhere");
    assert_string_equal(problems, "/nowhere: country databases are not supported: this program was "
                                  "built without libmaxminddb\n");
    free(problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(countries_of_addresses),         cmocka_unit_test(rules_with_countries),
        cmocka_unit_test(a_file_may_be_written_in_place), cmocka_unit_test(half_a_file_is_refused),
        cmocka_unit_test(what_is_no_database_is_named),
    };
    const struct CMUnitTest without[] = {cmocka_unit_test(a_build_without_the_library_is_an_error)};
    return country_supported() ? cmocka_run_group_tests(tests, NULL, NULL)
                               : cmocka_run_group_tests(without, NULL, NULL);
}
