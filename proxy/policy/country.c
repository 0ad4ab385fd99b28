#include "policy/country.h"

#ifdef HAVE_MAXMINDDB

#include <errno.h>
#include <maxminddb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"

struct country {
    MMDB_s db;
    struct stat of; /* status of the file when it was read */
    unsigned refs;  /* under country_lock */
};

/* Protects `latest` and every refs, because workers free configurations in their threads. */
static pthread_mutex_t country_lock = PTHREAD_MUTEX_INITIALIZER;

/* The database that was read last; NULL: it was freed. Shared, because old tunnels keep their
 * configuration, and each reload would keep another copy of an unchanged file otherwise. */
static struct country *latest;

bool country_supported(void)
{
    return true;
}

static struct country *share_latest(const struct stat *of)
{
    struct country *c = NULL;

    pthread_mutex_lock(&country_lock);
    if (latest != NULL && file_same(&latest->of, of)) {
        c = latest;
        c->refs++;
    }
    pthread_mutex_unlock(&country_lock);
    return c;
}

static void set_latest(struct country *c)
{
    pthread_mutex_lock(&country_lock);
    latest = c;
    pthread_mutex_unlock(&country_lock);
}

/* Opens a copy of the file, because the library maps the file that it opens, and if a mapped
 * file becomes shorter, the next look-up causes a SIGBUS. The library takes no descriptor,
 * hence the name in /proc. Returns NULL with *reason. */
static struct country *country_read_copy(int copy, const char **reason)
{
    struct country *c = NEW(struct country);
    char name[32];

    snprintf(name, sizeof name, "/proc/self/fd/%d", copy);
    errno = 0;
    const int status = MMDB_open(name, MMDB_MODE_MMAP, &c->db);
    if (status == MMDB_SUCCESS) {
        c->refs = 1;
        return c;
    }
    const bool system = status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR;
    *reason = system && errno != 0 ? strerror(errno) : MMDB_strerror(status);
    free(c);
    return NULL;
}

static struct country *country_read_file(int fd, const char **reason)
{
    struct country *c = NULL;
    struct stat of;

    if (fstat(fd, &of) != 0) {
        *reason = strerror(errno);
        return NULL;
    }
    if ((c = share_latest(&of)) != NULL)
        return c;
    const int copy = file_copy(fd, reason);
    if (copy >= 0) {
        c = country_read_copy(copy, reason);
        close(copy); /* the mapping stays */
    }
    if (c != NULL) {
        c->of = of;
        set_latest(c);
    }
    return c;
}

struct country *country_open(const char *path, FILE *problems)
{
    const char *reason;
    const int fd = file_open(path, &reason);
    struct country *c = fd < 0 ? NULL : country_read_file(fd, &reason);

    if (c == NULL)
        fprintf(problems, "%s: %s\n", path, reason);
    if (fd >= 0)
        close(fd);
    return c;
}

void country_close(struct country *c)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&country_lock);
    const bool last = --c->refs == 0;
    if (last && latest == c)
        latest = NULL;
    pthread_mutex_unlock(&country_lock);
    if (!last)
        return;
    MMDB_close(&c->db);
    free(c);
}

bool country_find(const struct country *c, const struct addr *who, char code[3])
{
    /* The country of the address, else the one in which its network is registered. */
    static const char *const places[] = {"country", "registered_country"};
    struct sockaddr_storage sa;
    int error = MMDB_SUCCESS;
    (void)addr_to_sockaddr(who, &sa);
    MMDB_lookup_result_s found = MMDB_lookup_sockaddr(&c->db, (struct sockaddr *)&sa, &error);

    for (size_t i = 0; error == MMDB_SUCCESS && found.found_entry && i < 2; i++) {
        MMDB_entry_data_s data;
        if (MMDB_get_value(&found.entry, &data, places[i], "iso_code", NULL) != MMDB_SUCCESS ||
            !data.has_data || data.type != MMDB_DATA_TYPE_UTF8_STRING || data.data_size != 2)
            continue;
        memcpy(code, data.utf8_string, 2);
        code[2] = '\0';
        return true;
    }
    return false;
}

#else

bool country_supported(void)
{
    return false;
}

struct country *country_open(const char *path, FILE *problems)
{
    fprintf(
        problems,
        "%s: country databases are not supported: this program was built without libmaxminddb\n",
        path);
    return NULL;
}

void country_close(struct country *c)
{
    (void)c;
}

bool country_find(const struct country *c, const struct addr *who, char code[3])
{
    (void)c, (void)who, (void)code;
    return false;
}

#endif
