#include "users/secret.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hidden.h"
#include "base/insist.h"
#include "base/text.h"

enum { SECRET_REASON_MAX = HIDDEN_NAME_SIZE + 64 };

/* Reduces bytes[0..len) to the first line. Returns NULL if it can be a secret, else a reason, which
 * may be in text. */
static const char *secret_take_line(struct secret *s, size_t len, char text[SECRET_REASON_MAX])
{
    struct span rest = span_of(s->bytes, len), line = span_of(NULL, 0);
    struct hidden h;
    const char *reason = text_begin(&rest);

    if (reason != NULL)
        return reason;
    (void)text_take_line(&rest, &line);
    if (line.n > SECRET_MAX)
        return "the first line is too long for a secret";
    if (line.n == 0)
        return "the first line, which must be the secret, is empty";
    if (hidden_find_at_ends(line, &h)) {
        snprintf(text, SECRET_REASON_MAX, "the secret begins or ends with %s, which cannot be seen",
                 h.name);
        return text;
    }
    memmove(s->bytes, line.p, line.n);
    s->n = line.n;
    return NULL;
}

struct secret *secret_load(const char *path, FILE *problems)
{
    const char *reason = NULL;
    const int fd = file_open(path, &reason);
    struct secret *s = NEW(struct secret);
    char text[SECRET_REASON_MAX];
    struct stat st;
    ssize_t len;

    if (fd < 0)
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
    else if (fstat(fd, &st) != 0 || (len = file_read(fd, s->bytes, sizeof s->bytes)) < 0)
        fprintf(problems, "%s: cannot be read: %s\n", path, reason = strerror(errno));
    else if (file_exposed(path, &st, problems))
        reason = "reported";
    else if ((reason = secret_take_line(s, (size_t)len, text)) != NULL)
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
    return span_of(s->bytes, s->n);
}
