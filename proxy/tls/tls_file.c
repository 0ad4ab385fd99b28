#include "tls/tls_file.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"

/* Reads with read(2) and not with stdio, whose buffer would keep a copy of the key. */
bool tls_file_read(const char *path, struct tls_file *out, char error[TLS_ERROR_MAX])
{
    const char *reason;
    ssize_t got = 1;
    const int fd = file_open(path, &reason);

    *out = (struct tls_file){.octets = insist_alloc(OPENSSL_malloc(TLS_FILE_MAX))};
    while (fd >= 0 && out->n < TLS_FILE_MAX && got > 0) {
        do
            got = read(fd, out->octets + out->n, TLS_FILE_MAX - out->n);
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
