#include "users/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"

/* Up to cap octets from fd; -1: errno says why. Not with stdio, whose buffer nobody could wipe. */
static ssize_t read_begin(int fd, uint8_t *out, size_t cap)
{
    size_t len = 0;

    while (len < cap) {
        const ssize_t n = read(fd, out + len, cap - len);
        if (n == 0)
            break;
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            len += (size_t)n;
    }
    return (ssize_t)len;
}

/* Makes octets[0..len) its first line. NULL when that can be a secret, otherwise why not. */
static const char *take_line(struct secret *s, size_t len)
{
    const uint8_t *end = memchr(s->octets, '\n', len);

    if (end == NULL && len == sizeof s->octets)
        return "its first line is too long for a secret";
    s->n = end == NULL ? len : (size_t)(end - s->octets);
    if (s->n > 0 && s->octets[s->n - 1] == '\r')
        s->n--;
    return s->n > 0 ? NULL : "its first line is empty: there the secret should be";
}

struct secret *secret_load(const char *path, FILE *problems)
{
    const char *reason = NULL;
    const int fd = file_open(path, &reason);
    struct secret *s = NEW(struct secret);
    struct stat st;
    ssize_t len;

    if (fd < 0)
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
    else if (fstat(fd, &st) != 0 || (len = read_begin(fd, s->octets, sizeof s->octets)) < 0)
        fprintf(problems, "%s: cannot be read: %s\n", path, reason = strerror(errno));
    else if ((st.st_mode & S_IRWXO) != 0)
        fprintf(problems, "%s: %s (mode %04o) though it holds a secret: chmod o= it\n", path,
                reason = "open to everybody", (unsigned)st.st_mode & 07777);
    else if ((reason = take_line(s, (size_t)len)) != NULL)
        fprintf(problems, "%s: %s\n", path, reason);
    if (fd >= 0)
        close(fd);
    if (reason == NULL)
        return s;
    secret_free(s);
    return NULL;
}

void secret_free(struct secret *s)
{
    if (s == NULL)
        return;
    explicit_bzero(s, sizeof *s);
    free(s);
}

struct span secret_span(const struct secret *s)
{
    return span_of(s->octets, s->n);
}
