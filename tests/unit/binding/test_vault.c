#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <string.h>

#include "base/hex.h"
#include "binding/vault.h"

/* The expected bytes were computed with hmac, hashlib and cryptography's AESGCM of Python 3: the
 * secret 00 01 .. 1f, the label and the entry below, the nonce a0 a1 .. ab. */
static const char label[] = "home 0123456789", entry[] = "the entry of a login";

static const struct {
    enum vault_purpose purpose;
    const char *name, *sealed;
} vectors[] = {
    {VAULT_LOGIN, "894d230fa921325e79080d66c290a686",
     "a0a1a2a3a4a5a6a7a8a9aaab8cac136514e17729a61f75e476d141921436f8524aa1b36bd187dd2bfe92be2a669dc"
     "6"
     "1b"},
    {VAULT_CLIENT, "b85d28c550e641330e94f63b90c81217",
     "a0a1a2a3a4a5a6a7a8a9aaabb07ea0adc1938e326bde72af1eb2dda7e5df66801dd2d1f53e54cbc5ffff7eb3dc1a3"
     "f"
     "9c"},
};

enum { ENTRY = sizeof entry - 1, SEALED = ENTRY + VAULT_OVERHEAD };

/* Returns the vault of the secret first, first + 1, ... */
static struct vault *vault_from(uint8_t first)
{
    uint8_t secret[VAULT_SECRET_MIN];

    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(first + i);
    return vault_new(span_of(secret, sizeof secret));
}

static void read_hex(const char *text, uint8_t *out, size_t n)
{
    assert_true(hex_read(span_str(text), out, n));
}

static void known_bytes(void **state)
{
    struct vault *v = vault_from(0);
    uint8_t nonce[VAULT_NONCE], name[VAULT_NAME], want[SEALED], sealed[SEALED], plain[ENTRY];
    uint8_t marks[VAULT_MARKS], print[VAULT_PRINT];

    (void)state;
    for (size_t i = 0; i < sizeof nonce; i++)
        nonce[i] = (uint8_t)(0xa0 + i);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        vault_name(v, vectors[i].purpose, span_str(label), name);
        read_hex(vectors[i].name, want, sizeof name);
        assert_memory_equal(name, want, sizeof name);
        vault_seal_with(v, vectors[i].purpose, name, nonce, span_str(entry), sealed);
        read_hex(vectors[i].sealed, want, SEALED);
        assert_memory_equal(sealed, want, SEALED);
        assert_true(vault_open(v, vectors[i].purpose, name, span_of(want, SEALED), plain));
        assert_memory_equal(plain, entry, ENTRY);
    }
    vault_marks(v, marks);
    read_hex("6d367a69c229a8f71e376b273dbf6174", want, sizeof marks);
    assert_memory_equal(marks, want, sizeof marks);
    vault_print(v, print);
    read_hex("1bd30f84a0913267", want, sizeof print);
    assert_memory_equal(print, want, sizeof print);
    vault_free(v);
}

static void each_seal_has_a_nonce_of_its_own(void **state)
{
    struct vault *v = vault_from(0);
    uint8_t name[VAULT_NAME] = {1}, a[SEALED], b[SEALED], plain[ENTRY];

    (void)state;
    vault_seal(v, VAULT_LOGIN, name, span_str(entry), a);
    vault_seal(v, VAULT_LOGIN, name, span_str(entry), b);
    assert_memory_not_equal(a, b, VAULT_NONCE);
    assert_memory_not_equal(a + VAULT_NONCE, b + VAULT_NONCE, ENTRY);
    assert_true(vault_open(v, VAULT_LOGIN, name, span_of(b, SEALED), plain));
    assert_memory_equal(plain, entry, ENTRY);
    vault_free(v);
}

static bool opens(const struct vault *v, enum vault_purpose purpose, const uint8_t *name,
                  struct span sealed)
{
    static const uint8_t zeros[ENTRY];
    uint8_t plain[ENTRY];

    memset(plain, 0, sizeof plain);
    const bool open = vault_open(v, purpose, name, sealed, plain);
    if (!open)
        assert_memory_equal(plain, zeros, sizeof plain);
    assert_int_equal(ERR_peek_error(), 0);
    return open;
}

static void altered(void **state)
{
    struct vault *v = vault_from(0);
    uint8_t name[VAULT_NAME] = {1}, sealed[SEALED];

    (void)state;
    vault_seal(v, VAULT_LOGIN, name, span_str(entry), sealed);
    assert_true(opens(v, VAULT_LOGIN, name, span_of(sealed, SEALED)));
    for (size_t bit = 0; bit < 8 * SEALED; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(opens(v, VAULT_LOGIN, name, span_of(sealed, SEALED)));
        sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * VAULT_NAME; bit++) {
        name[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(opens(v, VAULT_LOGIN, name, span_of(sealed, SEALED)));
        name[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(opens(v, VAULT_LOGIN, name, span_of(sealed, SEALED)));
    vault_free(v);
}

static void shortened(void **state)
{
    struct vault *v = vault_from(0);
    uint8_t name[VAULT_NAME] = {1}, sealed[SEALED];

    (void)state;
    vault_seal(v, VAULT_LOGIN, name, span_str(entry), sealed);
    for (size_t n = 0; n < SEALED; n++) {
        assert_false(opens(v, VAULT_LOGIN, name, span_of(sealed, n)));
        assert_false(opens(v, VAULT_LOGIN, name, span_of(sealed + SEALED - n, n)));
    }
    vault_free(v);
}

static void empty_entry(void **state)
{
    struct vault *v = vault_from(0);
    uint8_t name[VAULT_NAME] = {1}, sealed[VAULT_OVERHEAD], plain[1];

    (void)state;
    vault_seal(v, VAULT_LOGIN, name, span_of(name, 0), sealed);
    assert_true(vault_open(v, VAULT_LOGIN, name, span_of(sealed, sizeof sealed), plain));
    sealed[VAULT_NONCE] ^= 1;
    assert_false(vault_open(v, VAULT_LOGIN, name, span_of(sealed, sizeof sealed), plain));
    vault_free(v);
}

static void other_purpose_or_secret(void **state)
{
    struct vault *v = vault_from(0), *other = vault_from(1);
    uint8_t name[VAULT_NAME], foreign[VAULT_NAME], sealed[SEALED];

    (void)state;
    vault_name(v, VAULT_LOGIN, span_str(label), name);
    vault_name(v, VAULT_CLIENT, span_str(label), foreign);
    assert_memory_not_equal(name, foreign, VAULT_NAME);
    vault_name(other, VAULT_LOGIN, span_str(label), foreign);
    assert_memory_not_equal(name, foreign, VAULT_NAME);
    vault_seal(v, VAULT_LOGIN, name, span_str(entry), sealed);
    assert_false(opens(v, VAULT_CLIENT, name, span_of(sealed, SEALED)));
    assert_false(opens(other, VAULT_LOGIN, name, span_of(sealed, SEALED)));
    assert_true(opens(v, VAULT_LOGIN, name, span_of(sealed, SEALED)));
    uint8_t a[VAULT_PRINT], b[VAULT_PRINT], c[VAULT_MARKS], d[VAULT_MARKS];
    vault_print(v, a);
    vault_print(other, b);
    assert_memory_not_equal(a, b, sizeof a);
    vault_marks(v, c);
    vault_marks(other, d);
    assert_memory_not_equal(c, d, sizeof c);
    vault_free(v);
    vault_free(other);
    vault_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes), cmocka_unit_test(each_seal_has_a_nonce_of_its_own),
        cmocka_unit_test(altered),     cmocka_unit_test(shortened),
        cmocka_unit_test(empty_entry), cmocka_unit_test(other_purpose_or_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
