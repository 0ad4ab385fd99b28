#include "status/page.h"

#include <stddef.h>
#include <string.h>

/* Includes proxy/status/FILE as the bytes from NAME up to NAME_end. No tool has to convert a file
 * to C: each assembler of gcc and clang knows .incbin. The Makefile rebuilds this object when a
 * file changes. */
#define EMBED(NAME, FILE)                                                                          \
    __asm__(".pushsection .rodata\n"                                                               \
            ".hidden " #NAME "\n.hidden " #NAME "_end\n"                                           \
            ".globl " #NAME "\n.globl " #NAME "_end\n" #NAME ":\n"                                 \
            ".incbin \"proxy/status/" FILE "\"\n" #NAME "_end:\n"                                  \
            ".byte 0\n"                                                                            \
            ".popsection\n");                                                                      \
    extern const unsigned char NAME[] __attribute__((visibility("hidden")));                       \
    extern const unsigned char NAME##_end[] __attribute__((visibility("hidden")))

EMBED(status_page_html, "page.html");
EMBED(status_page_css, "page.css");
EMBED(status_page_js, "page.js");

static const struct {
    const char *path, *type;
    const unsigned char *start, *end;
} files[] = {
    {"/", "text/html; charset=utf-8", status_page_html, status_page_html_end},
    {"/page.css", "text/css; charset=utf-8", status_page_css, status_page_css_end},
    {"/page.js", "text/javascript; charset=utf-8", status_page_js, status_page_js_end},
};

bool page_find(const char *path, struct page_file *file)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (strcmp(path, files[i].path) != 0)
            continue;
        file->type = files[i].type;
        file->body = span_of(files[i].start, (size_t)(files[i].end - files[i].start));
        return true;
    }
    return false;
}
