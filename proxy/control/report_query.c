#include "control/report_query.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/value.h"

struct report_query report_query_init(void)
{
    return (struct report_query){.limit = REPORT_LIMIT};
}

static const char *set_number(size_t *to, const char *key, const char *value, uint32_t min,
                              uint32_t max, char why[REPORT_WHY_MAX])
{
    uint32_t number;

    if (value_number(value, min, max, &number) != ERR_OK) {
        (void)snprintf(why, REPORT_WHY_MAX, "%s is a number from %u to %u", key, min, max);
        return why;
    }
    *to = number;
    return NULL;
}

static const char *set_address(struct call_filter *f, const char *value, char why[REPORT_WHY_MAX])
{
    _Static_assert((int)REPORT_WHY_MAX >= (int)CIDR_PROBLEM_MAX, "the problem fits");

    if (cidr_parse(value, &f->address) != ERR_OK) {
        cidr_problem(value, why);
        return why;
    }
    f->has_address = true;
    return NULL;
}

const char *report_query_set(struct report_query *q, const char *key, const char *value,
                             char why[REPORT_WHY_MAX])
{
    struct call_filter *f = &q->filter;
    const struct {
        const char *key;
        const char **to;
    } texts[] = {
        {"id", &f->id}, {"user", &f->user}, {"listener", &f->listener}, {"server", &f->server}};

    if (strcmp(key, "limit") == 0)
        return set_number(&q->limit, key, value, 1, REPORT_LIMIT_MAX, why);
    if (strcmp(key, "offset") == 0)
        return set_number(&q->offset, key, value, 0, UINT32_MAX, why);
    if (strcmp(key, "gates") == 0) {
        q->all = strcmp(value, "all") == 0;
        return q->all ? NULL : "gates is `all`";
    }
    if (strcmp(key, "address") == 0)
        return set_address(f, value, why);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        if (strcmp(key, texts[i].key) != 0)
            continue;
        *texts[i].to = value;
        return *value == '\0' ? "a filter needs a value" : NULL;
    }
    return "a filter is one of id, user, address, listener, server";
}
