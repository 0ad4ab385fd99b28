#include "tls/tls_file.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"

/* A key and a short chain fit; the memory of a larger file grows. */
enum { ROOM_FIRST = 16 * 1024, ROOM_FACTOR = 4 };

/* Makes room for more bytes; wipes the memory that it frees. Returns false if the file is too
 * large. */
static bool grow(struct tls_file *file, size_t *room)
{
    if (file->n < *room)
        return true;
    if (*room == TLS_FILE_MAX)
        return false;
    file->octets = insist_alloc(OPENSSL_clear_realloc(file->octets, *room, *room * ROOM_FACTOR));
    *room *= ROOM_FACTOR;
    return true;
}

/* Reads with read(2) and not with stdio, whose buffer would keep a copy of the key. */
bool tls_file_read(const char *path, struct tls_file *out, char error[TLS_ERROR_MAX])
{
    const char *reason;
    size_t room = ROOM_FIRST;
    ssize_t got = 1;
    const int fd = file_open(path, &reason);

    *out = (struct tls_file){.octets = insist_alloc(OPENSSL_malloc(ROOM_FIRST))};
    while (fd >= 0 && got > 0 && grow(out, &room)) {
        do
            got = read(fd, out->octets + out->n, room - out->n);
        while (got < 0 && errno == EINTR);
        if (got > 0)
            out->n += (size_t)got;
    }
    const bool failed = fd < 0 || got < 0;
    if (failed)
        snprintf(error, TLS_ERROR_MAX, "%s: %s", path, fd < 0 ? reason : strerror(errno));
    else if (out->n == TLS_FILE_MAX)
        snprintf(error, TLS_ERROR_MAX, "%s: larger than 1 MiB", path);
    if (fd >= 0)
        close(fd);
    if (!failed && out->n < TLS_FILE_MAX)
        return true;
    tls_file_free(out);
    return false;
}

void tls_file_free(struct tls_file *file)
{
    OPENSSL_clear_free(file->octets, file->n);
    *file = (struct tls_file){0};
}
