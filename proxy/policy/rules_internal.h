/* rules_internal: one rule, for rules.c, which evaluates it, and rules_read.c, which fills it
 * in. */
#ifndef SSTPGATE_POLICY_RULES_INTERNAL_H
#define SSTPGATE_POLICY_RULES_INTERNAL_H

#include "base/addr.h"
#include "policy/country.h"
#include "policy/netset.h"
#include "policy/rules.h"
#include "policy/window.h"
#include "policy/zone.h"

/* The condition on the client's address. */
enum rule_where { WHERE_ANY, WHERE_NET, WHERE_FILE, WHERE_COUNTRY };

/* Pointers are NULL for conditions that the rule does not have. */
struct rule {
    bool allow, file_only; /* file_only: written as allow-file or deny-file */
    unsigned line;
    char *text; /* as printed, with absolute paths */
    enum rule_where where;
    struct cidr net;
    char *path;
    const struct netset *set; /* of path; set by rules_open(), like countries and zone */
    char country[3];
    const struct country *countries;
    char *user; /* folded */
    char *host, *sni, *tenant;
    struct window window;
    char *zone_name;
    const struct zone *zone;
    bool dry_run; /* denies nothing */
    bool has_action;
    enum rules_action action;
};

/* Appends rule to r, which takes ownership of its strings. */
void rule_append(struct rules *r, const struct rule *rule);

/* Frees the strings of rule. */
void rule_fini(struct rule *rule);

#endif
