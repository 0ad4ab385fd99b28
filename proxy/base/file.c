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

    if (fd < 0 || fstat(fd, &st) != 0)
        *reason = strerror(errno);
    else if (S_ISREG(st.st_mode))
        return fd;
    else
        *reason = S_ISDIR(st.st_mode) ? strerror(EISDIR) : "not a regular file";
    if (fd >= 0)
        close(fd);
    return -1;
}
