#include "base/uri.h"

#include <string.h>
#include <strings.h>

size_t uri_scheme(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    static const char bytes[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.";
    const size_t n = strspn(text, bytes);

    return strspn(text, letters) > 0 && n > 1 && text[n] == ':' ? n : 0;
}

bool uri_has_scheme(const char *text, const char *scheme)
{
    const size_t n = uri_scheme(text);
    return n > 0 && n == strlen(scheme) && strncasecmp(text, scheme, n) == 0;
}

bool uri_has_attribute(const char *text, const char *name)
{
    const size_t n = strlen(name);

    for (const char *at = text; (at = strpbrk(at, ":;?&")) != NULL;)
        if (strncmp(++at, name, n) == 0 && at[n] == '=')
            return true;
    return false;
}

const char *uri_file(const char *text)
{
    static const char *const hosts[] = {"//localhost/", "///"};

    if (!uri_has_scheme(text, "file"))
        return NULL;
    text += sizeof "file:" - 1;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strncasecmp(text, hosts[i], strlen(hosts[i])) == 0)
            return text + strlen(hosts[i]) - 1;
    return strncmp(text, "//", 2) == 0 || *text == '\0' ? NULL : text;
}
