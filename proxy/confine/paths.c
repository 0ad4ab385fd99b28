#include "confine/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/insist.h"

#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14) /* version 3, Linux 6.2 */
#endif

enum { VERSION_WITH_TRUNCATE = 3 };

#define OF_A_FILE ((uint64_t)(LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE))
#define IN_A_DIRECTORY                                                                             \
    (OF_A_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |                      \
     LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define HANDLED                                                                                    \
    (IN_A_DIRECTORY | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                 \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_FIFO |   \
     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* A ruleset under construction. */
struct rules {
    int fd;
    uint64_t handled;
};

/* Permits access to path and everything below it. A path that does not exist, or that has no place
 * in a file system (a pipe behind /dev/fd), needs no rule. */
static void permit(const struct rules *r, const char *path, uint64_t access)
{
    const int at = open(path, O_PATH | O_CLOEXEC);
    struct landlock_path_beneath_attr rule = {.allowed_access = access & r->handled,
                                              .parent_fd = at};

    if (at < 0)
        return;
    (void)syscall(SYS_landlock_add_rule, r->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(at);
}

static void permit_directory_of(const struct rules *r, const char *path, uint64_t access)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return;
    char *directory = insist_alloc(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
    permit(r, directory, access);
    free(directory);
}

/* Permits the directory as well, because the program may replace the file; a device is never
 * replaced. */
static void permit_writing(const struct rules *r, const char *path)
{
    struct stat st;
    const bool exists = stat(path, &st) == 0;
    char *target = realpath(path, NULL);

    if (exists && !S_ISDIR(st.st_mode))
        permit(r, path, OF_A_FILE);
    if (!exists || !S_ISCHR(st.st_mode)) {
        permit_directory_of(r, path, IN_A_DIRECTORY);
        if (target != NULL)
            permit_directory_of(r, target, IN_A_DIRECTORY);
    }
    free(target);
}

/* Takes the loader's path from the first object, which is the program. */
static int on_object(struct dl_phdr_info *object, size_t size, void *arg)
{
    (void)size;
    for (int i = 0; i < object->dlpi_phnum; i++)
        if (object->dlpi_phdr[i].p_type == PT_INTERP)
            *(const char **)arg =
                (const char *)(uintptr_t)(object->dlpi_addr + object->dlpi_phdr[i].p_vaddr);
    return 1;
}

static void permit_execution(const struct rules *r)
{
    char program[PATH_MAX];
    const char *loader = NULL;
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);

    if (n > 0) {
        program[n] = '\0';
        permit_directory_of(r, program, LANDLOCK_ACCESS_FS_EXECUTE);
    }
    dl_iterate_phdr(on_object, &loader);
    char *target = loader == NULL ? NULL : realpath(loader, NULL);
    if (target != NULL)
        permit_directory_of(r, target, LANDLOCK_ACCESS_FS_EXECUTE);
    free(target);
}

int paths_restrict(const char *const *write, size_t count)
{
    static const char *const devices[] = {"/dev/null", "/dev/tpmrm0", "/dev/tpm0"};
    const int version =
        (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct rules r = {.handled = HANDLED};

    if (version < 1)
        return 0;
    if (version < VERSION_WITH_TRUNCATE)
        r.handled &= ~(uint64_t)LANDLOCK_ACCESS_FS_TRUNCATE;
    /* Without the fields of newer headers, which this program does not use. */
    r.fd = (int)syscall(SYS_landlock_create_ruleset,
                        &(struct landlock_ruleset_attr){.handled_access_fs = r.handled},
                        sizeof r.handled, 0);
    if (r.fd < 0)
        return 0;
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        permit(&r, devices[i], OF_A_FILE);
    for (size_t i = 0; i < count; i++)
        permit_writing(&r, write[i]);
    permit_execution(&r);
    /* E2BIG: the most layers that the kernel permits are in force: those of processes before an
     * upgrade. */
    const bool restricted = syscall(SYS_landlock_restrict_self, r.fd, 0) == 0 || errno == E2BIG;
    const int e = errno;
    close(r.fd);
    errno = e;
    return restricted ? version : 0;
}
