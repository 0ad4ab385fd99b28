#include "cli/target.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/hostname.h"
#include "base/insist.h"
#include "base/memo.h"
#include "cli/usage.h"
#include "config/config_load.h"
#include "tls/tls_facts.h"

/* ---- a listener ---- */

/* Writes the address to connect to: that of the listener, or loopback if it listens on all. */
static void take_address(struct target *t, const struct addr *a)
{
    const int family = a->family;

    if (addr_is_any(a))
        snprintf(t->host, sizeof t->host, "%s", family == AF_INET ? "127.0.0.1" : "::1");
    else
        (void)inet_ntop(family, a->ip, t->host, sizeof t->host);
    if (a->scope != 0)
        snprintf(t->host + strlen(t->host), sizeof t->host - strlen(t->host), "%%%u", a->scope);
    t->port = a->port;
}

static void take_name(struct target *t, const char *name)
{
    if (t->name[0] == '\0' && strchr(name, '*') == NULL && strlen(name) < sizeof t->name)
        snprintf(t->name, sizeof t->name, "%s", name);
}

/* Reads the certificates of a listener: their hashes become pins, and a name of theirs becomes SNI.
 */
static bool take_certificates(struct target *t, const struct config_listener *l, FILE *problems)
{
    char error[TLS_ERROR_MAX];

    t->pins = insist_alloc(calloc(l->certificate_count, sizeof *t->pins));
    for (size_t i = 0; i < l->certificate_count; i++) {
        const struct config_certificate *c = &l->certificate[i];
        const struct tls_certificate files = {
            .file = c->file, .key = c->key, .passphrase_file = c->passphrase_file};
        struct tls_facts facts;
        if (!tls_facts_read(&files, &facts, error)) {
            fprintf(problems, "%s:%u: %s\n", l->file, c->line, error);
            return false;
        }
        memcpy(t->pins[t->pin_count++], facts.sha256, TARGET_PIN);
        for (size_t k = 0; k < facts.name_count; k++)
            take_name(t, facts.name[k]);
        tls_facts_fini(&facts);
    }
    return true;
}

static bool take_listener(struct target *t, const char *command, const struct config *c,
                          const struct config_listener *l, FILE *problems)
{
    if (l->accept_proxy) {
        fprintf(problems,
                "sstpgate %s: [listener %s] has accept-proxy = yes, so it serves only the "
                "proxies in trusted-proxies: give the HOST:PORT of the proxy\n",
                command, l->name);
        return false;
    }
    if (c->gate.admin != NULL)
        t->admin = insist_alloc(strdup(c->gate.admin));
    size_t first = 0;
    while (l->listen_plain[first]) /* `listen` is required */
        first++;
    take_address(t, &l->listen[first]);
    for (size_t i = 0; i < l->host.count; i++)
        take_name(t, l->host.item[i]);
    if (!take_certificates(t, l, problems))
        return false;
    take_name(t, t->host);
    return true;
}

/* ---- a host ---- */

/* Writes how the word can be corrected, if that is known. */
static void suggest_form(const char *word, FILE *problems)
{
    const char *colon = strrchr(word, ':');
    char ascii[HOSTNAME_ASCII_SIZE];
    struct in6_addr ip;
    char plain[INET6_ADDRSTRLEN];

    snprintf(plain, sizeof plain, "%.*s", (int)strcspn(word, "%"), word);
    if (strstr(word, "://") != NULL)
        fputs(": write the host alone, without https:// and a path", problems);
    else if (inet_pton(AF_INET6, plain, &ip) == 1)
        fprintf(problems, ": write [%s] or [%s]:PORT", word, word);
    else if (hostname_ascii(word, ascii))
        fprintf(problems, ": write %s", ascii);
    else if (colon != NULL && colon[1] != '\0' &&
             colon[1 + strspn(colon + 1, "0123456789")] != '\0')
        fputs(": PORT is a number; an address of IPv6 is written in brackets", problems);
}

static void complain(const char *word, const char *command, const char *what, FILE *problems)
{
    fprintf(problems, "sstpgate %s: '%s' is not %s", command, word, what);
    suggest_form(word, problems);
    fputc('\n', problems);
}

bool target_host(struct target *out, const char *word, const char *command, FILE *problems)
{
    *out = (struct target){0};
    const enum err e = value_host_port(word, out->host, &out->port);

    if (e != ERR_OK || !hostname_normal(span_str(out->host), out->name)) {
        complain(word, command,
                 e == ERR_RANGE ? "HOST[:PORT] with a port in 1..65535" : "HOST[:PORT]", problems);
        return false;
    }
    if (out->port == 0)
        out->port = TARGET_PORT;
    return true;
}

bool target_rename(struct target *t, const char *name, const char *command, FILE *problems)
{
    char host[VALUE_HOST_SIZE];
    bool is_address;

    if (value_host(name, host, &is_address) == ERR_OK && hostname_normal(span_str(host), t->name))
        return true;
    complain(name, command, "a name or an address, which --host needs", problems);
    return false;
}

/* Finds word in a configuration that can be used. A word with a dot or a colon may be a host. */
static int find_word(struct target *out, const char *word, const char *command,
                     const struct config *c, FILE *problems)
{
    char suggestion[SUGGEST_TEXT];
    const struct config_listener *l = config_find_listener(c, word, suggestion);

    if (l != NULL)
        return take_listener(out, command, c, l, problems) ? EXIT_DONE : EXIT_FAILED;
    if (strpbrk(word, ".:") != NULL)
        return target_host(out, word, command, problems) ? EXIT_DONE : EXIT_USAGE;
    fprintf(problems, "sstpgate %s: no [listener %s] in %s%s\nIf it is a host: write %s:%d\n",
            command, word, c->path, suggestion, word, TARGET_PORT);
    return EXIT_USAGE;
}

int target_find(struct target *out, const char *word, const char *command, const char *config,
                bool explicit_config, FILE *problems)
{
    struct memo errors;
    FILE *f = memo_open(&errors);
    int code;

    *out = (struct target){0};
    struct config *c = access(config, F_OK) == 0 || explicit_config ? config_load(config, f) : NULL;
    const bool sound = c != NULL && c->sound;
    const char *text = memo_text(&errors);
    if (explicit_config && !sound) {
        fprintf(problems, "sstpgate %s: the configuration cannot be used:\n%s", command, text);
        code = EXIT_FAILED;
    } else if (sound) {
        code = find_word(out, word, command, c, problems);
    } else {
        code = target_host(out, word, command, problems) ? EXIT_DONE : EXIT_USAGE;
    }
    config_free(c);
    memo_free(&errors);
    return code;
}

void target_fini(struct target *t)
{
    free(t->admin);
    free(t->pins);
    *t = (struct target){0};
}

void target_host_field(const char *host, char out[VALUE_HOST_SIZE + 2])
{
    snprintf(out, VALUE_HOST_SIZE + 2, strchr(host, ':') != NULL ? "[%s]" : "%s", host);
}
