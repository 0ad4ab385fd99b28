#include "config/config_variables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hidden.h"
#include "base/insist.h"
#include "base/span.h"
#include "base/text.h"

enum { NAME_MAX_BYTES = 64 };

/* ---- the sources of a variable ---- */

/* The result of looking for a variable. */
struct found {
    char *value; /* owned; NULL: not defined, or reason */
    bool secret;
    const char *reason; /* NULL, or why the credential cannot be read */
};

/* Reads a credential, which is a line of text. */
static void read_credential(int fd, struct found *out)
{
    char text[VALUE_TEXT_MAX + 2];
    ssize_t n = file_read(fd, text, sizeof text);

    out->secret = true;
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n < 0)
        out->reason = strerror(errno);
    else if (n > VALUE_TEXT_MAX)
        out->reason = "it is longer than 1024 bytes";
    else if (memchr(text, '\0', (size_t)n) != NULL)
        out->reason = "it contains a NUL";
    else
        out->value = insist_alloc(strndup(text, (size_t)n));
    explicit_bzero(text, sizeof text);
}

/* Returns false if there is no such credential. */
static bool find_credential(const char *name, struct found *out)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    char *path = NULL;

    if (dir == NULL || *dir == '\0')
        return false;
    if (asprintf(&path, "%s/%s", dir, name) < 0)
        path = NULL;
    insist_alloc(path);
    const bool exists = access(path, F_OK) == 0 || errno != ENOENT;
    if (exists) {
        const int fd = file_open(path, &out->reason);
        if (fd >= 0) {
            read_credential(fd, out);
            close(fd);
        }
    }
    free(path);
    return exists;
}

static struct found find_value(const char *name)
{
    struct found f = {.value = NULL};

    if (!find_credential(name, &f)) {
        const char *value = getenv(name);
        f.value = value == NULL ? NULL : insist_alloc(strdup(value));
    }
    return f;
}

static void drop_value(char *value)
{
    if (value != NULL)
        explicit_bzero(value, strlen(value));
    free(value);
}

/* Returns the variable, which is read at its first use. NULL: e->reason says why. */
static const struct config_variable *find_variable(struct config_variables *v, const char *name,
                                                   struct config_expanded *e)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->item[i].name, name) == 0)
            return &v->item[i];
    const struct found f = find_value(name);
    if (f.value == NULL && f.reason != NULL)
        snprintf(e->reason, sizeof e->reason, "the credential %s cannot be read: %s", name,
                 f.reason);
    else if (f.value == NULL)
        snprintf(e->reason, sizeof e->reason,
                 "${%s} is neither a credential nor a variable of the environment; write $${ for a "
                 "literal ${",
                 name);
    if (f.value == NULL)
        return NULL;
    v->item = insist_alloc(reallocarray(v->item, v->count + 1, sizeof *v->item));
    v->item[v->count] = (struct config_variable){
        .name = insist_alloc(strdup(name)), .value = f.value, .secret = f.secret};
    return &v->item[v->count++];
}

/* ---- values ---- */

static bool is_name(const char *name, size_t n)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return n > 0 && n <= NAME_MAX_BYTES && name[0] != '.' && strspn(name, allowed) >= n;
}

/* Takes the variable at *at, which begins with `${`. NULL: e->reason says why. */
static const struct config_variable *take_variable(struct config_variables *v, const char **at,
                                                   struct config_expanded *e)
{
    char name[NAME_MAX_BYTES + 1];
    const char *from = *at + 2;
    const size_t n = strcspn(from, "}");

    if (from[n] == '\0' || !is_name(from, n)) {
        snprintf(e->reason, sizeof e->reason,
                 "a variable is written ${NAME}, NAME of letters, digits, '_', '.' and '-'; write "
                 "$${ for a literal ${");
        return NULL;
    }
    memcpy(name, from, n);
    name[n] = '\0';
    *at = from + n + 1;
    return find_variable(v, name, e);
}

/* Adds n bytes to the text. False: it is full. */
static bool append(struct config_expanded *e, size_t *len, const char *text, size_t n)
{
    if (n > VALUE_TEXT_MAX - *len) {
        snprintf(e->reason, sizeof e->reason,
                 "with its variables in place, the value is longer than 1024 bytes");
        return false;
    }
    memcpy(e->text + *len, text, n);
    *len += n;
    e->text[*len] = '\0';
    return true;
}

static bool expand(struct config_variables *v, const char *value, struct config_expanded *e)
{
    size_t len = 0;

    while (*value != '\0') {
        const bool literal = strncmp(value, "$${", 3) == 0;
        if (!literal && strncmp(value, "${", 2) == 0) {
            const struct config_variable *found = take_variable(v, &value, e);
            if (found == NULL || !append(e, &len, found->value, strlen(found->value)))
                return false;
            e->secret = e->secret || found->secret;
            continue;
        }
        if (!append(e, &len, literal ? "${" : value, literal ? 2 : 1))
            return false;
        value += literal ? 3 : 1;
    }
    return true;
}

/* Returns whether a configuration file could contain text as a value. */
static bool is_value(const char *text)
{
    char reason[TEXT_REASON_SIZE];
    struct hidden h;

    return value_is_writable(text) && !hidden_find(span_str(text), &h) &&
           !text_not_utf8(span_str(text), reason);
}

bool config_variables_expand(struct config_variables *v, const char *value,
                             struct config_expanded *e)
{
    *e = (struct config_expanded){.text = ""};
    if (!expand(v, value, e))
        return false;
    if (strcmp(e->text, value) == 0 || *e->text == '\0' || is_value(e->text))
        return true;
    snprintf(
        e->reason, sizeof e->reason,
        "with its variables in place, the value has a line end, a control or hidden character, "
        "a byte that is not UTF-8, a comment, or a quote or blank at its start or end");
    return false;
}

bool config_variables_changed(const struct config_variables *v)
{
    bool changed = false;

    for (size_t i = 0; i < v->count; i++) {
        const struct found f = find_value(v->item[i].name);
        changed = changed || f.value == NULL || strcmp(f.value, v->item[i].value) != 0;
        drop_value(f.value);
    }
    return changed;
}

void config_variables_scrub(const struct config_variables *v, const char *text, FILE *out)
{
    while (*text != '\0') {
        size_t i = 0;
        while (i < v->count && (!v->item[i].secret || *v->item[i].value == '\0' ||
                                strncmp(text, v->item[i].value, strlen(v->item[i].value)) != 0))
            i++;
        if (i == v->count) {
            fputc(*text++, out);
            continue;
        }
        fprintf(out, "${%s}", v->item[i].name);
        text += strlen(v->item[i].value);
    }
}

void config_variables_escape(const char *text, FILE *out)
{
    for (; *text != '\0'; text++) {
        if (strncmp(text, "${", 2) == 0)
            fputc('$', out);
        fputc(*text, out);
    }
}

void config_variables_fini(struct config_variables *v)
{
    for (size_t i = 0; i < v->count; i++) {
        free(v->item[i].name);
        drop_value(v->item[i].value);
    }
    free(v->item);
}
