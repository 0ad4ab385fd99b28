/* vectors: reads tests/vectors/NAME.txt. The head of each file describes the format. A test that
 * cannot read its vectors, or requests a missing key, fails. Include it after cmocka.h. */
#ifndef SSTPGATE_TESTS_VECTORS_H
#define SSTPGATE_TESTS_VECTORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

enum { VECTOR_FIELDS = 32, VECTOR_LINE = 4096 };

struct vector {
    char name[64];
    size_t fields;
    struct {
        char key[32];
        uint8_t *octets; /* exactly n, so that a sanitizer detects a read past the end */
        size_t n;
    } field[VECTOR_FIELDS];
};

struct vectors {
    struct vector *item;
    size_t count;
};

static inline void vectors_fail(const char *path, unsigned line, const char *why)
{
    fail_msg("%s:%u: %s", path, line, why);
    abort(); /* for compilers, which do not know that fail_msg() does not return */
}

static inline void vector_add_field(struct vector *v, const char *key, const char *hex,
                                    const char *path, unsigned line)
{
    const size_t digits = strlen(hex);
    if (v->fields == VECTOR_FIELDS || strlen(key) >= sizeof v->field[0].key || digits % 2 != 0)
        vectors_fail(path, line, "too many fields, a long key, or half an octet");
    memcpy(v->field[v->fields].key, key, strlen(key) + 1);
    uint8_t *out = malloc(digits / 2 + (digits == 0));
    assert_non_null(out);
    for (size_t i = 0; i < digits / 2; i++) {
        unsigned octet = 0;
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        if (strspn(two, "0123456789abcdef") != 2 || sscanf(two, "%x", &octet) != 1)
            vectors_fail(path, line, "not hex");
        out[i] = (uint8_t)octet;
    }
    v->field[v->fields].octets = out;
    v->field[v->fields].n = digits / 2;
    v->fields++;
}

static inline struct vectors vectors_read(const char *path)
{
    struct vectors all = {0};
    char text[VECTOR_LINE], name[VECTOR_LINE], key[VECTOR_LINE], hex[VECTOR_LINE];
    FILE *f = fopen(path, "r");
    if (f == NULL)
        vectors_fail(path, 0, "cannot be opened (tests run in the root of the project)");
    for (unsigned line = 1; fgets(text, sizeof text, f) != NULL; line++) {
        if (text[0] == '#' || text[0] == '\n')
            continue;
        hex[0] = 0;
        if (sscanf(text, "[%[^]]]", name) == 1) {
            all.item = realloc(all.item, (all.count + 1) * sizeof *all.item);
            assert_non_null(all.item);
            memset(&all.item[all.count], 0, sizeof *all.item);
            snprintf(all.item[all.count++].name, sizeof all.item->name, "%.63s", name);
        } else if (all.count > 0 && strchr(text, '=') != NULL &&
                   sscanf(text, "%s = %s", key, hex) >= 1) {
            vector_add_field(&all.item[all.count - 1], key, hex, path, line);
        } else {
            vectors_fail(path, line, "neither [name] nor key = hex");
        }
    }
    fclose(f);
    if (all.count == 0)
        vectors_fail(path, 0, "no vectors");
    return all;
}

static inline void vectors_free(struct vectors *all)
{
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = 0; k < all->item[i].fields; k++)
            free(all->item[i].field[k].octets);
    free(all->item);
}

/* Returns a value; n == 0 and p == NULL: the block has no such key. */
static inline struct span vector_find(const struct vector *v, const char *key)
{
    for (size_t i = 0; i < v->fields; i++)
        if (strcmp(v->field[i].key, key) == 0)
            return span_of(v->field[i].octets, v->field[i].n);
    return span_of(NULL, 0);
}

static inline struct span vector_get(const struct vector *v, const char *key)
{
    const struct span s = vector_find(v, key);
    if (s.p == NULL)
        fail_msg("[%s] has no %s", v->name, key);
    return s;
}

/* Returns a value, which must have n bytes. */
static inline const uint8_t *vector_octets(const struct vector *v, const char *key, size_t n)
{
    const struct span s = vector_get(v, key);
    if (s.n != n)
        fail_msg("[%s] %s: %zu octets, %zu wanted", v->name, key, s.n, n);
    return s.p;
}

static inline const struct vector *vectors_named(const struct vectors *all, const char *name)
{
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->item[i].name, name) == 0)
            return &all->item[i];
    fail_msg("no vector [%s]", name);
    return NULL;
}

#endif
