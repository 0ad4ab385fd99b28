#include "policy/country.h"

#ifdef HAVE_MAXMINDDB

#include <errno.h>
#include <maxminddb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"

struct country {
    MMDB_s db;
};

bool country_supported(void)
{
    return true;
}

/* Opens the copy with the library, which maps the file that it opens: if a mapped file becomes
 * shorter, the next look-up gets a SIGBUS. The library takes no descriptor, hence the name in
 * /proc. Returns NULL with *reason. */
static struct country *country_read_copy(int copy, const char **reason)
{
    struct country *c = NEW(struct country);
    char name[32];

    snprintf(name, sizeof name, "/proc/self/fd/%d", copy);
    errno = 0;
    const int status = MMDB_open(name, MMDB_MODE_MMAP, &c->db);
    if (status == MMDB_SUCCESS)
        return c;
    const bool system = status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR;
    *reason = system && errno != 0 ? strerror(errno) : MMDB_strerror(status);
    free(c);
    return NULL;
}

struct country *country_open(const char *path, FILE *problems)
{
    const char *reason;
    struct country *c = NULL;
    const int fd = file_open(path, &reason);
    const int copy = fd < 0 ? -1 : file_copy(fd, &reason);

    if (copy >= 0) {
        c = country_read_copy(copy, &reason);
        close(copy); /* the mapping stays */
    }
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
    MMDB_close(&c->db);
    free(c);
}

bool country_find(const struct country *c, const struct addr *addr, char code[3])
{
    /* The country of the address, else the one in which its network is registered. */
    static const char *const places[] = {"country", "registered_country"};
    struct sockaddr_storage sa;
    int error = MMDB_SUCCESS;
    (void)addr_to_sockaddr(addr, &sa);
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

bool country_find(const struct country *c, const struct addr *addr, char code[3])
{
    (void)c, (void)addr, (void)code;
    return false;
}

#endif
