/* page: the files of the status page, which are compiled in. The page is one HTML, one CSS and one
 * JavaScript file, and loads nothing else; it reads the objects of /api/v1/ and posts its actions
 * there. */
#ifndef SSTPGATE_STATUS_PAGE_H
#define SSTPGATE_STATUS_PAGE_H

#include <stdbool.h>

#include "base/span.h"

/* Value of Content-Security-Policy for each file of the page. Scripts and styles come from the
 * files only, no other site may show the page in a frame, and no text can become markup. */
#define PAGE_POLICY                                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "                \
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "          \
    "require-trusted-types-for 'script'; trusted-types 'none'"

struct page_file {
    const char *type; /* value of Content-Type */
    struct span body; /* static */
};

/* Finds the file with exactly this path of a URL: "/", "/page.css" or "/page.js". Returns false,
 * and leaves *file alone, if there is none. Any thread may call it. */
bool page_find(const char *path, struct page_file *file);

#endif
