#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_open(const char *path, const char **reason)
{
    struct stat st;
    /* A regular file does not care for O_NONBLOCK: it may stay. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int e;

    if (fd < 0 || fstat(fd, &st) != 0)
        e = errno;
    else if (S_ISREG(st.st_mode))
        return fd;
    else
        e = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    if (fd >= 0)
        close(fd);
    *reason = e == EINVAL ? "not a regular file" : strerror(e);
    errno = e;
    return -1;
}
