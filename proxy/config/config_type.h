/* config_type: the kinds of value that a configuration key may have: text to field and back. Each
 * is one struct of functions that a row of config_table.c names; a new kind is one more. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"

enum config_section { GATE, LISTENER, BACKEND, RADIUS, SECTION_COUNT };

/* A word that a value may be. The list ends with a NULL; where two words mean the same, the first
 * is the one that is printed. */
struct config_choice {
    const char *word;
    int value;
};

enum config_key_flags {
    KEY_REQUIRED = 1, /* must stand in each section of its kind */
    KEY_REPEAT = 2,   /* may stand more than once */
    KEY_FIXED = 4,    /* a reload cannot change it */
    KEY_NONE = 8,     /* a duration that may be `none` */
    KEY_TLS = 16,     /* of a backend: means something only with tls = yes */
};

/* A row of the table. */
struct config_key {
    enum config_section in;
    const char *name;
    const struct config_type *type;
    size_t at; /* where in the struct of its section */
    unsigned flags;
    uint32_t min, max;
    const struct config_choice *choices;
    const char *initial;   /* the value when it is not written, as text; NULL: see otherwise */
    const char *otherwise; /* what holds then, in words */
    const char *help;
};

/* The file that values come from. */
struct config_input {
    const char *path;
    const char *dir; /* absolute; relative paths start here */
    FILE *problems;
    bool failed;   /* there was a problem */
    unsigned line; /* of the value being parsed */
};

__attribute__((format(printf, 3, 4))) void config_problem(struct config_input *in, unsigned line,
                                                          const char *format, ...);

/* `at` is the field that the key's row names. */
struct config_type {
    const char *syntax; /* for the reference, before the key's choices and its range */
    /* False when text is no such value; the problem was reported and the field left as it was. */
    bool (*parse)(struct config_input *in, const struct config_key *k, void *at, const char *text);
    /* Prints "key = value" lines that parse to what is there; false when there is nothing. */
    bool (*print)(FILE *out, const struct config_key *k, const void *at);
    void (*fini)(void *at); /* NULL where the field owns nothing */
};

/* struct rate */
extern const struct config_type config_type_rate;
/* Fields of: an enum or int; bool; unsigned or int; uint32_t; char * (the last two). */
extern const struct config_type config_type_choice, config_type_flag, config_type_number,
    config_type_duration, config_type_path, config_type_reference;

/* The first word of k that stands for value; NULL when none does. */
const struct config_choice *config_choice_of(const struct config_key *k, int value);

/* ---- for the files of types: config_type_net.c, config_type_tls.c, config_type_rules.c ---- */

/* Room for one more at the end of an array. */
void *config_grow(void *items, size_t count, size_t size);

char *config_type_copy(const char *text); /* to be freed */

void config_type_print_line(FILE *out, const struct config_key *k, const char *value);

/* For a field that is a char *, which has its own copy, or NULL. */
void config_type_put_text(void *at, const char *text);
bool config_type_print_text(FILE *out, const struct config_key *k, const void *at);
void config_type_fini_text(void *at);

/* A file, as an absolute path, to be freed. NULL: it is none, the problem was reported. */
char *config_type_read_path(struct config_input *in, const struct config_key *k, const char *text);

/* The same, or one of the key's words; into a char *. */
bool config_type_parse_path(struct config_input *in, const struct config_key *k, void *at,
                            const char *text);

#endif
