#include "policy/rules_words.h"

#include "base/insist.h"
#include "base/log_text.h"
#include "policy/rules_internal.h"

static void write_quoted(struct span value, FILE *out)
{
    char c[LOG_TEXT_MAX];

    fputc('\'', out);
    if (log_text_is_plain(value)) {
        fwrite(value.p, 1, value.n, out);
        value.n = 0;
    }
    while (value.n > 0)
        fwrite(c, 1, log_text_take(&value, c), out);
    fputc('\'', out);
}

/* Writes the address without its port. */
static void write_address(const struct addr *addr, FILE *out)
{
    const size_t n = addr->family == AF_INET ? 4 : sizeof addr->ip;
    struct cidr net = {.family = addr->family, .bits = (uint8_t)(8 * n)};
    char text[ADDR_TEXT_MAX];

    memcpy(net.ip, addr->ip, n);
    fputs(cidr_format(&net, text), out);
}

static void address_words(const struct rule *rule, const struct rules_facts *facts,
                          const struct rules_step *step, FILE *out)
{
    char text[ADDR_TEXT_MAX];
    const bool country = rule->where == WHERE_COUNTRY;

    if (country && *step->country != '\0')
        fputs("the country of ", out);
    write_address(facts->client, out);
    if (country && *step->country != '\0')
        fprintf(out, " is %s, not %s", step->country, rule->country);
    else if (country)
        fprintf(out, " has no country in the database, so it is not in %s", rule->country);
    else if (rule->where == WHERE_FILE)
        fprintf(out, " is in no network of %s", rule->path);
    else
        fprintf(out, " is not in %s", cidr_format(&rule->net, text));
}

static void time_words(const struct rule *rule, const struct rules_facts *facts, FILE *out)
{
    window_print_time(facts->now + zone_offset(rule->zone, facts->now), out);
    fprintf(out, " in %s is not within ", rule->zone_name);
    window_print(&rule->window, out);
}

/* Compares a value of the request, or a user, with that of the rule. */
static void text_words(const char *fact, struct span value, const char *wanted, FILE *out)
{
    if (value.n == 0) {
        fprintf(out, "no %s is sent, and the rule has ", fact);
    } else {
        fprintf(out, "%s ", fact);
        write_quoted(value, out);
        fputs(" does not match ", out);
    }
    write_quoted(span_str(wanted), out);
}

/* Writes why all conditions hold: what cannot be seen in the text of the rule. */
static void match_words(const struct rule *rule, const struct rules_facts *facts,
                        const struct rules_step *step, FILE *out)
{
    fputs("matches", out);
    if (step->file != NULL) {
        fputs(": ", out);
        write_address(facts->client, out);
        fprintf(out, " is in %s:%u", step->file, step->file_line);
    }
    if (rule->user != NULL && facts->user_known == RULES_USER_DOUBTFUL)
        fputs(": the login shows no reliable user name, so its user may be that of this rule", out);
}

void rules_words_facts(unsigned mask, FILE *out)
{
    static const struct {
        enum rules_fact fact;
        const char *name;
    } names[] = {
        {RULES_HOST, "host"}, {RULES_SNI, "sni"}, {RULES_TENANT, "tenant"}, {RULES_USER, "user"}};
    const char *between = "";

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if ((mask & names[i].fact) == 0)
            continue;
        mask &= ~(unsigned)names[i].fact;
        fprintf(out, "%s%s", *between != '\0' && mask == 0 ? " and " : between, names[i].name);
        between = ", ";
    }
}

void rules_words(const struct rules *r, const struct rules_facts *facts,
                 const struct rules_step *step, FILE *out)
{
    const struct rule *rule = &r->rule[step->rule - 1];

    switch (step->holds) {
    case RULES_HOLDS: match_words(rule, facts, step, out); return;
    case RULES_HOLDS_PERHAPS:
        fputs("depends on ", out);
        rules_words_facts(step->missing, out);
        return;
    case RULES_NOT_ADDRESS: address_words(rule, facts, step, out); return;
    case RULES_NOT_TIME: time_words(rule, facts, out); return;
    case RULES_NOT_HOST: text_words("host", facts->host, rule->host, out); return;
    case RULES_NOT_SNI: text_words("sni", facts->sni, rule->sni, out); return;
    case RULES_NOT_TENANT: text_words("tenant", facts->tenant, rule->tenant, out); return;
    case RULES_NOT_USER: text_words("user", facts->user, rule->user, out); return;
    case RULES_NOT_DOUBTFUL:
        fputs("the login shows no reliable user, and only such a user is allowed", out);
        return;
    }
    insist_failed("a result of a rule", __FILE__, __LINE__);
}
