/* rules: allow and deny lines in their order; the first whose conditions all hold decides.
 *
 *   [CIDR | address CIDR | file PATH | country CC | any] [user PATTERN] [host NAME] [sni NAME]
 *   [tenant VALUE] [time DAYS HOURS ZONE] [action reset|drop|decoy]
 *
 * Each condition once, in any order, a bare CIDR first. In a user's PATTERN * stands for any octets
 * and ? for one; letters of ASCII compare without case. One without '\' and '@' is also compared
 * with the name less its domain (DOMAIN\name) and realm (name@realm), as the users file is; in a
 * deny rule every PATTERN is compared with the name less domain, less realm and less both. NAME
 * may be *.example.com: every name below example.com, not itself. A tenant compares without case.
 * DAYS and HOURS as in policy/window.h, ZONE as in policy/zone.h. An action is for deny. */
#ifndef SSTPGATE_POLICY_RULES_H
#define SSTPGATE_POLICY_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/span.h"

struct sources;

enum rules_verdict { RULES_ALLOW, RULES_DENY, RULES_UNDECIDED };

/* What a client that is denied gets. */
enum rules_action { RULES_RESET, RULES_DROP, RULES_DECOY };

struct rules {
    struct rule *rule; /* owned */
    size_t count;
    bool default_allow;
    enum rules_action deny_action; /* where the rule says none */
};

enum rules_user {
    RULES_USER_LATER = 0, /* PPP may still show it */
    RULES_USER_DOUBTFUL,  /* authentication is at its end, and it is not known who it was: satisfies
                             every deny rule with a user, and no allow rule with one */
    RULES_USER_KNOWN,
};

/* What is known of a call: at accept the first two, then host to tenant together, then the user. */
struct rules_facts {
    const struct addr *client;
    int64_t now;        /* seconds since 1970, of the accept: a call is judged by one time */
    bool request_known; /* the request was read: host, sni and tenant are what was sent */
    struct span host;   /* without port and brackets; n == 0: none was sent */
    struct span sni;    /* without port; n == 0: none was sent */
    struct span tenant; /* n == 0: none was sent */
    enum rules_user user_known;
    struct span user; /* as sent */
};

struct rules_answer {
    enum rules_verdict verdict;
    /* Who decided, or, undecided, the rule that waits to know more: 1 for the first, 0: none, the
     * default decided. */
    size_t rule;
    unsigned line;    /* of the configuration file, or of `file`; 0 for the default */
    const char *file; /* the file of networks that has the address; NULL: the rule names none */
    enum rules_action action; /* of a denial */
};

enum { RULES_PROBLEM_MAX = 512 };

void rules_init(struct rules *r);
void rules_fini(struct rules *r);

/* Adds what stands behind `allow =` or `deny =` on this line. Relative paths start at dir. False:
 * problem says why, and nothing was added. No file is opened. */
bool rules_add(struct rules *r, bool allow, const char *text, const char *dir, unsigned line,
               char problem[RULES_PROBLEM_MAX]);

/* The rule `file PATH` and nothing else, for which PATH may hold blanks. Absolute. */
void rules_add_file(struct rules *r, bool allow, const char *path, unsigned line);

/* Opens what the rules name, before anybody asks them; from must outlive them. False: every problem
 * was written to problems as "path:line: reason\n", path being that of the configuration for what
 * is not wrong inside a file. */
bool rules_open(struct rules *r, struct sources *from, const char *path, FILE *problems);

/* The line of the first rule with a country; 0: none. rules_open() needs the database then. */
unsigned rules_country_line(const struct rules *r);

/* The more facts, the further it comes. UNDECIDED: of some rule all that is known holds and
 * something is not known, and it would say otherwise than the rules behind it. More facts never
 * change another verdict. */
struct rules_answer rules_decide(const struct rules *r, const struct rules_facts *facts);

/* Writes to `to` which rules are never reached, since an earlier one asks for nothing but a
 * network, or for nothing at all, and has every address that they could be about: "path:line:
 * warning: listener NAME: ...\n". What files and countries hold is not looked at, nor are more
 * rules than anybody writes by hand. */
void rules_unreached(const struct rules *r, const char *path, const char *listener, FILE *to);

/* True when some rule looks at the user; the line of the first that does, 0: none. */
bool rules_needs_user(const struct rules *r);
unsigned rules_user_line(const struct rules *r);

/* "reset", "drop" or "decoy". */
const char *rules_action_name(enum rules_action a);

/* Every rule, in order, as lines of a configuration file. False when there is none. */
bool rules_print(const struct rules *r, FILE *out);

/* What stands behind `allow =` or `deny =` in the i-th of them, paths absolute. */
const char *rules_text(const struct rules *r, size_t i);

#endif
