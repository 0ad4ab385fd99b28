#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "radius/keyring_entry.h"
#include "wire_octets.h"

static const struct keyring_label label = {
    .radius = 0x0102030405060708,
    .user = 0x1112131415161718,
    .bare = 0x2122232425262728,
    .marks = {.proof = 0x3132333435363738, .chain = 0x4142434445464748}};

static const uint64_t time_ms = 0x0000019000112233;

#define HEAD(kind, a, b)                                                                           \
    kind, a, b, 0, 0x00, 0x00, 0x01, 0x90, 0x00, 0x11, 0x22, 0x33, 0x01, 0x02, 0x03, 0x04, 0x05,   \
        0x06, 0x07, 0x08, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x21, 0x22, 0x23, 0x24,  \
        0x25, 0x26, 0x27, 0x28, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x41, 0x42, 0x43,  \
        0x44, 0x45, 0x46, 0x47, 0x48

static void assert_label(const struct keyring_label *l)
{
    assert_memory_equal(l, &label, sizeof label);
}

static void an_outcome(void **state)
{
    static const uint8_t bytes[KEYRING_ENTRY_HEAD + 2 * HLAK_LEN] = {
        HEAD(1, 'A', 2), 0xaa, [KEYRING_ENTRY_HEAD + HLAK_LEN] = 0xbb};
    struct keyring_outcome o = {.label = label,
                                .verdict = KEYRING_ACCEPTED,
                                .n = 2,
                                .key = {{.key = {0xaa}}, {.key = {0xbb}}}},
                           back;
    uint8_t out[KEYRING_ENTRY_MAX];
    uint64_t when;

    (void)state;
    assert_int_equal(keyring_entry_of_outcome(&o, time_ms, out), sizeof bytes);
    assert_memory_equal(out, bytes, sizeof bytes);
    assert_int_equal(keyring_entry_outcome(span_of(bytes, sizeof bytes), &back, &when), ERR_OK);
    assert_true(when == time_ms);
    assert_label(&back.label);
    assert_int_equal(back.verdict, KEYRING_ACCEPTED);
    assert_int_equal(back.n, 2);
    assert_int_equal(back.key[0].kind, HLAK_SHARED);
    assert_memory_equal(back.key[1].key, o.key[1].key, HLAK_LEN);
    for (size_t n = 0; n < sizeof bytes; n++)
        assert_int_equal(keyring_entry_outcome(span_of(bytes, n), &back, &when), ERR_SYNTAX);
    o.verdict = KEYRING_REJECTED;
    o.n = 0;
    assert_int_equal(keyring_entry_of_outcome(&o, time_ms, out), KEYRING_ENTRY_HEAD);
    assert_int_equal(keyring_entry_outcome(span_of(out, KEYRING_ENTRY_HEAD), &back, &when), ERR_OK);
    assert_int_equal(back.verdict, KEYRING_REJECTED);
    assert_int_equal(back.n, 0);
}

static void a_client(void **state)
{
    static const struct {
        const char *text;
        uint8_t bytes[KEYRING_ENTRY_CLIENT];
    } cases[] = {
        {"192.0.2.9:513", {HEAD(2, 4, 0), 2, 1, 192, 0, 2, 9}},
        {"[2001:db8::9]:1",
         {HEAD(2, 6, 0), 0, 1, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}},
    };
    struct keyring_label l;
    struct addr client, back;
    uint8_t out[KEYRING_ENTRY_MAX];
    uint64_t when;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct span bytes = span_of(cases[i].bytes, KEYRING_ENTRY_CLIENT);
        assert_int_equal(addr_parse(cases[i].text, 0, &client), ERR_OK);
        assert_int_equal(keyring_entry_of_client(&label, &client, time_ms, out), bytes.n);
        assert_memory_equal(out, bytes.p, bytes.n);
        assert_int_equal(keyring_entry_client(bytes, &l, &back, &when), ERR_OK);
        assert_true(addr_equal(&back, &client));
        assert_label(&l);
        assert_true(when == time_ms);
        for (size_t n = 0; n < bytes.n; n++)
            assert_int_equal(keyring_entry_client(span_of(bytes.p, n), &l, &back, &when),
                             ERR_SYNTAX);
    }
}

/* Each byte that has only some valid values. */
static void malformed(void **state)
{
    static const struct {
        size_t at;
        uint8_t value;
        size_t n;
    } outcomes[] = {
        {0, 2, KEYRING_ENTRY_HEAD + HLAK_LEN},   {0, 0, KEYRING_ENTRY_HEAD + HLAK_LEN},
        {1, 'R', KEYRING_ENTRY_HEAD + HLAK_LEN}, {1, 0, KEYRING_ENTRY_HEAD + HLAK_LEN},
        {2, 0, KEYRING_ENTRY_HEAD + HLAK_LEN},   {2, 2, KEYRING_ENTRY_HEAD + HLAK_LEN},
        {3, 1, KEYRING_ENTRY_HEAD + HLAK_LEN},   {2, 5, KEYRING_ENTRY_HEAD + 5 * HLAK_LEN},
    };
    static const struct {
        size_t at;
        uint8_t value;
        size_t n;
    } clients[] = {
        {0, 1, KEYRING_ENTRY_CLIENT},     {1, 5, KEYRING_ENTRY_CLIENT},
        {2, 1, KEYRING_ENTRY_CLIENT},     {3, 1, KEYRING_ENTRY_CLIENT},
        {0, 2, KEYRING_ENTRY_CLIENT + 1}, {KEYRING_ENTRY_CLIENT - 1, 1, KEYRING_ENTRY_CLIENT},
    };
    struct keyring_outcome o;
    struct keyring_label l;
    struct addr client;
    uint64_t when;

    (void)state;
    for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
        uint8_t bytes[KEYRING_ENTRY_HEAD + 5 * HLAK_LEN] = {HEAD(1, 'A', 1)};
        bytes[outcomes[i].at] = outcomes[i].value;
        assert_int_equal(keyring_entry_outcome(span_of(bytes, outcomes[i].n), &o, &when),
                         ERR_SYNTAX);
    }
    for (size_t i = 0; i < sizeof clients / sizeof *clients; i++) {
        uint8_t bytes[KEYRING_ENTRY_CLIENT + 1] = {HEAD(2, 4, 0), 2, 1, 192, 0, 2, 9};
        bytes[clients[i].at] = clients[i].value;
        assert_int_equal(keyring_entry_client(span_of(bytes, clients[i].n), &l, &client, &when),
                         ERR_SYNTAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outcome),
        cmocka_unit_test(a_client),
        cmocka_unit_test(malformed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
