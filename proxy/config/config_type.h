/* config_type: the types of values of configuration keys: from text to a field, and back. A type
 * is a struct of functions, which the rows of config_table.c name. */
#ifndef SSTPGATE_CONFIG_CONFIG_TYPE_H
#define SSTPGATE_CONFIG_CONFIG_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"

enum config_section { GATE, LISTENER, BACKEND, RADIUS, SECTION_COUNT };

/* A word that is a valid value. A list of them ends with NULL. Of several words for the same
 * value, the first is printed. */
struct config_choice {
    const char *word;
    int value;
};

enum config_key_flags {
    KEY_REQUIRED = 1, /* must be set in each section of its kind */
    KEY_REPEAT = 2,   /* may be set more than once */
    KEY_FIXED = 4,    /* a reload does not change it */
    KEY_NONE = 8,     /* a duration that may be `none` */
    KEY_TLS = 16,     /* of a backend: has an effect only with tls = yes */
};

/* A row of the table. */
struct config_key {
    enum config_section in;
    const char *name;
    const struct config_type *type;
    size_t at; /* offset of its field in the struct of its section */
    unsigned flags;
    uint32_t min, max;
    const struct config_choice *choices;
    const char *initial;   /* the default, as text; NULL: see otherwise */
    const char *otherwise; /* the default in words */
    const char *help;
};

/* The file that is being read, and its state. */
struct config_input {
    const char *path;
    const char *dir; /* absolute; the start of relative paths */
    FILE *problems;
    bool failed;   /* config_problem() was called */
    unsigned line; /* of the value being parsed */
};

/* Writes "path:line: ...\n" to in->problems. */
__attribute__((format(printf, 3, 4))) void config_problem(struct config_input *in, unsigned line,
                                                          const char *format, ...);

/* Returns "on line N", and the file if it is not in->path; in out. */
enum { CONFIG_WHERE_MAX = 4200 };
const char *config_where(const struct config_input *in, const char *file, unsigned line,
                         char out[CONFIG_WHERE_MAX]);

/* at: the field of the key. */
struct config_type {
    const char *syntax; /* for --keys, before the choices and the range of the key */
    /* Returns false after reporting a problem, and leaves the field unchanged, if text is
     * invalid. */
    bool (*parse)(struct config_input *in, const struct config_key *k, void *at, const char *text);
    /* Writes "key = value" lines that parse reads back. Returns false if the field is not set. */
    bool (*print)(FILE *out, const struct config_key *k, const void *at);
    void (*fini)(void *at); /* NULL: the field owns nothing */
};

/* struct rate */
extern const struct config_type config_type_rate;
/* Fields: an enum or int; bool; unsigned or int; uint32_t; char * (the last four). */
extern const struct config_type config_type_choice, config_type_flag, config_type_number,
    config_type_duration, config_type_path, config_type_log, config_type_reference,
    config_type_account;

/* No field: config_load.c reads the files. */
extern const struct config_type config_type_include;

/* Returns the first word of k for value; NULL: none. */
const struct config_choice *config_choice_of(const struct config_key *k, int value);

/* ---- for the other files of types: config_type_*.c ---- */

/* Returns the array with room for one more item at the end. */
void *config_grow(void *items, size_t count, size_t size);

/* Returns a copy, to be freed. */
char *config_type_copy(const char *text);

void config_type_print_line(FILE *out, const struct config_key *k, const char *value);

/* Set, print and free fields of type char *, which own their text; NULL: not set. */
void config_type_put_text(void *at, const char *text);
bool config_type_print_text(FILE *out, const struct config_key *k, const void *at);
void config_type_fini_text(void *at);

/* Returns text as an absolute path, to be freed. NULL: it is invalid, the problem is reported. */
char *config_type_read_path(struct config_input *in, const struct config_key *k, const char *text);

/* Parses such a path into a char *; text may also be one of the key's words. */
bool config_type_parse_path(struct config_input *in, const struct config_key *k, void *at,
                            const char *text);

#endif
