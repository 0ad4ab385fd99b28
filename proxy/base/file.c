#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/denied.h"
#include "base/insist.h"

int file_open(const char *path, const char **reason)
{
    struct stat st;
    /* O_NONBLOCK has no effect on a regular file, so it remains set. */
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
    *reason = e == EINVAL ? "not a regular file" : denied_reason(path, e);
    errno = e;
    return -1;
}

bool file_exposed(const char *path, const struct stat *st, FILE *problems)
{
    if ((st->st_mode & S_IRWXO) == 0)
        return false;
    fprintf(problems,
            "%s: accessible to other users (mode %04o), but it contains secrets: run chmod o= on "
            "it (a mounted secret: defaultMode: 0440 and fsGroup in Kubernetes, mode: 0440 and gid "
            "in Swarm)\n",
            path, (unsigned)st->st_mode & 07777);
    return true;
}

ssize_t file_read(int fd, void *out, size_t cap)
{
    size_t n = 0;

    while (n < cap) {
        const ssize_t got = read(fd, (char *)out + n, cap - n);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0)
            n += (size_t)got;
    }
    return (ssize_t)n;
}

bool file_write(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        const ssize_t done = write(fd, at, n);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            at += done;
            n -= (size_t)done;
        }
    }
    return true;
}

/* ---- copies ---- */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* Opens fd again for ThreadSanitizer, which intercepts open(), but neither memfd_create() nor the
 * close() of libuv that freed the number: it takes fd for a socket of another thread. */
static int known_to_sanitizer(int fd)
{
#ifdef __SANITIZE_THREAD__
    char name[32];
    if (fd < 0)
        return fd;
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    const int again = open(name, O_RDWR | O_CLOEXEC);
    (void)syscall(SYS_close, fd);
    return again;
#else
    return fd;
#endif
}

/* Returns a new file in memory. Kernels before 6.3 refuse MFD_NOEXEC_SEAL; later ones may demand it
 * (vm.memfd_noexec = 2). */
static int memory_file(void)
{
    const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    int fd = memfd_create("sstpgate", flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("sstpgate", flags);
    return known_to_sanitizer(fd);
}

/* Returns the number of bytes copied, at most `most` and one more; -1 with errno. */
static off_t copy_bytes(int from, int to, off_t most)
{
    char bytes[65536];
    off_t at = 0;
    ssize_t n = 1;

    while (n > 0 && at <= most) {
        n = pread(from, bytes, sizeof bytes, at);
        if (n < 0 && errno == EINTR)
            n = 1;
        else if (n < 0 || !file_write(to, bytes, (size_t)n))
            return -1;
        else
            at += n;
    }
    return at;
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool file_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           same_time(a->st_mtim, b->st_mtim) && same_time(a->st_ctim, b->st_ctim);
}

/* Copies the file into copy. Returns NULL, or the cause of a failure. */
static const char *fill(int copy, int fd)
{
    struct stat was, is;

    if (fstat(fd, &was) != 0)
        return strerror(errno);
    if (was.st_size > FILE_COPY_MAX)
        return "larger than 512 MiB";
    const off_t n = copy_bytes(fd, copy, was.st_size);
    if (n < 0 || fstat(fd, &is) != 0)
        return strerror(errno);
    if (n != was.st_size || !file_same(&was, &is))
        return "it changed while it was being read";
    if (fcntl(copy, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0)
        return strerror(errno);
    return lseek(copy, 0, SEEK_SET) == 0 ? NULL : strerror(errno);
}

int file_copy(int fd, const char **reason)
{
    const int copy = memory_file();
    const char *failed = copy < 0 ? strerror(errno) : fill(copy, fd);

    if (failed == NULL)
        return copy;
    if (copy >= 0)
        close(copy);
    *reason = failed;
    return -1;
}

/* ---- new files ---- */

int file_create(const char *path, mode_t mode)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return -1;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
}

/* Writes and closes the new file. Returns false with errno. */
static bool content_write(int fd, bool (*write)(FILE *out, void *arg), void *arg)
{
    FILE *out = insist_alloc(fdopen(fd, "w"));
    bool good = write(out, arg) && fflush(out) == 0 && !ferror(out) && fsync(fd) == 0;
    int reason = errno;

    if (fclose(out) != 0 && good) {
        good = false;
        reason = errno;
    }
    errno = reason;
    return good;
}

/* Returns path with suffix. malloc. */
static char *beside_of(const char *path, const char *suffix)
{
    char *beside = NULL;

    if (asprintf(&beside, "%s%s", path, suffix) < 0)
        beside = NULL;
    return insist_alloc(beside);
}

bool file_replace(const char *path, mode_t mode, bool (*write)(FILE *out, void *arg), void *arg)
{
    char *beside = beside_of(path, ".new");
    const int fd = file_create(beside, mode);
    const bool good = fd >= 0 && content_write(fd, write, arg) && rename(beside, path) == 0;
    const int reason = errno;
    if (!good && fd >= 0)
        unlink(beside);
    free(beside);
    errno = reason;
    return good;
}

bool file_may_replace(const char *path)
{
    char *beside = beside_of(path, ".test");
    const int fd = file_create(beside, 0600);
    const int reason = errno;

    if (fd >= 0) {
        close(fd);
        unlink(beside);
    }
    free(beside);
    errno = reason;
    return fd >= 0;
}
