#include "policy/acl.h"

#include <stdlib.h>

#include "base/check.h"

void acl_init(struct acl *a)
{
    *a = (struct acl){.rules = NULL};
}

void acl_fini(struct acl *a)
{
    free(a->rules);
    acl_init(a);
}

void acl_add(struct acl *a, const struct cidr *net, bool allow, unsigned line)
{
    a->rules = check_alloc(reallocarray(a->rules, a->count + 1, sizeof *a->rules));
    a->rules[a->count++] = (struct acl_rule){.net = *net, .allow = allow, .line = line};
}

struct acl_verdict acl_decide(const struct acl *a, const struct addr *who)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct acl_rule *r = &a->rules[i];
        if (cidr_has(&r->net, who))
            return (struct acl_verdict){.allow = r->allow, .rule = i + 1, .line = r->line};
    }
    return (struct acl_verdict){.allow = a->default_allow};
}
