/* The input is a file of networks. The result is networks, at most one for each line, or a
 * problem. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "policy/netset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct addr who = {.family = size % 2 ? AF_INET : AF_INET6};
    char *said = NULL;
    size_t said_len = 0;
    unsigned lines = 1;
    FILE *problems = open_memstream(&said, &said_len);

    INSIST(problems != NULL);
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    struct netset *s = netset_parse(span_of(data, size), "list", problems);
    fclose(problems);
    INSIST((s == NULL) == (said_len > 0));
    INSIST(s == NULL || netset_count(s) <= lines);
    if (s != NULL && size >= sizeof who.ip) {
        memcpy(who.ip, data + size - sizeof who.ip, sizeof who.ip);
        INSIST(netset_find(s, &who) <= lines);
    }
    netset_free(s);
    free(said);
    return 0;
}
