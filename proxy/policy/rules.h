/* rules: allow and deny lines in their order; the first rule whose conditions all hold decides.
 *
 *   [CIDR | address CIDR | file PATH | country CC | any] [user PATTERN] [host NAME] [sni NAME]
 *   [tenant VALUE] [time DAYS HOURS ZONE] [action reset|drop|decoy] [dry-run]
 *
 * Each condition at most once, in any order, a bare CIDR first. A value with blanks is in quotes:
 * user "bob smith". In a user's PATTERN * matches any bytes and ? one byte of a name in its folded
 * form: letters compare without case (base/fold.h). A PATTERN without '\' and
 * '@' is also compared with the name without its domain (DOMAIN\name) and realm (name@realm), as
 * in the users file; in a deny rule every PATTERN is also compared with the name without domain,
 * without realm, and without both. NAME may be *.example.com: every name below example.com, but
 * not example.com. A tenant compares without case. DAYS and HOURS as in policy/window.h, ZONE as
 * in policy/zone.h. Only deny rules have an action, and dry-run: such a rule denies nothing, and
 * its matches are reported. */
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

/* The treatment of a denied client. */
enum rules_action { RULES_RESET, RULES_DROP, RULES_DECOY };

struct rules {
    struct rule *rule; /* owned */
    size_t count;
    bool default_allow;
    enum rules_action deny_action; /* for rules without an action */
};

enum rules_user {
    RULES_USER_LATER = 0, /* PPP may still reveal it */
    RULES_USER_DOUBTFUL,  /* authentication has ended without a reliable name: matches every deny
                             rule with a user, and no allow rule with one */
    RULES_USER_KNOWN,
};

/* Facts that may be missing, as a mask. */
enum rules_fact {
    RULES_HOST = 1,
    RULES_SNI = 2,
    RULES_TENANT = 4,
    RULES_REQUEST = RULES_HOST | RULES_SNI | RULES_TENANT,
    RULES_USER = 8,
};

/* The known facts about a call: first client and now, after the request also host, sni and
 * tenant, at last the user. */
struct rules_facts {
    const struct addr *client;
    int64_t now;        /* seconds since 1970, of the accept: the same for the entire call */
    unsigned request;   /* RULES_HOST, RULES_SNI and RULES_TENANT: the valid ones of the next three;
                           a call knows none or all of them */
    struct span host;   /* in any form of base/hostname.h; n == 0: not sent */
    struct span sni;    /* the same */
    struct span tenant; /* n == 0: not sent */
    enum rules_user user_known;
    struct span user; /* as sent */
};

/* A dry-run rule that matches. */
struct rules_dry {
    size_t rule;   /* 1: the first; 0: none */
    unsigned line; /* line and file as in struct rules_answer */
    const char *file;
};

struct rules_answer {
    enum rules_verdict verdict;
    /* The rule that decided or, if undecided, the rule that needs more facts. 1: the first; 0:
     * the default. */
    size_t rule;
    unsigned line;            /* of the configuration file, or of `file`; 0 for the default */
    const char *file;         /* the file of networks that contains the address; NULL: none */
    enum rules_action action; /* for RULES_DENY */
    struct rules_dry dry;     /* the first dry-run rule that would have denied the call */
};

void rules_init(struct rules *r);
void rules_fini(struct rules *r);

/* Opens the files, zones and the country database that the rules name. Call it before
 * rules_decide(). from must outlive r. Returns false after a problem. Each is written to
 * problems as "path:line: reason\n"; path: the configuration file, for problems that are not
 * inside a file. */
bool rules_open(struct rules *r, struct sources *from, const char *path, FILE *problems);

/* Returns the line of the first rule with a country, which needs the database; 0: none. */
unsigned rules_country_line(const struct rules *r);

/* Evaluates the rules. RULES_UNDECIDED: the known facts fulfil a rule that needs more facts, and
 * its verdict would differ from that of the rules after it. More facts never change the other
 * verdicts. */
struct rules_answer rules_decide(const struct rules *r, const struct rules_facts *facts);

/* Whether the conditions of a rule hold, or the first condition that does not. */
enum rules_holds {
    RULES_HOLDS,
    RULES_HOLDS_PERHAPS, /* depends on a fact that is missing */
    RULES_NOT_ADDRESS,
    RULES_NOT_TIME,
    RULES_NOT_HOST,
    RULES_NOT_SNI,
    RULES_NOT_TENANT,
    RULES_NOT_USER,
    RULES_NOT_DOUBTFUL, /* the rule allows a user, and the login has shown no reliable name */
};

/* One rule in the course of rules_trace(). */
struct rules_step {
    size_t rule; /* 1: the first */
    enum rules_holds holds;
    bool dry_run;       /* the rule denies nothing */
    unsigned missing;   /* RULES_HOLDS_PERHAPS: the facts, a mask of enum rules_fact */
    const char *file;   /* as in struct rules_answer */
    unsigned file_line; /* 0: none */
    const char
        *country; /* of the client, for a rule with a country; "": none; NULL: another rule */
};

/* Returns what rules_decide() returns, and calls on_step for each rule that it evaluates, in their
 * order: the last one is the rule that decides, or the last rule. */
struct rules_answer rules_trace(const struct rules *r, const struct rules_facts *facts,
                                void (*on_step)(void *arg, const struct rules_step *step),
                                void *arg);

/* Warns about rules that are never reached because an earlier rule matches everything that they
 * match: each of its conditions is also one of theirs, or its network contains theirs:
 * "path:line: warning: listener NAME: ...\n". Ignores the contents of files and countries, and
 * lists of more than 5000 rules. */
void rules_unreached(const struct rules *r, const char *path, const char *listener, FILE *to);

/* Warns in the same form about rules whose files contain no network, and about rules with a host or
 * a sni that none of the n admitted names can be. admitted: `host` of the listener; n == 0: all
 * names are admitted. Call after rules_open(). */
void rules_without_match(const struct rules *r, char *const *admitted, size_t n, const char *path,
                         const char *listener, FILE *to);

/* Returns whether some rule allows, or some rule denies. */
bool rules_have(const struct rules *r, bool allow);

/* Returns the line of the first rule that matches every call; 0: none. */
unsigned rules_catch_all_line(const struct rules *r);

/* Returns a hash of which time windows contain a time; it changes when one of them begins or ends.
 * Call after rules_open(). */
uint64_t rules_hours(const struct rules *r, int64_t now);

/* Returns the number of dry-run rules, and the line of the first one; 0: none. */
size_t rules_dry_runs(const struct rules *r, unsigned *line);

/* Returns whether some rule has a user, and the line of the first of them; 0: none. */
bool rules_needs_user(const struct rules *r);
unsigned rules_user_line(const struct rules *r);

/* Returns "reset", "drop" or "decoy". */
const char *rules_action_name(enum rules_action a);

/* Writes the rules, in order, as lines of a configuration file. Returns false if there are none. */
bool rules_print(const struct rules *r, FILE *out);

/* Return the key, the value with absolute paths, and the line of the i-th rule; 0: the first. */
const char *rules_key(const struct rules *r, size_t i);
const char *rules_text(const struct rules *r, size_t i);
unsigned rules_line(const struct rules *r, size_t i);

/* Returns the zone of the first rule with a time; NULL: there is none. */
const char *rules_zone(const struct rules *r);

#endif
