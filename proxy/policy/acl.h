/* acl: ordered allow and deny rules over addresses; the first that matches decides. */
#ifndef SSTPGATE_POLICY_ACL_H
#define SSTPGATE_POLICY_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"

struct acl_rule {
    struct cidr net;
    bool allow;
    unsigned line; /* of the configuration file */
};

struct acl {
    struct acl_rule *rules; /* owned */
    size_t count;
    bool default_allow;
};

struct acl_verdict {
    bool allow;
    size_t rule;   /* 1 for the first rule; 0: none matched, the default decided */
    unsigned line; /* 0 for the default */
};

void acl_init(struct acl *a);
void acl_fini(struct acl *a);
void acl_add(struct acl *a, const struct cidr *net, bool allow, unsigned line);
struct acl_verdict acl_decide(const struct acl *a, const struct addr *who);

#endif
