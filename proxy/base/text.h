/* text: the text files of an administrator, which were written on any system: byte order marks,
 * encodings and line ends are handled here, for every reader. The bytes belong to the caller. */
#ifndef SSTPGATE_BASE_TEXT_H
#define SSTPGATE_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"

/* Removes the byte order mark of UTF-8 from the start of *text. Returns NULL, or why the bytes
 * cannot be read as text: UTF-16 or UTF-32, with or without a byte order mark. */
const char *text_begin(struct span *text) MUST_CHECK;

/* Reads the character at the start of text, which is not empty (RFC 3629: shortest form, no
 * surrogates). Returns its length in bytes; 0: the text does not begin with UTF-8. */
size_t text_char(struct span text, uint32_t *c);

enum { TEXT_REASON_SIZE = 96 };

/* Returns whether a line contains a byte that is not UTF-8; reason gets a sentence about the first
 * one, with its place and what to do. */
bool text_not_utf8(struct span line, char reason[TEXT_REASON_SIZE]);

/* Takes the next line from *rest, without its end: LF, CR LF, or the end of the text. Returns false
 * if there is none. */
bool text_take_line(struct span *rest, struct span *line);

/* A file that text_load() has read, in memory that nothing can change. */
struct text {
    struct span bytes; /* without a byte order mark */
    void *map;         /* NULL: the file is empty */
    size_t map_n;
};

/* Reads a regular file of at most FILE_COPY_MAX bytes (base/file.h). Not for secrets, because the
 * memory is not wiped. Returns false with "path: reason\n" in problems, and *out empty. */
bool text_load(const char *path, struct text *out, FILE *problems) MUST_CHECK;

/* Reads the same from a file that file_open() has opened; fd remains open. */
bool text_read(int fd, const char *path, struct text *out, FILE *problems) MUST_CHECK;

/* Frees the memory. A no-op for an empty one. */
void text_free(struct text *t);

#endif
