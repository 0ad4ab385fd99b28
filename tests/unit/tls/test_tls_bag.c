#include "tls/tls_bag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_fixture.h"

/* The chain far, mid2, mid1, top; twin: another certificate for the key of far. */
static struct cert top, mid1, mid2, low, twin;

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    cert_make(&certs, &top, "top.pem", &(struct cert_spec){0});
    cert_make(&certs, &mid1, "mid1.pem", &(struct cert_spec){.issuer = &top});
    cert_make(&certs, &mid2, "mid2.pem", &(struct cert_spec){.issuer = &mid1});
    cert_make(&certs, &low, "low.pem",
              &(struct cert_spec){.name = "DNS:low.test", .issuer = &mid2});
    cert_make(&certs, &twin, "twin.pem",
              &(struct cert_spec){.name = "DNS:twin.test", .issuer = &mid2, .same_key = &low});
    return 0;
}

static int teardown(void **state)
{
    struct cert *all[] = {&top, &mid1, &mid2, &low, &twin};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cert_free(all[i]);
    return fixture_teardown(state);
}

/* Chooses from these certificates and keys (NULL ends both lists), and checks the result; leaf
 * NULL: no leaf is chosen. chain: the certificates that are sent after the leaf. */
static void check(const struct cert *const *certs_in, const struct cert *const *keys, bool with_key,
                  const struct cert *leaf, const struct cert *const *chain, size_t rivals)
{
    struct tls_bag bag = tls_bag_init();
    for (; *certs_in != NULL; certs_in++) {
        X509_up_ref((*certs_in)->x509);
        tls_bag_add_cert(&bag, (*certs_in)->x509);
    }
    for (; keys != NULL && *keys != NULL; keys++) {
        EVP_PKEY_up_ref((*keys)->key);
        tls_bag_add_key(&bag, (*keys)->key);
    }
    struct tls_choice c = tls_bag_choose(&bag, with_key);
    tls_bag_fini(&bag);
    assert_ptr_equal(c.leaf, leaf == NULL ? NULL : leaf->x509);
    assert_int_equal(ERR_peek_error(), 0);
    if (leaf != NULL) {
        assert_ptr_equal(c.key, with_key ? leaf->key : NULL);
        assert_int_equal(c.rivals, rivals);
        assert_true(c.strays >= c.rivals);
        assert_true(c.root == NULL || c.root == top.x509 || c.root == ca.x509);
        int n = 0;
        for (; chain[n] != NULL; n++)
            assert_ptr_equal(sk_X509_value(c.chain, n), chain[n]->x509);
        assert_int_equal(sk_X509_num(c.chain), n);
    }
    X509_free(c.leaf);
    EVP_PKEY_free(c.key);
    sk_X509_pop_free(c.chain, X509_free);
    X509_free(c.root);
}

#define LIST(...)                                                                                  \
    (const struct cert *const[])                                                                   \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }
#define NOTHING ((const struct cert *const[]){NULL})

static void every_order_gives_the_same_chain(void **state)
{
    const struct cert *all[] = {&low, &mid2, &mid1, &top, NULL};
    (void)state;
    /* all 24 permutations, by swapping (Heap) */
    size_t count[4] = {0}, i = 0, seen = 1;
    check(all, LIST(&low), true, &low, LIST(&mid2, &mid1), 0);
    while (i < 4) {
        if (count[i] < i) {
            const size_t k = i % 2 == 0 ? 0 : count[i];
            const struct cert *swap = all[k];
            all[k] = all[i];
            all[i] = swap;
            check(all, LIST(&low), true, &low, LIST(&mid2, &mid1), 0);
            check(all, NULL, false, &low, LIST(&mid2, &mid1), 0);
            seen++;
            count[i]++;
            i = 0;
        } else {
            count[i++] = 0;
        }
    }
    assert_int_equal(seen, 24);
}

static void the_key_decides(void **state)
{
    (void)state;
    /* a foreign key first; a stranger first; a key for nothing */
    check(LIST(&low, &mid2), LIST(&two, &low), true, &low, LIST(&mid2), 0);
    check(LIST(&two, &mid2, &low), LIST(&low), true, &low, LIST(&mid2), 0);
    check(LIST(&low, &mid2), LIST(&two), true, NULL, NULL, 0);
    check(LIST(&low), NULL, true, NULL, NULL, 0);
    check(NOTHING, LIST(&low), true, NULL, NULL, 0);
    check(NOTHING, NULL, false, NULL, NULL, 0);
    /* two pairs: the first certificate of the file, whatever the order of the keys */
    check(LIST(&two, &low), LIST(&low, &two), true, &two, NOTHING, 1);
    check(LIST(&low, &two), LIST(&low, &two), true, &low, NOTHING, 1);
    check(LIST(&twin, &low, &mid2), LIST(&low), true, &twin, LIST(&mid2), 1);
    /* the same certificate twice; the key of the CA, too */
    check(LIST(&low, &low), LIST(&low), true, &low, NOTHING, 0);
    check(LIST(&top, &mid1, &mid2, &low), LIST(&top, &mid2, &low), true, &low, LIST(&mid2, &mid1),
          0);
    check(LIST(&top), LIST(&top), true, &top, NOTHING, 0);
}

static void without_a_key_the_end_of_the_chain_is_the_leaf(void **state)
{
    (void)state;
    check(LIST(&top), NULL, false, &top, NOTHING, 0);
    check(LIST(&top, &mid1), NULL, false, &mid1, NOTHING, 0);
    check(LIST(&top, &mid2, &low), NULL, false, &low, LIST(&mid2), 0);
    check(LIST(&ca, &two, &low, &mid2), NULL, false, &two, NOTHING, 1);
    /* a CA of another chain in front */
    check(LIST(&ca, &low), NULL, false, &low, NOTHING, 0);
}

static void a_gap_ends_the_chain(void **state)
{
    (void)state;
    check(LIST(&low, &mid1), LIST(&low), true, &low, NOTHING, 0);
    check(LIST(&low, &two, &mid2), LIST(&low), true, &low, LIST(&mid2), 0);
}

/* Two CAs that certify each other have no root. */
static void a_circle_has_an_end(void **state)
{
    struct cert a, b, leaf;
    struct cert_spec spec = {.common = "circle a", .issuer = NULL};
    (void)state;
    cert_make(&certs, &a, "circle-a.pem", &spec);
    cert_make(&certs, &b, "circle-b.pem", &(struct cert_spec){.common = "circle b", .issuer = &a});
    X509_set_issuer_name(a.x509, X509_get_subject_name(b.x509));
    assert_true(X509_sign(a.x509, b.key, EVP_sha256()) > 0);
    cert_make(&certs, &leaf, "circle-leaf.pem",
              &(struct cert_spec){.common = "circle leaf", .issuer = &a});
    check(LIST(&b, &a, &leaf), LIST(&leaf), true, &leaf, LIST(&a, &b), 0);
    check(LIST(&b, &a), NULL, false, &b, LIST(&a), 0);
    cert_free(&a);
    cert_free(&b);
    cert_free(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_gives_the_same_chain),
        cmocka_unit_test(the_key_decides),
        cmocka_unit_test(without_a_key_the_end_of_the_chain_is_the_leaf),
        cmocka_unit_test(a_gap_ends_the_chain),
        cmocka_unit_test(a_circle_has_an_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
